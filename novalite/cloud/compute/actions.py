"""What users ask of existing servers: each checks the table of states and leaves a task behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from novalite.cloud.compute import states, tasks
from novalite.cloud.compute.servers import Server, change, get, refuse_if_locked
from novalite.cloud.identity import policy
from novalite.cloud.tasks import tasks as durable
from novalite.db.work import Work
from novalite.errors import Conflict

_PLAIN: dict[str, Callable[[Server], durable.Kind]] = {
    "start": lambda s: tasks.Start(s.id),
    "stop": lambda s: tasks.Stop(s.id),
    "reboot": lambda s: tasks.Reboot(s.id),
    "reboot_hard": lambda s: tasks.Reboot(s.id, hard=True, was=s.vm_state),
    "pause": lambda s: tasks.Pause(s.id),
    "unpause": lambda s: tasks.Unpause(s.id),
    "suspend": lambda s: tasks.Suspend(s.id),
    "resume": lambda s: tasks.Resume(s.id),
}
PLAIN = tuple(_PLAIN)
"""The actions that take no arguments and end within the guest's power."""


def request(w: Work, server_id: str, action: str, *, delay_seconds: float = 0) -> Server:
    """Start one of the ``PLAIN`` actions on a server.

    Raises ``NotFound``, ``Conflict`` when it is locked or its state does not allow the action.
    """
    server = allowed(w, server_id, action)
    if action == "reboot_hard":
        durable.cancel_key(w, tasks.key(server_id), kinds=(tasks.Reboot.kind,))
    return begin(w, server, action, _PLAIN[action](server), delay_seconds=delay_seconds)


def allowed(w: Work, server_id: str, action: str) -> Server:
    """The server, if ``action`` (a name of ``states.RULES``) may start on it now.

    Raises ``NotFound``, ``Conflict`` when it is locked or its state does not allow the action.
    """
    server, rule = get(w, server_id), states.RULES[action]
    if rule.obeys_lock:
        refuse_if_locked(w, server)
    _refuse_unless_allowed(server, rule)
    return server


def begin(
    w: Work,
    server: Server,
    action: str,
    task: durable.Kind,
    *,
    values: dict[str, Any] | None = None,
    delay_seconds: float = 0,
    deadline_seconds: float = 3600,
) -> Server:
    """Show the action's task_state, write ``values`` with it, and leave ``task`` behind: only if the server is
    still as it was when ``allowed`` looked. Raises ``Conflict`` when somebody was quicker."""
    leave(w, server, action, task, values=values, delay_seconds=delay_seconds, deadline_seconds=deadline_seconds)
    return server


def leave(
    w: Work,
    server: Server,
    action: str,
    task: durable.Kind,
    *,
    values: dict[str, Any] | None = None,
    delay_seconds: float = 0,
    deadline_seconds: float = 3600,
) -> durable.Task:
    """``begin``, for callers that need the task it leaves."""
    guards = [Server.vm_state == server.vm_state, Server.deleted_at.is_(None)]
    guards.append(Server.task_state.is_(None) if server.task_state is None else Server.task_state == server.task_state)
    doing = states.RULES[action].doing or server.task_state
    if not change(w, server.id, {"task_state": doing, **(values or {})}, *guards):
        raise Conflict(f"Cannot '{action}' instance {server.id}: another action has just begun.", code="server.state")
    return durable.start(
        w,
        task,
        key=tasks.key(server.id),
        resource_id=server.id,
        project_id=server.project_id,
        delay_seconds=delay_seconds,
        deadline_seconds=deadline_seconds,
    )


_NAMES = {"reboot_hard": "reboot", "live-migration": "os-migrateLive"}
"""What users call actions that have another name here."""


def _refuse_unless_allowed(server: Server, rule: states.Rule) -> None:
    why = states.refusal(
        rule, vm_state=server.vm_state, task_state=server.task_state, launched=server.launched_at is not None
    )
    if why:
        name = _NAMES.get(rule.action, rule.action)
        raise Conflict(
            f"Cannot '{name}' instance {server.id} {why}",
            code="server.state",
            vm_state=server.vm_state,
            task_state=server.task_state,
        )


def delete(w: Work, server_id: str) -> None:
    """Take a server away, whatever its state; asking again while it goes is fine.

    Raises ``NotFound``, ``Conflict`` when it is locked.
    """
    server = get(w, server_id)
    refuse_if_locked(w, server)
    delete_now(w, server)


def delete_now(w: Work, server: Server) -> None:
    """``delete`` for those who need not ask; what goes on with the server is undone first."""
    key = tasks.key(server.id)
    if server.task_state == states.DELETING and is_pending(w, key, tasks.Delete.kind):
        return
    change(w, server.id, {"task_state": states.DELETING}, Server.deleted_at.is_(None))
    durable.cancel_key(w, key)
    durable.start(w, tasks.Delete(server.id), key=key, resource_id=server.id, project_id=server.project_id)


def is_pending(w: Work, key: str, kind: str) -> bool:
    """Will a task of this kind still act, and has nobody asked it to stop?"""
    task = durable.Task
    return (
        w.session.scalar(
            sa.select(task.id)
            .where(
                task.key == key,
                task.kind == kind,
                task.state.not_in(durable.ENDED),
                task.cancel_requested.is_(False),
            )
            .limit(1)
        )
        is not None
    )


def lock(w: Work, server_id: str, reason: str | None = None) -> None:
    """Keep everybody but admins (and the owner's own unlock) from changing the server. Whose lock it is goes by
    the project of whoever locks; owners change nothing about a lock that is there."""
    server = get(w, server_id)
    is_owner = w.ctx.project_id == server.project_id
    if server.locked_by and is_owner:
        return
    values = {"locked_by": "owner" if is_owner else "admin", **({"locked_reason": reason} if reason else {})}
    change(w, server_id, values)
    durable.record_instant(w, action="lock", resource_id=server_id, project_id=server.project_id)


def unlock(w: Work, server_id: str) -> None:
    """Raises ``Forbidden`` when somebody else's lock is opened without the right to."""
    server = get(w, server_id)
    mine = "owner" if w.ctx.project_id == server.project_id else "admin"
    if server.locked_by not in ("", mine):
        policy.require("os_compute_api:os-lock-server:unlock:unlock_override", w.ctx)
    change(w, server_id, {"locked_by": "", "locked_reason": None})
    durable.record_instant(w, action="unlock", resource_id=server_id, project_id=server.project_id)


def reset_state(w: Work, server_id: str, *, to_active: bool) -> None:
    """An operator's word on what a server is: active or error, with no task going on."""
    server = get(w, server_id)
    durable.cancel_key(w, tasks.key(server_id))
    vm_state = states.ACTIVE if to_active else states.ERROR
    change(w, server.id, {"vm_state": vm_state, "task_state": None, "rescue_image": None, "soft_deleted_at": None})
    durable.record_instant(w, action="resetState", resource_id=server.id, project_id=server.project_id)
