"""Server groups: servers that shall share hosts, or shall not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from novalite.api.compute.shapes import ANY_QUERY, NAME, NUMBER_QUERY, POSITIVE, ROOT, RULE, flag
from novalite.api.kit.answers import TEXT, TEXTS, UUID, WHOLE, array, mapping, record
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, whole_number
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.compute import group_members, server_groups
from novalite.cloud.compute.server_groups import ServerGroup
from novalite.cloud.identity import policy, quotas
from novalite.errors import Invalid


@dataclass(frozen=True)
class Shown:
    group: ServerGroup
    members: Sequence[str]


GROUP = View(
    Field("id", "group.id", schema=UUID),
    Field("name", "group.name", schema=TEXT),
    Field("policies", lambda one, call: [one.group.policy], until="2.63", schema=TEXTS),
    Field("metadata", lambda one, call: {}, until="2.63", schema=record({})),
    Field("policy", "group.policy", since="2.64", schema=TEXT),
    Field("rules", "group.rules", since="2.64", schema=mapping(WHOLE)),
    Field("members", "members", schema=array(UUID)),
    Field("project_id", "group.project_id", since="2.13", schema=TEXT),
    Field("user_id", "group.user_id", since="2.13", schema=TEXT),
)
_HARD = ["anti-affinity", "affinity"]
_ALL_POLICIES = [*_HARD, "soft-anti-affinity", "soft-affinity"]


def _one_of(policies: list[str]) -> dict[str, Any]:
    return {"type": "array", "items": {"enum": policies}, "minItems": 1, "maxItems": 1}


_RULES = {
    "type": "object", "properties": {"max_server_per_host": POSITIVE}, "additionalProperties": False,
}  # fmt: skip
_NEW = Body(
    "server_group",
    Item("name", NAME, required=True),
    Item("policies", _one_of(_HARD), required=True, until="2.14"),
    Item("policies", _one_of(_ALL_POLICIES), required=True, since="2.15", until="2.63"),
    Item("policy", {"enum": _ALL_POLICIES}, required=True, since="2.64"),
    Item("rules", _RULES, since="2.64"),
)


def create(call: Call) -> Shown:
    body = call.body
    chosen = body["policy"] if "policy" in body else body["policies"][0]
    rules = {name: int(value) for name, value in body.get("rules", {}).items()}
    if rules and chosen != "anti-affinity":
        raise Invalid(f"Only anti-affinity policy supports rules, not {chosen}.", field="rules")
    quotas.hold(call.w, call.ctx.project_id)
    most = quotas.limits(call.w, call.ctx.project_id)["server_groups"]
    return Shown(server_groups.create(call.w, name=body["name"], policy=chosen, rules=rules, limit=most), ())


def list_all(call: Call) -> list[Shown]:
    everyone = flag(call, "all_projects")
    if everyone:
        policy.require(RULE + "os-server-groups:index:all_projects", call.ctx)
    found = server_groups.list_of(
        call.w, all_projects=everyone, limit=limit(call) or 1000,
        offset=min(whole_number(call, "offset") or 0, 2**31),
    )  # fmt: skip
    members = group_members.of_groups(call.w, [group.id for group in found])
    return [Shown(group, members[group.id]) for group in found]


def show(call: Call) -> Shown:
    group = server_groups.get(call.w, call.path["group_id"])
    return Shown(group, group_members.of_groups(call.w, [group.id])[group.id])


def remove(call: Call) -> None:
    server_groups.remove(call.w, call.path["group_id"])


_ALL, _ONE = f"{ROOT}/os-server-groups", f"{ROOT}/os-server-groups/{{group_id}}"
_RULE = RULE + "os-server-groups:"
_QUERY = Query(
    Item("limit", NUMBER_QUERY), Item("offset", NUMBER_QUERY), Item("all_projects", ANY_QUERY), strict_since="2.75"
)
ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "index", query=_QUERY, view=GROUP.many("server_groups"),
          unit="read"),
    Route("POST", _ALL, create, rule=_RULE + "create", body=_NEW, view=GROUP.one("server_group"), unit="write"),
    Route("GET", _ONE, show, rule=_RULE + "show", view=GROUP.one("server_group"), unit="read"),
    Route("DELETE", _ONE, remove, rule=_RULE + "delete", success=204, unit="write"),
]  # fmt: skip
