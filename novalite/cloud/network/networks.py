"""Networks: which ones a project sees, which one a server gets, and what the host is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.identity import policy
from novalite.cloud.network import quota, subnets
from novalite.cloud.network.addresses import free_range, number_in
from novalite.cloud.network.port_views import FLOATING
from novalite.cloud.network.records import FixedIp, FloatingIp, Network, Port, Router, Subnet
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.drivers.network.base import NetworkSpec, SubnetSpec, UplinkSpec
from novalite.errors import Conflict, Forbidden, Invalid, NotFound

__all__ = ["NetworkRequest", "choose", "ensure_first", "free_range", "get", "list_visible", "spec", "specs"]


TOPIC = "network"
ACTIVE, DELETING = "ACTIVE", "DELETING"


@dataclass(frozen=True)
class NetworkRequest:
    """One network card asked for: a network or an existing port, perhaps with an address."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str = ""


def _visible(w: Work, *, own_only: bool = False) -> sa.ColumnElement[bool]:
    mine = sa.or_(Network.project_id == w.ctx.project_id, Network.is_shared)
    if own_only:
        return sa.and_(mine, ~Network.is_external)
    return sa.true() if w.ctx.is_admin else sa.or_(mine, Network.is_external)


def query_visible(w: Work) -> sa.Select[Network]:
    """Networks the caller may see, with their subnets."""
    return sa.select(Network).where(_visible(w)).options(selectinload(Network.subnets))


def get(w: Work, network_id: str) -> Network:
    """A network the caller may see, with its subnets."""
    network = w.session.scalar(query_visible(w).where(Network.id == network_id))
    if network is None:
        raise NotFound("network", network_id)
    return network


def list_visible(w: Work, **filters: Any) -> list[Network]:
    """Networks the caller may see, oldest first; ``filters`` are exact values of columns."""
    query = query_visible(w).filter_by(**filters).order_by(Network.created_at, Network.id)
    return list(w.session.scalars(query))


def create(
    w: Work,
    *,
    name: str,
    description: str = "",
    mtu: int = 1500,
    project_id: str = "",
    shared: bool = False,
    external: bool = False,
    admin_state_up: bool = True,
    port_security: bool = True,
) -> Network:
    """A network without a subnet: nothing on the host yet. Its guests reach the outside through a router, those of
    an ``external`` one by themselves. Raises ``OverQuota``."""
    owner = project_id or w.ctx.project_id
    quota.require(w, owner, "network")
    network = Network(
        id=new_id(),
        project_id=owner,
        name=name,
        description=description,
        is_shared=shared,
        mtu=mtu,
        nat=external,
        is_external=external,
        admin_state_up=admin_state_up,
        port_security=port_security,
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(network)
    w.session.flush()
    w.announce(TOPIC, network.id, owner)
    return get(w, network.id)


def ensure_first(w: Work, *, name: str, cidr: str, mtu: int, dns_servers: Sequence[str], project_id: str = "") -> str:
    """The id of the oldest network; when there is none, a shared one is made, owned by ``project_id`` (default:
    the caller's), which leads outside by itself. ``cidr`` is a range: 'auto' is resolved before, by ``free_range``."""
    oldest = w.session.scalar(sa.select(Network.id).order_by(Network.created_at, Network.id).limit(1))
    if oldest is not None:
        return oldest
    network = create(w, name=name, mtu=mtu, project_id=project_id, shared=True)
    network.nat = True
    subnets.create(w, network, subnets.NewSubnet(cidr=cidr, name=name, dns_servers=tuple(dns_servers)))
    return network.id


def get_own(w: Work, network_id: str) -> Network:
    """A network the caller may change: its own, or any for an administrator."""
    network = get(w, network_id)
    if not w.ctx.is_admin and network.project_id != w.ctx.project_id:
        raise NotFound("network", network_id)
    return network


def update(w: Work, network_id: str, changes: Mapping[str, Any]) -> Network:
    """Set columns of a network. Raises ``Conflict`` for one that ceases to be external while routers or floating
    addresses use it, and for one that ceases to be shared while others have ports on it."""
    network = get_own(w, network_id)
    if network.is_external and not changes.get("is_external", True):
        _refuse_used_outside(w, network_id)
    if network.is_shared and not changes.get("is_shared", True):
        _refuse_shared_use(w, network)
    for name, value in changes.items():
        setattr(network, name, value)
    if "is_external" in changes:
        network.nat = network.is_external
    network.updated_at, network.revision = w.now, network.revision + 1
    w.announce(TOPIC, network.id, network.project_id)
    return network


def _refuse_used_outside(w: Work, network_id: str) -> None:
    routers = sa.exists().where(Router.external_network_id == network_id)
    if w.session.scalar(sa.select(sa.or_(routers, sa.exists().where(FloatingIp.network_id == network_id)))):
        raise Conflict(
            f"External network {network_id} cannot be updated to be made non-external, since it has existing gateway "
            "ports.",
            code="external_network.in_use",
        )


def _refuse_shared_use(w: Work, network: Network) -> None:
    others = Port.project_id.not_in(("", network.project_id))
    if w.session.scalar(sa.select(sa.exists().where(Port.network_id == network.id, others))):
        raise Conflict(
            f"Unable to reconfigure sharing settings for network {network.id}. Multiple tenants are using it.",
            code="invalid_shared_setting",
        )


def begin_removal(w: Work, network_id: str) -> None:
    """Let nothing new onto the network, so that it can be taken from the host; may be repeated. Raises
    ``Conflict`` while it has ports; floating addresses that lead nowhere go with it."""
    network = get_own(w, network_id)
    led = sa.exists().where(FloatingIp.network_id == network_id, FloatingIp.port_id.is_not(None))
    waiting = sa.and_(Port.device_owner == FLOATING, ~led)
    ports = sa.exists().where(Port.network_id == network_id, ~waiting)
    if not w.changed(sa.update(Network).where(Network.id == network_id, ~ports).values(status=DELETING)):
        raise Conflict(
            f"Unable to complete operation on network {network_id}. There are one or more ports still in use on "
            "the network.",
            code="network.in_use",
        )
    w.announce(TOPIC, network.id, network.project_id)


def remove(w: Work, network_id: str) -> None:
    """Delete a network and its subnets; an absent one is a success."""
    own = sa.select(Subnet.id).where(Subnet.network_id == network_id).scalar_subquery()
    floating = sa.select(Port.id).where(Port.network_id == network_id, Port.device_owner == FLOATING)
    kept_back = sa.or_(FixedIp.port_id.is_(None), FixedIp.port_id.in_(floating.scalar_subquery()))
    w.changed(sa.delete(FixedIp).where(FixedIp.subnet_id.in_(own), kept_back))
    w.changed(sa.delete(FloatingIp).where(FloatingIp.network_id == network_id))
    w.changed(sa.delete(Port).where(Port.network_id == network_id, Port.device_owner == FLOATING))
    w.changed(sa.delete(Subnet).where(Subnet.network_id == network_id))
    w.changed(sa.delete(Network).where(Network.id == network_id))
    w.announce(TOPIC, network_id)


def _as_spec(network: Network) -> NetworkSpec:
    return NetworkSpec(
        id=network.id,
        name=network.name,
        project_id=network.project_id,
        subnets=tuple(map(_subnet_spec, network.subnets)),
        mtu=network.mtu,
        uplink=UplinkSpec("host") if network.nat else None,
        up=network.admin_state_up,
    )


def _subnet_spec(subnet: Subnet) -> SubnetSpec:
    return SubnetSpec(
        id=subnet.id,
        cidr=subnet.cidr,
        gateway_ip=subnet.gateway_ip if subnet.tells_gateway else "",
        dhcp=subnet.enable_dhcp,
        dns_servers=tuple(subnet.dns_servers),
        host_routes=tuple((route["destination"], route["nexthop"]) for route in subnet.host_routes),
    )


def spec(w: Work, network_id: str) -> NetworkSpec:
    """What the host is told of a network, whoever asks."""
    network = w.session.get(Network, network_id, options=[selectinload(Network.subnets)], populate_existing=True)
    if network is None or not _is_on_host(network):
        raise NotFound("network", network_id)
    return _as_spec(network)


def _is_on_host(network: Network) -> bool:
    return bool(network.subnets) and network.status == ACTIVE


def specs(w: Work) -> list[NetworkSpec]:
    """All networks, as the host is told of them."""
    found = w.session.scalars(sa.select(Network).options(selectinload(Network.subnets)).order_by(Network.created_at))
    return [_as_spec(network) for network in found if _is_on_host(network)]


def choose(w: Work, requested: str | Sequence[NetworkRequest] | None) -> list[NetworkRequest]:
    """The network cards of a new server. ``None`` and ``auto`` take the one network the project sees, ``none``
    gives no card; a list is checked and completed with each port's network.

    Raises ``Invalid`` for unknown networks and ports, ``Conflict`` for several possible networks, ports in use
    and addresses taken (messages as Nova words them).
    """
    if requested == "none":
        return []
    if requested is None or isinstance(requested, str):
        return _only_one(w, asked=requested == "auto")
    _refuse_repeated_ports(requested)
    known = _known_networks(w, requested)
    plugged = _known_ports(w, requested)
    return [_checked(w, request, known, plugged) for request in requested]


def _only_one(w: Work, *, asked: bool) -> list[NetworkRequest]:
    usable = sa.exists().where(Subnet.network_id == Network.id)
    query = sa.select(Network.id).where(_visible(w, own_only=True), Network.status == ACTIVE, usable)
    ids = w.session.scalars(query.limit(2)).all()
    if len(ids) > 1:
        raise Conflict(
            "Multiple possible networks found, use a Network ID to be more specific.", code="network.ambiguous"
        )
    if not ids and asked:
        raise Invalid(f"Unable to automatically allocate a network for project {w.ctx.project_id}", field="networks")
    return [NetworkRequest(network_id=network_id) for network_id in ids]


def _refuse_repeated_ports(requested: Sequence[NetworkRequest]) -> None:
    ports = [request.port_id for request in requested if request.port_id]
    for port_id in ports:
        if ports.count(port_id) > 1:
            raise Conflict(f"Port {port_id} is still in use.", code="port.in_use")


def _known_networks(w: Work, requested: Sequence[NetworkRequest]) -> dict[str, Network]:
    ids = {request.network_id for request in requested if request.network_id and not request.port_id}
    if not ids:
        return {}
    return {network.id: network for network in w.session.scalars(query_visible(w).where(Network.id.in_(ids)))}


def _known_ports(w: Work, requested: Sequence[NetworkRequest]) -> dict[str, Port]:
    ids = {request.port_id for request in requested if request.port_id}
    if not ids:
        return {}
    query = sa.select(Port).where(Port.id.in_(ids)).options(selectinload(Port.fixed_ips))
    if not w.ctx.is_admin:
        query = query.where(Port.project_id == w.ctx.project_id)
    return {port.id: port for port in w.session.scalars(query)}


def _checked(w: Work, request: NetworkRequest, known: dict[str, Network], plugged: dict[str, Port]) -> NetworkRequest:
    if request.port_id:
        port = plugged.get(request.port_id)
        if port is None:
            raise Invalid(f"Port id {request.port_id} could not be found.", field="networks")
        if port.device_id:
            raise Conflict(f"Port {port.id} is still in use.", code="port.in_use")
        if not port.fixed_ips:
            raise Invalid(f"Port {port.id} requires a FixedIP in order to be used.", field="networks")
        return NetworkRequest(port.network_id, port.id, port.fixed_ips[0].ip_address, request.tag)
    network = known.get(request.network_id or "")
    if network is None:
        raise Invalid(f"Network {request.network_id} could not be found.", field="networks")
    refuse_external(w, network)
    if not network.subnets:
        raise Invalid(f"Network {network.id} requires a subnet in order to boot instances on.", field="networks")
    if request.fixed_ip:
        _require_free(w, network, request.fixed_ip)
    return request


def refuse_external(w: Work, network: Network) -> None:
    """Raises ``Forbidden`` for a network that leads the caller's servers outside only by routers."""
    if network.is_external and not (network.is_shared or policy.allows("network:attach_external_network", w.ctx)):
        raise Forbidden(f"It is not allowed to create an interface on external network {network.id}")


def _require_free(w: Work, network: Network, ip_address: str) -> None:
    subnet = network.subnets[0]
    address = int(IPv4Address(number_in(subnet, ip_address)))
    taken = w.session.scalar(sa.select(FixedIp.id).where(FixedIp.subnet_id == subnet.id, FixedIp.address == address))
    if taken is not None:
        raise Invalid(f"Fixed IP address {ip_address} is already in use on network {network.id}.", field="networks")
