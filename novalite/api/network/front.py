"""The Network API v2.0, below /network."""

from __future__ import annotations

from novalite.api.kit import faults
from novalite.api.kit.routes import Front
from novalite.api.network import (
    empty,
    floating_ips,
    networks,
    ports,
    quotas,
    routers,
    security_group_rules,
    security_groups,
    subnets,
    versions,
)

_NOUNS = (versions, networks, subnets, ports, security_groups, security_group_rules, routers, floating_ips, quotas,
          empty)  # fmt: skip
FRONT = Front("network", "/network", [route for noun in _NOUNS for route in noun.ROUTES], faults.NEUTRON)
