"""The disks a server has beside what its image and flavor give it: volumes, and local disks asked for by name."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite import logs
from novalite.cloud.volume import attachments, volumes
from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound, OverQuota

if TYPE_CHECKING:
    from novalite.cloud.compute.servers import Server

_log = logs.get("servers")

IMAGE, VOLUME, SNAPSHOT, BLANK = "image", "volume", "snapshot", "blank"
BACKUP = "backup"
"""Only of servers that are made of copies: nobody asks for it by an API."""
LOCAL = "local"
SWAP = "swap"
MOST_DISKS = 26
_PREFIXES = {"virtio": "vd", "scsi": "sd", "sata": "sd", "ide": "hd"}
_DEVICE = re.compile(r"(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$")


class BlockDevice(Base):
    """One disk of a server. ``source`` is image, volume, snapshot, backup or blank, ``destination`` volume or local;
    ``source_id`` names the image, volume or snapshot. ``volume_id`` is set once there is a volume, which was made
    by the boot when ``is_made``. ``size`` is in GiB, that of swap in MiB. ``device_name`` like ``/dev/vdb``."""

    __tablename__ = "block_devices"
    __table_args__ = (sa.UniqueConstraint("server_id", "device_name"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    server_id: Mapped[str] = mapped_column(sa.ForeignKey("servers.id"), index=True)
    position: Mapped[int] = mapped_column(default=0)
    source: Mapped[str] = mapped_column(sa.String(16))
    source_id: Mapped[str] = mapped_column(sa.String(64), default="")
    destination: Mapped[str] = mapped_column(sa.String(16))
    volume_id: Mapped[str | None] = mapped_column(Id, index=True)
    is_made: Mapped[bool] = mapped_column(default=False)
    attachment_id: Mapped[str | None] = mapped_column(Id)
    size: Mapped[int | None]
    volume_type: Mapped[str] = mapped_column(default="")
    guest_format: Mapped[str] = mapped_column(default="")
    disk_bus: Mapped[str] = mapped_column(sa.String(16), default="")
    boot_index: Mapped[int | None]
    device_name: Mapped[str | None] = mapped_column(sa.String(64))
    delete_on_termination: Mapped[bool] = mapped_column(default=False)
    tag: Mapped[str] = mapped_column(sa.String(60), default="")
    created_at: Mapped[datetime]

    @property
    def is_root(self) -> bool:
        return self.boot_index == 0

    @property
    def is_swap(self) -> bool:
        return self.source == BLANK and self.destination == LOCAL and self.guest_format == SWAP

    @property
    def is_ephemeral(self) -> bool:
        return self.source == BLANK and self.destination == LOCAL and self.guest_format != SWAP


@dataclass(frozen=True)
class LocalDisk:
    """A disk of the flavor's ephemeral or swap room. ``size_gib`` or ``size_mib`` is 0; ``device`` without
    ``/dev/``."""

    name: str
    device: str
    content: str
    size_gib: int = 0
    size_mib: int = 0


@dataclass(frozen=True)
class Attached:
    """What lists of servers show of a volume."""

    volume_id: str
    delete_on_termination: bool


def of_server(w: Work, server_id: str) -> list[BlockDevice]:
    """A server's block devices, in their order."""
    query = sa.select(BlockDevice).where(BlockDevice.server_id == server_id)
    return list(w.session.scalars(query.order_by(BlockDevice.position, BlockDevice.id)))


def volumes_of(w: Work, server_ids: Iterable[str]) -> dict[str, list[Attached]]:
    """The volumes of many servers in one query."""
    wanted = list(server_ids)
    found: dict[str, list[Attached]] = {server_id: [] for server_id in wanted}
    if not wanted:
        return found
    row = BlockDevice
    query = (
        sa.select(row.server_id, row.volume_id, row.delete_on_termination)
        .where(row.server_id.in_(wanted), row.volume_id.is_not(None))
        .order_by(row.server_id, row.position, row.id)
    )
    for server_id, volume_id, ends in w.session.execute(query):
        found[server_id].append(Attached(str(volume_id), ends))
    return found


def find(w: Work, server_id: str, volume_id: str) -> BlockDevice | None:
    """The server's block device that is this volume."""
    row = BlockDevice
    return w.session.scalar(sa.select(row).where(row.server_id == server_id, row.volume_id == volume_id))


def by_id(w: Work, device_id: str) -> BlockDevice | None:
    return w.session.get(BlockDevice, device_id, populate_existing=True)


def root_of(rows: Sequence[BlockDevice]) -> BlockDevice | None:
    """The root disk, where it was asked for as a block device."""
    return next((row for row in rows if row.is_root), None)


def root_volume(rows: Sequence[BlockDevice]) -> BlockDevice | None:
    """The root disk, if it is a volume."""
    return next((row for row in rows if row.is_root and row.destination == VOLUME), None)


def bus_of(server: Server) -> str:
    """The bus that the server's image wants for disks, virtio where it names none that there is."""
    wanted = str(server.image["properties"].get("hw_disk_bus", ""))
    return wanted if wanted in _PREFIXES else "virtio"


def prefix_of(server: Server) -> str:
    return _PREFIXES[bus_of(server)]


def _letters(rows: Iterable[BlockDevice]) -> set[str]:
    return {letter_of(row.device_name) for row in rows if row.device_name}


def letter_of(device_name: str) -> str:
    """``b`` of ``/dev/vdb``. Raises ``Invalid``."""
    match = _DEVICE.match(device_name if device_name.startswith("/dev/") else f"/dev/{device_name}")
    if match is None:
        raise Invalid(f"The supplied device path ({device_name[:64]}) is invalid.", field="device")
    return match.group(2)


def local_disks(server: Server, rows: Sequence[BlockDevice]) -> list[LocalDisk]:
    """The ephemeral disks and the swap disk: those asked for, else what the flavor has."""
    taken = _letters(row for row in rows if row.destination == VOLUME or row.is_root) | {_root_letter(server)}
    prefix, found = prefix_of(server), []

    def place(name: str, content: str, wanted: str | None = None, **size: int) -> None:
        letter = letter_of(wanted) if wanted else next(x for x in string.ascii_lowercase if x not in taken)
        taken.add(letter)
        found.append(LocalDisk(name, prefix + letter, content, **size))

    ephemerals = [row for row in rows if row.is_ephemeral]
    for number, row in enumerate(ephemerals):
        size = row.size or server.flavor["ephemeral"]
        place(f"ephemeral{number}", row.guest_format or "ext4", row.device_name, size_gib=size)
    if not ephemerals and server.flavor["ephemeral"]:
        place("ephemeral0", "ext4", size_gib=server.flavor["ephemeral"])
    swaps = [row for row in rows if row.is_swap]
    for row in swaps:
        place("swap", "swap", row.device_name, size_mib=row.size or server.flavor["swap"])
    if not swaps and server.flavor["swap"]:
        place("swap", "swap", size_mib=server.flavor["swap"])
    return found


def _root_letter(server: Server) -> str:
    return letter_of(server.root_device_name)


def device_name(server: Server, rows: Sequence[BlockDevice], wanted: str | None = None) -> str:
    """The name of one more disk: the one wanted, behind the prefix of the server's bus, or the next that is free.
    Raises ``Conflict`` when it is in use, ``OverQuota`` when there are too many."""
    used = _letters(rows) | {_root_letter(server)} | {letter_of(disk.device) for disk in local_disks(server, rows)}
    if wanted:
        letter = letter_of(wanted)
        if letter in used:
            raise Conflict(f"The supplied device path ({wanted}) is in use.", code="device.in_use")
        if len(letter) == 1:
            return f"/dev/{prefix_of(server)}{letter}"
    free = [letter for letter in string.ascii_lowercase if letter not in used]
    if not free or len(used) >= MOST_DISKS:
        message = (f"The maximum allowed number of disk devices ({MOST_DISKS}) to attach to a single instance has "
                   "been exceeded.")  # fmt: skip
        raise OverQuota("disk_devices", limit=MOST_DISKS, used=len(used), asked=1, message=message)
    return f"/dev/{prefix_of(server)}{free[0]}"


def add(w: Work, server: Server, rows: Sequence[BlockDevice], **values: Any) -> BlockDevice:
    """One more block device, after ``rows``."""
    made = BlockDevice(
        id=new_id(), server_id=server.id, position=max((row.position for row in rows), default=-1) + 1,
        created_at=w.now, **values,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def forget(w: Work, device_id: str) -> None:
    """Repeatable."""
    row = by_id(w, device_id)
    if row is not None:
        w.session.delete(row)
        w.session.flush()


def end(w: Work, server_id: str) -> None:
    """The server is gone: its volumes are free, or go with it. Repeatable."""
    for row in of_server(w, server_id):
        if row.attachment_id:
            attachments.detach(w, row.attachment_id)
        if row.volume_id and row.delete_on_termination:
            _end_volume(w, row)
        forget(w, row.id)


def _end_volume(w: Work, row: BlockDevice) -> None:
    """A volume that cannot go (it has snapshots, or is attached elsewhere) stays."""
    assert row.volume_id is not None
    try:
        volumes.delete(w, row.volume_id, force=row.is_made)
    except (NotFound, Invalid) as error:
        _log.warning("a volume stays when its server goes", volume_id=row.volume_id, why=str(error))
