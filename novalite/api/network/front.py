"""The Network API v2.0, below /network."""

from __future__ import annotations

from novalite.api.kit import faults
from novalite.api.kit.routes import Front
from novalite.api.network import (
    address_groups,
    address_scopes,
    agents,
    auto_topology,
    availability,
    default_rules,
    floating_ips,
    networks,
    port_forwardings,
    ports,
    qos,
    quotas,
    rbac,
    revisions,
    routers,
    security_group_rules,
    security_groups,
    subnet_pools,
    subnets,
    tags,
    versions,
)
from novalite.api.network.shapes import ROOT
from novalite.cloud.network.address_group_records import AddressGroup
from novalite.cloud.network.qos_records import QosPolicy
from novalite.cloud.network.records import FloatingIp, Network, Port, Router, SecurityGroup, Subnet
from novalite.cloud.network.subnet_pool_records import SubnetPool

_NOUNS = (
    versions, networks, subnets, ports, security_groups, security_group_rules, default_rules, address_groups, routers,
    floating_ips, port_forwardings, rbac, subnet_pools, address_scopes, qos, quotas, tags,
    agents, auto_topology, availability,
)  # fmt: skip
_RECORDS = {
    f"{ROOT}/address-groups/{{group_id}}": AddressGroup,
    f"{ROOT}/networks/{{network_id}}": Network,
    f"{ROOT}/subnets/{{subnet_id}}": Subnet,
    f"{ROOT}/floatingips/{{floating_id}}": FloatingIp,
    f"{ROOT}/ports/{{port_id}}": Port,
    f"{ROOT}/qos/policies/{{policy_id}}": QosPolicy,
    f"{ROOT}/routers/{{router_id}}": Router,
    f"{ROOT}/security-groups/{{group_id}}": SecurityGroup,
    f"{ROOT}/subnetpools/{{pool_id}}": SubnetPool,
}
"""What has a revision number, and is changed in the unit that is open for its handler."""
FRONT = Front(
    "network",
    "/network",
    revisions.guarded((route for noun in _NOUNS for route in noun.ROUTES), _RECORDS),
    faults.NEUTRON,
)
