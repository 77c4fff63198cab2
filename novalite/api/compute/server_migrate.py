"""Other hosts for servers: cold and live migration, evacuation."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.server_actions import PATH, action_route, admin_password
from novalite.api.compute.shapes import BOOLEAN, RULE, TRUE, WORDS, truth
from novalite.api.kit.answers import TEXT_OR_NULL, Told, record
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import evacuate as evacuation
from novalite.cloud.compute import migrate
from novalite.cloud.identity import policy
from novalite.errors import Invalid

_RULE = RULE + "os-migrate-server:"
_HOST = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9-._]*$"}
_HOST_OR_NULL = {**_HOST, "type": ["string", "null"]}
_TO_HOST = {"type": ["object", "null"], "properties": {"host": _HOST_OR_NULL}, "additionalProperties": False}
_OR_AUTO = {"type": ["boolean", "string"], "enum": [*WORDS, "auto"]}
_LIVE = Body(
    "os-migrateLive",
    Item("host", _HOST_OR_NULL, required=True),
    Item("block_migration", BOOLEAN, required=True, until="2.24"),
    Item("block_migration", _OR_AUTO, required=True, since="2.25"),
    Item("disk_over_commit", BOOLEAN, required=True, until="2.24"),
    Item("force", BOOLEAN, since="2.30", until="2.67"),
)
_EVACUATE = Body(
    "evacuate",
    Item("host", _HOST),
    Item("adminPass", {"type": "string"}),
    Item("onSharedStorage", BOOLEAN, required=True, until="2.13"),
    Item("force", BOOLEAN, since="2.29", until="2.67"),
)


def _seconds(call: Call) -> int:
    return call.parts.settings.scheduler.host_down_seconds


def cold(call: Call) -> None:
    wishes = call.body if call.since("2.56") and isinstance(call.body, dict) else {}
    host = wishes.get("host") or ""
    if host:
        policy.require(_RULE + "migrate:host", call.ctx)
    migrate.migrate(call.w, call.path["server_id"], host=host, host_down_seconds=_seconds(call))


def live(call: Call) -> None:
    """Before 2.34 the caller is told at once when no host takes the server."""
    host = call.body["host"] or ""
    if host:
        policy.require(_RULE + "migrate_live:host", call.ctx)
    force = _forced(call, host)
    migrate.live_migrate(
        call.w, call.path["server_id"], host=host, force=force, at_once=not call.since("2.34"),
        host_down_seconds=_seconds(call),
    )  # fmt: skip


def _forced(call: Call, host: str) -> bool:
    force = truth(call.body.get("force", False))
    if force and not host:
        raise Invalid("Can't force to a non-provided destination", field="force")
    return force


def evacuate(call: Call) -> dict[str, Any] | None:
    body: dict[str, Any] = call.body
    shared = body.get("onSharedStorage") in TRUE
    if shared and "adminPass" in body:
        raise Invalid("admin password can't be changed on existing disk", field="adminPass")
    password = None if shared else admin_password(body)
    evacuation.evacuate(
        call.w, call.path["server_id"], host=body.get("host", ""), force=_forced(call, body.get("host", "")),
        admin_pass=password or "", stopped=call.since("2.95"), host_down_seconds=_seconds(call),
    )  # fmt: skip
    return None if call.since("2.14") else {"adminPass": password}


def _evacuate(view: Told | None, **window: Any) -> Route:
    return Route("POST", PATH, evacuate, rule=RULE + "os-evacuate", action="evacuate", body=_EVACUATE, unit="write",
                 view=view, **window)  # fmt: skip


ROUTES = [
    action_route("migrate", cold, "os-migrate-server:migrate", until="2.55"),
    action_route("migrate", cold, "os-migrate-server:migrate", _TO_HOST, since="2.56"),
    Route("POST", PATH, live, rule=_RULE + "migrate_live", action="os-migrateLive", body=_LIVE, success=202,
          unit="write"),
    _evacuate(Told(whole=record({"adminPass": TEXT_OR_NULL})), until="2.13"),
    _evacuate(None, since="2.14"),
]  # fmt: skip
