"""Quota sets of projects."""

from __future__ import annotations

from typing import Any

from novalite.api.compute import quota_use
from novalite.api.compute.quota_use import UNLIMITED_ELSEWHERE
from novalite.api.compute.shapes import ANY_QUERY, BOOLEAN, ROOT, RULE, truth
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.identity import policy, quotas
from novalite.errors import Invalid

LIMIT = {"type": ["integer", "string"], "pattern": r"^-?[0-9]+\Z", "minimum": -1, "maximum": quotas.LARGEST}
_UPDATE = Body(
    "quota_set",
    *(Item(name, LIMIT) for name in ("instances", "cores", "ram", "metadata_items", "key_pairs",
                                      "server_groups", "server_group_members")),
    *(Item(name, LIMIT, until="2.56") for name in ("injected_files", "injected_file_content_bytes",
                                                    "injected_file_path_bytes")),
    *(Item(name, LIMIT, until="2.35") for name in UNLIMITED_ELSEWHERE),
    Item("force", BOOLEAN),
)  # fmt: skip
_QUERY = Query(Item("user_id", ANY_QUERY), strict_since="2.75")


def _project(call: Call, rule: str) -> str:
    """The project in the path. Only admins see and change those of others."""
    project_id = call.path["project_id"]
    policy.require(RULE + rule, call.ctx, project_id=project_id)
    return project_id


def _refuse_user(call: Call) -> None:
    if call.query.get("user_id"):
        raise Invalid("Quotas are kept for projects; those of single users are not offered.", field="user_id")


def show(call: Call) -> dict[str, Any]:
    project_id = _project(call, "os-quota-sets:show")
    limits = quota_use.shown(call, quotas.limits(call.w, project_id))
    return {"quota_set": {"id": project_id, **limits}}


def show_defaults(call: Call) -> dict[str, Any]:
    limits = quota_use.shown(call, quotas.defaults(call.w))
    return {"quota_set": {"id": call.path["project_id"], **limits}}


def show_detail(call: Call) -> dict[str, Any]:
    project_id = _project(call, "os-quota-sets:detail")
    used = quota_use.used(call.w, project_id)
    rows = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in quota_use.shown(call, quotas.limits(call.w, project_id)).items()
    }
    return {"quota_set": {"id": project_id, **rows}}


def update(call: Call) -> dict[str, Any]:
    _refuse_user(call)
    project_id, body = call.path["project_id"], dict(call.body)
    force = truth(body.pop("force", False))
    wanted = {name: int(value) for name, value in body.items() if name not in UNLIMITED_ELSEWHERE}
    quotas.hold(call.w, project_id)
    if not force:
        _refuse_below_use(call, project_id, wanted)
    limits = quotas.set_limits(call.w, project_id, wanted)
    return {"quota_set": quota_use.shown(call, limits)}


def _refuse_below_use(call: Call, project_id: str, wanted: dict[str, int]) -> None:
    used = quota_use.used(call.w, project_id)
    for name, limit in wanted.items():
        if 0 <= limit < used.get(name, 0):
            raise Invalid(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved "
                f"{used[name]}.", field=name,
            )  # fmt: skip


def reset(call: Call) -> None:
    _refuse_user(call)
    quotas.reset(call.w, call.path["project_id"])


_ONE = f"{ROOT}/os-quota-sets/{{project_id}}"
_RULE = RULE + "os-quota-sets:"
ROUTES = [
    Route("GET", _ONE, show, rule=_RULE + "show", policy_in_handler=True, query=_QUERY, unit="read"),
    Route("GET", f"{_ONE}/defaults", show_defaults, rule=_RULE + "defaults", unit="read"),
    Route("GET", f"{_ONE}/detail", show_detail, rule=_RULE + "detail", policy_in_handler=True, query=_QUERY,
          unit="read"),
    Route("PUT", _ONE, update, rule=_RULE + "update", body=_UPDATE, query=_QUERY, unit="write"),
    Route("DELETE", _ONE, reset, rule=_RULE + "delete", query=_QUERY, success=202, unit="write"),
]  # fmt: skip
