"""Security groups as Compute showed them, to read: the network service's own."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ANY_QUERY, NUMBER_QUERY, ROOT, RULE
from novalite.api.kit.body import Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, whole_number
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.network import security_groups
from novalite.cloud.network.records import SecurityGroup

_ANYWHERE = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}


def _rules(group: SecurityGroup, call: Call) -> list[dict[str, Any]]:
    """What may come in; Compute never told of what may go out."""
    return [
        {
            "id": rule.id, "parent_group_id": group.id, "ip_protocol": None, "from_port": None, "to_port": None,
            "group": {}, "ip_range": {"cidr": _ANYWHERE[rule.ethertype]},
        }
        for rule in group.rules
        if rule.direction == "ingress"
    ]  # fmt: skip


GROUP = View(
    Field("id"),
    Field("name"),
    Field("description"),
    Field("tenant_id", "project_id"),
    Field("rules", _rules),
)


def list_all(call: Call) -> list[SecurityGroup]:
    """The project's own; administrators may ask for those of all."""
    everyones = call.ctx.is_admin and call.query.get("all_tenants", "0") not in ("0", "")
    security_groups.ensure_default(call.w, call.ctx.project_id)
    found = [
        group for group in security_groups.list_visible(call.w) if everyones or group.project_id == call.ctx.project_id
    ]
    found.sort(key=lambda group: (group.project_id, group.name))
    offset = whole_number(call, "offset") or 0
    return found[offset : offset + (limit(call) or 1000)]


def show(call: Call) -> SecurityGroup:
    return security_groups.get(call.w, call.path["group_id"])


_ALL = f"{ROOT}/os-security-groups"
_QUERY = Query(Item("limit", NUMBER_QUERY), Item("offset", NUMBER_QUERY), Item("all_tenants", ANY_QUERY))
ROUTES = [
    Route("GET", _ALL, list_all, rule=RULE + "os-security-groups:get", query=_QUERY, unit="write",
          view=GROUP.many("security_groups"), until="2.35"),
    Route("GET", f"{_ALL}/{{group_id}}", show, rule=RULE + "os-security-groups:show", unit="read",
          view=GROUP.one("security_group"), until="2.35"),
]  # fmt: skip
