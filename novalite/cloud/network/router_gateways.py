"""A router's way outside: a port on an external network, which nobody owns."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import host_forwards, networks, new_ports, port_addresses, router_ports, router_use
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.new_ports import NewPort
from novalite.cloud.network.records import FixedIp, Network, Port, Router
from novalite.cloud.network.router_ports import bad_request
from novalite.cloud.network.routing import GATEWAY, ROUTER_TOPIC
from novalite.db.work import Work


@dataclass(frozen=True)
class Gateway:
    """A way outside: by an external network, from these addresses of it, None: any, one of each IP version."""

    network_id: str
    enable_snat: bool | None = None
    fixed_ips: tuple[Asked, ...] | None = None


def lead(w: Work, router: Router, gateway: Gateway | None) -> None:
    """Let the router have this way outside. Raises ``NotFound``, ``Invalid`` for a network that is not external or has
    a range that the router is on, ``Conflict`` when there is no address, or something needs the gateway it had."""
    if gateway is None:
        clear(w, router)
        return
    network = networks.get(w, gateway.network_id)
    if not network.is_external:
        raise bad_request(f"Network {network.id} is not an external network", "external_gateway_info")
    if router.external_network_id != network.id:
        clear(w, router)
        _join(w, router, network, gateway.fixed_ips)
    elif gateway.fixed_ips is not None:
        _move(w, router, gateway.fixed_ips)
    if gateway.enable_snat is not None:
        router.enable_snat = gateway.enable_snat
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
    w.announce(host_forwards.TOPIC, router.id, router.project_id)


def _join(w: Work, router: Router, network: Network, fixed_ips: tuple[Asked, ...] | None) -> None:
    router_ports.refuse_gateway_beside(w, router, network.subnets)
    if network.subnets or network.lan:
        new_ports.create(w, NewPort(network.id, fixed_ips, project_id="", device_id=router.id, device_owner=GATEWAY,
                                    security_groups=()))  # fmt: skip
    router.external_network_id = network.id


def _move(w: Work, router: Router, fixed_ips: tuple[Asked, ...]) -> None:
    query = sa.select(Port).where(Port.device_id == router.id, Port.device_owner == GATEWAY)
    port = w.session.scalar(query.options(selectinload(Port.fixed_ips)), execution_options={"populate_existing": True})
    if port is not None:
        port_addresses.change(w, port, fixed_ips)


def clear(w: Work, router: Router) -> None:
    """No way outside any more; without a gateway it is a success. Raises ``Conflict``."""
    if router.external_network_id is None:
        return
    router_use.refuse_gateway_needed(w, router)
    host_forwards.forget_router(w, router.id)
    gateway = sa.select(Port.id).where(Port.device_id == router.id, Port.device_owner == GATEWAY).scalar_subquery()
    w.changed(sa.delete(FixedIp).where(FixedIp.port_id == gateway))
    w.changed(sa.delete(Port).where(Port.device_id == router.id, Port.device_owner == GATEWAY))
    router.external_network_id = None
    router.enable_snat = True
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
