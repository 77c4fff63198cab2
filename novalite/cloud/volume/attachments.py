"""What volumes are attached to: compare-and-set transitions, each safe to repeat.

The way of an attachment, for Compute (``w`` first; all raise ``NotFound``, and ``Invalid`` with code
``volume.state`` when the volume's status does not allow it):

1. ``reserve(w, volume_id, server_id)`` in the request: volume available -> reserved; gives the attachment.
2. ``attaching(w, attachment_id, host=…, device=…)`` when the work begins: volume -> attaching (may be left out).
3. ``attach(w, attachment_id, device=…, host=…)`` when the guest has it: volume -> in-use.
4. ``begin_detaching(w, volume_id, server_id)`` in the request: volume in-use -> detaching;
   ``roll_detaching(w, volume_id)`` takes that back.
5. ``detach(w, attachment_id)`` when the guest has let go, or in place of ``attach`` when that failed: the attachment
   is gone, the volume available, or in-use when it is attached elsewhere too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from novalite.cloud.volume import volumes
from novalite.cloud.volume.records import Volume, VolumeAttachment
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

RESERVED, ATTACHING, ATTACHED, DETACHING = "reserved", "attaching", "attached", "detaching"
_STATUS_OF_VOLUME = {ATTACHED: "in-use", DETACHING: "detaching", ATTACHING: "attaching", RESERVED: "reserved"}


def find(w: Work, attachment_id: str) -> VolumeAttachment | None:
    """An attachment by id, whoever owns it."""
    return w.session.get(VolumeAttachment, attachment_id)


def get(w: Work, attachment_id: str) -> VolumeAttachment:
    """An attachment of the caller's project. Raises ``NotFound``."""
    found = find(w, attachment_id)
    if found is None or (found.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("attachment", attachment_id, message=f"Volume attachment {attachment_id} could not be found.")
    return found


def between(w: Work, volume_id: str, server_id: str) -> VolumeAttachment | None:
    """The attachment of a volume to a server."""
    query = sa.select(VolumeAttachment).where(
        VolumeAttachment.volume_id == volume_id, VolumeAttachment.server_id == server_id
    )
    return w.session.scalar(query.order_by(VolumeAttachment.created_at).limit(1))


def of_volumes(w: Work, volume_ids: Iterable[str]) -> dict[str, list[VolumeAttachment]]:
    """Attachments by volume, oldest first; one query."""
    ids = set(volume_ids)
    found: dict[str, list[VolumeAttachment]] = {volume_id: [] for volume_id in ids}
    query = sa.select(VolumeAttachment).where(VolumeAttachment.volume_id.in_(ids))
    for row in w.session.scalars(query.order_by(VolumeAttachment.created_at, VolumeAttachment.id)):
        found[row.volume_id].append(row)
    return found


def of_server(w: Work, server_id: str) -> list[VolumeAttachment]:
    """A server's attachments, oldest first."""
    query = sa.select(VolumeAttachment).where(VolumeAttachment.server_id == server_id)
    return list(w.session.scalars(query.order_by(VolumeAttachment.created_at, VolumeAttachment.id)))


def serial_of(attachment: VolumeAttachment) -> str:
    """What the guest knows the disk by."""
    return attachment.serial or volumes.serial(attachment.volume_id)


def reserve(
    w: Work, volume_id: str, server_id: str | None, *, mode: str = "rw", by_compute: bool = True
) -> VolumeAttachment:
    """Promise the volume to a server. One that is attached already is refused, unless it is multiattach."""
    volume = volumes.get(w, volume_id)
    allowed = ("available", "in-use") if volume.multiattach else ("available",)
    if volume.read_only and mode == "rw":
        mode = "ro"
    if server_id and between(w, volume_id, server_id) is not None:
        raise Invalid(f"Volume {volume_id} is attached to server {server_id} already.", field="volumeId",
                      code="volume.attached")  # fmt: skip
    volumes.move(w, volume, allowed, "reserved", ~volumes.being_copied(volume_id), doing="attached")
    return _add(w, volume, server_id, mode=mode, by_compute=by_compute)


def _add(w: Work, volume: Volume, server_id: str | None, **values: Any) -> VolumeAttachment:
    made = VolumeAttachment(
        id=new_id(), volume_id=volume.id, server_id=server_id, project_id=volume.project_id, created_at=w.now,
        serial=_other_serial(w, volume.id, server_id), **values,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def _other_serial(w: Work, volume_id: str, server_id: str | None) -> str:
    """For a volume whose own serial another disk of the server has kept; empty when it is free."""
    taken = {serial_of(one) for one in of_server(w, server_id)} if server_id else set()
    return new_id()[: volumes.SERIAL_CHARACTERS] if volumes.serial(volume_id) in taken else ""


def attach_by_hand(
    w: Work, volume_id: str, *, server_id: str | None, host: str, device: str, mode: str
) -> VolumeAttachment:
    """Attach in one go, as who manages attachments without Compute does. Raises ``Invalid``."""
    volume = volumes.get(w, volume_id)
    allowed = ("available", "attaching", "reserved") + (("in-use",) if volume.multiattach else ())
    if volume.read_only and mode == "rw":
        raise Invalid(f"Volume {volume_id} is read-only.", field="mode", code="volume.read_only")
    promised = sa.exists().where(VolumeAttachment.volume_id == volume_id, VolumeAttachment.status != ATTACHED)
    volumes.move(w, volume, allowed, "in-use", ~promised, ~volumes.being_copied(volume_id), doing="attached")
    return _add(w, volume, server_id, mode=mode, host=host, device=device, status=ATTACHED, attached_at=w.now,
                by_compute=False)  # fmt: skip


def refuse_if_computes(w: Work, attachment: VolumeAttachment) -> None:
    """Raises ``Conflict`` when Compute made the attachment: a guest would go on writing to what looks free."""
    if attachment.by_compute and "service" not in w.ctx.roles:
        raise Conflict(
            f"Attachment {attachment.id} belongs to server {attachment.server_id}.", code="attachment.in_use",
            hint="Detach the volume from the server through Compute.",
        )  # fmt: skip


def attaching(w: Work, attachment_id: str, *, host: str = "", device: str = "", **more: Any) -> bool:
    """The work has begun. False when the attachment is gone."""
    values = {name: value for name, value in {"host": host, "device": device, **more}.items() if value}
    return _advance(w, attachment_id, ATTACHING, (RESERVED, ATTACHING), **values)


def attach(w: Work, attachment_id: str, *, device: str, host: str = "", serial: str | None = None) -> bool:
    """The guest has it, by another ``serial`` than the volume's own if that is given. False when the attachment is
    gone."""
    more = {"host": host} if host else {}
    if serial is not None:
        more["serial"] = serial
    values = {"device": device, "attached_at": w.now, **more}
    return _advance(w, attachment_id, ATTACHED, (RESERVED, ATTACHING, ATTACHED), **values)


def _advance(w: Work, attachment_id: str, status: str, before: tuple[str, ...], **values: Any) -> bool:
    row = VolumeAttachment
    hit = w.changed(
        sa.update(row)
        .where(row.id == attachment_id, row.status.in_(before))
        .values(status=status, updated_at=w.now, **values)
    )
    if hit:
        made = w.session.get(row, attachment_id, populate_existing=True)
        assert made is not None
        settle(w, made.volume_id)
    return bool(hit)


_EXPORTED = {"transport": "nbd"}
"""What stands for the connector of a volume that this machine exports to its server's host."""


def exported(w: Work, attachment_ids: Iterable[str], *, yes: bool = True) -> None:
    """Whether their hosts have them by an export of this machine."""
    row = VolumeAttachment
    w.changed(
        sa.update(row).where(row.id.in_(set(attachment_ids)), row.by_compute).values(connector=_EXPORTED if yes else {})
    )


def are_exported(w: Work, attachment_ids: Iterable[str]) -> list[str]:
    """Those of them that are."""
    known = by_ids(w, attachment_ids)
    return [row.id for row in known.values() if row.by_compute and row.connector == _EXPORTED]


def all_exported(w: Work) -> list[VolumeAttachment]:
    """Attachments that hosts have by an export."""
    row = VolumeAttachment
    query = sa.select(row).where(row.by_compute, row.status == ATTACHED, row.host != "").order_by(row.id)
    return [found for found in w.session.scalars(query) if found.connector == _EXPORTED]


def by_ids(w: Work, attachment_ids: Iterable[str]) -> dict[str, VolumeAttachment]:
    """Those that exist, whoever owns them; one query."""
    rows = w.session.scalars(sa.select(VolumeAttachment).where(VolumeAttachment.id.in_(set(attachment_ids))))
    return {row.id: row for row in rows}


def move_host(w: Work, server_id: str, host: str) -> None:
    """The server, with all that is attached to it, is on another host."""
    row = VolumeAttachment
    w.changed(sa.update(row).where(row.server_id == server_id).values(host=host, updated_at=w.now))


def begin_detaching(w: Work, volume_id: str, server_id: str = "") -> None:
    """Detaching was asked for; it goes on until ``detach`` or ``roll_detaching``."""
    volume = volumes.get(w, volume_id)
    there = sa.exists().where(VolumeAttachment.volume_id == volume_id, VolumeAttachment.status == ATTACHED)
    if server_id:
        there = there.where(VolumeAttachment.server_id == server_id)
    volumes.move(w, volume, ("in-use",), "detaching", there, doing="detached")


def roll_detaching(w: Work, volume_id: str) -> None:
    """Detaching did not come about. Nothing when it is not going on."""
    volumes.change(w, volume_id, {"status": "in-use"}, Volume.status == "detaching")


def detach(w: Work, attachment_id: str) -> bool:
    """The attachment is over, however far it had come. False when it was over already."""
    found = find(w, attachment_id)
    if found is None:
        return False
    w.changed(sa.delete(VolumeAttachment).where(VolumeAttachment.id == attachment_id))
    w.session.expunge(found)
    settle(w, found.volume_id)
    return True


def made_by_compute(w: Work, before: datetime) -> dict[str, list[str]]:
    """Ids of attachments older than ``before``, by the server they are for."""
    row = VolumeAttachment
    query = sa.select(row.server_id, row.id).where(row.by_compute, row.server_id.is_not(None), row.created_at < before)
    found: dict[str, list[str]] = {}
    for server_id, attachment_id in w.session.execute(query):
        found.setdefault(str(server_id), []).append(attachment_id)
    return found


def detach_server(w: Work, server_id: str) -> list[str]:
    """Everything a server had is free again; the ids of those volumes."""
    ended = of_server(w, server_id)
    for attachment in ended:
        detach(w, attachment.id)
    return [attachment.volume_id for attachment in ended]


_ATTACHABLE = ("available", "in-use", "reserved", "attaching", "detaching")


def settle(w: Work, volume_id: str) -> None:
    """Let the volume's status follow from its attachments. What is in error, or goes away, stays so."""
    rows = w.session.scalars(sa.select(VolumeAttachment.status).where(VolumeAttachment.volume_id == volume_id))
    there = set(rows)
    order = (ATTACHING, RESERVED, DETACHING, ATTACHED)
    status = next((_STATUS_OF_VOLUME[each] for each in order if each in there), "available")
    volumes.change(w, volume_id, {"status": status}, Volume.status.in_(_ATTACHABLE))
