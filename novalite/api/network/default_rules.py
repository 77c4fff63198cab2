"""The rules that new security groups begin with."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.security_group_rules import VALUES, asked_for
from novalite.api.network.shapes import BOOLEAN, ROOT
from novalite.cloud.network import default_rules

RULE = View(
    Field("id"),
    Field("direction"),
    Field("ethertype"),
    Field("protocol"),
    Field("port_range_min", "port_min"),
    Field("port_range_max", "port_max"),
    Field("remote_ip_prefix", "remote_prefix"),
    Field("remote_group_id"),
    Field("remote_address_group_id"),
    Field("description"),
    Field("used_in_default_sg", "in_default"),
    Field("used_in_non_default_sg", "in_others"),
)
NEW = Body(
    "default_security_group_rule",
    *VALUES,
    Item("used_in_default_sg", BOOLEAN),
    Item("used_in_non_default_sg", BOOLEAN),
)


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "default_security_group_rules", RULE, default_rules.list_all(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "default_security_group_rule", RULE, default_rules.get(call.w, call.path["rule_id"]))


def create(call: Call) -> Any:
    return default_rules.create(
        call.w,
        asked_for(call.body),
        in_default=call.body.get("used_in_default_sg", False),
        in_others=call.body.get("used_in_non_default_sg", True),
    )


def delete(call: Call) -> None:
    default_rules.delete(call.w, call.path["rule_id"])


_ALL, _ONE = f"{ROOT}/default-security-group-rules", f"{ROOT}/default-security-group-rules/{{rule_id}}"
ROUTES = [
    Route("GET", _ALL, index, rule="get_default_security_group_rule", unit="read"),
    Route("GET", _ONE, show, rule="get_default_security_group_rule", unit="read"),
    Route("POST", _ALL, create, rule="create_default_security_group_rule", body=NEW,
          view=RULE.one("default_security_group_rule"), success=201, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_default_security_group_rule", success=204, unit="write"),
]  # fmt: skip
