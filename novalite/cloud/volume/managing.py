"""Volumes and snapshots that were made elsewhere and are taken over, and those that are given up without their data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from novalite.cloud.volume import encryption, new_volumes, progress, services, snapshots, tasks, types, usage, volumes
from novalite.cloud.volume.records import Snapshot, Volume
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Invalid

MANAGING, UNMANAGING = "managing", "unmanaging"


@dataclass(frozen=True)
class Managed:
    """``reference`` names the data on ``backend``, which is at ``host``."""

    backend: str
    host: str
    reference: str
    name: str | None = None
    description: str | None = None
    type: str = ""
    availability_zone: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    bootable: bool = False


def manage(w: Work, new: Managed) -> Volume:
    """Record a volume of the caller's project, whose size is found out when its data are taken over. Raises
    ``Invalid``, ``NotFound`` (type), ``OverQuota``."""
    if new.host in services.closed(w):
        raise Invalid(f"Invalid host: No available service named {new.host}", field="host", code="service.disabled")
    kind = types.get_usable(w, new.type) if new.type else types.get_or_default(w, None)
    if encryption.encrypts(w, kind):
        raise Invalid("Invalid volume: Managing volumes of an encrypted volume type is not supported.",
                      field="volume_type", code="volume.encrypted")  # fmt: skip
    usage.require(w, w.ctx.project_id, kind=kind, volumes=1)
    made = Volume(
        id=new_id(), name=new.name, description=new.description, project_id=w.ctx.project_id, user_id=w.ctx.user_id,
        status=MANAGING, size_gib=0, availability_zone=new_volumes.zone_of(w, new.availability_zone),
        bootable=new.bootable, multiattach=types.is_multiattach(kind), metadata_items=dict(new.metadata),
        type_id=kind.id, backend=new.backend, created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    volumes.start(w, made, tasks.VolumeManage(made.id, new.reference))
    w.announce(volumes.TOPIC, made.id, made.project_id)
    return made


def manage_snapshot(
    w: Work, volume_id: str, reference: str, *, name: str | None, description: str | None,
    metadata: Mapping[str, str],
) -> Snapshot:  # fmt: skip
    """Record a snapshot of a volume. Raises ``NotFound``, ``Invalid``, ``OverQuota``."""
    volume = volumes.get(w, volume_id)
    services.require_thawed(w, volume)
    if volume.encryption_key_id is not None:
        raise Invalid("Invalid volume: Managing snapshots of encrypted volumes is not supported.", field="volume_id",
                      code="volume.encrypted")  # fmt: skip
    made = snapshots.create(w, volume_id, name=name, description=description, metadata=metadata, force=True,
                            together=True)  # fmt: skip
    volumes.start(w, volume, tasks.VolumeManage(volume_id, reference, made.id))
    return made


def unmanage(w: Work, volume_id: str) -> None:
    """Forget a volume whose data stay. Raises ``NotFound``, ``Invalid``."""
    volume = volumes.get(w, volume_id)
    services.require_thawed(w, volume)
    if volume.encryption_key_id or volume.sealed_key:
        raise Invalid(f"Invalid volume: Unmanaging encrypted volumes is not supported: {volume_id}.", field="volume",
                      code="volume.encrypted")  # fmt: skip
    if volume.group_id is not None:
        raise Invalid(f"Invalid volume: volume {volume_id} is in group {volume.group_id}.", field="volume",
                      code="volume.in_group")  # fmt: skip
    free = ~volumes.has_attachments(volume_id), ~volumes.being_copied(volume_id), ~volumes.has_snapshots(volume_id)
    allowed = ("available", "error", "error_managing", "error_unmanaging")
    values = {"status": UNMANAGING, "previous_status": Volume.status}
    if not volumes.change(w, volume_id, values, Volume.status.in_(allowed), *free):
        raise Invalid(
            f"Invalid volume: volume {volume_id} is {volume.status}; to be unmanaged it must be available or error, "
            "without snapshots and attachments.", field="status", code="volume.state",
        )  # fmt: skip
    volumes.start(w, volume, tasks.VolumeUnmanage(volume_id))


def unmanage_snapshot(w: Work, snapshot_id: str) -> None:
    """Forget a snapshot whose data stay. Raises ``NotFound``, ``Invalid``."""
    snapshot = snapshots.get(w, snapshot_id)
    volume = volumes.get(w, snapshot.volume_id)
    services.require_thawed(w, volume)
    if volume.encryption_key_id or volume.sealed_key:
        raise Invalid("Invalid volume: Unmanaging snapshots of encrypted volumes is not supported.", field="snapshot",
                      code="volume.encrypted")  # fmt: skip
    snapshots.refuse_of_group(snapshot)
    if not snapshots.leave(w, snapshot_id, UNMANAGING):
        raise Invalid(
            f"Invalid snapshot: snapshot {snapshot_id} is {snapshot.status}, or a volume or a backup is made of it.",
            field="status", code="snapshot.state",
        )  # fmt: skip
    volumes.start(w, volume, tasks.VolumeUnmanage(snapshot.volume_id, snapshot_id))


# What the engine writes down.


def taken(w: Work, volume_id: str, gib: int, *, path: str, form: str, host: str) -> None:
    """The data are ours. Raises ``OverQuota`` when there may not be so much."""
    volume = volumes.find(w, volume_id)
    if volume is None or volume.status != MANAGING:
        return
    if volume.size_gib != gib:
        kind = types.get_or_default(w, volume.type_id)
        usage.require(w, volume.project_id, kind=kind, volume_gib=gib, gigabytes=gib - volume.size_gib)
    progress.stored(w, volume_id, path, form, host)
    values = {"size_gib": gib, "status": "available", "launched_at": w.now, "problem": ""}
    volumes.change(w, volume_id, values, Volume.status == MANAGING)


def taken_over(w: Work, snapshot_id: str, gib: int) -> None:
    """The snapshot is ours. Raises ``Invalid`` for one that is larger than its volume."""
    snapshot = snapshots.find(w, snapshot_id)
    if snapshot is not None and gib > snapshot.size_gib:
        raise Invalid(f"The data have {gib} GiB, the volume {snapshot.size_gib}.", field="ref")
    progress.snapshot_made(w, snapshot_id)
