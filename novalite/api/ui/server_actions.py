"""The buttons of a server's page: which there are, which rule allows each, and what it asks for."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from novalite.api.ui.parts import of_app
from novalite.cloud.compute import actions, rescue, servers, shelve, snapshots, soft_delete, states
from novalite.cloud.compute.servers import Server
from novalite.cloud.identity import policy
from novalite.context import Context
from novalite.db.work import Work
from novalite.errors import Invalid

_RULE = "os_compute_api:"
_POLICY = {
    "start": "servers:start",
    "stop": "servers:stop",
    "reboot": "servers:reboot",
    "reboot_hard": "servers:reboot",
    "pause": "os-pause-server:pause",
    "unpause": "os-pause-server:unpause",
    "suspend": "os-suspend-server:suspend",
    "resume": "os-suspend-server:resume",
    "rescue": "os-rescue",
    "unrescue": "os-unrescue",
    "restore": "os-deferred-delete:restore",
    "createImage": "servers:create_image",
    "shelve": "os-shelve:shelve",
    "shelveOffload": "os-shelve:shelve_offload",
    "unshelve": "os-shelve:unshelve",
}


def _rescue(w: Work, server_id: str) -> Server:
    """With keys, or the password of the console: nobody is told the one that is made up here."""
    default = of_app().kit.settings.compute.rescue_image
    return rescue.request(
        w, server_id, image_id="", default_image_id=default, admin_pass=secrets.token_urlsafe(9), volumes_too=True
    )


def _create_image(w: Work, server_id: str) -> Server:
    """Called as the server and the moment."""
    server = servers.get(w, server_id)
    snapshots.create_image(w, server_id, f"{server.name[:200]} {w.now:%Y-%m-%d %H:%M:%S}", {})
    return server


def _unshelve(w: Work, server_id: str) -> Server:
    return shelve.unshelve(w, server_id, shelve.Destination())


_ASK: dict[str, Callable[[Work, str], Server]] = {
    "rescue": _rescue, "unrescue": rescue.leave, "restore": soft_delete.restore,
    "createImage": _create_image, "shelve": shelve.shelve, "shelveOffload": shelve.offload, "unshelve": _unshelve,
}  # fmt: skip


def offered(server: Server, ctx: Context) -> list[states.Rule]:
    """What may be done with the server now, by the caller."""
    if server.deleted_at is not None:
        return []
    allowed = states.allowed(server.vm_state, server.task_state, server.launched_at is not None)
    return [states.RULES[name] for name in allowed if name in _POLICY and policy.allows(_RULE + _POLICY[name], ctx)]


def ask(w: Work, server_id: str, action: str) -> None:
    """Begin an action. Raises ``Invalid`` for one that has no button, and as the action does."""
    if action not in _POLICY:
        raise Invalid(f"There is no action {action[:40]}.", field="action")
    policy.require(_RULE + _POLICY[action], w.ctx)
    if action in _ASK:
        _ASK[action](w, server_id)
    else:
        actions.request(w, server_id, action)


def kept_seconds(server: Server) -> int:
    """How long the server can be restored once it is deleted; 0: it cannot."""
    is_aside = server.vm_state == states.SOFT_DELETED
    return 0 if is_aside else of_app().kit.settings.compute.reclaim_instance_interval_seconds


def delete(w: Work, server_id: str) -> None:
    """Delete a server, softly where that is set up; one that was deleted softly goes for good."""
    policy.require(_RULE + "servers:delete", w.ctx)
    if servers.get(w, server_id).vm_state == states.SOFT_DELETED:
        policy.require(_RULE + "os-deferred-delete:force", w.ctx)
        actions.delete(w, server_id)
    else:
        seconds = of_app().kit.settings.compute.reclaim_instance_interval_seconds
        soft_delete.delete(w, server_id, reclaim_seconds=seconds)
