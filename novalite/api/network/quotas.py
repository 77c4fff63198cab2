"""Quotas of the Network API: networks are not limited per project yet, and what is not offered is 0."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.network.shapes import ROOT
from novalite.cloud.identity import policy
from novalite.cloud.network import usage

_OFFERED = ("network", "subnet", "port", "security_group", "security_group_rule")
_NOT_OFFERED = ("router", "floatingip", "subnetpool", "rbac_policy")
_LIMITS = dict.fromkeys(_OFFERED, -1) | dict.fromkeys(_NOT_OFFERED, 0)


def _project(call: Call) -> str:
    project_id = call.path["project_id"]
    policy.require("get_quota", call.ctx, project_id=project_id)
    return project_id


def show(call: Call) -> dict[str, Any]:
    _project(call)
    return {"quota": _LIMITS}


def details(call: Call) -> dict[str, Any]:
    used = usage.of_project(call.w, _project(call))
    return {"quota": {name: {"limit": limit, "used": used.get(name, 0), "reserved": 0}
                      for name, limit in _LIMITS.items()}}  # fmt: skip


_ONE = f"{ROOT}/quotas/{{project_id}}"
ROUTES = [
    Route("GET", _ONE, show, rule="get_quota", policy_in_handler=True),
    Route("GET", f"{_ONE}/default", show, rule="get_quota", policy_in_handler=True),
    Route("GET", f"{_ONE}/details.json", details, rule="get_quota", policy_in_handler=True, unit="read"),
    Route("GET", f"{_ONE}/details", details, rule="get_quota", policy_in_handler=True, unit="read"),
]
