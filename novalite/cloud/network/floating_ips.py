"""Floating addresses: taken from an external network, led to a port's address by the router between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import allocation, networks, new_ports, quota
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.forward_records import FloatingForward
from novalite.cloud.network.new_ports import NewPort
from novalite.cloud.network.records import FixedIp, FloatingIp, Network, Port, Router
from novalite.cloud.network.routing import FLOATING, FLOATING_TOPIC, INTERFACE, ROUTER_TOPIC
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class NewFloating:
    """A floating address to take. ``network_id`` is that of an external network; ``ip_address`` None: any, of
    ``subnet_id`` when given."""

    network_id: str
    ip_address: str | None = None
    port_id: str | None = None
    fixed_ip_address: str | None = None
    subnet_id: str | None = None
    description: str = ""
    project_id: str = ""


def query_visible(w: Work) -> sa.Select[FloatingIp]:
    """The caller's floating addresses with the ports they lead to; an administrator sees all."""
    query = sa.select(FloatingIp).options(selectinload(FloatingIp.port), selectinload(FloatingIp.forwards))
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
        raise _bad(f"Network {network.id} is not a valid external network", "floating_network_id")
    owner = new.project_id or w.ctx.project_id
    quota.require(w, owner, "floatingip")
    floating_id = new_id()
    port = _address_port(w, network, new, floating_id)
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


def _address_port(w: Work, network: Network, new: NewFloating, floating_id: str) -> Port:
    """The port that keeps the address: of the IPv4 subnets in their order the first that has one left."""
    usable = [subnet for subnet in allocation.eligible(network.subnets, FLOATING) if subnet.ip_version == 4]
    if new.subnet_id is not None:
        usable = [subnet for subnet in network.subnets if subnet.id == new.subnet_id and subnet.ip_version == 4]
    if not usable:
        raise _bad(f"Network {network.id} does not contain any IPv4 subnet", "subnet_id")
    full: Conflict | None = None
    for subnet in usable:
        asked = Asked(new.ip_address, new.subnet_id if new.ip_address else subnet.id)
        port = NewPort(network.id, (asked,), project_id="", device_id=floating_id, device_owner=FLOATING,
                       security_groups=())  # fmt: skip
        try:
            return new_ports.create(w, port)
        except Conflict as error:
            if error.code != "network.no_addresses":
                raise
            full = error
    raise full or _bad(f"Network {network.id} has no address left", "floating_network_id")


def _bad(reason: str, field: str) -> Invalid:
    return Invalid(f"Bad floatingip request: {reason}.", code="bad_request", field=field)


def lead(w: Work, floating: FloatingIp, port_id: str, fixed_ip_address: str | None = None) -> FloatingIp:
    """Lead a floating address to a port's (first) address, away from where it led. Raises ``NotFound`` for the port
    and for no router between them, ``Invalid`` for an address the port does not have, ``Conflict`` when another
    floating address leads there."""
    if w.session.scalar(sa.select(sa.exists().where(FloatingForward.floating_id == floating.id))):
        raise Conflict(f"Floating IP {floating.id} in use by Port Forwarding resources.",
                       code="fip.in_use_by_port_forwarding")  # fmt: skip
    port, fixed = target(w, port_id, fixed_ip_address)
    forwarded = sa.exists().where(
        FloatingForward.port_id == port_id, FloatingForward.fixed_ip_address == fixed.ip_address
    )
    if w.session.scalar(sa.select(forwarded)):
        raise Invalid(
            f"Cannot associate floating IP to port {port_id} because it already has a Port Forwarding binding.",
            code="port.has_port_forwarding",
            field="port_id",
        )
    router_id = router_between(w, floating, port, fixed)
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


def target(
    w: Work, port_id: str, wanted: str | None, *, error: Callable[[str, str], Invalid] = _bad
) -> tuple[Port, FixedIp]:
    """A port of the caller and its (first) IPv4 address, or the one ``wanted``. Raises ``NotFound`` for the port, and
    what ``error`` makes of the reason when there is no such address."""
    query = sa.select(Port).where(Port.id == port_id)
    port = w.session.scalar(query if w.ctx.is_admin else query.where(Port.project_id == w.ctx.project_id))
    if port is None:
        raise NotFound("port", port_id)
    rows = w.session.scalars(
        sa.select(FixedIp).where(FixedIp.port_id == port_id).order_by(FixedIp.position, FixedIp.address)
    )
    found = [fixed for fixed in rows if ":" not in fixed.ip_address]
    if not found:
        raise error(f"Cannot add floating IP to port {port_id} that has no fixed IPv4 addresses", "port_id")
    for fixed in found:
        if wanted in (None, fixed.ip_address):
            return port, fixed
    raise error(f"Port {port_id} does not have fixed ip {wanted}", "fixed_ip_address")


def router_between(w: Work, floating: FloatingIp, port: Port, fixed: FixedIp) -> str:
    """The id of the router that joins the address's subnet with the external network. Raises ``NotFound``."""
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
    w.announce(FLOATING_TOPIC, floating.id, floating.project_id)
    return _loaded(w, floating.id)


def _loaded(w: Work, floating_id: str) -> FloatingIp:
    """It as it is now, with its parts, whoever asks."""
    parts = selectinload(FloatingIp.port), selectinload(FloatingIp.forwards)
    query = sa.select(FloatingIp).where(FloatingIp.id == floating_id).options(*parts)
    return w.session.scalars(query, execution_options={"populate_existing": True}).one()


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
    w.changed(sa.delete(FloatingForward).where(FloatingForward.floating_id == floating_id))
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
        .where(Port.device_id == server_id, ~FixedIp.ip_address.contains(":"))
        .order_by(Port.position, Port.created_at, FixedIp.position, FixedIp.address)
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


def forget_addresses(w: Work, port_id: str, addresses: Sequence[str]) -> None:
    """A port loses these addresses: what led to them leads nowhere."""
    led = sa.select(FloatingIp).where(FloatingIp.port_id == port_id, FloatingIp.fixed_ip_address.in_(addresses))
    for floating in w.session.scalars(led).all():
        unlead(w, floating)
