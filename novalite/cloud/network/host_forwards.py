"""Ports of the machine that lead to servers: directly where the machine is on the server's network, else through a
port of the gateway of the router that leads there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from novalite.cloud.network.forward_records import HostForward
from novalite.cloud.network.port_views import GATEWAY, INTERFACE
from novalite.cloud.network.protocols import number
from novalite.cloud.network.records import (
    FixedIp,
    Network,
    Port,
    PortSecurityGroup,
    Router,
    SecurityGroupRule,
)
from novalite.cloud.network.routing import ROUTER_TOPIC
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.drivers.network.base import HostForwardSpec
from novalite.errors import Conflict, Invalid, NotFound

TOPIC = "host_forward"
"""What is announced when the ports of the machine that lead to servers are others."""
PROTOCOLS = ("tcp", "udp")
_ROUTER_PORTS = range(20000, 30000)
"""Which ports of a router's gateway are taken for it."""


@dataclass(frozen=True)
class NewForward:
    """Port ``host_port`` of the machine leads to port ``guest_port`` of the server's first address that can be
    reached."""

    server_id: str
    host_port: int
    guest_port: int
    protocol: str = "tcp"


@dataclass(frozen=True)
class Way:
    """To an address of a port: directly (``router_id`` None) or by a router."""

    port_id: str
    project_id: str
    address: str
    router_id: str | None = None


def list_visible(w: Work) -> list[HostForward]:
    """The caller's forwards by port; an administrator sees all."""
    query = sa.select(HostForward).order_by(HostForward.host_port, HostForward.protocol)
    return list(w.session.scalars(query if w.ctx.is_admin else query.where(HostForward.project_id == w.ctx.project_id)))


@dataclass(frozen=True)
class Told:
    """A forward, the server it leads to, and whether the server's security groups let its packets in."""

    forward: HostForward
    server_id: str
    let_in: bool


def told(w: Work, forwards: Sequence[HostForward]) -> list[Told]:
    """What people are told of forwards, in two queries for all."""
    ids = [forward.port_id for forward in forwards]
    ports = {
        row.id: row
        for row in w.session.execute(sa.select(Port.id, Port.device_id, Port.port_security).where(Port.id.in_(ids)))
    }
    rules: dict[str, list[SecurityGroupRule]] = {}
    for row in w.session.execute(_letting_in(ids)):
        rules.setdefault(row.port_id, []).append(row.SecurityGroupRule)
    return [
        Told(
            forward,
            ports[forward.port_id].device_id,
            not ports[forward.port_id].port_security
            or any(_lets_in(rule, forward) for rule in rules.get(forward.port_id, ())),
        )
        for forward in forwards
    ]


def _letting_in(port_ids: Sequence[str]) -> Any:
    """Rules of the ports' groups that let packets in, whoever sent them."""
    return (
        sa.select(PortSecurityGroup.port_id, SecurityGroupRule)
        .join(SecurityGroupRule, SecurityGroupRule.group_id == PortSecurityGroup.group_id)
        .where(
            PortSecurityGroup.port_id.in_(port_ids),
            SecurityGroupRule.direction == "ingress",
            SecurityGroupRule.ethertype == "IPv4",
            SecurityGroupRule.remote_group_id.is_(None),
            SecurityGroupRule.remote_address_group_id.is_(None),
        )
    )


def create(w: Work, new: NewForward, *, refused_ports: Iterable[int] = ()) -> HostForward:
    """Raises ``Invalid`` for ports that are none or that the machine itself needs (``refused_ports``) and for a server
    that cannot be reached, ``Conflict`` for a port of the machine that leads elsewhere already."""
    _check(new, set(refused_ports))
    way = _way(w, new.server_id)
    made = HostForward(
        id=new_id(), project_id=way.project_id, protocol=new.protocol, host_port=new.host_port, port_id=way.port_id,
        fixed_ip_address=way.address, guest_port=new.guest_port, router_id=way.router_id,
        router_port=_free_router_port(w, way.router_id, new.protocol), created_at=w.now,
    )  # fmt: skip
    try:
        with w.session.begin_nested():
            w.session.add(made)
            w.session.flush()
    except IntegrityError:
        raise Conflict(
            f"Port {new.host_port} ({new.protocol}) of the machine leads to a server already.",
            code="host_forward.exists",
            hint="Remove that forward first, or choose another port.",
        ) from None
    _tell(w, made)
    return made


def _check(new: NewForward, refused_ports: set[int]) -> None:
    if new.protocol not in PROTOCOLS:
        raise Invalid(f"'{new.protocol[:20]}' is not tcp or udp.", field="protocol")
    for field in ("host_port", "guest_port"):
        if not 1 <= getattr(new, field) <= 65535:
            raise Invalid(f"{getattr(new, field)} is not a port from 1 to 65535.", field=field)
    if new.protocol == "tcp" and new.host_port in refused_ports:
        raise Invalid(f"Port {new.host_port} is one that this machine itself needs.", field="host_port")


def _way(w: Work, server_id: str) -> Way:
    """The first of the server's addresses that the machine can reach: one of a network that it is on before one behind
    a router with a gateway."""
    query = (
        sa.select(Port.id, Port.project_id, FixedIp.ip_address, FixedIp.subnet_id, Network.nat, Network.lan)
        .join(FixedIp, FixedIp.port_id == Port.id)
        .join(Network, Network.id == Port.network_id)
        .where(Port.device_id == server_id, ~FixedIp.ip_address.contains(":"))
        .order_by(Port.position, Port.created_at, FixedIp.position, FixedIp.address)
    )
    rows = w.session.execute(query).all()
    if not rows:
        raise Invalid(f"Server {server_id} has no IPv4 address.", field="server_id")
    for row in rows:
        if row.nat or row.lan:
            return Way(row.id, row.project_id, row.ip_address)
    for row in rows:
        router_id = _router(w, row.subnet_id)
        if router_id is not None:
            return Way(row.id, row.project_id, row.ip_address, router_id)
    raise Invalid(
        f"The machine cannot reach server {server_id}: none of its networks has a router with a gateway on a network "
        "that the machine is on.",
        field="server_id",
        code="host_forward.no_way",
    )


def _router(w: Work, subnet_id: str) -> str | None:
    """A router on the subnet whose gateway is on a network that the machine is on."""
    query = (
        sa.select(Router.id)
        .join(Port, sa.and_(Port.device_id == Router.id, Port.device_owner == INTERFACE))
        .join(FixedIp, FixedIp.port_id == Port.id)
        .join(Network, Network.id == Router.external_network_id)
        .where(FixedIp.subnet_id == subnet_id, Network.nat)
        .order_by(Router.created_at)
        .limit(1)
    )
    return w.session.scalar(query)


def _free_router_port(w: Work, router_id: str | None, protocol: str) -> int | None:
    if router_id is None:
        return None
    mine = sa.select(HostForward.router_port).where(
        HostForward.router_id == router_id, HostForward.protocol == protocol
    )
    taken = set(w.session.scalars(mine))
    for port in _ROUTER_PORTS:
        if port not in taken:
            return port
    raise Conflict(f"Router {router_id} forwards as many ports as it can.", code="host_forward.exhausted")


def _tell(w: Work, forward: HostForward) -> None:
    w.announce(TOPIC, forward.id, forward.project_id)
    if forward.router_id:
        w.announce(ROUTER_TOPIC, forward.router_id, forward.project_id)


def delete(w: Work, forward_id: str) -> None:
    """Raises ``NotFound``."""
    forward = next((one for one in list_visible(w) if one.id == forward_id), None)
    if forward is None:
        raise NotFound("host forward", forward_id, message=f"There is no forward {forward_id}.")
    _remove(w, forward)


def _remove(w: Work, forward: HostForward) -> None:
    w.session.delete(forward)
    w.session.flush()
    _tell(w, forward)


def forget_ports(w: Work, port_ids: Sequence[str], addresses: Sequence[str] | None = None) -> None:
    """Ports are going, or these addresses of them: nothing leads there any more."""
    query = sa.select(HostForward).where(HostForward.port_id.in_(port_ids))
    if addresses is not None:
        query = query.where(HostForward.fixed_ip_address.in_(addresses))
    for forward in w.session.scalars(query).all():
        _remove(w, forward)


def forget_router(w: Work, router_id: str) -> None:
    """The router is going, or its way outside."""
    for forward in w.session.scalars(sa.select(HostForward).where(HostForward.router_id == router_id)).all():
        _remove(w, forward)


def specs(w: Work) -> tuple[HostForwardSpec, ...]:
    """What the machine is told: all of its ports that lead somewhere now. Guests on LANs may have got other addresses
    since."""
    router_port = sa.and_(Port.device_id == HostForward.router_id, Port.device_owner == GATEWAY)
    query = sa.select(
        HostForward,
        _address(router_port).label("gateway"),
        _address(Port.id == HostForward.port_id, FixedIp.ip_address == HostForward.fixed_ip_address).label("asked"),
        _address(Port.id == HostForward.port_id).label("other"),
    )
    found = []
    for forward, gateway, asked, other in w.session.execute(query.order_by(HostForward.host_port)):
        address, port = asked or other, forward.guest_port
        if forward.router_id is not None:
            address, port = gateway, forward.router_port
        if address and port:
            found.append(HostForwardSpec(forward.protocol, forward.host_port, address, port))
    return tuple(found)


def _address(*which: sa.ColumnElement[bool]) -> Any:
    """An IPv4 address of the port of a forward, or of its router's gateway."""
    query = sa.select(sa.func.min(FixedIp.ip_address)).join(Port, Port.id == FixedIp.port_id)
    return query.where(*which, ~FixedIp.ip_address.contains(":")).correlate(HostForward).scalar_subquery()


def lead_to(w: Work, port_ids: Iterable[str]) -> bool:
    """Whether a port of the machine leads to one of these ports."""
    return bool(w.session.scalar(sa.select(sa.exists().where(HostForward.port_id.in_(list(port_ids))))))


def _lets_in(rule: SecurityGroupRule, forward: HostForward) -> bool:
    protocol = number(rule.protocol) or None
    if protocol not in (None, number(forward.protocol)):
        return False
    if rule.port_min is not None and not rule.port_min <= forward.guest_port <= (rule.port_max or rule.port_min):
        return False
    return rule.remote_prefix is None or ip_network(rule.remote_prefix, strict=False).prefixlen == 0
