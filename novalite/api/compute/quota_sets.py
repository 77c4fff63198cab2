"""Quota sets of projects."""

from __future__ import annotations

from typing import Any

from novalite.api.compute import quota_use
from novalite.api.compute.quota_use import OF_NETWORKS
from novalite.api.compute.shapes import ANY_QUERY, BOOLEAN, ROOT, RULE, truth
from novalite.api.kit.answers import TEXT, WHOLE, Told, record
from novalite.api.kit.body import Body, Item, JsonSchema, Query
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.versions import Version
from novalite.cloud.identity import policy, projects, quotas
from novalite.errors import Invalid

LIMIT = {"type": ["integer", "string"], "pattern": r"^-?[0-9]+\Z", "minimum": -1, "maximum": quotas.LARGEST}
_UPDATE = Body(
    "quota_set",
    *(Item(name, LIMIT) for name in ("instances", "cores", "ram", "metadata_items", "key_pairs",
                                      "server_groups", "server_group_members")),
    *(Item(name, LIMIT, until="2.56") for name in ("injected_files", "injected_file_content_bytes",
                                                    "injected_file_path_bytes")),
    *(Item(name, LIMIT, until="2.35") for name in OF_NETWORKS),
    Item("force", BOOLEAN),
)  # fmt: skip
_QUERY = Query(Item("user_id", ANY_QUERY), strict_since="2.75")


_USE = record({"limit": WHOLE, "in_use": WHOLE, "reserved": WHOLE})


def _told(number: JsonSchema, *, with_id: bool = True) -> Told:
    def schema(version: Version) -> JsonSchema:
        found = quota_use.schema(version, number)
        return record({"id": TEXT, **found["properties"]}) if with_id else found

    return Told("quota_set", whole=schema)


_SHOWN, _DETAIL, _CHANGED = _told(WHOLE), _told(_USE), _told(WHOLE, with_id=False)


def _project(call: Call, rule: str) -> str:
    """The project in the path. Only admins see and change those of others."""
    project_id = call.path["project_id"]
    policy.require(RULE + rule, call.ctx, project_id=project_id)
    projects.refuse_unknown(call.w, project_id)
    return project_id


def _limits(call: Call, project_id: str) -> dict[str, int]:
    """Those of the project, or of the user asked for, who has the project's where none are set."""
    user_id = call.query.get("user_id", "")
    own = quotas.user_limits(call.w, project_id, user_id) if user_id else {}
    return quota_use.shown(call, {**quotas.limits(call.w, project_id), **own})


def show(call: Call) -> dict[str, Any]:
    project_id = _project(call, "os-quota-sets:show")
    return {"quota_set": {"id": project_id, **_limits(call, project_id)}}


def show_defaults(call: Call) -> dict[str, Any]:
    projects.refuse_unknown(call.w, call.path["project_id"])
    limits = quota_use.shown(call, quotas.defaults(call.w))
    return {"quota_set": {"id": call.path["project_id"], **limits}}


def show_detail(call: Call) -> dict[str, Any]:
    project_id = _project(call, "os-quota-sets:detail")
    used = quota_use.used(call.w, project_id, call.query.get("user_id", ""))
    rows = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in _limits(call, project_id).items()
    }
    return {"quota_set": {"id": project_id, **rows}}


def update(call: Call) -> dict[str, Any]:
    project_id, user_id, body = call.path["project_id"], call.query.get("user_id", ""), dict(call.body)
    force = truth(body.pop("force", False))
    wanted = {name: int(value) for name, value in body.items()}
    projects.refuse_unknown(call.w, project_id)
    quotas.hold(call.w, project_id)
    if not force:
        _refuse_below_use(call, project_id, wanted)
    limits = {quota_use.resource(name): limit for name, limit in wanted.items()}
    if user_id:
        quotas.set_user_limits(call.w, project_id, user_id, limits)
    else:
        quotas.set_limits(call.w, project_id, limits)
    return {"quota_set": _limits(call, project_id)}


def _refuse_below_use(call: Call, project_id: str, wanted: dict[str, int]) -> None:
    used = quota_use.used(call.w, project_id, call.query.get("user_id", ""))
    for name, limit in wanted.items():
        if 0 <= limit < used.get(name, 0):
            raise Invalid(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved "
                f"{used[name]}.", field=name,
            )  # fmt: skip


def reset(call: Call) -> None:
    project_id, user_id = call.path["project_id"], call.query.get("user_id", "")
    if user_id:
        quotas.reset_user(call.w, project_id, user_id)
    else:
        quotas.reset(call.w, project_id, resources=quota_use.own(call))
        quotas.reset_users(call.w, project_id)


_ONE = f"{ROOT}/os-quota-sets/{{project_id}}"
_RULE = RULE + "os-quota-sets:"
ROUTES = [
    Route("GET", _ONE, show, rule=_RULE + "show", policy_in_handler=True, query=_QUERY, view=_SHOWN,
          unit="read"),
    Route("GET", f"{_ONE}/defaults", show_defaults, rule=_RULE + "defaults", view=_SHOWN, unit="read"),
    Route("GET", f"{_ONE}/detail", show_detail, rule=_RULE + "detail", policy_in_handler=True, query=_QUERY,
          view=_DETAIL, unit="read"),
    Route("PUT", _ONE, update, rule=_RULE + "update", body=_UPDATE, query=_QUERY, view=_CHANGED,
          unit="write"),
    Route("DELETE", _ONE, reset, rule=_RULE + "delete", query=_QUERY, success=202, unit="write"),
]  # fmt: skip
