"""A router's interfaces and its gateway: ports that no guest has."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from novalite.cloud.network import networks, new_ports, subnets
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.new_ports import NewPort
from novalite.cloud.network.records import FixedIp, FloatingIp, Port, PortSecurityGroup, Router, Subnet
from novalite.cloud.network.routing import GATEWAY, INTERFACE, ROUTER_TOPIC
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class Interface:
    """What a router has on a subnet."""

    router: Router
    port_id: str
    network_id: str
    subnet_id: str


def add_subnet(w: Work, router: Router, subnet_id: str) -> Interface:
    """Join a subnet by its gateway address. Raises ``NotFound``, ``Invalid`` when the router has it already, and
    ``Conflict`` when another router or a port has the address."""
    subnet = subnets.get(w, subnet_id)
    _refuse_second(w, router, subnet)
    if subnet.gateway_ip is None:
        raise Invalid("Bad router request: Subnet for router interface must have a gateway IP.",
                      code="router.bad_request", field="subnet_id")  # fmt: skip
    gateway = (Asked(subnet.gateway_ip, subnet.id),)
    port = new_ports.create(w, NewPort(subnet.network_id, gateway, project_id=router.project_id,
                                       device_id=router.id, device_owner=INTERFACE, security_groups=()))  # fmt: skip
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
    return Interface(router, port.id, subnet.network_id, subnet.id)


def add_port(w: Work, router: Router, port_id: str) -> Interface:
    """Join the network of a port that nobody uses. Raises ``NotFound``, ``Conflict`` for a port in use, ``Invalid``
    for one without an address."""
    query = sa.select(Port).where(Port.id == port_id)
    port = w.session.scalar(query if w.ctx.is_admin else query.where(Port.project_id == w.ctx.project_id))
    if port is None:
        raise NotFound("port", port_id)
    subnet = w.session.scalar(
        sa.select(Subnet).join(FixedIp, FixedIp.subnet_id == Subnet.id).where(FixedIp.port_id == port_id)
    )
    if subnet is None:
        raise Invalid("Router port must have at least one fixed IP", field="port_id")
    _refuse_second(w, router, subnet)
    free = sa.update(Port).where(Port.id == port_id, Port.device_id == "")
    values = {"device_id": router.id, "device_owner": INTERFACE, "updated_at": w.now, "revision": Port.revision + 1}
    if not w.changed(free.values(values)):
        raise Conflict(
            f"Unable to complete operation on port {port_id} for network {port.network_id}. Port already has an "
            f"attached device {port.device_id}.",
            code="port.in_use",
        )
    w.changed(sa.delete(PortSecurityGroup).where(PortSecurityGroup.port_id == port_id))
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
    return Interface(router, port_id, port.network_id, subnet.id)


def _refuse_second(w: Work, router: Router, subnet: Subnet) -> None:
    if _find(w, router, FixedIp.subnet_id == subnet.id) is not None:
        raise Invalid(
            f"Bad router request: Router already has a port on subnet {subnet.id}.", code="router.bad_request",
            field="subnet_id")  # fmt: skip
    if subnet.network_id == router.external_network_id:
        raise Invalid(
            f"Bad router request: network {subnet.network_id} is the router's gateway.", code="router.bad_request",
            field="subnet_id")  # fmt: skip


def _find(w: Work, router: Router, *which: sa.ColumnElement[bool]) -> Interface | None:
    row = w.session.execute(
        sa.select(Port.id, Port.network_id, FixedIp.subnet_id)
        .join(FixedIp, FixedIp.port_id == Port.id)
        .where(Port.device_id == router.id, Port.device_owner == INTERFACE, *which)
    ).first()
    return None if row is None else Interface(router, row.id, row.network_id, row.subnet_id)


def remove(w: Work, router: Router, *, subnet_id: str = "", port_id: str = "") -> Interface:
    """Leave a subnet; the port goes. Raises ``NotFound`` for no such interface, ``Conflict`` while floating addresses
    need it."""
    which = [Port.id == port_id] if port_id else []
    which += [FixedIp.subnet_id == subnet_id] if subnet_id else []
    found = _find(w, router, *which)
    if found is None:
        where = f"on subnet {subnet_id}" if subnet_id else f"with id {port_id}"
        raise NotFound(
            "router interface", subnet_id or port_id, message=f"Router {router.id} does not have an interface {where}"
        )
    _refuse_needed(w, found)
    w.changed(sa.delete(FixedIp).where(FixedIp.port_id == found.port_id))
    w.changed(sa.delete(Port).where(Port.id == found.port_id))
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
    return found


def _refuse_needed(w: Work, interface: Interface) -> None:
    needed = sa.exists().where(
        FloatingIp.router_id == interface.router.id,
        FloatingIp.port_id == FixedIp.port_id,
        FloatingIp.fixed_ip_address == FixedIp.ip_address,
        FixedIp.subnet_id == interface.subnet_id,
    )
    if w.session.scalar(sa.select(needed)):
        raise Conflict(
            f"Router interface for subnet {interface.subnet_id} on router {interface.router.id} cannot be deleted, as "
            "it is required by one or more floating IPs.",
            code="router_interface.in_use_by_floating_ip",
        )


def set_gateway(w: Work, router: Router, network_id: str, *, ip_address: str | None = None) -> None:
    """Lead the router to an external network, from an address of it. Raises ``NotFound``, ``Invalid`` for a network
    that is not external, ``Conflict`` when there is no address, or floating addresses need the gateway it had."""
    network = networks.get(w, network_id)
    if not network.is_external:
        raise Invalid(
            f"Bad router request: Network {network_id} is not an external network.", code="router.bad_request",
            field="external_gateway_info")  # fmt: skip
    if router.external_network_id == network_id and ip_address is None:
        return
    clear_gateway(w, router)
    if _find(w, router, Port.network_id == network_id) is not None:
        raise Invalid("Bad router request: the router has an interface on that network.", code="router.bad_request",
                      field="external_gateway_info")  # fmt: skip
    if network.subnets:
        wanted = None if ip_address is None else (Asked(ip_address),)
        new_ports.create(w, NewPort(network_id, wanted, project_id="", device_id=router.id,
                                    device_owner=GATEWAY, security_groups=()))  # fmt: skip
    router.external_network_id = network_id
    w.announce(ROUTER_TOPIC, router.id, router.project_id)


def clear_gateway(w: Work, router: Router) -> None:
    """No way outside any more; without a gateway it is a success."""
    if router.external_network_id is None:
        return
    if w.session.scalar(sa.select(sa.exists().where(FloatingIp.router_id == router.id))):
        raise Conflict(
            f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
            f"{router.external_network_id} is required by one or more floating IPs.",
            code="router.external_gateway_in_use_by_floating_ip",
        )
    gateway = sa.select(Port.id).where(Port.device_id == router.id, Port.device_owner == GATEWAY).scalar_subquery()
    w.changed(sa.delete(FixedIp).where(FixedIp.port_id == gateway))
    w.changed(sa.delete(Port).where(Port.device_id == router.id, Port.device_owner == GATEWAY))
    router.external_network_id = None
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
