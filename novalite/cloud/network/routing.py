"""What the machine is told of routers and floating addresses: plain values, in a few queries for all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_network

import sqlalchemy as sa

from novalite.cloud.network.forward_records import FloatingForward, HostForward
from novalite.cloud.network.port_views import FLOATING, GATEWAY, INTERFACE
from novalite.cloud.network.records import FixedIp, FloatingIp, Port, Router, Subnet
from novalite.db.work import Work
from novalite.drivers.network.base import FloatingSpec, PortForwardSpec, RouterPortSpec, RouterSpec

ROUTER_TOPIC = "router"
FLOATING_TOPIC = "floating_ip"
__all__ = ["FLOATING", "FLOATING_TOPIC", "GATEWAY", "INTERFACE", "ROUTER_TOPIC", "on_networks", "specs"]


@dataclass
class _Card:
    """A router's port while its addresses are gathered."""

    id: str
    owner: str
    network_id: str
    mac_address: str
    addresses: list[str] = field(default_factory=list)
    hops: list[str] = field(default_factory=list)

    def spec(self) -> RouterPortSpec:
        return RouterPortSpec(self.id, self.network_id, self.mac_address, tuple(self.addresses))


def specs(w: Work, ids: Iterable[str] | None = None) -> tuple[RouterSpec, ...]:
    """Routers that are up, or those of them with these ids, with the floating addresses they lead."""
    query = sa.select(Router).where(Router.admin_state_up).order_by(Router.created_at, Router.id)
    if ids is not None:
        query = query.where(Router.id.in_(list(ids)))
    routers = w.session.scalars(query, execution_options={"populate_existing": True}).all()
    wanted = [router.id for router in routers]
    cards, floating, forwards = _cards(w, wanted), _floating(w, wanted), _forwards(w, wanted)
    return tuple(
        _spec(router, cards.get(router.id, []), floating.get(router.id, []), forwards.get(router.id, []))
        for router in routers
    )


def on_networks(w: Work, network_ids: Iterable[str]) -> list[str]:
    """Ids of routers that have a port on one of these networks."""
    owners = Port.device_owner.in_((INTERFACE, GATEWAY))
    query = sa.select(Port.device_id).where(Port.network_id.in_(list(network_ids)), owners).distinct()
    return list(w.session.scalars(query))


def _spec(
    router: Router, cards: list[_Card], floating: list[FloatingSpec], forwards: list[PortForwardSpec]
) -> RouterSpec:
    gateway = next((card for card in cards if card.owner == GATEWAY), None)
    return RouterSpec(
        id=router.id,
        interfaces=tuple(card.spec() for card in cards if card.owner == INTERFACE and card.addresses),
        gateway=gateway.spec() if gateway and gateway.addresses else None,
        next_hops=_one_of_each_version(gateway.hops if gateway else []),
        snat=router.enable_snat,
        routes=tuple((route["destination"], route["nexthop"]) for route in router.routes),
        floating=tuple(floating),
        forwards=tuple(forwards),
    )


def _one_of_each_version(hops: list[str]) -> tuple[str, ...]:
    return tuple({":" in hop: hop for hop in reversed(hops)}.values())


def _cards(w: Work, ids: list[str]) -> dict[str, list[_Card]]:
    query = (
        sa.select(
            Port.id, Port.device_id, Port.device_owner, Port.network_id, Port.mac_address, FixedIp.ip_address,
            Subnet.cidr, Subnet.gateway_ip,
        )
        .join(FixedIp, FixedIp.port_id == Port.id)
        .join(Subnet, Subnet.id == FixedIp.subnet_id)
        .where(Port.device_id.in_(ids), Port.device_owner.in_((INTERFACE, GATEWAY)), Port.admin_state_up)
        .order_by(Port.created_at, Port.id, FixedIp.address)
    )  # fmt: skip
    found: dict[str, dict[str, _Card]] = {}
    for row in w.session.execute(query):
        mine = found.setdefault(row.device_id, {})
        card = mine.setdefault(row.id, _Card(row.id, row.device_owner, row.network_id, row.mac_address))
        card.addresses.append(f"{row.ip_address}/{ip_network(row.cidr).prefixlen}")
        if row.gateway_ip and row.gateway_ip != row.ip_address:
            card.hops.append(row.gateway_ip)
    return {router_id: list(cards.values()) for router_id, cards in found.items()}


def _floating(w: Work, ids: list[str]) -> dict[str, list[FloatingSpec]]:
    query = (
        sa.select(FloatingIp.router_id, FloatingIp.ip_address, FloatingIp.fixed_ip_address)
        .where(FloatingIp.router_id.in_(ids), FloatingIp.port_id.is_not(None))
        .order_by(FloatingIp.created_at, FloatingIp.id)
    )
    found: dict[str, list[FloatingSpec]] = {}
    for router_id, address, fixed in w.session.execute(query):
        found.setdefault(str(router_id), []).append(FloatingSpec(address, fixed or ""))
    return found


def _forwards(w: Work, ids: list[str]) -> dict[str, list[PortForwardSpec]]:
    """Ports of floating addresses, and those of the gateway that ports of the machine lead to."""
    found: dict[str, list[PortForwardSpec]] = {}
    query = (
        sa.select(FloatingForward, FloatingIp.ip_address)
        .join(FloatingIp, FloatingIp.id == FloatingForward.floating_id)
        .where(FloatingForward.router_id.in_(ids))
        .order_by(FloatingForward.created_at, FloatingForward.id)
    )
    for row, address in w.session.execute(query):
        spec = PortForwardSpec(row.protocol, address, row.external_first, row.external_last, row.fixed_ip_address,
                               row.internal_first)  # fmt: skip
        found.setdefault(row.router_id, []).append(spec)
    chosen = sa.select(HostForward).where(HostForward.router_id.in_(ids)).order_by(HostForward.router_port)
    for host in w.session.scalars(chosen):
        if host.router_id and host.router_port:
            own = PortForwardSpec(host.protocol, "", host.router_port, host.router_port, host.fixed_ip_address,
                                  host.guest_port)  # fmt: skip
            found.setdefault(host.router_id, []).append(own)
    return found
