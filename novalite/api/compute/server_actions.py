"""POST /servers/ID/action: what is done to a server, each action with its own rule and body."""

from __future__ import annotations

import secrets
from typing import Any

from novalite.api.compute.shapes import ANYTHING, ROOT, RULE
from novalite.api.kit.body import Body
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import actions, guest_signals, soft_delete

PATH = f"{ROOT}/servers/{{server_id}}/action"
_REBOOT = {
    "type": "object",
    "properties": {"type": {"enum": ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]}},
    "required": ["type"],
    "additionalProperties": False,
}
_STATE = {
    "type": "object",
    "properties": {"state": {"enum": ["active", "error"]}},
    "required": ["state"],
    "additionalProperties": False,
}
_REASON = {
    "type": ["object", "null"],
    "properties": {"locked_reason": {"type": "string", "minLength": 1, "maxLength": 255}},
    "additionalProperties": False,
}


def _simple(name: str, action: str, rule: str) -> Route:
    """An action without arguments, straight from the table of states."""

    def act(call: Call) -> None:
        actions.request(call.w, call.path["server_id"], action)

    return action_route(name, act, rule)


def action_route(name: str, handler: Any, rule: str, value: dict[str, Any] | None = None, **more: Any) -> Route:
    """One action; ``value`` is the schema of what stands behind its name."""
    body = Body(name, whole=ANYTHING if value is None else value)
    options: dict[str, Any] = {"success": 202, "unit": "write", **more}
    return Route("POST", PATH, handler, rule=RULE + rule, action=name, body=body, **options)


def admin_password(wishes: dict[str, Any]) -> str:
    """The password asked for, or a new one."""
    return str(wishes.get("adminPass") or secrets.token_urlsafe(9))


def reboot(call: Call) -> None:
    hard = call.body["type"].lower() == "hard"
    actions.request(call.w, call.path["server_id"], "reboot_hard" if hard else "reboot")


def lock(call: Call) -> None:
    reason = call.body.get("locked_reason") if call.since("2.73") and isinstance(call.body, dict) else None
    actions.lock(call.w, call.path["server_id"], reason)


def unlock(call: Call) -> None:
    actions.unlock(call.w, call.path["server_id"])


def reset_state(call: Call) -> None:
    actions.reset_state(call.w, call.path["server_id"], to_active=call.body["state"] == "active")


def force_delete(call: Call) -> None:
    actions.delete(call.w, call.path["server_id"])


def restore(call: Call) -> None:
    soft_delete.restore(call.w, call.path["server_id"])


def dump(call: Call) -> None:
    guest_signals.crash_dump(call.w, call.path["server_id"])


def rewire(call: Call) -> None:
    guest_signals.rewire(call.w, call.path["server_id"])


ROUTES = [
    _simple("os-start", "start", "servers:start"),
    _simple("os-stop", "stop", "servers:stop"),
    _simple("pause", "pause", "os-pause-server:pause"),
    _simple("unpause", "unpause", "os-pause-server:unpause"),
    _simple("suspend", "suspend", "os-suspend-server:suspend"),
    _simple("resume", "resume", "os-suspend-server:resume"),
    action_route("reboot", reboot, "servers:reboot", _REBOOT),
    action_route("lock", lock, "os-lock-server:lock", until="2.72"),
    action_route("lock", lock, "os-lock-server:lock", _REASON, since="2.73"),
    action_route("unlock", unlock, "os-lock-server:unlock"),
    action_route("os-resetState", reset_state, "os-admin-actions:reset_state", _STATE),
    action_route("forceDelete", force_delete, "os-deferred-delete:force"),
    action_route("restore", restore, "os-deferred-delete:restore"),
    action_route("trigger_crash_dump", dump, "servers:trigger_crash_dump", {"type": "null"}, since="2.17"),
    action_route("injectNetworkInfo", rewire, "os-admin-actions:inject_network_info"),
]
