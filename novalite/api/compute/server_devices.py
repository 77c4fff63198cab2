"""The security groups of a server's cards."""

from __future__ import annotations

from novalite.api.compute.security_groups import GROUP
from novalite.api.compute.server_interfaces import cards
from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.network import security_groups
from novalite.cloud.network.records import SecurityGroup


def list_groups(call: Call) -> list[SecurityGroup]:
    names = {group.id for port in cards(call) for group in port.groups}
    return [group for group in security_groups.list_visible(call.w) if group.id in names]


_ONE = f"{ROOT}/servers/{{server_id}}"
ROUTES = [
    Route("GET", f"{_ONE}/os-security-groups", list_groups, rule=RULE + "os-security-groups:list", unit="read",
          view=GROUP.many("security_groups")),
]  # fmt: skip
