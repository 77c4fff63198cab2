"""The kinds of task that act on servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from novalite.cloud.tasks import tasks as durable


def key(server_id: str) -> str:
    """What a task on a server holds while it runs."""
    return f"server:{server_id}"


@dataclass(frozen=True)
class Boot:
    """Place, wire, make and start a new server. ``admin_pass`` is forgotten when the task ends; ``import_id`` is where
    content of its disks has come."""

    kind: ClassVar[str] = "server.boot"
    action: ClassVar[str] = "create"
    server_id: str
    admin_pass: str = ""
    import_id: str = ""


@dataclass(frozen=True)
class Delete:
    """Take a server away, wherever its boot or life had got to."""

    kind: ClassVar[str] = "server.delete"
    action: ClassVar[str] = "delete"
    server_id: str


@dataclass(frozen=True)
class Start:
    kind: ClassVar[str] = "server.start"
    action: ClassVar[str] = "start"
    server_id: str


@dataclass(frozen=True)
class Stop:
    """Ask the guest to shut down; power it off when it has not within the time allowed."""

    kind: ClassVar[str] = "server.stop"
    action: ClassVar[str] = "stop"
    server_id: str


@dataclass(frozen=True)
class Reboot:
    """Soft: ask the guest, hard after a while. Hard: off and on again with a fresh definition."""

    kind: ClassVar[str] = "server.reboot"
    action: ClassVar[str] = "reboot"
    server_id: str
    hard: bool = False
    was: str = "active"


@dataclass(frozen=True)
class Pause:
    kind: ClassVar[str] = "server.pause"
    action: ClassVar[str] = "pause"
    server_id: str


@dataclass(frozen=True)
class Unpause:
    kind: ClassVar[str] = "server.unpause"
    action: ClassVar[str] = "unpause"
    server_id: str


@dataclass(frozen=True)
class Suspend:
    kind: ClassVar[str] = "server.suspend"
    action: ClassVar[str] = "suspend"
    server_id: str


@dataclass(frozen=True)
class Resume:
    kind: ClassVar[str] = "server.resume"
    action: ClassVar[str] = "resume"
    server_id: str


@dataclass(frozen=True)
class AttachInterface:
    """Plug in a port that is the server's already; it is given back when that fails."""

    kind: ClassVar[str] = "server.attach_interface"
    action: ClassVar[str] = "attach_interface"
    server_id: str
    port_id: str


@dataclass(frozen=True)
class DetachInterface:
    """Unplug a port and give it back."""

    kind: ClassVar[str] = "server.detach_interface"
    action: ClassVar[str] = "detach_interface"
    server_id: str
    port_id: str


@dataclass(frozen=True)
class Rebuild:
    """Begin the server's disks anew from its image. ``was`` is its vm_state before; ``old_image`` the copy of the
    image it stood on, with ``old_image_id``, which it gets back when nothing has been touched. ``volume_id`` is the
    root disk, if it is a volume that is to be begun anew from ``image_id``."""

    kind: ClassVar[str] = "server.rebuild"
    action: ClassVar[str] = "rebuild"
    server_id: str
    was: str = "active"
    preserve_ephemeral: bool = False
    old_image_id: str | None = None
    old_image: dict[str, Any] = field(default_factory=dict)
    admin_pass: str = ""
    volume_id: str = ""
    image_id: str = ""


@dataclass(frozen=True)
class Rescue:
    """Boot the server from its rescue image, with its own disks beside it."""

    kind: ClassVar[str] = "server.rescue"
    action: ClassVar[str] = "rescue"
    server_id: str
    admin_pass: str = ""


@dataclass(frozen=True)
class Unrescue:
    """Boot the server from its own disk again."""

    kind: ClassVar[str] = "server.unrescue"
    action: ClassVar[str] = "unrescue"
    server_id: str


@dataclass(frozen=True)
class CrashDump:
    """Send the guest's kernel an NMI."""

    kind: ClassVar[str] = "server.crash_dump"
    action: ClassVar[str] = "trigger_crash_dump"
    server_id: str


@dataclass(frozen=True)
class Rewire:
    """Make the server's networks and ports on its host anew where they differ from the records."""

    kind: ClassVar[str] = "server.rewire"
    action: ClassVar[str] = ""
    server_id: str


@dataclass(frozen=True)
class SoftDelete:
    """Power the server off, to be deleted when it has not been restored in time."""

    kind: ClassVar[str] = "server.soft_delete"
    action: ClassVar[str] = "delete"
    server_id: str


@dataclass(frozen=True)
class Restore:
    """Bring a server back that was deleted softly."""

    kind: ClassVar[str] = "server.restore"
    action: ClassVar[str] = "restore"
    server_id: str


@dataclass(frozen=True)
class AttachVolume:
    """Plug in a volume that is reserved for the server; it is free again when that fails."""

    kind: ClassVar[str] = "server.attach_volume"
    action: ClassVar[str] = "attach_volume"
    server_id: str
    device_id: str


@dataclass(frozen=True)
class DetachVolume:
    """Unplug a volume and free it."""

    kind: ClassVar[str] = "server.detach_volume"
    action: ClassVar[str] = "detach_volume"
    server_id: str
    device_id: str


@dataclass(frozen=True)
class SwapVolume:
    """Let the guest go on with another volume in place of one it has; the attachment of that is reserved."""

    kind: ClassVar[str] = "server.swap_volume"
    action: ClassVar[str] = "swap_volume"
    server_id: str
    device_id: str
    volume_id: str
    attachment_id: str


KINDS: tuple[type[durable.Kind], ...] = (
    Boot,
    Delete,
    Start,
    Stop,
    Reboot,
    Pause,
    Unpause,
    Suspend,
    Resume,
    AttachInterface,
    DetachInterface,
    AttachVolume,
    DetachVolume,
    SwapVolume,
    Rebuild,
    Rescue,
    Unrescue,
    CrashDump,
    Rewire,
    SoftDelete,
    Restore,
)
