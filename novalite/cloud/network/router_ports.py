"""A router's interfaces: ports that no guest has. Subnets of IPv6 on one network share one, each of IPv4 has one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from novalite.cloud.network import addresses, allocation, new_ports, router_use, subnets
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.new_ports import NewPort
from novalite.cloud.network.records import FixedIp, Port, PortSecurityGroup, Router, Subnet
from novalite.cloud.network.routing import GATEWAY, INTERFACE, ROUTER_TOPIC
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class Interface:
    """What a router has (or had) on a network: ``subnet_ids`` of which the first is the one that was asked for."""

    router: Router
    port_id: str
    network_id: str
    subnet_ids: tuple[str, ...]


def bad_request(reason: str, field: str) -> Invalid:
    """As Neutron words what a router cannot do."""
    return Invalid(f"Bad router request: {reason}.", code="bad_request", field=field)


def add_subnet(w: Work, router: Router, subnet_id: str) -> Interface:
    """Join a subnet by its gateway address. Raises ``NotFound``, ``Invalid`` when the router cannot have it beside
    those it has, and ``Conflict`` when another router or a port has the address."""
    subnet = subnets.get(w, subnet_id)
    if subnet.gateway_ip is None:
        raise bad_request("Subnet for router interface must have a gateway IP", "subnet_id")
    there = _connected(w, router)
    refuse_beside(subnet, there, router, "subnet_id")
    shared = next((row.port_id for row in there if row.network_id == subnet.network_id and row.ip_version == 6
                   and row.device_owner == INTERFACE), None) if subnet.ip_version == 6 else None  # fmt: skip
    if shared is not None:
        _take(w, subnet, shared)
        port_id = shared
    else:
        gateway = (Asked(subnet.gateway_ip, subnet.id),)
        new = NewPort(subnet.network_id, gateway, project_id=router.project_id, device_id=router.id,
                      device_owner=INTERFACE, security_groups=())  # fmt: skip
        port_id = new_ports.create(w, new).id
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
    return Interface(router, port_id, subnet.network_id, (subnet.id,))


def _take(w: Work, subnet: Subnet, port_id: str) -> None:
    """The subnet's gateway address for a port that has others."""
    text = subnet.gateway_ip or ""
    try:
        with w.session.begin_nested():
            w.session.add(addresses.fixed(subnet, text, port_id, position=_count(w, port_id)))
            w.session.flush()
    except IntegrityError:
        raise allocation.taken(text, subnet.id) from None
    w.changed(sa.update(Port).where(Port.id == port_id).values(updated_at=w.now, revision=Port.revision + 1))
    w.announce("port", port_id)


def _count(w: Work, port_id: str) -> int:
    return int(w.session.scalar(sa.select(sa.func.count()).where(FixedIp.port_id == port_id)) or 0)


def add_port(w: Work, router: Router, port_id: str) -> Interface:
    """Join the network of a port that nobody uses, by its addresses. Raises ``NotFound``, ``Conflict`` for a port in
    use, ``Invalid`` for addresses that a router cannot have."""
    query = sa.select(Port).where(Port.id == port_id).options(selectinload(Port.fixed_ips))
    port = w.session.scalar(query if w.ctx.is_admin else query.where(Port.project_id == w.ctx.project_id))
    if port is None:
        raise NotFound("port", port_id)
    if port.device_id:
        raise _in_use(port)
    joined = w.session.scalars(sa.select(Subnet).where(Subnet.id.in_([one.subnet_id for one in port.fixed_ips]))).all()
    there = _connected(w, router)
    _refuse_port(port, joined, there)
    for subnet in joined:
        refuse_beside(subnet, there, router, "port_id")
    free = sa.update(Port).where(Port.id == port_id, Port.device_id == "")
    values = {"device_id": router.id, "device_owner": INTERFACE, "updated_at": w.now, "revision": Port.revision + 1}
    if not w.changed(free.values(values)):
        raise _in_use(port)
    w.changed(sa.delete(PortSecurityGroup).where(PortSecurityGroup.port_id == port_id))
    w.announce("port", port_id, port.project_id)
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
    return Interface(router, port_id, port.network_id, tuple(one.subnet_id for one in port.fixed_ips))


def _in_use(port: Port) -> Conflict:
    return Conflict(
        f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
        f"attached device {port.device_id}.",
        code="port.in_use",
    )


def _refuse_port(port: Port, joined: Sequence[Subnet], there: Sequence[Any]) -> None:
    if not port.fixed_ips:
        raise bad_request("Router port must have at least one fixed IP", "port_id")
    if sum(":" not in one.ip_address for one in port.fixed_ips) > 1:
        raise bad_request("Cannot have multiple IPv4 subnets on router port", "port_id")
    if any(subnet.ip_version == 6 for subnet in joined):
        for row in there:
            if row.network_id == port.network_id and row.ip_version == 6:
                raise bad_request(
                    "Cannot have multiple router ports with the same network id if both contain IPv6 subnets. Existing "
                    f"port {row.port_id} has IPv6 subnet(s) and network id {port.network_id}", "port_id")  # fmt: skip


def _connected(w: Work, router: Router) -> Sequence[Any]:
    """The subnets that the router is on, by interfaces and gateway."""
    query = (
        sa.select(Port.id.label("port_id"), Port.device_owner, Port.network_id, Subnet.id, Subnet.cidr,
                  Subnet.ip_version)
        .join(FixedIp, FixedIp.port_id == Port.id)
        .join(Subnet, Subnet.id == FixedIp.subnet_id)
        .where(Port.device_id == router.id, Port.device_owner.in_((INTERFACE, GATEWAY)))
        .order_by(Port.created_at, Port.id)
    )  # fmt: skip
    return w.session.execute(query).all()


def refuse_beside(subnet: Subnet, there: Iterable[Any], router: Router, field: str) -> None:
    """Raises ``Invalid`` for a subnet that the router is on already, or whose range another has that it is on."""
    if subnet.network_id == router.external_network_id and field != "external_gateway_info":
        raise bad_request(f"network {subnet.network_id} is the router's gateway", field)
    for row in there:
        if row.id == subnet.id:
            raise bad_request(f"Router already has a port on subnet {subnet.id}", field)
        if _overlap(subnet.cidr, row.cidr):
            raise bad_request(
                f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {row.cidr} of subnet {row.id}", field
            )


def _overlap(one: str, other: str) -> bool:
    first, second = ip_network(one), ip_network(other)
    return first.version == second.version and first.overlaps(second)


def refuse_gateway_beside(w: Work, router: Router, wanted: Iterable[Subnet]) -> None:
    """The same for the subnets of a gateway that the router is to have, beside its interfaces."""
    there = [row for row in _connected(w, router) if row.device_owner == INTERFACE]
    for subnet in wanted:
        refuse_beside(subnet, there, router, "external_gateway_info")


def remove(w: Work, router: Router, *, subnet_id: str = "", port_id: str = "") -> Interface:
    """Leave a subnet, or all of a port's. The port goes when it has no other. Raises ``NotFound`` for no such
    interface, ``Invalid`` for a port that is not on the subnet, ``Conflict`` while floating addresses or routes need
    it."""
    rows = [row for row in _connected(w, router) if row.device_owner == INTERFACE]
    mine = [row for row in rows if row.port_id == port_id] if port_id else [row for row in rows if row.id == subnet_id]
    if not mine:
        where = f"with id {port_id}" if port_id else f"on subnet {subnet_id}"
        raise NotFound(
            "router interface", port_id or subnet_id, message=f"Router {router.id} does not have an interface {where}"
        )
    if port_id and subnet_id and all(row.id != subnet_id for row in mine):
        raise Invalid(f"Subnet on port {port_id} does not match the requested subnet {subnet_id}.",
                      code="subnet.mismatch_for_port", field="subnet_id")  # fmt: skip
    for row in mine:
        router_use.refuse_needed(w, router, row.id, row.cidr)
    port = mine[0].port_id
    left = [row.id for row in rows if row.port_id == port and row not in mine]
    leaves = FixedIp.subnet_id.in_([row.id for row in mine])
    w.changed(sa.delete(FixedIp).where(FixedIp.port_id == port, leaves))
    if not left:
        w.changed(sa.delete(Port).where(Port.id == port))
    w.announce("port", port)
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
    return Interface(router, port, mine[0].network_id, tuple(row.id for row in mine))
