"""Setting the password of a guest's administrator: what is written down before and after the guest is told."""

from __future__ import annotations

from novalite.cloud.compute import actions, servers, states
from novalite.cloud.compute.servers import Server
from novalite.cloud.tasks import tasks as durable
from novalite.db.work import Work
from novalite.errors import Conflict

_RULE = states.RULES["changePassword"]


def begin(w: Work, server_id: str) -> Server:
    """The server, which says from now on that its password is being set; ``end`` must follow.

    Raises ``NotFound``, ``Conflict`` when it is locked or its state does not allow it.
    """
    server = actions.allowed(w, server_id, _RULE.action)
    if not server.host:
        raise Conflict(f"Instance {server.id} is not ready", code="server.state")
    still = (Server.vm_state == server.vm_state, Server.task_state.is_(None), Server.deleted_at.is_(None))
    if not servers.change(w, server.id, {"task_state": _RULE.doing}, *still):
        raise Conflict(f"Cannot '{_RULE.action}' instance {server.id}: another action has just begun.",
                       code="server.state")  # fmt: skip
    return server


def end(w: Work, server: Server, *, well: bool) -> None:
    """The guest has been told, or not."""
    servers.change(w, server.id, {"task_state": None}, Server.task_state == _RULE.doing)
    durable.record_instant(w, action=_RULE.action, resource_id=server.id, project_id=server.project_id, failed=not well)


def user_of(server: Server) -> str:
    """Whose password it is: as the image says, else the usual administrator of its system."""
    properties = server.image.get("properties", {})
    usual = "Administrator" if properties.get("os_type") == "windows" else "root"
    return str(properties.get("os_admin_user") or usual)


def promises_agent(server: Server) -> bool:
    """Does the image say that an agent runs in its guests?"""
    return is_yes(str(server.image.get("properties", {}).get("hw_qemu_guest_agent", "")))


def is_yes(word: str) -> bool:
    return word.lower() in ("yes", "true", "1", "on")
