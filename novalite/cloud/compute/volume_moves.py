"""Volumes that go to another backend, or become another type: what may be asked, also of those that a server has."""

from __future__ import annotations

from novalite.cloud.compute import actions, block_devices, progress, states, tasks, volume_swaps
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import attachments, changes, placing, recrypting, services, types, usage, volumes
from novalite.cloud.volume.records import Volume, VolumeType
from novalite.cloud.volume.tasks import VolumeLeave, VolumeMigrate
from novalite.cloud.volume.tasks import key as volume_key
from novalite.db.work import Work
from novalite.errors import Invalid

_MOVABLE = (states.ACTIVE, states.PAUSED, states.STOPPED, states.RESIZED, states.SHELVED_OFFLOADED)
_CONDITIONS = (
    "Invalid volume: Volume status must be available or in-use, must not be migrating, have snapshots, be replicated, "
    "be part of a group and destination host/cluster must be different than the current one"
)


def migrate(w: Work, volume_id: str, backend: str, host: str) -> None:
    """Bring a volume to another backend, which is at ``host``; its status is ``maintenance`` meanwhile. Raises
    ``NotFound``, ``Invalid``."""
    volume = volumes.get(w, volume_id)
    services.require_thawed(w, volume)
    if host in services.closed(w):
        raise Invalid(f"Invalid host: No available service named {host}", field="host", code="service.disabled")
    if volume.backend == backend or not volume.backend:
        raise Invalid(_CONDITIONS, field="host")
    _move(w, volume, "maintenance", _CONDITIONS, VolumeMigrate(volume.id, backend))


def retype(w: Work, volume_id: str, wanted: str, *, may_move: bool) -> None:
    """Give a volume another type. What its backend does not suit goes to one that does, if it ``may_move``; its status
    is ``retyping`` meanwhile. Raises ``NotFound``, ``Invalid``, ``OverQuota``."""
    volume, kind = volumes.get(w, volume_id), types.get_usable(w, wanted)
    if volume.type_id != kind.id and recrypting.is_needed(w, volume, kind):
        _recrypt(w, volume, kind, may_move=may_move)
        return
    if not _asks_for_a_place(volume, kind) or volume.type_id == kind.id:
        changes.retype(w, volume_id, wanted)
        return
    services.require_thawed(w, volume)
    usage.require_of_type(w, volume.project_id, kind, volumes=1, gigabytes=volume.size_gib)
    if volume.multiattach != types.is_multiattach(kind) and volume.status != "available":
        raise volumes.refusal(volume, "retyped", ("available",))
    _move(w, volume, "retyping", "Invalid volume: Volume must not have snapshots, be migrating or be part of a group.",
          VolumeMigrate(volume.id, type_id=kind.id, may_move=may_move))  # fmt: skip


def _recrypt(w: Work, volume: Volume, kind: VolumeType, *, may_move: bool) -> None:
    services.require_thawed(w, volume)
    if _asks_for_a_place(volume, kind) or volume.multiattach != types.is_multiattach(kind):
        raise Invalid(
            f"Invalid volume: volume {volume.id} cannot become encrypted or plain and be kept otherwise in one step: "
            "retype it twice, or copy it.", field="new_type", code="volume.encrypted",
        )  # fmt: skip
    recrypting.begin(w, volume, kind, may_move=may_move)


def _asks_for_a_place(volume: Volume, kind: VolumeType) -> bool:
    """Whether the backends must be asked: the type names one that is not the volume's, or how it is reached."""
    specs = placing.specs_of(kind)
    named = specs.get(placing.BACKEND_NAME)
    return bool(named and named != volume.backend) or "storage_protocol" in specs


def _move(w: Work, volume: Volume, status: str, refusal: str, task: VolumeMigrate) -> None:
    if volume.status not in ("available", "in-use"):
        raise volumes.refusal(volume, "migrated" if task.backend else "retyped", ("available", "in-use"))
    if actions.is_pending(w, volume_key(volume.id), VolumeLeave.kind):
        raise Invalid(f"Invalid volume: the data that volume {volume.id} left behind when it moved are still being "
                      "removed.", field="volume", code="volume.leaving")  # fmt: skip
    server_id, device_id = _used_by(w, volume)
    free = ~volumes.has_snapshots(volume.id), ~volumes.being_copied(volume.id), Volume.group_id.is_(None)
    moving = {"migration_status": "migrating"} if task.backend else {"migration_status": None}
    values = {"status": status, "previous_status": Volume.status, **moving}
    if not volumes.change(w, volume.id, values, Volume.status == volume.status, *free):
        raise Invalid(refusal, field="volume", code="volume.state")
    durable.start(
        w, VolumeMigrate(task.volume_id, task.backend, task.type_id, task.may_move, server_id, device_id),
        key=tasks.key(server_id) if server_id else volume_key(volume.id), resource_id=volume.id,
        project_id=volume.project_id, deadline_seconds=volumes.COPY_SECONDS,
    )  # fmt: skip


def _used_by(w: Work, volume: Volume) -> tuple[str, str]:
    """The server that has it and which of its devices it is; nothing for a volume that is free. Raises ``Invalid`` for
    one that is used in a way that nobody can copy it meanwhile."""
    there = attachments.of_volumes(w, [volume.id])[volume.id]
    if not there:
        return "", ""
    volume_swaps.refuse_encrypted(volume)
    volume_swaps.refuse_exported(w, volume, there)
    server = progress.find(w, there[0].server_id or "")
    row = block_devices.find(w, server.id, volume.id) if server is not None else None
    if len(there) > 1 or server is None or row is None or not there[0].by_compute:
        raise Invalid(f"Invalid volume: volume {volume.id} is attached in several places, or without Compute.",
                      field="volume", code="volume.in_use")  # fmt: skip
    if server.vm_state not in _MOVABLE or server.task_state:
        doing = server.task_state or server.vm_state
        raise Invalid(f"Invalid volume: server {server.id} of volume {volume.id} is {doing}.", field="volume",
                      code="server.state")  # fmt: skip
    return server.id, row.id
