"""Subnets: the ranges of a network, IPv4 and IPv6, their pools, and who may see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import addresses, grants, quota, ranges, security_groups, service_ports
from novalite.cloud.network.port_views import DHCP, GATEWAY, INTERFACE
from novalite.cloud.network.ranges import Pool, Range
from novalite.cloud.network.records import AllocationPool, FixedIp, Network, Port, Subnet
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class NewSubnet:
    """A subnet to make. ``gateway_ip`` empty: the first address, None: there is none; ``pools`` (first and last
    address) None: all but the gateway."""

    cidr: str
    gateway_ip: str | None = ""
    pools: tuple[tuple[str, str], ...] | None = None
    name: str = ""
    description: str = ""
    enable_dhcp: bool = True
    dns_servers: tuple[str, ...] = ()
    host_routes: tuple[dict[str, str], ...] = ()
    ra_mode: str | None = None
    address_mode: str | None = None
    service_types: tuple[str, ...] = ()
    dns_publish_fixed_ip: bool = False
    project_id: str = ""


def create(w: Work, network: Network, new: NewSubnet, *, machine_uses: Iterable[str] = ()) -> Subnet:
    """A subnet of a network, and an address on it for the network's own port. On a network that the machine itself is
    on it may not overlap what ``machine_uses``.

    Raises ``Invalid`` for values that do not fit together, ``Conflict`` for pools that do not, ``OverQuota``.
    """
    range_ = ranges.parse(new.cidr)
    ranges.check_use(range_)
    ranges.check_dhcp(range_, dhcp=new.enable_dhcp)
    ranges.check_modes(range_, new.ra_mode, new.address_mode, dhcp=new.enable_dhcp)
    gateway = ranges.gateway(range_, new.gateway_ip)
    pools = ranges.pools(range_, gateway, new.pools)
    owner = new.project_id or network.project_id
    quota.require(w, owner, "subnet")
    _refuse_overlap(w, network, range_, machine_uses)
    subnet = Subnet(
        id=new_id(),
        network_id=network.id,
        project_id=owner,
        name=new.name,
        description=new.description,
        cidr=str(range_),
        ip_version=range_.version,
        gateway_ip=None if gateway is None else str(gateway),
        enable_dhcp=new.enable_dhcp,
        ipv6_ra_mode=new.ra_mode,
        ipv6_address_mode=new.address_mode,
        dns_servers=_name_servers(new.dns_servers, range_.version),
        host_routes=_routes(new.host_routes, range_.version),
        service_types=list(new.service_types),
        dns_publish_fixed_ip=new.dns_publish_fixed_ip,
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(subnet)
    w.session.flush()
    _set_pools(w, subnet, pools)
    if ranges.is_automatic(subnet.ipv6_address_mode):
        _join_ports(w, subnet)
    service_ports.sync(w, network.id)
    w.session.expire(network, ["subnets"])
    w.announce("network", network.id, network.project_id)
    return get(w, subnet.id)


def _refuse_overlap(w: Work, network: Network, range_: Range, machine_uses: Iterable[str]) -> None:
    for other in w.session.scalars(sa.select(Subnet.cidr).where(Subnet.network_id == network.id)):
        if _overlap(range_, other):
            raise ranges.refused(
                f"Requested subnet with cidr: {range_} for network: {network.id} overlaps with another subnet", "cidr"
            )
    if not network.nat:
        return
    beside = sa.select(Subnet.cidr).join(Network, Network.id == Subnet.network_id)
    for used in (*w.session.scalars(beside.where(Network.nat)), *machine_uses):
        if _overlap(range_, used):
            raise ranges.refused(
                f"Requested subnet with cidr: {range_} for network: {network.id} overlaps with {used}, which the "
                "machine itself uses, and it is on this network",
                "cidr",
            )


def _overlap(range_: Range, other: str) -> bool:
    second = ip_network(other, strict=False)
    if second.prefixlen == 0 or second.version != range_.version:
        return False
    return int(range_[0]) <= int(second[-1]) and int(second[0]) <= int(range_[-1])


def _set_pools(w: Work, subnet: Subnet, pools: Sequence[Pool]) -> None:
    w.changed(sa.delete(AllocationPool).where(AllocationPool.subnet_id == subnet.id))
    w.session.add_all(
        AllocationPool(subnet_id=subnet.id, position=position, first_ip=str(first), last_ip=str(last))
        for position, (first, last) in enumerate(pools)
    )
    w.session.flush()


def _join_ports(w: Work, subnet: Subnet) -> None:
    """Ports that are on the network already make themselves an address of a new range too."""
    there = sa.select(Port.id, Port.mac_address, Port.project_id).where(
        Port.network_id == subnet.network_id, Port.device_owner.not_in((INTERFACE, DHCP)), Port.ip_allocation != "none"
    )
    for row in w.session.execute(there).all():
        w.session.add(addresses.fixed(subnet, ranges.of_mac(subnet.cidr, row.mac_address), row.id, position=_LAST))
        w.announce("port", row.id, row.project_id)
        w.announce(security_groups.PORT_TOPIC, row.id, row.project_id)
    w.session.flush()


_LAST = 100


def remove(w: Work, subnet_id: str) -> None:
    """Delete a subnet; an absent one is a success. Raises ``Conflict`` while ports have addresses of it that they do
    not make themselves; the network's own port does not count."""
    subnet = w.session.get(Subnet, subnet_id)
    if subnet is None:
        return
    counts = Port.device_owner.in_((INTERFACE,)) if _is_automatic(subnet) else Port.device_owner != DHCP
    in_use = sa.select(FixedIp.id).join(Port, Port.id == FixedIp.port_id).where(FixedIp.subnet_id == subnet_id, counts)
    if w.session.scalar(in_use.limit(1)) is not None:
        raise Conflict(
            f"Unable to complete operation on subnet {subnet_id}: One or more ports have an IP allocation from "
            "this subnet.",
            code="subnet.in_use",
        )
    subnet.enable_dhcp = False
    service_ports.sync(w, subnet.network_id)
    w.session.expunge(subnet)
    w.changed(sa.delete(FixedIp).where(FixedIp.subnet_id == subnet_id))
    w.changed(sa.delete(AllocationPool).where(AllocationPool.subnet_id == subnet_id))
    w.changed(sa.delete(Subnet).where(Subnet.id == subnet_id))
    w.announce("network", subnet.network_id, subnet.project_id)


def _is_automatic(subnet: Subnet) -> bool:
    return ranges.is_automatic(subnet.ipv6_address_mode)


def query_visible(w: Work) -> sa.Select[Subnet]:
    """Subnets of networks the caller may see, with their pools; those of external networks are their owner's
    business."""
    query = sa.select(Subnet).join(Network, Network.id == Subnet.network_id).options(selectinload(Subnet.pools))
    if w.ctx.is_admin:
        return query
    given = grants.granted(w.ctx, Network.id, grants.SHARED)
    return query.where(sa.or_(Network.project_id == w.ctx.project_id, given))


def list_visible(w: Work) -> list[Subnet]:
    """Subnets of networks the caller may see, oldest first."""
    return list(w.session.scalars(query_visible(w).order_by(Subnet.created_at, Subnet.id)))


def get(w: Work, subnet_id: str) -> Subnet:
    """A subnet as it is in the database now, with its pools."""
    query = query_visible(w).where(Subnet.id == subnet_id)
    subnet = w.session.scalar(query, execution_options={"populate_existing": True})
    if subnet is None:
        raise NotFound("subnet", subnet_id)
    return subnet


def get_own(w: Work, subnet_id: str) -> Subnet:
    """A subnet the caller may change: its own, or any for an administrator."""
    subnet = get(w, subnet_id)
    if not w.ctx.is_admin and subnet.project_id != w.ctx.project_id:
        raise NotFound("subnet", subnet_id)
    return subnet


def _name_servers(texts: Iterable[str], version: int) -> list[str]:
    return [str(ranges.address(text, "dns_nameservers", version=version)) for text in texts]


def _routes(routes: Iterable[Mapping[str, str]], version: int) -> list[dict[str, str]]:
    return [ranges.route(route["destination"], route["nexthop"], version) for route in routes]


def update(w: Work, subnet_id: str, changes: Mapping[str, Any]) -> Subnet:
    """Set columns of a subnet, its ``gateway_ip`` (None: there is none), ``host_routes`` and ``pools`` among them.
    Raises ``Invalid``, and ``Conflict`` for a gateway in a pool, or one that a router has."""
    subnet = get_own(w, subnet_id)
    range_ = ip_network(subnet.cidr)
    rest = dict(changes)
    if "dns_servers" in rest:
        rest["dns_servers"] = _name_servers(rest["dns_servers"], subnet.ip_version)
    if "host_routes" in rest:
        rest["host_routes"] = _routes(rest["host_routes"], subnet.ip_version)
    wanted = rest.pop("pools", None)
    if "gateway_ip" in rest:
        _move_gateway(w, subnet, rest.pop("gateway_ip"), keeps_pools=wanted is None)
    if wanted is not None:
        gateway = ip_address(subnet.gateway_ip) if subnet.gateway_ip else None
        _set_pools(w, subnet, ranges.pools(range_, gateway, wanted))
    if not rest.get("enable_dhcp", True):
        _refuse_modes(subnet)
    ranges.check_dhcp(range_, dhcp=rest.get("enable_dhcp", subnet.enable_dhcp))
    for name, value in rest.items():
        setattr(subnet, name, value)
    subnet.updated_at, subnet.revision = w.now, subnet.revision + 1
    w.session.flush()
    service_ports.sync(w, subnet.network_id)
    w.announce("network", subnet.network_id, subnet.project_id)
    return get(w, subnet_id)


def _refuse_modes(subnet: Subnet) -> None:
    if subnet.ipv6_ra_mode or subnet.ipv6_address_mode:
        raise Invalid(
            "Invalid input for operation: Cannot disable enable_dhcp with ipv6 attributes set.",
            code="invalid_input",
            field="enable_dhcp",
        )


def _move_gateway(w: Work, subnet: Subnet, gateway_ip: str | None, *, keeps_pools: bool) -> None:
    gateway = ranges.gateway(ip_network(subnet.cidr), gateway_ip or None)
    if subnet.gateway_ip == (None if gateway is None else str(gateway)):
        return
    query = sa.select(Port.id).join(FixedIp, FixedIp.port_id == Port.id)
    routed = Port.device_owner.in_((INTERFACE, GATEWAY))
    there = query.where(FixedIp.subnet_id == subnet.id, FixedIp.ip_address == subnet.gateway_ip, routed)
    port_id = w.session.scalar(there.limit(1))
    if port_id is not None:
        raise Conflict(
            f"Current gateway ip {subnet.gateway_ip} already in use by port {port_id}. Unable to update.",
            code="gateway_ip.in_use",
        )
    if keeps_pools:
        ranges.check_gateway(gateway, pools(subnet))
    subnet.gateway_ip = None if gateway is None else str(gateway)


def pools(subnet: Subnet) -> list[Pool]:
    """First and last addresses that ports get; the subnet has its pools loaded."""
    return [(ip_address(pool.first_ip), ip_address(pool.last_ip)) for pool in subnet.pools]
