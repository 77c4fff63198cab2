"""Where a libvirt host keeps what belongs to its guests, and who must be able to reach it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from novalite.drivers.compute.arrange import RESCUE
from novalite.drivers.compute.base import ConsoleKind
from novalite.drivers.compute.libvirt.logical_volumes import LogicalVolumes
from novalite.drivers.compute.libvirt.room import Room
from novalite.errors import DriverError

_SOCKET_PATH_BYTES = 107
"""Longest path of a unix socket (sun_path less its end mark)."""
FORMATS = ("qcow2", "raw")
"""What disks of guests may be: overlays on the image that grow, or copies of it."""


_NO_OWN_DISKS = (RESCUE, "snapshot-", "kept-")


def disk_name(disk: Path) -> str:
    """What the guest calls it."""
    return disk.stem if disk.suffix else disk.name.partition("_")[2]


def format_of(disk: Path) -> str:
    """By its name: what a guest has written into a file says nothing about it."""
    return "qcow2" if disk.suffix == ".qcow2" else "raw"


@dataclass(frozen=True)
class GuestPlace:
    """The files of one guest; ``sockets`` may lie elsewhere when the state directory's path is long. ``group`` is
    the one through which its hypervisor gets at them; without it libvirt hands them over, which takes root. Disks that
    are made have ``format``."""

    directory: Path
    sockets: Path
    group: int | None = None
    format: str = "qcow2"
    room: Room = field(default_factory=lambda: Room(Path("/")))
    volumes: LogicalVolumes | None = None
    disk_room: Room = field(default_factory=lambda: Room(Path("/")))

    def disk(self, name: str) -> Path:
        """The disk as it is, else as it would be made."""
        paths = [self.directory / f"{name}.{known}" for known in FORMATS]
        return next((path for path in paths if path.exists()), self.new_disk(name))

    def new_disk(self, name: str) -> Path:
        if self.volumes is not None:
            return self.volumes.path(self.directory.name, name)
        return self.directory / f"{name}.{self.format}"

    def own_disks(self) -> list[Path]:
        """Files and logical volumes of the guest's disks, without the one it is rescued from and without copies."""
        files = (file for known in FORMATS for file in self.directory.glob(f"*.{known}"))
        volumes = [] if self.volumes is None else self.volumes.of_guest(self.directory.name)
        return sorted(disk for disk in (*files, *volumes) if not disk_name(disk).startswith(_NO_OWN_DISKS))

    @contextmanager
    def arriving(self, path: Path, size: int = 0) -> Iterator[Path]:
        """Where a disk is made, under another name first: what has its name is whole. ``size`` in bytes, which a
        logical volume has from the beginning."""
        if self.volumes is not None and self.volumes.has(path):
            with self.volumes.arriving(path, size) as part:
                yield part
            return
        part = path.with_name(path.name + ".new")
        part.unlink(missing_ok=True)
        try:
            yield part
            self.lend(part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def remove_disk(self, path: Path) -> None:
        """An absent one is fine."""
        if self.volumes is not None and self.volumes.has(path):
            self.volumes.remove(path)
        else:
            path.unlink(missing_ok=True)

    def is_volume(self, path: Path) -> bool:
        return self.volumes is not None and self.volumes.has(path)

    @property
    def config_drive(self) -> Path:
        return self.directory / "config.iso"

    @property
    def console_log(self) -> Path:
        return self.directory / "console.log"

    def socket(self, kind: ConsoleKind) -> Path:
        return self.sockets / f"{kind}.sock"

    def lend(self, path: Path, mode: int = 0o660) -> None:
        """Let the hypervisor, and no other user, write a file that is ours."""
        if self.group is not None and path.stat().st_uid == os.geteuid():
            os.chown(path, -1, self.group)
            path.chmod(mode)

    def files(self) -> tuple[str, ...]:
        """Names of what lies in the guest's directory, and of its logical volumes."""
        files = os.listdir(self.directory) if self.directory.is_dir() else []
        volumes = [] if self.volumes is None else self.volumes.of_guest(self.directory.name)
        return tuple(sorted((*files, *(volume.name for volume in volumes))))

    def remove(self) -> None:
        """Take all files and logical volumes away; absent ones are fine."""
        if self.volumes is not None:
            for volume in self.volumes.of_guest(self.directory.name):
                self.volumes.remove(volume)
        for path in {self.directory, self.sockets}:
            try:
                shutil.rmtree(path)
            except FileNotFoundError:
                continue
        if self.sockets != self.directory:
            with contextlib.suppress(OSError):  # others may still be in it
                self.sockets.parent.rmdir()


@dataclass(frozen=True)
class QemuUser:
    """The user and group that guests run as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class GuestAccount:
    """Guests' disks stay ours and are lent to this group, which guests run with. ``uid`` None: the user of
    libvirt's own configuration."""

    gid: int
    uid: int | None = None

    def of(self, configured: QemuUser) -> QemuUser:
        return QemuUser(configured.uid if self.uid is None else self.uid, self.gid)


class Places:
    """STATE/guests/<server id>/ and STATE/images-cache/ of one appliance. Copies leave ``reserve`` bytes free."""

    def __init__(
        self, state_dir: Path, appliance_id: str, group: int | None = None, *, disk_format: str = "qcow2",
        reserve: int = 0, volumes: LogicalVolumes | None = None,
    ) -> None:  # fmt: skip
        self._group, self._format, self._volumes = group, disk_format, volumes
        self.state_dir = state_dir.absolute()
        self.guests = self.state_dir / "guests"
        self.images = self.state_dir / "images-cache"
        longest = self.guests / str(UUID(int=0)) / "serial.sock"
        fits = len(os.fsencode(longest)) <= _SOCKET_PATH_BYTES
        self._sockets = self.guests if fits else _run_directory() / f"novalite-{appliance_id[:8]}"
        for directory in (self.guests, self.images):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o711)
        self.room = Room(self.guests, reserve)
        together = self.guests.stat().st_dev == self.images.stat().st_dev
        self.image_room = self.room if together else Room(self.images, reserve)
        self._disk_room = self.room
        if volumes is not None:
            self._disk_room = Room(volumes.path("", "").parent, reserve, lambda: volumes.use().free)

    def guest(self, guest_id: str) -> GuestPlace:
        _checked(guest_id)
        return GuestPlace(
            self.guests / guest_id, self._sockets / guest_id, self._group, self._format, self.room, self._volumes,
            self._disk_room,
        )  # fmt: skip

    def written(self) -> int:
        """Bytes that the disks of guests take where they are kept."""
        if self._volumes is not None:
            use = self._volumes.use()
            return use.total - use.free
        return sum(_blocks(disk) for guest_id in self.guest_ids() for disk in self.guest(guest_id).own_disks())

    def guest_ids(self) -> list[str]:
        """Server ids that have a directory or logical volumes, whether or not a guest is defined."""
        found = {entry.name for entry in os.scandir(self.guests) if entry.is_dir() and is_server_id(entry.name)}
        if self._volumes is not None:
            found |= {guest_id for guest_id in self._volumes.guest_ids() if is_server_id(guest_id)}
        return sorted(found)

    def prepare(self, place: GuestPlace, user: QemuUser) -> None:
        """Make the guest's directories so that its hypervisor process, and no other user, can work there."""
        for directory in {place.directory, place.sockets}:
            directory.parent.mkdir(parents=True, exist_ok=True)
            directory.mkdir(mode=0o750, exist_ok=True)
            if place.group is not None:
                os.chown(directory, -1, place.group)
                directory.chmod(0o2770)  # what the hypervisor and libvirt make in it is the group's as well
            elif os.geteuid() == 0 and directory.stat().st_uid != user.uid:
                os.chown(directory, user.uid, user.gid)
            self._open_way(directory.parent, user)
        if place.group is not None:
            # libvirt makes it root's but leaves the mode, by which we read on; nobody else gets into the directory.
            place.console_log.touch()
            place.lend(place.console_log, 0o666)

    def _open_way(self, directory: Path, user: QemuUser) -> None:
        """Let the guest's user pass through our own directories; those above are not ours to change."""
        if user.uid in (0, os.geteuid()):
            return
        for parent in (directory, *directory.parents):
            if _may_pass(parent, user):
                continue
            if not parent.is_relative_to(self.state_dir):
                raise DriverError(
                    "ensure_guest",
                    f"QEMU runs as user {user.uid} and may not enter {parent}",
                    code="guest.refused",
                    hint=f"Run 'chmod o+x {parent}', or choose another state directory.",
                )
            parent.chmod(stat.S_IMODE(parent.stat().st_mode) | stat.S_IXOTH)


def _blocks(file: Path) -> int:
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _may_pass(directory: Path, user: QemuUser) -> bool:
    facts = directory.stat()
    if facts.st_uid == user.uid:
        return bool(facts.st_mode & stat.S_IXUSR)
    if facts.st_gid == user.gid:
        return bool(facts.st_mode & stat.S_IXGRP)
    return bool(facts.st_mode & stat.S_IXOTH)


def _run_directory() -> Path:
    if os.geteuid() == 0:
        return Path("/run")
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())


def is_server_id(text: str) -> bool:
    """Ids become paths: nothing but a UUID may."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _checked(guest_id: str) -> None:
    if not is_server_id(guest_id):
        raise DriverError("guest", f"{guest_id!r} is not a server id", code="guest.not_found")
