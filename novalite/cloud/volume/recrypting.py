"""Volumes that become encrypted, or not any more: with a type that says so their data are written anew."""

from __future__ import annotations

from novalite.cloud.volume import encryption, progress, tasks, types, usage, volumes
from novalite.cloud.volume.records import Volume, VolumeType
from novalite.db.work import Work
from novalite.errors import Invalid


def is_needed(w: Work, volume: Volume, kind: VolumeType) -> bool:
    """Whether the data would not be encrypted as the type says. Raises ``Invalid`` for a type that says what is not
    offered."""
    encrypts = encryption.encrypts(w, kind)
    if encrypts != (volume.encryption_key_id is not None):
        return True
    return encrypts and encryption.ways(w, kind.id) != encryption.ways(w, volume.type_id)


def begin(w: Work, volume: Volume, kind: VolumeType, *, may_move: bool) -> None:
    """Leave the task that does it; the status is ``retyping`` meanwhile. Cinder takes it for a migration. Raises
    ``Invalid``, ``OverQuota``."""
    volumes.refuse_found(volume, "encrypted")
    if not may_move:
        raise Invalid("Invalid volume: Retype requires migration but is not allowed.", field="migration_policy",
                      code="volume.may_not_move")  # fmt: skip
    usage.require_of_type(w, volume.project_id, kind, volumes=1, gigabytes=volume.size_gib)
    free = (~volumes.has_snapshots(volume.id), ~volumes.being_copied(volume.id), ~volumes.has_attachments(volume.id),
            Volume.group_id.is_(None))  # fmt: skip
    if not volumes.change(w, volume.id, {"status": "retyping", "previous_status": Volume.status},
                          Volume.status == "available", *free):  # fmt: skip
        raise Invalid(
            f"Invalid volume: volume {volume.id} must be available, have no snapshots and be in no group: its data are "
            "written anew.", field="volume", code="volume.state",
        )  # fmt: skip
    volumes.start(w, volume, tasks.VolumeRecrypt(volume.id, kind.id))


def is_done(w: Work, volume_id: str, type_id: str) -> bool:
    found = volumes.find(w, volume_id)
    return found is None or found.type_id == type_id


def done(w: Work, volume_id: str, kind: VolumeType, *, key_id: str | None, sealed_key: str, aside: str) -> None:
    """The data are as the type says, and its copy ``aside`` is to go. Repeatable."""
    volume = volumes.find(w, volume_id)
    if volume is not None and not is_done(w, volume_id, kind.id):
        volumes.change(w, volume_id, {"encryption_key_id": key_id, "sealed_key": sealed_key})
        progress.retyped(w, volume_id, kind.id, multiattach=types.is_multiattach(kind))
        volumes.start(w, volume, tasks.SnapshotDelete(volume_id, aside))
    progress.settled(w, volume_id)
