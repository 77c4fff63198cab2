"""The kinds of task that give servers other sizes or other hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from novalite.cloud.tasks import tasks as durable


@dataclass(frozen=True)
class Resize:
    """Give a server another flavor; ``migration_id`` names the record that holds both."""

    kind: ClassVar[str] = "server.resize"
    action: ClassVar[str] = "resize"
    server_id: str
    migration_id: int


@dataclass(frozen=True)
class Migrate:
    """Take a server to another host, off meanwhile; to ``host`` when one is named."""

    kind: ClassVar[str] = "server.migrate"
    action: ClassVar[str] = "migrate"
    server_id: str
    migration_id: int
    host: str = ""


@dataclass(frozen=True)
class ConfirmResize:
    kind: ClassVar[str] = "server.confirm_resize"
    action: ClassVar[str] = "confirmResize"
    server_id: str
    migration_id: int


@dataclass(frozen=True)
class RevertResize:
    kind: ClassVar[str] = "server.revert_resize"
    action: ClassVar[str] = "revertResize"
    server_id: str
    migration_id: int


@dataclass(frozen=True)
class LiveMigrate:
    """Take a running server to another host. ``force`` leaves the choice of ``host`` unchecked."""

    kind: ClassVar[str] = "server.live_migrate"
    action: ClassVar[str] = "live-migration"
    server_id: str
    migration_id: int
    host: str = ""
    force: bool = False


@dataclass(frozen=True)
class Evacuate:
    """Make a server anew on another host, since its own is down. ``stopped`` leaves it off there."""

    kind: ClassVar[str] = "server.evacuate"
    action: ClassVar[str] = "evacuate"
    server_id: str
    migration_id: int
    host: str = ""
    force: bool = False
    admin_pass: str = ""
    stopped: bool = False


KINDS: tuple[type[durable.Kind], ...] = (Resize, Migrate, ConfirmResize, RevertResize, LiveMigrate, Evacuate)
