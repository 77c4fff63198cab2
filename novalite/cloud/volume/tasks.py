"""The kinds of task that act on volumes and snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from novalite.cloud.tasks import tasks as durable


def key(volume_id: str) -> str:
    """What a task on a volume, or on a snapshot of it, holds while it runs."""
    return f"volume:{volume_id}"


def backup_key(backup_id: str) -> str:
    """What a task holds that acts on a backup alone."""
    return f"backup:{backup_id}"


def changed(volume_id: str) -> str:
    """The event that wakes tasks which wait for a volume's next status."""
    return f"volume.changed:{volume_id}"


@dataclass(frozen=True)
class VolumeCreate:
    """Make the data of a new volume: blank, or from what its record names."""

    kind: ClassVar[str] = "volume.create"
    action: ClassVar[str] = ""
    volume_id: str


@dataclass(frozen=True)
class VolumeDelete:
    """Take a volume's data away, those of its snapshots with it."""

    kind: ClassVar[str] = "volume.delete"
    action: ClassVar[str] = ""
    volume_id: str


@dataclass(frozen=True)
class VolumeExtend:
    kind: ClassVar[str] = "volume.extend"
    action: ClassVar[str] = ""
    volume_id: str
    size_gib: int


@dataclass(frozen=True)
class VolumeUpload:
    """Copy a volume's data into an image that is queued."""

    kind: ClassVar[str] = "volume.upload"
    action: ClassVar[str] = ""
    volume_id: str
    image_id: str


@dataclass(frozen=True)
class VolumeRefill:
    """Put other data into a volume: those of an image, of a snapshot of it, or of a backup."""

    kind: ClassVar[str] = "volume.refill"
    action: ClassVar[str] = ""
    volume_id: str
    image_id: str = ""
    snapshot_id: str = ""
    backup_id: str = ""


@dataclass(frozen=True)
class VolumeTune:
    """Hold guests to what the type of a volume, or of all volumes of a type, allows by now."""

    kind: ClassVar[str] = "volume.tune"
    action: ClassVar[str] = ""
    volume_id: str = ""
    type_id: str = ""


@dataclass(frozen=True)
class VolumeMigrate:
    """Bring a volume to ``backend``, or to one that suits the type it is to have; only if ``may_move``. One that a
    server has is that server's ``device_id``, and the task holds the server's key."""

    kind: ClassVar[str] = "volume.migrate"
    action: ClassVar[str] = ""
    volume_id: str
    backend: str = ""
    type_id: str = ""
    may_move: bool = True
    server_id: str = ""
    device_id: str = ""


@dataclass(frozen=True)
class VolumeRecrypt:
    """Write a volume's data anew, encrypted as the type it is to have says, or not any more."""

    kind: ClassVar[str] = "volume.recrypt"
    action: ClassVar[str] = ""
    volume_id: str
    type_id: str


@dataclass(frozen=True)
class VolumeLeave:
    """Forget the data that a volume has left behind on a backend where it is no longer kept."""

    kind: ClassVar[str] = "volume.leave"
    action: ClassVar[str] = ""
    volume_id: str
    backend: str


@dataclass(frozen=True)
class VolumeManage:
    """Take over data that were made elsewhere, or those of a snapshot of the volume."""

    kind: ClassVar[str] = "volume.manage"
    action: ClassVar[str] = ""
    volume_id: str
    reference: str
    snapshot_id: str = ""


@dataclass(frozen=True)
class VolumeUnmanage:
    """Give up a volume, or a snapshot of it; the data stay."""

    kind: ClassVar[str] = "volume.unmanage"
    action: ClassVar[str] = ""
    volume_id: str
    snapshot_id: str = ""


@dataclass(frozen=True)
class SnapshotCreate:
    kind: ClassVar[str] = "snapshot.create"
    action: ClassVar[str] = ""
    volume_id: str
    snapshot_id: str


@dataclass(frozen=True)
class SnapshotDelete:
    kind: ClassVar[str] = "snapshot.delete"
    action: ClassVar[str] = ""
    volume_id: str
    snapshot_id: str


@dataclass(frozen=True)
class BackupCreate:
    """Copy what a volume, or a snapshot of it, holds into the store of backups."""

    kind: ClassVar[str] = "backup.create"
    action: ClassVar[str] = ""
    volume_id: str
    backup_id: str


@dataclass(frozen=True)
class BackupDelete:
    kind: ClassVar[str] = "backup.delete"
    action: ClassVar[str] = ""
    backup_id: str


@dataclass(frozen=True)
class BackupImport:
    """Look whether the data of a backup from elsewhere are in the store."""

    kind: ClassVar[str] = "backup.import"
    action: ClassVar[str] = ""
    backup_id: str


KINDS: tuple[type[durable.Kind], ...] = (
    VolumeCreate,
    VolumeDelete,
    VolumeExtend,
    VolumeUpload,
    VolumeRefill,
    VolumeTune,
    VolumeMigrate,
    VolumeLeave,
    VolumeManage,
    VolumeUnmanage,
    VolumeRecrypt,
    SnapshotCreate,
    SnapshotDelete,
    BackupCreate,
    BackupDelete,
    BackupImport,
)
