"""Quotas of the Network API: how much each project may have, and what it has."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.network.shapes import PROJECT, ROOT, whole_number
from novalite.cloud.identity import policy, quotas
from novalite.cloud.network import quota, usage

_LIMIT = {"type": ["integer", "string"], "pattern": r"^-?[0-9]+$", "minimum": -1, "maximum": quotas.LARGEST}
CHANGES = Body(
    "quota",
    *(Item(name, _LIMIT) for name in quota.RESOURCES),
    Item("force", {"type": "boolean"}),
    Item("check_limit", {"type": "boolean"}),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
)


def _project(call: Call) -> str:
    project_id = call.path["project_id"]
    policy.require("get_quota", call.ctx, project_id=project_id)
    return project_id


def _shown(limits: dict[str, int]) -> dict[str, int]:
    return {name: limits[name] for name in quota.RESOURCES}


def show(call: Call) -> dict[str, Any]:
    return {"quota": _shown(quotas.limits(call.w, _project(call)))}


def show_default(call: Call) -> dict[str, Any]:
    _project(call)
    return {"quota": _shown(quotas.defaults(call.w))}


def details(call: Call) -> dict[str, Any]:
    project_id = _project(call)
    limits, used = _shown(quotas.limits(call.w, project_id)), usage.of_project(call.w, project_id)
    return {"quota": {name: {"limit": limit, "used": used.get(name, 0), "reserved": 0}
                      for name, limit in limits.items()}}  # fmt: skip


def index(call: Call) -> dict[str, Any]:
    """The projects with limits of their own."""
    found = quota.overrides(call.w)
    return {"quotas": [_shown(limits) | {"project_id": id_, "tenant_id": id_} for id_, limits in found.items()]}


def update(call: Call) -> dict[str, Any]:
    wanted = {name: whole_number(call.body[name]) or 0 for name in quota.RESOURCES if name in call.body}
    return {"quota": _shown(quotas.set_limits(call.w, call.path["project_id"], wanted))}


def reset(call: Call) -> None:
    quota.reset(call.w, call.path["project_id"])


_ONE = f"{ROOT}/quotas/{{project_id}}"
_GET = "get_quota"
ROUTES = [
    Route("GET", f"{ROOT}/quotas", index, rule="update_quota", unit="read"),
    Route("GET", _ONE, show, rule=_GET, policy_in_handler=True, unit="read"),
    Route("GET", f"{_ONE}/default", show_default, rule=_GET, policy_in_handler=True, unit="read"),
    Route("GET", f"{_ONE}/details.json", details, rule=_GET, policy_in_handler=True, unit="read"),
    Route("GET", f"{_ONE}/details", details, rule=_GET, policy_in_handler=True, unit="read"),
    Route("PUT", _ONE, update, rule="update_quota", body=CHANGES, unit="write"),
    Route("DELETE", _ONE, reset, rule="delete_quota", success=204, unit="write"),
]
