"""The kinds of task that act on servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from novalite.cloud.tasks import tasks as durable


def key(server_id: str) -> str:
    """What a task on a server holds while it runs."""
    return f"server:{server_id}"


@dataclass(frozen=True)
class Boot:
    """Place, wire, make and start a new server. ``admin_pass`` is forgotten when the task ends."""

    kind: ClassVar[str] = "server.boot"
    action: ClassVar[str] = "create"
    server_id: str
    admin_pass: str = ""


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
)
