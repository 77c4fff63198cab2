"""Security groups as Compute showed them, and those of servers: the network service's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from novalite.api.compute.server_actions import action_route
from novalite.api.compute.server_interfaces import cards
from novalite.api.compute.shapes import ANY_QUERY, NUMBER_QUERY, ROOT, RULE, UUID
from novalite.api.kit.answers import TEXT, TEXT_OR_NULL, WHOLE_OR_NULL, Told, array, record
from novalite.api.kit.answers import UUID as IDENTIFIER
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, whole_number
from novalite.api.kit.routes import Route
from novalite.cloud.compute import security_groups as old_groups
from novalite.cloud.compute.security_groups import ANYWHERE, OldRule
from novalite.cloud.network import security_groups
from novalite.cloud.network.records import SecurityGroup, SecurityGroupRule

_LATEST = "2.35"


def _ports(rule: SecurityGroupRule) -> tuple[int | None, int | None]:
    """Compute told all ports of a protocol as numbers."""
    if rule.protocol and rule.port_min is None and rule.port_max is None:
        return (1, 65535) if rule.protocol in ("tcp", "udp") else (-1, -1)
    return rule.port_min, rule.port_max


def _rule(rule: SecurityGroupRule, sources: Mapping[str, SecurityGroup]) -> dict[str, Any]:
    low, high = _ports(rule)
    source = sources.get(rule.remote_group_id or "")
    return {
        "id": rule.id, "parent_group_id": rule.group_id, "ip_protocol": rule.protocol, "from_port": low,
        "to_port": high, "group": {"name": source.name, "tenant_id": source.project_id} if source else {},
        "ip_range": {} if source else {"cidr": rule.remote_prefix or ANYWHERE},
    }  # fmt: skip


def _shown(call: Call, groups: list[SecurityGroup]) -> list[dict[str, Any]]:
    """Groups with what may come in; Compute never told of what may go out."""
    others = {rule.remote_group_id for group in groups for rule in group.rules if rule.remote_group_id}
    sources = old_groups.names_of(call.w, others)
    return [
        {
            "id": group.id, "name": group.name, "description": group.description, "tenant_id": group.project_id,
            "rules": [_rule(rule, sources) for rule in group.rules if rule.direction == "ingress"],
        }
        for group in groups
    ]  # fmt: skip


_SOURCE = record({"name": TEXT, "tenant_id": TEXT}, optional=["name", "tenant_id"])
_TOLD_RULE = record({
    "id": IDENTIFIER, "parent_group_id": IDENTIFIER, "ip_protocol": TEXT_OR_NULL, "from_port": WHOLE_OR_NULL,
    "to_port": WHOLE_OR_NULL, "group": _SOURCE, "ip_range": record({"cidr": TEXT}, optional=["cidr"]),
})  # fmt: skip
_TOLD = record({"id": IDENTIFIER, "name": TEXT, "description": TEXT, "tenant_id": TEXT, "rules": array(_TOLD_RULE)})
_LIST, _GROUP = Told("security_groups", whole=array(_TOLD)), Told("security_group", whole=_TOLD)
_TEXT = {"type": "string", "maxLength": 255}
_NEW = Body("security_group", Item("name", _TEXT, required=True), Item("description", _TEXT, required=True), extra=True)
_NEW_RULE = Body(
    "security_group_rule",
    Item("parent_group_id", UUID, required=True),
    Item("group_id", {"type": ["string", "null"], "format": "uuid"}),
    Item("to_port", {}),
    Item("from_port", {}),
    Item("ip_protocol", {}),
    Item("cidr", {}),
    extra=True,
)
_NAMED = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 255}},
    "required": ["name"],
    "additionalProperties": False,
}


def list_all(call: Call) -> dict[str, Any]:
    """The project's own; administrators may ask for those of all."""
    everyones = call.ctx.is_admin and call.query.get("all_tenants", "0") not in ("0", "")
    security_groups.ensure_default(call.w, call.ctx.project_id)
    found = [
        group for group in security_groups.list_visible(call.w) if everyones or group.project_id == call.ctx.project_id
    ]
    found.sort(key=lambda group: (group.project_id, group.name))
    offset = whole_number(call, "offset") or 0
    return {"security_groups": _shown(call, found[offset : offset + (limit(call) or 1000)])}


def _one(call: Call, group: SecurityGroup) -> dict[str, Any]:
    return {"security_group": _shown(call, [group])[0]}


def show(call: Call) -> dict[str, Any]:
    return _one(call, security_groups.get(call.w, call.path["group_id"]))


def create(call: Call) -> dict[str, Any]:
    return _one(call, old_groups.create(call.w, call.body["name"], call.body["description"]))


def update(call: Call) -> dict[str, Any]:
    body = call.body
    return _one(call, old_groups.update(call.w, call.path["group_id"], body["name"], body["description"]))


def delete(call: Call) -> None:
    old_groups.delete(call.w, call.path["group_id"])


def create_rule(call: Call) -> dict[str, Any]:
    body = call.body
    rule = old_groups.create_rule(
        call.w,
        OldRule(body["parent_group_id"], body.get("ip_protocol"), body.get("from_port"), body.get("to_port"),
                body.get("cidr"), body.get("group_id")),
    )  # fmt: skip
    sources = old_groups.names_of(call.w, [rule.remote_group_id] if rule.remote_group_id else [])
    return {"security_group_rule": _rule(rule, sources)}


def delete_rule(call: Call) -> None:
    old_groups.delete_rule(call.w, call.path["rule_id"])


def list_of_server(call: Call) -> dict[str, Any]:
    ids = {group.id for port in cards(call) for group in port.groups}
    found = [group for group in security_groups.list_visible(call.w) if group.id in ids]
    found.sort(key=lambda group: (group.project_id, group.name))
    return {"security_groups": _shown(call, found)}


def add(call: Call) -> None:
    old_groups.add(call.w, call.path["server_id"], call.body["name"])


def remove(call: Call) -> None:
    old_groups.remove(call.w, call.path["server_id"], call.body["name"])


_ALL, _RULES = f"{ROOT}/os-security-groups", f"{ROOT}/os-security-group-rules"
_QUERY = Query(Item("limit", NUMBER_QUERY), Item("offset", NUMBER_QUERY), Item("all_tenants", ANY_QUERY))
_RULE = RULE + "os-security-groups:"
ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "get", query=_QUERY, unit="write", view=_LIST, until=_LATEST),
    Route("POST", _ALL, create, rule=_RULE + "create", body=_NEW, unit="write", view=_GROUP, until=_LATEST),
    Route("GET", f"{_ALL}/{{group_id}}", show, rule=_RULE + "show", unit="read", view=_GROUP, until=_LATEST),
    Route("PUT", f"{_ALL}/{{group_id}}", update, rule=_RULE + "update", body=_NEW, unit="write", view=_GROUP,
          until=_LATEST),
    Route("DELETE", f"{_ALL}/{{group_id}}", delete, rule=_RULE + "delete", unit="write", success=202, until=_LATEST),
    Route("POST", _RULES, create_rule, rule=_RULE + "rule:create", body=_NEW_RULE, unit="write",
          view=Told("security_group_rule", whole=_TOLD_RULE), until=_LATEST),
    Route("DELETE", f"{_RULES}/{{rule_id}}", delete_rule, rule=_RULE + "rule:delete", unit="write", success=202,
          until=_LATEST),
    Route("GET", f"{ROOT}/servers/{{server_id}}/os-security-groups", list_of_server, rule=_RULE + "list", unit="read",
          view=_LIST),
    action_route("addSecurityGroup", add, "os-security-groups:add", _NAMED),
    action_route("removeSecurityGroup", remove, "os-security-groups:remove", _NAMED),
]  # fmt: skip
