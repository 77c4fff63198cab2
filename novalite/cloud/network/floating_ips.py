"""Floating addresses: taken from an external network, led to a port's address by the router between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import networks, new_ports, quota
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.new_ports import NewPort
from novalite.cloud.network.records import FixedIp, FloatingIp, Network, Port, Router
from novalite.cloud.network.routing import FLOATING, FLOATING_TOPIC, INTERFACE, ROUTER_TOPIC
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class NewFloating:
    """A floating address to take. ``network`` is the id of an external network; ``ip_address`` None: any."""

    network_id: str
    ip_address: str | None = None
    port_id: str | None = None
    fixed_ip_address: str | None = None
    description: str = ""
    project_id: str = ""


def query_visible(w: Work) -> sa.Select[FloatingIp]:
    """The caller's floating addresses with the ports they lead to; an administrator sees all."""
    query = sa.select(FloatingIp).options(selectinload(FloatingIp.port))
    return query if w.ctx.is_admin else query.where(FloatingIp.project_id == w.ctx.project_id)


def list_visible(w: Work, *, everyones: bool = True) -> list[FloatingIp]:
    """The caller's floating addresses, oldest first; an administrator's list holds all, unless not ``everyones``."""
    query = query_visible(w).order_by(FloatingIp.created_at, FloatingIp.id)
    return list(w.session.scalars(query if everyones else query.where(FloatingIp.project_id == w.ctx.project_id)))


def get(w: Work, floating_id: str) -> FloatingIp:
    """One floating address of the caller."""
    query = query_visible(w).where(FloatingIp.id == floating_id)
    found = w.session.scalar(query, execution_options={"populate_existing": True})
    if found is None:
        raise NotFound("floating ip", floating_id, message=f"Floating IP {floating_id} could not be found")
    return found


def by_address(w: Work, address: str) -> FloatingIp:
    """The floating address of the caller that is ``address``. Raises ``NotFound``."""
    found = w.session.scalar(query_visible(w).where(FloatingIp.ip_address == address))
    if found is None:
        raise NotFound("floating ip", address, message=f"Floating IP not found for address {address}.")
    return found


def pools(w: Work) -> list[Network]:
    """The external networks the caller may take floating addresses from, oldest first."""
    query = networks.query_visible(w).where(Network.is_external, Network.subnets.any())
    return list(w.session.scalars(query.order_by(Network.created_at, Network.id)))


def allocate(w: Work, pool: str | None = None) -> FloatingIp:
    """Take an address from a pool: an external network's name or id; None: the first. Raises ``NotFound`` for an
    unknown pool, ``Conflict`` when it is used up, ``OverQuota``."""
    for network in pools(w):
        if pool is None or pool in (network.name, network.id):
            return create(w, NewFloating(network.id))
    raise NotFound("floating ip pool", pool or "", message="Floating IP pool not found.")


def create(w: Work, new: NewFloating) -> FloatingIp:
    """Take an address, and lead it to a port when one is given. Raises ``Invalid`` for a network that is not
    external, ``Conflict`` when the address is taken or all are, ``OverQuota``, and what ``lead`` raises."""
    network = networks.get(w, new.network_id)
    if not network.is_external or not network.subnets:
        raise Invalid(
            f"Bad floatingip request: Network {network.id} is not a valid external network.",
            code="floatingip.bad_request",
            field="floating_network_id",
        )
    owner = new.project_id or w.ctx.project_id
    quota.require(w, owner, "floatingip")
    floating_id = new_id()
    port = new_ports.create(w, NewPort(network.id, (Asked(new.ip_address),), project_id="", device_id=floating_id,
                                       device_owner=FLOATING, security_groups=()))  # fmt: skip
    found = FloatingIp(
        id=floating_id,
        project_id=owner,
        description=new.description,
        network_id=network.id,
        ip_address=port.fixed_ips[0].ip_address,
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(found)
    w.session.flush()
    if new.port_id:
        return lead(w, found, new.port_id, new.fixed_ip_address)
    w.announce(FLOATING_TOPIC, found.id, owner)
    return get(w, found.id)


def lead(w: Work, floating: FloatingIp, port_id: str, fixed_ip_address: str | None = None) -> FloatingIp:
    """Lead a floating address to a port's (first) address, away from where it led. Raises ``NotFound`` for the port
    and for no router between them, ``Invalid`` for an address the port does not have, ``Conflict`` when another
    floating address leads there."""
    query = sa.select(Port).where(Port.id == port_id)
    port = w.session.scalar(query if w.ctx.is_admin else query.where(Port.project_id == w.ctx.project_id))
    if port is None:
        raise NotFound("port", port_id)
    fixed = _fixed(w, port, fixed_ip_address)
    router_id = _router(w, floating, port, fixed)
    other = w.session.scalar(
        sa.select(FloatingIp).where(
            FloatingIp.port_id == port_id,
            FloatingIp.fixed_ip_address == fixed.ip_address,
            FloatingIp.network_id == floating.network_id,
            FloatingIp.id != floating.id,
        )
    )
    if other is not None:
        raise Conflict(
            f"Cannot associate floating IP {floating.ip_address} ({floating.id}) with port {port_id} using fixed IP "
            f"{fixed.ip_address}, as that fixed IP already has a floating IP on external network "
            f"{floating.network_id}.",
            code="floating_ip.port_already_associated",
        )
    _tell_router(w, floating)
    floating.port_id, floating.fixed_ip_address, floating.router_id = port_id, fixed.ip_address, router_id
    _tell_router(w, floating)
    return _changed(w, floating)


def _fixed(w: Work, port: Port, wanted: str | None) -> FixedIp:
    found = list(w.session.scalars(sa.select(FixedIp).where(FixedIp.port_id == port.id).order_by(FixedIp.address)))
    if not found:
        raise Invalid(f"Bad floatingip request: Cannot add floating IP to port {port.id} that has no fixed IPv4 "
                      "addresses.", code="floatingip.bad_request", field="port_id")  # fmt: skip
    for fixed in found:
        if wanted in (None, fixed.ip_address):
            return fixed
    raise Invalid(f"Bad floatingip request: Port {port.id} does not have fixed ip {wanted}.",
                  code="floatingip.bad_request", field="fixed_ip_address")  # fmt: skip


def _router(w: Work, floating: FloatingIp, port: Port, fixed: FixedIp) -> str:
    found = w.session.scalar(
        sa.select(Router.id)
        .join(Port, sa.and_(Port.device_id == Router.id, Port.device_owner == INTERFACE))
        .join(FixedIp, FixedIp.port_id == Port.id)
        .where(FixedIp.subnet_id == fixed.subnet_id, Router.external_network_id == floating.network_id)
        .order_by(Router.created_at)
        .limit(1)
    )
    if found is None:
        raise NotFound(
            "external gateway for floating ip",
            floating.network_id,
            message=f"External network {floating.network_id} is not reachable from subnet {fixed.subnet_id}.  "
            f"Therefore, cannot associate Port {port.id} with a Floating IP.",
        )
    return found


def _tell_router(w: Work, floating: FloatingIp) -> None:
    if floating.router_id:
        w.announce(ROUTER_TOPIC, floating.router_id, floating.project_id)


def _changed(w: Work, floating: FloatingIp) -> FloatingIp:
    floating.updated_at, floating.revision = w.now, floating.revision + 1
    w.session.flush()
    w.session.refresh(floating, ["port"])
    w.announce(FLOATING_TOPIC, floating.id, floating.project_id)
    return floating


def describe(w: Work, floating: FloatingIp, description: str) -> FloatingIp:
    """Change what people say of a floating address."""
    floating.description = description
    return _changed(w, floating)


def unlead(w: Work, floating: FloatingIp) -> FloatingIp:
    """It leads nowhere; repeating it is allowed."""
    _tell_router(w, floating)
    floating.port_id = floating.fixed_ip_address = floating.router_id = None
    return _changed(w, floating)


def release(w: Work, floating_id: str) -> None:
    """Give a floating address back. Raises ``NotFound``."""
    floating = get(w, floating_id)
    _tell_router(w, floating)
    port = sa.select(Port.id).where(Port.device_id == floating_id, Port.device_owner == FLOATING).scalar_subquery()
    w.changed(sa.delete(FixedIp).where(FixedIp.port_id == port))
    w.changed(sa.delete(Port).where(Port.device_id == floating_id, Port.device_owner == FLOATING))
    w.session.expunge(floating)
    w.changed(sa.delete(FloatingIp).where(FloatingIp.id == floating_id))
    w.announce(FLOATING_TOPIC, floating_id, floating.project_id)


def associate(w: Work, address: str, server_id: str, fixed_address: str | None = None) -> FloatingIp:
    """Lead ``address`` to a server: to ``fixed_address`` of it, else to the first address that a router joins with
    the floating address's network. Raises ``NotFound`` for the address, ``Invalid`` for a server without ports or
    without such a fixed address, and what ``lead`` raises."""
    floating = by_address(w, address)
    query = (
        sa.select(Port.id, FixedIp.ip_address)
        .join(FixedIp, FixedIp.port_id == Port.id)
        .where(Port.device_id == server_id)
        .order_by(Port.position, Port.created_at, FixedIp.address)
    )
    found = w.session.execute(query).all()
    if not found:
        raise Invalid(f"No fixed IPs associated to instance {server_id}.", field="address")
    if fixed_address is None:
        return _lead_first(w, floating, [(row.id, row.ip_address) for row in found])
    for row in found:
        if row.ip_address == fixed_address:
            return lead(w, floating, row.id, fixed_address)
    raise Invalid(f"Specified fixed address {fixed_address} not assigned to instance", field="fixed_address")


def _lead_first(w: Work, floating: FloatingIp, found: Sequence[tuple[str, str]]) -> FloatingIp:
    for port_id, fixed_address in found[:-1]:
        try:
            return lead(w, floating, port_id, fixed_address)
        except NotFound:
            continue  # no router between them; the next card may have one
    return lead(w, floating, *found[-1])


def disassociate(w: Work, address: str, server_id: str) -> FloatingIp:
    """Take ``address`` away from a server. Raises ``NotFound`` for the address, ``Conflict`` when it does not lead
    there."""
    floating = by_address(w, address)
    device = sa.select(Port.device_id).where(Port.id == floating.port_id)
    if floating.port_id is None or w.session.scalar(device) != server_id:
        raise Conflict(
            f"Floating IP {address} is not associated with instance {server_id}.", code="floating_ip.not_associated"
        )
    return unlead(w, floating)


def forget_ports(w: Work, port_ids: Sequence[str]) -> None:
    """Ports are going: what led to them leads nowhere."""
    for floating in w.session.scalars(sa.select(FloatingIp).where(FloatingIp.port_id.in_(port_ids))):
        unlead(w, floating)
