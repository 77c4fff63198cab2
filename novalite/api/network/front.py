"""The Network API v2.0, below /network."""

from __future__ import annotations

from novalite.api.kit import faults
from novalite.api.kit.routes import Front
from novalite.api.network import (
    empty,
    networks,
    ports,
    quotas,
    security_group_rules,
    security_groups,
    subnets,
    versions,
)

_NOUNS = (versions, networks, subnets, ports, security_groups, security_group_rules, quotas, empty)
FRONT = Front("network", "/network", [route for noun in _NOUNS for route in noun.ROUTES], faults.NEUTRON)
