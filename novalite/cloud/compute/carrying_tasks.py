"""The kinds of task that carry whole servers from one cloud to another, or take over what is on a host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from novalite.cloud.tasks import tasks as durable


@dataclass(frozen=True)
class ExportServer:
    """Copy every disk of the server into an image that nobody but its export shows."""

    kind: ClassVar[str] = "server.export"
    action: ClassVar[str] = "createImage"
    server_id: str
    export_id: str


@dataclass(frozen=True)
class ImportServer:
    """Make volumes and a server of the images that have come."""

    kind: ClassVar[str] = "server.import"
    action: ClassVar[str] = ""
    import_id: str


@dataclass(frozen=True)
class AdoptGuest:
    """Take the guest over that the records tell of already."""

    kind: ClassVar[str] = "server.adopt"
    action: ClassVar[str] = "create"
    server_id: str


@dataclass(frozen=True)
class GiveGuestBack:
    """Let an adopted guest be what it was before, and forget its server."""

    kind: ClassVar[str] = "server.give_back"
    action: ClassVar[str] = "delete"
    server_id: str


KINDS: tuple[type[durable.Kind], ...] = (ExportServer, ImportServer, AdoptGuest, GiveGuestBack)


def key(import_id: str) -> str:
    """What an import holds while it runs; an export holds its server."""
    return f"import:{import_id}"
