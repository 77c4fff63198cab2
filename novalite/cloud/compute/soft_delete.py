"""Deleting with a time to think it over: servers put aside, restored, or reclaimed when their time is up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from novalite.cloud.compute import actions, migrations, server_quota, servers, states, tasks
from novalite.cloud.compute.servers import Server
from novalite.cloud.tasks import tasks as durable
from novalite.db.work import Work


def delete(w: Work, server_id: str, *, reclaim_seconds: int) -> None:
    """Take a server away; softly when there is an interval and it has ever run. Asking again is fine, and does
    not prolong the time. Raises ``NotFound``, ``Conflict`` when it is locked."""
    server = servers.get(w, server_id)
    never_ran = server.launched_at is None
    if not reclaim_seconds or never_ran or server.task_state == states.DELETING:
        actions.delete(w, server_id)
        return
    servers.refuse_if_locked(w, server)
    if server.vm_state == states.SOFT_DELETED and server.task_state is None:
        return
    key = tasks.key(server_id)
    if server.task_state == states.SOFT_DELETING and actions.is_pending(w, key, tasks.SoftDelete.kind):
        return
    servers.change(w, server_id, {"task_state": states.SOFT_DELETING}, Server.deleted_at.is_(None))
    durable.cancel_key(w, key)
    go_on(w, server)


def go_on(w: Work, server: Server) -> None:
    """Leave the task behind that puts the server aside."""
    durable.start(
        w, tasks.SoftDelete(server.id), key=tasks.key(server.id), resource_id=server.id, project_id=server.project_id
    )


def put_aside(w: Work, server_id: str) -> None:
    """The server is off, and counts as deleted from now on."""
    servers.change(w, server_id, {
        "vm_state": states.SOFT_DELETED, "task_state": None, "progress": 0, "soft_deleted_at": w.now,
        "power_state": sa.case((Server.host.is_(None), states.NOSTATE), else_=states.SHUTDOWN),
    }, Server.deleted_at.is_(None), Server.task_state == states.SOFT_DELETING)  # fmt: skip


def stays(w: Work, server_id: str, fault: dict[str, Any]) -> None:
    """Putting the server aside has failed: it is what it was, with a fault."""
    servers.change(w, server_id, {"task_state": None, "fault": fault}, Server.task_state == states.SOFT_DELETING)


def restore(w: Work, server_id: str) -> Server:
    """Bring a server back that was put aside: shelved ones are shelved again, all others are started.

    Raises ``NotFound``, ``Conflict`` when it is locked or not deleted softly, ``OverQuota``.
    """
    server = actions.allowed(w, server_id, "restore")
    _refuse_beyond_quota(w, server)
    vm_state = comes_back_as(w, server)
    if vm_state not in _RUN_NOTHING:
        return actions.begin(w, server, "restore", tasks.Restore(server.id))
    servers.change(w, server.id, {"vm_state": vm_state, "soft_deleted_at": None})
    durable.record_instant(w, action="restore", resource_id=server.id, project_id=server.project_id)
    return server


_RUN_NOTHING = (states.SHELVED, states.SHELVED_OFFLOADED)


def comes_back_as(w: Work, server: Server) -> str:
    """The vm_state of the server once it is restored."""
    if server.shelved_at is not None:
        return states.SHELVED if server.host else states.SHELVED_OFFLOADED
    if server.rescue_image is not None:
        return states.RESCUED
    return states.RESIZED if migrations.with_status(w, server.id, migrations.FINISHED) else states.ACTIVE


def _refuse_beyond_quota(w: Work, server: Server) -> None:
    asked = {"instances": 1, "cores": server.vcpus, "ram": server.memory_mib}
    server_quota.fitting(w, server.project_id, server.user_id, asked)


def reclaim(w: Work, *, put_aside_before: datetime) -> list[str]:
    """Begin to delete for good what was put aside before that moment; the ids."""
    due = list(
        w.session.scalars(
            sa.select(Server).where(
                Server.deleted_at.is_(None),
                Server.vm_state == states.SOFT_DELETED,
                Server.task_state.is_(None),
                Server.soft_deleted_at < put_aside_before,
            )
        )
    )
    for server in due:
        actions.delete_now(w, server)
    return [server.id for server in due]
