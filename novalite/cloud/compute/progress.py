"""What the engine writes down about servers while it acts, and what hosts report about them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from novalite.cloud.compute import block_devices, migrations, starved, states
from novalite.cloud.compute.servers import Server, change
from novalite.cloud.hosts import aside, hosts
from novalite.cloud.network import ports
from novalite.db.work import Work

_STAYS = sa.or_(Server.task_state.is_(None), Server.task_state.not_in(states.LEAVING))


def find(w: Work, server_id: str) -> Server | None:
    """A server by id whoever owns it; None once it is deleted."""
    server = w.session.get(Server, server_id)
    return server if server is not None and server.deleted_at is None else None


def fault(code: int, message: str, now: datetime, details: str = "") -> dict[str, Any]:
    """A fault as the API shows it; ``details`` is for admins."""
    return {
        "code": code,
        "message": message,
        "details": details,
        "created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def doing(w: Work, server_id: str, task_state: str) -> bool:
    """Show what goes on, unless the server is being deleted."""
    return change(
        w,
        server_id,
        {"task_state": task_state},
        Server.deleted_at.is_(None),
        _STAYS,
    )


def placed(w: Work, server_id: str, host: hosts.Host) -> None:
    """The server has room on ``host``; its ports follow. A new one goes on with its network."""
    doing = sa.case((Server.vm_state == states.BUILDING, states.NETWORKING), else_=Server.task_state)
    change(
        w,
        server_id,
        {"host": host.name, "availability_zone": host.zone, "task_state": doing},
        Server.task_state.not_in(states.LEAVING),
    )
    ports.set_host(w, server_id, host.name)


def unplaced(w: Work, server_id: str) -> None:
    """The server has no host (any more): its room is given back."""
    hosts.release(w, server_id)
    ports.set_host(w, server_id, "")
    change(w, server_id, {"host": None, "availability_zone": Server.pinned_zone})


def settle(
    w: Work,
    server_id: str,
    *,
    vm_state: str,
    power_state: int,
    launched: bool = False,
    while_doing: Iterable[str] = (),
) -> bool:
    """An action has ended well: the new states, no task_state, no fault. Never touches a server that is
    being deleted; with ``while_doing`` only one that still does one of these."""
    values: dict[str, Any] = {
        "vm_state": vm_state,
        "power_state": power_state,
        "task_state": None,
        "fault": None,
        "progress": 100 if vm_state == states.ACTIVE else 0,
    }
    if launched:
        values["launched_at"] = sa.func.coalesce(Server.launched_at, sa.literal(w.now, Server.launched_at.type))
    guards: list[Any] = [Server.deleted_at.is_(None)]
    doing_now = list(while_doing)
    guards.append(Server.task_state.in_(doing_now) if doing_now else _STAYS)
    return change(w, server_id, values, *guards)


def failed(w: Work, server_id: str, what: dict[str, Any], *, vm_state: str | None = states.ERROR) -> None:
    """An action has failed: keep the fault; ``vm_state`` None leaves the state as it was."""
    values: dict[str, Any] = {"fault": what}
    if vm_state is not None:
        values["vm_state"] = vm_state
    change(w, server_id, values, Server.deleted_at.is_(None))
    change(w, server_id, {"task_state": None}, Server.deleted_at.is_(None), Server.task_state.not_in(states.LEAVING))


def deletion_failed(w: Work, server_id: str, what: dict[str, Any]) -> None:
    """Deleting did not come to its end: the server is in ERROR, and may be deleted again."""
    change(w, server_id, {"vm_state": states.ERROR, "task_state": None, "fault": what}, Server.deleted_at.is_(None))


def gone(w: Work, server_id: str) -> None:
    """The server and all it held are away; the row stays as a trace for ``changes-since``. Repeatable."""
    aside.release_all(w, server_id)
    migrations.server_gone(w, server_id)
    ports.remove_of_device(w, server_id)
    block_devices.end(w, server_id)
    change(w, server_id, {
        "vm_state": states.DELETED, "task_state": None, "power_state": states.NOSTATE, "host": None,
        "deleted_at": w.now, "terminated_at": w.now, "user_data": None, "guest_password": "", "personality": [],
    }, Server.deleted_at.is_(None))  # fmt: skip


_POWER_TO_STATES = {
    "running": (states.ACTIVE, states.RUNNING),
    "off": (states.STOPPED, states.SHUTDOWN),
    "absent": (states.STOPPED, states.SHUTDOWN),
    "paused": (states.PAUSED, states.POWER_PAUSED),
    "suspended": (states.SUSPENDED, states.POWER_SUSPENDED),
}

POWER_STATES = {
    "running": states.RUNNING,
    "off": states.SHUTDOWN,
    "absent": states.NOSTATE,
    "paused": states.POWER_PAUSED,
    "suspended": states.POWER_SUSPENDED,
    "crashed": states.CRASHED,
}


def observed(
    w: Work, server_id: str, power: str, detail: str = "", *, revision: int | None = None, host: str = ""
) -> bool:
    """A host says what a guest does (a ``Power`` value) while no action is going on: believe it.

    What was asked for, not told, may be old news by now: ``revision`` is the server's before the question, and
    a server that has changed since is left alone. With ``host`` only what that host has now is meant: a server
    that went elsewhere leaves a guest behind, whose end says nothing about it.

    A crash is an ERROR with the reason; everything else becomes the matching state. Servers that are being
    built, in an action, or in ERROR for another reason keep their vm_state, and so do those whose state says
    more than their guest: of them only the power is written down. Returns whether anything changed.
    """
    idle: list[Any] = [Server.task_state.is_(None), Server.deleted_at.is_(None), Server.launched_at.is_not(None)]
    if revision is not None:
        idle.append(Server.revision == revision)
    if host:
        idle.append(Server.host == host)
    said_more = (states.RESCUED, states.RESIZED, states.SOFT_DELETED)
    now = POWER_STATES[power]
    if change(w, server_id, {"power_state": now}, *idle, Server.vm_state.in_(said_more), Server.power_state != now):
        return True
    if power == "crashed":
        what = fault(500, f"The guest crashed: {detail or 'no reason given'}.", w.now)
        return change(
            w,
            server_id,
            {"vm_state": states.ERROR, "power_state": states.CRASHED, "fault": what},
            *idle,
            Server.vm_state.not_in(said_more),
            Server.power_state != states.CRASHED,
        )
    vm_state, power_state = _POWER_TO_STATES[power]
    known = (states.ACTIVE, states.STOPPED, states.PAUSED, states.SUSPENDED)
    before = starved.before(w, server_id)
    changed = change(
        w,
        server_id,
        {"vm_state": vm_state, "power_state": power_state},
        *idle,
        Server.vm_state.in_(known),
        sa.or_(Server.vm_state != vm_state, Server.power_state != power_state),
    )
    if changed and before is not None:
        starved.noted(w, before, power, detail)
    return changed


def on_host(w: Work, host: str) -> list[Server]:
    """All servers placed on a host."""
    return list(w.session.scalars(sa.select(Server).where(Server.host == host, Server.deleted_at.is_(None))))


def hosts_of(w: Work, server_ids: Iterable[str]) -> dict[str, str]:
    """Server id -> name of its host, empty when it has none; deleted servers are left out. One query."""
    query = sa.select(Server.id, Server.host).where(Server.id.in_(set(server_ids)), Server.deleted_at.is_(None))
    return {server_id: host or "" for server_id, host in w.session.execute(query)}


def unowned(w: Work, live: set[str], *, before: datetime) -> list[Server]:
    """Servers with a task_state, or in BUILD, although no task will act on them: nobody would end their
    state. Only those untouched since ``before``."""
    stuck = sa.select(Server).where(
        Server.deleted_at.is_(None), Server.updated_at < before,
        sa.or_(Server.task_state.is_not(None), Server.vm_state == states.BUILDING),
    )  # fmt: skip
    return [server for server in w.session.scalars(stuck) if server.id not in live]
