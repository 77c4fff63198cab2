"""Volumes of servers that are there already: attached, detached, changed, and what the engine writes meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from novalite.cloud.compute import actions, block_devices, progress, states, tasks
from novalite.cloud.compute.block_devices import BlockDevice
from novalite.cloud.compute.servers import Server, change, get
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import attachments, volumes
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class NewAttachment:
    """``device`` like ``/dev/vdb``, None: the next free one."""

    volume_id: str
    device: str | None = None
    tag: str = ""
    delete_on_termination: bool = False
    may_share: bool = True


def attach(w: Work, server_id: str, new: NewAttachment, *, shelved_too: bool = True) -> BlockDevice:
    """Reserve the volume for the server and leave the task that plugs it in.

    Raises ``NotFound`` for the server or volume; ``Invalid`` for a volume that cannot be had now; ``Conflict`` for
    states that do not allow it and for a device in use; ``OverQuota`` when the server has no place left.
    """
    server = _allowed(w, server_id, "attach_volume", shelved_too=shelved_too)
    volume, rows = volumes.get(w, new.volume_id), block_devices.of_server(w, server.id)
    offloaded = server.vm_state == states.SHELVED_OFFLOADED
    if any(row.volume_id == volume.id for row in rows):
        raise Invalid(f"Invalid volume: volume {volume.id} already attached", field="volumeId")
    if volume.multiattach:
        _refuse_sharing(new, offloaded)
    if offloaded and new.tag:
        raise Invalid("Tagged volume attachment is not supported for shelved-offloaded instances.", field="tag")
    name = block_devices.device_name(server, rows, new.device)
    attachment = attachments.reserve(w, volume.id, server.id)
    row = block_devices.add(
        w, server, rows, source=block_devices.VOLUME, source_id=volume.id, destination=block_devices.VOLUME,
        volume_id=volume.id, attachment_id=attachment.id, size=volume.size_gib, device_name=name, tag=new.tag,
        delete_on_termination=new.delete_on_termination, disk_bus=block_devices.bus_of(server),
    )  # fmt: skip
    if offloaded:
        attachments.attach(w, attachment.id, device=name)
        _record(w, server, "attach_volume")
    else:
        actions.begin(w, server, "attach_volume", tasks.AttachVolume(server.id, row.id))
    return row


def detach(w: Work, server_id: str, volume_id: str, *, shelved_too: bool = True) -> None:
    """Leave the task that unplugs a volume. Raises ``NotFound``, ``Invalid`` for the root disk and for a volume
    that is not in use, ``Conflict`` for states that do not allow it."""
    server = _allowed(w, server_id, "detach_volume", shelved_too=shelved_too)
    volumes.get(w, volume_id)
    row = require(w, server.id, volume_id)
    if row.is_root:
        raise Invalid("Cannot detach a root device volume", field="volume_id")
    if server.vm_state == states.SHELVED_OFFLOADED:
        detached(w, server.id, row.id)
        if row.delete_on_termination:
            volumes.delete(w, volume_id)
        _record(w, server, "detach_volume")
        return
    attachments.begin_detaching(w, volume_id, server.id)
    actions.begin(w, server, "detach_volume", tasks.DetachVolume(server.id, row.id))


def require(w: Work, server_id: str, volume_id: str) -> BlockDevice:
    """Raises ``NotFound`` in Nova's words."""
    row = block_devices.find(w, server_id, volume_id)
    if row is None:
        message = f"Instance {server_id} is not attached to volume {volume_id}"
        raise NotFound("volume attachment", volume_id, message=message)
    return row


def keep_or_end(w: Work, server_id: str, volume_id: str, *, delete_on_termination: bool) -> None:
    """Whether the volume goes with the server."""
    server = get(w, server_id)
    require(w, server.id, volume_id).delete_on_termination = delete_on_termination
    w.session.flush()
    change(w, server.id, {})


def _allowed(w: Work, server_id: str, action: str, *, shelved_too: bool) -> Server:
    server = get(w, server_id)
    if not shelved_too and server.vm_state in (states.SHELVED, states.SHELVED_OFFLOADED):
        raise Conflict(f"Cannot '{action}' instance {server_id} while it is in vm_state {server.vm_state}",
                       code="server.state")  # fmt: skip
    return actions.allowed(w, server_id, action)


def _refuse_sharing(new: NewAttachment, offloaded: bool) -> None:
    if not new.may_share:
        raise Invalid(OLD_SHARING, field="volumeId")
    if offloaded:
        raise Invalid("Attaching multiattach volumes is not supported for shelved-offloaded instances.",
                      field="volumeId")  # fmt: skip


OLD_SHARING = "Multiattach volumes are only supported starting with compute API version 2.60."


def _record(w: Work, server: Server, action: str) -> None:
    change(w, server.id, {})
    durable.record_instant(w, action=action, resource_id=server.id, project_id=server.project_id)


# What the engine writes down.


def begun(w: Work, server_id: str, device_id: str) -> None:
    """The work on an attachment has begun."""
    server, row = progress.find(w, server_id), block_devices.by_id(w, device_id)
    if server is not None and row is not None and row.attachment_id:
        attachments.attaching(w, row.attachment_id, host=server.host or "", device=row.device_name or "")


def attached(w: Work, server_id: str, device_id: str) -> None:
    """The guest has the volume."""
    server, row = progress.find(w, server_id), block_devices.by_id(w, device_id)
    if server is not None and row is not None and row.attachment_id:
        attachments.attach(w, row.attachment_id, device=row.device_name or "", host=server.host or "")
        change(w, server_id, {})


def detached(w: Work, server_id: str, device_id: str) -> None:
    """The volume is no longer the server's. Repeatable."""
    row = block_devices.by_id(w, device_id)
    if row is None:
        return
    if row.attachment_id:
        attachments.detach(w, row.attachment_id)
    block_devices.forget(w, device_id)
    change(w, server_id, {})


def kept(w: Work, device_id: str) -> None:
    """Detaching did not come about."""
    row = block_devices.by_id(w, device_id)
    if row is not None and row.volume_id:
        attachments.roll_detaching(w, row.volume_id)
