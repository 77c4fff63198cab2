"""Security groups, to be listed and shown: each project has ``default``, which lets everything through."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View, utc_seconds
from novalite.api.network import listing
from novalite.api.network.shapes import ROOT, common_fields
from novalite.cloud.network import security_groups

RULE = View(
    Field("id"),
    Field("security_group_id", "group_id"),
    Field("project_id"),
    Field("tenant_id", "project_id"),
    Field("direction"),
    Field("ethertype"),
    Field("protocol", lambda rule, call: None),
    Field("port_range_min", lambda rule, call: None),
    Field("port_range_max", lambda rule, call: None),
    Field("remote_ip_prefix", lambda rule, call: None),
    Field("remote_group_id", lambda rule, call: None),
    Field("description", lambda rule, call: ""),
    Field("created_at", lambda rule, call: utc_seconds(rule.created_at)),
    Field("updated_at", lambda rule, call: utc_seconds(rule.created_at)),
    Field("revision_number", lambda rule, call: 0),
)


def _rules(group: Any, call: Call) -> list[Any]:
    render = RULE.renderer(call)
    return [render(rule, call) for rule in group.rules]


GROUP = View(
    *common_fields(),
    Field("stateful", lambda group, call: True),
    Field("shared", lambda group, call: False),
    Field("security_group_rules", _rules),
)


def index(call: Call) -> dict[str, Any]:
    with call.parts.database.read(call.ctx) as w:
        found = security_groups.list_visible(w)
    if call.ctx.project_id and all(group.project_id != call.ctx.project_id for group in found):
        with call.parts.database.write(call.ctx) as w:
            security_groups.ensure_default(w, call.ctx.project_id)
            found = security_groups.list_visible(w)
    return listing.listing(call, "security_groups", GROUP, found)


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "security_group", GROUP, security_groups.get(call.w, call.path["group_id"]))


def list_rules(call: Call) -> dict[str, Any]:
    rules = [rule for group in security_groups.list_visible(call.w) for rule in group.rules]
    return listing.listing(call, "security_group_rules", RULE, rules)


ROUTES = [
    Route("GET", f"{ROOT}/security-groups", index, rule="get_security_group"),
    Route("GET", f"{ROOT}/security-groups/{{group_id}}", show, rule="get_security_group", unit="read"),
    Route("GET", f"{ROOT}/security-group-rules", list_rules, rule="get_security_group_rule", unit="read"),
]
