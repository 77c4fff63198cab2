"""Another volume in place of one that a server has, and what the engine writes down of it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from novalite.cloud.compute import actions, block_devices, progress, tasks, volume_attachments
from novalite.cloud.compute.servers import change
from novalite.cloud.volume import attachments, volumes
from novalite.cloud.volume.records import Volume, VolumeAttachment
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


def swap(w: Work, server_id: str, volume_id: str, wanted: str, *, directly: bool) -> None:
    """Leave the task that lets the server go on with the volume ``wanted``, which holds then what the other one held.
    Without ``directly`` it is refused, as by Nova, for a volume that Block Storage does not move itself.

    Raises ``NotFound``, ``Invalid`` for a volume that cannot take the place, ``Conflict`` for states that do not allow
    it.
    """
    old = volumes.get(w, volume_id)
    if not directly:
        raise Conflict(
            f"volume {volume_id} is not migrating; this API should only be called by Cinder",
            code="volume.not_migrating", hint="The setting volumes.swap_directly allows it; or migrate the volume.",
        )  # fmt: skip
    server = actions.allowed(w, server_id, "swap_volume")
    row = volume_attachments.require(w, server.id, old.id)
    new = _wanted(w, wanted)
    _require_fit(w, old, new)
    for volume in (old, new):
        refuse_encrypted(volume)
    refuse_exported(w, old, attachments.of_volumes(w, [old.id])[old.id])
    attachments.begin_detaching(w, old.id, server.id)
    attachment = attachments.reserve(w, new.id, server.id)
    task = tasks.SwapVolume(server.id, row.id, new.id, attachment.id)
    actions.begin(w, server, "swap_volume", task, deadline_seconds=volumes.COPY_SECONDS)


def refuse_exported(w: Work, volume: Volume, there: Sequence[VolumeAttachment]) -> None:
    """Raises ``Conflict`` while a server on another machine has the volume by an export of this one."""
    if attachments.are_exported(w, [row.id for row in there]):
        raise Conflict(
            f"The data of volume {volume.id} cannot move while a server on another machine has it: it is exported to "
            "that.", code="volume.exported", hint="Detach it, move it, and attach it again.",
        )  # fmt: skip


def refuse_encrypted(volume: Volume) -> None:
    """Raises ``Invalid`` for data that no host copies while a guest has them: both sides need keys of their own."""
    if volume.encryption_key_id is not None:
        raise Invalid(
            f"Invalid volume: volume {volume.id} is encrypted: it does not move while a server has it.", field="volume",
            code="volume.encrypted",
        )  # fmt: skip


def _wanted(w: Work, volume_id: str) -> Volume:
    try:
        return volumes.get(w, volume_id)
    except NotFound as error:
        raise Invalid(error.message, field="volumeId") from error


def _require_fit(w: Work, old: Volume, new: Volume) -> None:
    if new.status != "available":
        raise Invalid("Invalid volume: New volume must be detached in order to swap.", field="volumeId",
                      code="volume.state")  # fmt: skip
    if new.size_gib < old.size_gib:
        raise Invalid("Invalid volume: New volume must be the same size or larger.", field="volumeId")
    if new.size_gib > old.size_gib and not volumes.is_file(new):
        raise Invalid(
            f"Invalid volume: New volume must have {old.size_gib} GiB as the old one: larger ones take the place of "
            f"one that a server has if they are files, which backend {new.backend} does not keep.", field="volumeId",
            code="volume.not_a_file", hint="Take one of the same size, and extend it afterwards.",
        )  # fmt: skip
    row = VolumeAttachment
    writers = sa.select(sa.func.count()).where(row.volume_id == old.id, row.mode == "rw")
    if old.multiattach and (w.session.scalar(writers) or 0) > 1:
        raise Invalid(
            "Swapping multi-attach volumes with more than one read/write attachment is not supported.",
            field="volumeId", code="volume.shared",
        )  # fmt: skip


# What the engine writes down.


def begun(w: Work, server_id: str, device_id: str, attachment_id: str) -> None:
    """The work has begun."""
    server, row = progress.find(w, server_id), block_devices.by_id(w, device_id)
    if server is not None and row is not None:
        attachments.attaching(w, attachment_id, host=server.host or "", device=row.device_name or "")


def swapped(w: Work, server_id: str, device_id: str, volume_id: str, attachment_id: str) -> None:
    """The guest has the other volume, at the same place and by the same serial; the first is free. Repeatable."""
    server, row = progress.find(w, server_id), block_devices.by_id(w, device_id)
    if server is None or row is None or row.volume_id == volume_id:
        return
    before, volume = attachments.find(w, row.attachment_id or ""), volumes.find(w, volume_id)
    serial = volumes.serial(row.volume_id or "") if before is None else attachments.serial_of(before)
    own = serial == volumes.serial(volume_id)
    attachments.attach(w, attachment_id, device=row.device_name or "", host=server.host or "",
                       serial="" if own else serial)  # fmt: skip
    row.volume_id, row.attachment_id = volume_id, attachment_id
    if row.source == block_devices.VOLUME:
        row.source_id = volume_id
    if volume is not None and row.size is not None:
        row.size = volume.size_gib
    w.session.flush()
    if before is not None:
        attachments.detach(w, before.id)
    change(w, server_id, {})


def stayed(w: Work, device_id: str, attachment_id: str) -> None:
    """It came to nothing: the server has what it had, and the other volume is free."""
    attachments.detach(w, attachment_id)
    volume_attachments.kept(w, device_id)
