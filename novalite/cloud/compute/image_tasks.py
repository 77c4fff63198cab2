"""The kinds of task that make images of servers and servers of images again, and that follow other services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from novalite.cloud.tasks import tasks as durable


@dataclass(frozen=True)
class CreateImage:
    """Fill the queued image with what the server's root disk holds."""

    kind: ClassVar[str] = "server.create_image"
    action: ClassVar[str] = "createImage"
    server_id: str
    image_id: str


@dataclass(frozen=True)
class CreateVolumeImage:
    """The same for a server that boots from a volume: the image has no data but names the snapshots."""

    kind: ClassVar[str] = "server.create_volume_image"
    action: ClassVar[str] = "createImage"
    server_id: str
    image_id: str
    snapshot_ids: tuple[str, ...]


@dataclass(frozen=True)
class CreateBackup:
    """The same; then of the server's images of this type only the newest ``rotation`` stay."""

    kind: ClassVar[str] = "server.create_backup"
    action: ClassVar[str] = "createBackup"
    server_id: str
    image_id: str
    backup_type: str
    rotation: int


@dataclass(frozen=True)
class Shelve:
    """Stop the guest and fill the queued image; without an image (the root disk is a volume) offload at once."""

    kind: ClassVar[str] = "server.shelve"
    action: ClassVar[str] = "shelve"
    server_id: str
    image_id: str


@dataclass(frozen=True)
class Offload:
    """Take a shelved server's guest away from its host."""

    kind: ClassVar[str] = "server.offload"
    action: ClassVar[str] = "shelveOffload"
    server_id: str


@dataclass(frozen=True)
class OffloadInTime:
    """The same, because the server has been shelved for long enough: part of shelving, not an action."""

    kind: ClassVar[str] = "server.offload_in_time"
    action: ClassVar[str] = ""
    server_id: str


@dataclass(frozen=True)
class Unshelve:
    """Start the server again: from its image on a host that is chosen anew when it is ``offloaded``."""

    kind: ClassVar[str] = "server.unshelve"
    action: ClassVar[str] = "unshelve"
    server_id: str
    image_id: str
    offloaded: bool


@dataclass(frozen=True)
class CacheImages:
    """Bring images into the caches of hosts, by name."""

    kind: ClassVar[str] = "host.cache_images"
    action: ClassVar[str] = ""
    hosts: tuple[str, ...]
    image_ids: tuple[str, ...]


@dataclass(frozen=True)
class LookAt:
    """Ask the host what the guest does now."""

    kind: ClassVar[str] = "server.look_at"
    action: ClassVar[str] = ""
    server_id: str


@dataclass(frozen=True)
class ExtendVolume:
    """Let the guest see the size that one of its volumes has by now."""

    kind: ClassVar[str] = "server.extend_volume"
    action: ClassVar[str] = "extend_volume"
    server_id: str
    volume_id: str


@dataclass(frozen=True)
class AssistSnapshot:
    """Let the hypervisor make a snapshot of a volume in a file that the volume service names."""

    kind: ClassVar[str] = "server.assist_snapshot"
    action: ClassVar[str] = ""
    server_id: str
    volume_id: str
    snapshot_id: str


@dataclass(frozen=True)
class SnapshotVolumes:
    """Make snapshots of volumes, of which this server has some, all of one moment."""

    kind: ClassVar[str] = "server.snapshot_volumes"
    action: ClassVar[str] = ""
    server_id: str
    snapshot_ids: tuple[str, ...]


KINDS: tuple[type[durable.Kind], ...] = (
    CreateImage,
    SnapshotVolumes,
    CreateVolumeImage,
    CreateBackup,
    Shelve,
    Offload,
    OffloadInTime,
    Unshelve,
    CacheImages,
    LookAt,
    ExtendVolume,
    AssistSnapshot,
)
