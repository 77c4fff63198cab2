"""What the machine is told of routers and floating addresses: plain values, all at once."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.network.port_views import FLOATING, GATEWAY, INTERFACE
from novalite.cloud.network.records import FixedIp, FloatingIp, Port, Router
from novalite.db.work import Work
from novalite.drivers.network.base import FloatingSpec, RouterSpec, RoutingSpec

ROUTER_TOPIC = "router"
FLOATING_TOPIC = "floating_ip"
__all__ = ["FLOATING", "FLOATING_TOPIC", "GATEWAY", "INTERFACE", "ROUTER_TOPIC", "spec"]


def spec(w: Work) -> RoutingSpec:
    """Routers that are up, and floating addresses that lead somewhere."""
    routers = w.session.scalars(sa.select(Router).where(Router.admin_state_up).order_by(Router.created_at, Router.id))
    plugs = w.session.execute(
        sa.select(Port.device_id, Port.device_owner, Port.network_id, sa.func.min(FixedIp.ip_address).label("address"))
        .outerjoin(FixedIp, FixedIp.port_id == Port.id)
        .where(Port.device_owner.in_((INTERFACE, GATEWAY)))
        .group_by(Port.id, Port.device_id, Port.device_owner, Port.network_id)
        .order_by(Port.id)
    ).all()
    inside: dict[str, list[str]] = {}
    own: dict[str, list[tuple[str, str]]] = {}
    gateways: dict[str, str] = {}
    for plug in plugs:
        if plug.device_owner == INTERFACE:
            inside.setdefault(plug.device_id, []).append(plug.network_id)
            if plug.address:
                own.setdefault(plug.device_id, []).append((plug.network_id, plug.address))
        else:
            gateways[plug.device_id] = plug.address or ""
    return RoutingSpec(
        tuple(
            RouterSpec(
                id=router.id,
                networks=tuple(dict.fromkeys(inside.get(router.id, ()))),
                external=router.external_network_id or "",
                address=gateways.get(router.id, ""),
                snat=router.enable_snat,
                own=tuple(own.get(router.id, ())),
            )
            for router in routers
        ),
        _floating(w),
    )


def _floating(w: Work) -> tuple[FloatingSpec, ...]:
    query = (
        sa.select(FloatingIp.ip_address, FloatingIp.network_id, FloatingIp.fixed_ip_address)
        .join(Router, Router.id == FloatingIp.router_id)
        .where(FloatingIp.port_id.is_not(None), Router.admin_state_up)
        .order_by(FloatingIp.created_at, FloatingIp.id)
    )
    return tuple(
        FloatingSpec(address, network_id, fixed or "") for address, network_id, fixed in w.session.execute(query)
    )
