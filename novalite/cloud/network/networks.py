"""Networks: which ones a project sees, which one a server gets, and what the host is told of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.identity import policy
from novalite.cloud.network import grants, options, quota, ranges, subnets
from novalite.cloud.network.addresses import free_range
from novalite.cloud.network.port_views import DHCP, FLOATING
from novalite.cloud.network.ranges import refused
from novalite.cloud.network.records import AllocationPool, FixedIp, FloatingIp, Network, Port, Router, Subnet
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.drivers.network.base import NetworkSpec, SubnetSpec, UplinkSpec
from novalite.errors import Conflict, Forbidden, Invalid, NotFound

__all__ = ["NetworkRequest", "choose", "ensure_first", "free_range", "get", "list_visible", "spec", "specs"]


TOPIC = "network"
LOCAL = "local"


@dataclass(frozen=True)
class NetworkRequest:
    """One network card asked for: a network or an existing port, perhaps with an address."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str = ""


def _visible(w: Work, *, own_only: bool = False) -> sa.ColumnElement[bool]:
    if own_only:
        given = grants.granted(w.ctx, Network.id, grants.SHARED)
        return sa.and_(sa.or_(Network.project_id == w.ctx.project_id, given), ~Network.is_external)
    return grants.visible(w, Network)


def query_visible(w: Work) -> sa.Select[Network]:
    """Networks the caller may see, with their subnets and whom they are shared with."""
    parts = selectinload(Network.subnets).selectinload(Subnet.subnetpool), selectinload(Network.grants)
    return sa.select(Network).where(_visible(w)).options(*parts)


def get(w: Work, network_id: str) -> Network:
    """A network the caller may see, with its subnets."""
    query = query_visible(w).where(Network.id == network_id)
    network = w.session.scalar(query, execution_options={"populate_existing": True})
    if network is None:
        raise NotFound("network", network_id)
    return network


def list_visible(w: Work, **filters: Any) -> list[Network]:
    """Networks the caller may see, oldest first; ``filters`` are exact values of columns."""
    query = query_visible(w).filter_by(**filters).order_by(Network.created_at, Network.id)
    return list(w.session.scalars(query))


@dataclass(frozen=True)
class Provider:
    """How a network is carried: Neutron's ``provider:network_type`` (local, flat, vlan) and what belongs to it."""

    network_type: str = "local"
    physical_network: str | None = None
    segmentation_id: int | None = None


@dataclass(frozen=True)
class NewNetwork:
    """A network to make, without a subnet."""

    name: str
    description: str = ""
    mtu: int = 1500
    project_id: str = ""
    shared: bool = False
    external: bool = False
    admin_state_up: bool = True
    port_security: bool = True
    provider: Provider = Provider()
    dns_domain: str = ""
    zone_hints: tuple[str, ...] = ()
    vlan_transparent: bool | None = None
    lan: bool = False


def create(w: Work, new: NewNetwork) -> Network:
    """Its guests reach the outside through a router; the machine itself is on an ``external`` one that is not carried
    by a physical network. Raises ``Invalid`` and ``Conflict`` for a provider that cannot be, ``OverQuota``."""
    owner = new.project_id or w.ctx.project_id
    _check_provider(w, new.provider)
    quota.require(w, owner, "network")
    network = Network(
        id=new_id(),
        project_id=owner,
        name=new.name,
        description=new.description,
        is_shared=new.shared,
        mtu=new.mtu,
        nat=new.external and new.provider.network_type == LOCAL,
        is_external=new.external,
        admin_state_up=new.admin_state_up,
        port_security=new.port_security,
        network_type=new.provider.network_type,
        physical_network=new.provider.physical_network,
        segmentation_id=new.provider.segmentation_id,
        dns_domain=new.dns_domain,
        availability_zone_hints=list(new.zone_hints),
        vlan_transparent=new.vlan_transparent,
        lan=new.lan,
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(network)
    w.session.flush()
    for action, on in ((grants.SHARED, new.shared), (grants.EXTERNAL, new.external)):
        if on:
            grants.open_to_all(w, "network", network.id, owner, action)
    w.announce(TOPIC, network.id, owner)
    return get(w, network.id)


def _check_provider(w: Work, provider: Provider) -> None:
    kind, physical, vlan = provider.network_type, provider.physical_network, provider.segmentation_id
    if kind == LOCAL:
        for name, value in (("physical_network", physical), ("segmentation_id", vlan)):
            if value is not None:
                raise refused(f"{name} prohibited for local provider network", f"provider:{name}")
        return
    if physical is None:
        raise refused(f"physical_network required for {kind} provider network", "provider:physical_network")
    if kind == "flat" and vlan is not None:
        raise refused("segmentation_id prohibited for flat provider network", "provider:segmentation_id")
    if kind == "vlan" and (vlan is None or not 1 <= vlan <= 4094):
        raise refused(f"segmentation_id out of range (1 through 4094): {vlan}", "provider:segmentation_id")
    if physical not in options.interfaces(w):
        raise refused(f"physical_network '{physical}' unknown for {kind} provider network", "provider:physical_network")
    same = sa.exists().where(
        Network.network_type == kind, Network.physical_network == physical,
        Network.segmentation_id.is_(None) if vlan is None else Network.segmentation_id == vlan,
    )  # fmt: skip
    if w.session.scalar(sa.select(same)):
        raise Conflict(_in_use(physical, vlan), code="vlan_id.in_use" if vlan else "flat_network.in_use")


def _in_use(physical: str, vlan: int | None) -> str:
    if vlan is None:
        return f"Unable to create the flat network. Physical network {physical} is in use."
    return f"Unable to create the network. The VLAN {vlan} on physical network {physical} is in use."


def exist(w: Work) -> bool:
    """Whether there is any network."""
    return bool(w.session.scalar(sa.select(sa.exists().select_from(Network))))


def ensure_first(
    w: Work, *, name: str, cidr: str, mtu: int, dns_servers: Sequence[str] = (), project_id: str = ""
) -> str:
    """The id of the oldest network; when there is none, a shared one is made, owned by ``project_id`` (default:
    the caller's), which leads outside by itself. ``cidr`` is a range: 'auto' is resolved before, by ``free_range``."""
    oldest = w.session.scalar(sa.select(Network.id).order_by(Network.created_at, Network.id).limit(1))
    if oldest is not None:
        return oldest
    network = create(w, NewNetwork(name, mtu=mtu, project_id=project_id, shared=True))
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
        network.nat = network.is_external and network.network_type == LOCAL
    _reach(w, network, changes)
    network.updated_at, network.revision = w.now, network.revision + 1
    w.announce(TOPIC, network.id, network.project_id)
    w.session.flush()
    return get(w, network_id)


def _reach(w: Work, network: Network, changes: Mapping[str, Any]) -> None:
    """RBAC policies say what the network's own columns do."""
    for column, action in (("is_shared", grants.SHARED), ("is_external", grants.EXTERNAL)):
        if changes.get(column):
            grants.open_to_all(w, "network", network.id, network.project_id, action)
        elif column in changes:
            grants.close(w, network.id, action, everybody_only=action == grants.SHARED)
    w.session.flush()


def set_reach(w: Work, network_id: str, *, shared: bool, external: bool) -> None:
    """The other way round: RBAC policies have changed whom the network is for."""
    network = w.session.get_one(Network, network_id)
    if network.is_external != external:
        network.nat = external and network.network_type == LOCAL
    network.is_shared, network.is_external = shared, external
    network.updated_at, network.revision = w.now, network.revision + 1
    w.session.flush()
    w.announce(TOPIC, network_id, network.project_id)


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


def delete(w: Work, network_id: str) -> None:
    """Delete a network with its subnets, its own port, and floating addresses that lead nowhere. Raises ``Conflict``
    while it has other ports."""
    network = get_own(w, network_id)
    led = sa.exists().where(FloatingIp.network_id == network_id, FloatingIp.port_id.is_not(None))
    goes_along = sa.or_(Port.device_owner == DHCP, sa.and_(Port.device_owner == FLOATING, ~led))
    if w.session.scalar(sa.select(sa.exists().where(Port.network_id == network_id, ~goes_along))):
        raise Conflict(
            f"Unable to complete operation on network {network_id}. There are one or more ports still in use on "
            "the network.",
            code="network.in_use",
        )
    grants.forget(w, network_id)
    own = sa.select(Subnet.id).where(Subnet.network_id == network_id)
    w.changed(sa.delete(FixedIp).where(FixedIp.subnet_id.in_(own)))
    w.changed(sa.delete(AllocationPool).where(AllocationPool.subnet_id.in_(own)))
    w.changed(sa.delete(FloatingIp).where(FloatingIp.network_id == network_id))
    w.changed(sa.delete(Port).where(Port.network_id == network_id))
    w.changed(sa.delete(Subnet).where(Subnet.network_id == network_id))
    w.session.expunge(network)
    w.changed(sa.delete(Network).where(Network.id == network_id))
    w.announce(TOPIC, network_id, network.project_id)


@dataclass(frozen=True)
class _Settings:
    """What all networks have in common."""

    upstream_dns: tuple[str, ...]
    dns_domain: str
    interfaces: Mapping[str, str]

    @classmethod
    def of(cls, w: Work) -> _Settings:
        return cls(options.upstream_dns(w), options.dns_domain(w), options.interfaces(w))


def _as_spec(network: Network, settings: _Settings) -> NetworkSpec:
    return NetworkSpec(
        id=network.id,
        name=network.name,
        project_id=network.project_id,
        subnets=tuple(map(_subnet_spec, network.subnets)),
        mtu=network.mtu,
        dns_domain=network.dns_domain.rstrip(".") or settings.dns_domain,
        upstream_dns=settings.upstream_dns,
        uplink=_uplink(network, settings.interfaces),
        up=network.admin_state_up,
        lan_addresses=network.lan,
    )


def _uplink(network: Network, interfaces: Mapping[str, str]) -> UplinkSpec | None:
    """A physical network that settings no longer name leads nowhere."""
    if network.network_type == LOCAL:
        return UplinkSpec("host") if network.nat else None
    interface = interfaces.get(network.physical_network or "")
    if interface is None:
        return None
    return UplinkSpec(network.network_type, interface, network.segmentation_id or 0, nat=False)


def _subnet_spec(subnet: Subnet) -> SubnetSpec:
    return SubnetSpec(
        id=subnet.id,
        cidr=subnet.cidr,
        gateway_ip=subnet.gateway_ip or "",
        dhcp=subnet.enable_dhcp,
        server_ip=subnet.server_ip,
        dns_servers=tuple(subnet.dns_servers),
        host_routes=tuple((route["destination"], route["nexthop"]) for route in subnet.host_routes),
        ra_mode=subnet.ipv6_ra_mode or "",
        address_mode=subnet.ipv6_address_mode or "",
    )


def spec(w: Work, network_id: str) -> NetworkSpec:
    """What the machine is told of a network, whoever asks. Raises ``NotFound``."""
    found = _specs(w, [network_id])
    if not found:
        raise NotFound("network", network_id)
    return found[0]


def specs(w: Work, ids: Iterable[str] | None = None) -> list[NetworkSpec]:
    """All networks, or these, as the machine is told of them; those that nothing can be on are left out."""
    return _specs(w, None if ids is None else list(ids))


def _specs(w: Work, ids: list[str] | None) -> list[NetworkSpec]:
    query = sa.select(Network).options(selectinload(Network.subnets)).order_by(Network.created_at, Network.id)
    if ids is not None:
        query = query.where(Network.id.in_(ids))
    settings = _Settings.of(w)
    found = w.session.scalars(query, execution_options={"populate_existing": True})
    return [_as_spec(network, settings) for network in found if network.subnets or network.network_type != LOCAL]


def cut_off(w: Work) -> list[Network]:
    """Provider networks whose physical network no setting names."""
    known = list(options.interfaces(w))
    query = sa.select(Network).where(Network.network_type != LOCAL, Network.physical_network.not_in(known))
    return list(w.session.scalars(query.order_by(Network.id)))


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


def usable(w: Work) -> sa.Select[str]:
    """Ids of the networks that the project's servers may be on when none is named."""
    has_addresses = sa.or_(Network.lan, sa.exists().where(Subnet.network_id == Network.id))
    return sa.select(Network.id).where(_visible(w, own_only=True), has_addresses)


def _only_one(w: Work, *, asked: bool) -> list[NetworkRequest]:
    ids = w.session.scalars(usable(w).limit(2)).all()
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
        refuse_unusable(port, "networks")
        address = port.fixed_ips[0].ip_address if port.fixed_ips else None
        return NetworkRequest(port.network_id, port.id, address, request.tag)
    network = known.get(request.network_id or "")
    if network is None:
        raise Invalid(f"Network {request.network_id} could not be found.", field="networks")
    refuse_external(w, network)
    refuse_without_subnet(network, "networks")
    if request.fixed_ip:
        _require_free(w, network, request.fixed_ip)
    return request


def refuse_unusable(port: Port, field: str) -> None:
    """Raises ``Conflict`` for a port in use, ``Invalid`` for one that lacks an address it should have."""
    if port.device_id:
        raise Conflict(f"Port {port.id} is still in use.", code="port.in_use")
    if not port.fixed_ips and port.ip_allocation not in ("none", "deferred"):
        raise Invalid(f"Port {port.id} requires a FixedIP in order to be used.", field=field)


def refuse_without_subnet(network: Network, field: str) -> None:
    """Raises ``Invalid`` for a network whose guests could get no address."""
    if not network.subnets and not network.lan:
        raise Invalid(f"Network {network.id} requires a subnet in order to boot instances on.", field=field)


def refuse_external(w: Work, network: Network) -> None:
    """Raises ``Forbidden`` for a network that leads the caller's servers outside only by routers."""
    shared = grants.is_shared(network.grants, w.ctx)
    if network.is_external and not (shared or policy.allows("network:attach_external_network", w.ctx)):
        raise Forbidden(f"It is not allowed to create an interface on external network {network.id}")


def _require_free(w: Work, network: Network, ip_address: str) -> None:
    try:
        wanted = ranges.address(ip_address, "networks")
    except Invalid as error:
        raise Invalid(f"IP address {ip_address} is not valid.", field="fixed_ip") from error
    if not any(ranges.holds(ip_network(subnet.cidr), wanted) for subnet in network.subnets):
        raise Invalid(
            f"IP address {ip_address} is not a valid IP for any of the subnets on the specified network.",
            field="fixed_ip",
        )
    own = [subnet.id for subnet in network.subnets]
    taken = sa.select(FixedIp.id).where(FixedIp.subnet_id.in_(own), FixedIp.ip_address == str(wanted))
    gateways = {subnet.gateway_ip for subnet in network.subnets} if network.nat else set()
    if w.session.scalar(taken.limit(1)) is not None or str(wanted) in gateways:
        raise Invalid(f"Fixed IP address {ip_address} is already in use on network {network.id}.", field="networks")
