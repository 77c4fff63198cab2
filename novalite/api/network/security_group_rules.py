"""Rules of security groups. A rule is made and deleted, never changed."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View, utc_seconds
from novalite.api.network import listing
from novalite.api.network.bulk import OneOrMany
from novalite.api.network.shapes import NAME, PROJECT, ROOT, TAGS, whole_number
from novalite.cloud.network import security_group_rules as rules
from novalite.cloud.network import tags

RULE = View(
    Field("id"),
    Field("security_group_id", "group_id"),
    Field("project_id"),
    Field("tenant_id", "project_id"),
    Field("direction"),
    Field("ethertype"),
    Field("protocol"),
    Field("port_range_min", "port_min"),
    Field("port_range_max", "port_max"),
    Field("remote_ip_prefix", "remote_prefix"),
    Field("normalized_cidr", lambda rule, call: rules.normalized(rule.remote_prefix)),
    Field("remote_group_id"),
    Field("remote_address_group_id"),
    Field("description"),
    Field("created_at", lambda rule, call: utc_seconds(rule.created_at)),
    Field("updated_at", lambda rule, call: utc_seconds(rule.created_at)),
    Field("revision_number", lambda rule, call: 0),
    Field("tags"),
)
_PORT = {"type": ["integer", "string", "null"], "pattern": r"^-?[0-9]{1,9}$"}
_REMOTE = {"type": ["string", "null"], "maxLength": 64}
_PREFIX = {"type": ["string", "null"], "maxLength": 64}
VALUES = (
    Item("direction", {"type": "string", "enum": ["ingress", "egress"]}, required=True),
    Item("ethertype", {"type": "string", "enum": ["IPv4", "IPv6", "ipv4", "ipv6"]}),
    Item("protocol", {"type": ["string", "integer", "null"], "maxLength": 40}),
    Item("port_range_min", _PORT),
    Item("port_range_max", _PORT),
    Item("remote_ip_prefix", _PREFIX),
    Item("remote_group_id", _REMOTE),
    Item("remote_address_group_id", _REMOTE),
    Item("description", NAME),
)
NEW = OneOrMany(
    "security_group_rule",
    "security_group_rules",
    Item("security_group_id", {"type": "string", "format": "uuid"}, required=True),
    *VALUES,
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    Item("tags", TAGS),
)


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "security_group_rules", RULE, rules.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "security_group_rule", RULE, rules.get(call.w, call.path["rule_id"]))


def create(call: Call) -> dict[str, Any]:
    render, bodies = RULE.renderer(call), call.body if isinstance(call.body, list) else [call.body]
    made = rules.create_many(call.w, [asked_for(body) for body in bodies])
    for rule, body in zip(made, bodies, strict=True):
        rule.tags = tags.checked(body.get("tags", ()))
    if isinstance(call.body, list):
        return {"security_group_rules": [render(rule, call) for rule in made]}
    return {"security_group_rule": render(made[0], call)}


def asked_for(body: dict[str, Any]) -> rules.NewRule:
    """The rule that a body describes."""
    return rules.NewRule(
        group_id=body.get("security_group_id", ""),
        direction=body["direction"],
        ethertype="IPv6" if str(body.get("ethertype", "")).lower() == "ipv6" else "IPv4",
        protocol=body.get("protocol"),
        port_min=whole_number(body.get("port_range_min")),
        port_max=whole_number(body.get("port_range_max")),
        remote_prefix=body.get("remote_ip_prefix"),
        remote_group_id=body.get("remote_group_id"),
        remote_address_group_id=body.get("remote_address_group_id"),
        description=body.get("description", ""),
    )


def delete(call: Call) -> None:
    rules.delete(call.w, call.path["rule_id"])


_ALL, _ONE = f"{ROOT}/security-group-rules", f"{ROOT}/security-group-rules/{{rule_id}}"
ROUTES = [
    Route("GET", _ALL, index, rule="get_security_group_rule", unit="read"),
    Route("GET", _ONE, show, rule="get_security_group_rule", unit="read"),
    Route("POST", _ALL, create, rule="create_security_group_rule", body=NEW,
          success=201, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_security_group_rule", success=204, unit="write"),
]  # fmt: skip
