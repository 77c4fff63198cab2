"""What needs a router as it is: floating addresses, forwarded ports, routes."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import sqlalchemy as sa

from novalite.cloud.network.forward_records import FloatingForward
from novalite.cloud.network.records import FixedIp, FloatingIp, Router, Subnet
from novalite.db.work import Work
from novalite.errors import Conflict


def refuse_needed(w: Work, router: Router, subnet_id: str, cidr: str) -> None:
    """Raises ``Conflict`` while something needs the router's interface on the subnet."""
    led = sa.exists().where(
        FloatingIp.router_id == router.id,
        FloatingIp.port_id == FixedIp.port_id,
        FloatingIp.fixed_ip_address == FixedIp.ip_address,
        FixedIp.subnet_id == subnet_id,
    )
    forwarded = sa.exists().where(
        FloatingForward.router_id == router.id,
        FloatingForward.port_id == FixedIp.port_id,
        FloatingForward.fixed_ip_address == FixedIp.ip_address,
        FixedIp.subnet_id == subnet_id,
    )
    if w.session.scalar(sa.select(sa.or_(led, forwarded))):
        raise Conflict(
            f"Router interface for subnet {subnet_id} on router {router.id} cannot be deleted, as "
            "it is required by one or more floating IPs.",
            code="router_interface.in_use_by_floating_ip",
        )
    if any(_leads_to(route["nexthop"], cidr) for route in router.routes):
        raise Conflict(
            f"Router interface for subnet {subnet_id} on router {router.id} cannot be deleted, as it is required by "
            "one or more routes.",
            code="router_interface.in_use_by_route",
        )


def _leads_to(hop: str, cidr: str) -> bool:
    return ip_address(hop) in ip_network(cidr)


def refuse_gateway_needed(w: Work, router: Router) -> None:
    """Raises ``Conflict`` while something needs the router's way outside."""
    led = sa.exists().where(FloatingIp.router_id == router.id)
    forwarded = sa.exists().where(FloatingForward.router_id == router.id)
    if w.session.scalar(sa.select(sa.or_(led, forwarded))):
        raise Conflict(
            f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
            f"{router.external_network_id} is required by one or more floating IPs.",
            code="router.external_gateway_in_use_by_floating_ip",
        )
    outside = sa.select(Subnet.cidr).where(Subnet.network_id == router.external_network_id)
    for cidr in w.session.scalars(outside):
        if any(_leads_to(route["nexthop"], cidr) for route in router.routes):
            raise Conflict(
                f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
                f"{router.external_network_id} is required by one or more routes.",
                code="router.external_gateway_in_use_by_route",
            )
