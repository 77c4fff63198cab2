"""Servers that stand still because the disk of their host is full: told in their action log, and when they go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from novalite.cloud.compute import states
from novalite.cloud.compute.servers import Server, change
from novalite.cloud.tasks import tasks
from novalite.db.work import Work
from novalite.drivers.compute.base import NO_ROOM

STANDS_STILL = (
    "The server stands still: the disk of its host is full. It goes on by itself as soon as there is room, and nothing "
    "that it wrote is lost."
)
_GOES_ON = "The disk of its host has room again."


@dataclass(frozen=True)
class Before:
    """A server before its state became what its guest does."""

    id: str
    project_id: str
    host: str | None
    vm_state: str
    fault: dict[str, Any] | None


def before(w: Work, server_id: str) -> Before | None:
    columns = (Server.id, Server.project_id, Server.host, Server.vm_state, Server.fault)
    row = w.session.execute(sa.select(*columns).where(Server.id == server_id)).one_or_none()
    return None if row is None else Before(*row)


def noted(w: Work, server: Before, power: str, detail: str) -> None:
    """Tell it when the guest begins to stand still, and when it goes on."""
    if power == "paused" and detail == NO_ROOM:
        fault: dict[str, Any] = {"code": 500, "message": STANDS_STILL, "details": f"Host {server.host}",
                                 "created": w.now.strftime("%Y-%m-%dT%H:%M:%SZ")}  # fmt: skip
        change(w, server.id, {"fault": fault})
        tasks.record_instant(w, action="pause", resource_id=server.id, project_id=server.project_id, failed=True,
                             detail=STANDS_STILL)  # fmt: skip
    elif power == "running" and server.vm_state == states.PAUSED and _stood_still(server):
        change(w, server.id, {"fault": None})
        tasks.record_instant(w, action="unpause", resource_id=server.id, project_id=server.project_id, detail=_GOES_ON)


def _stood_still(server: Before) -> bool:
    return bool(server.fault) and (server.fault or {}).get("message") == STANDS_STILL
