"""Subnets: the IPv4 range of a network and who may see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import sqlalchemy as sa

from novalite.cloud.network import quota
from novalite.cloud.network.addresses import parse_range
from novalite.cloud.network.records import FixedIp, Network, Subnet
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class NewSubnet:
    """A subnet to make. ``gateway_ip`` empty: the first address, None: guests are told of no gateway (the machine
    has the first address all the same, for DHCP); ``pool`` None: all others."""

    cidr: str
    gateway_ip: str | None = ""
    pool: tuple[str, str] | None = None
    name: str = ""
    description: str = ""
    enable_dhcp: bool = True
    dns_servers: tuple[str, ...] = ()
    host_routes: tuple[dict[str, str], ...] = ()


def create(w: Work, network: Network, new: NewSubnet) -> Subnet:
    """The one subnet of a network. Raises ``Invalid`` for values that do not fit together and for a range
    that overlaps another network's, since all share the machine's routes."""
    range_ = parse_range(new.cidr)
    quota.require(w, network.project_id, "subnet")
    if w.session.scalar(sa.select(Subnet.id).where(Subnet.network_id == network.id)):
        raise Conflict(f"Network {network.id} has a subnet; a network has one.", code="subnet.exists")
    for other in w.session.scalars(sa.select(Subnet.cidr)):
        if range_.overlaps(parse_range(other)):
            raise Invalid(
                f"Invalid input for operation: Requested subnet with cidr: {new.cidr} for network: {network.id} "
                f"overlaps with another subnet. Ranges of networks may not overlap ({other} is used), since all share "
                "the machine's routes.", code="invalid_input", field="cidr")  # fmt: skip
    gateway = _inside(range_, new.gateway_ip or str(range_.network_address + 1), "gateway_ip")
    first, last = _pool(range_, new, gateway)
    subnet = Subnet(
        id=new_id(),
        network_id=network.id,
        project_id=network.project_id,
        name=new.name,
        description=new.description,
        cidr=str(range_),
        gateway_ip=str(IPv4Address(gateway)),
        enable_dhcp=new.enable_dhcp,
        pool_first=first,
        pool_last=last,
        dns_servers=list(new.dns_servers),
        host_routes=[*map(_route, new.host_routes)],
        tells_gateway=new.gateway_ip is not None,
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(subnet)
    w.session.flush()
    w.session.add(FixedIp(subnet_id=subnet.id, address=gateway, ip_address=subnet.gateway_ip))
    w.session.flush()
    w.session.expire(network, ["subnets"])
    w.announce("network", network.id, network.project_id)
    return subnet


def _inside(range_: IPv4Network, ip_address: str, field: str) -> int:
    try:
        address = IPv4Address(ip_address)
    except ValueError:
        raise Invalid(f"'{ip_address}' is not a valid IP address.", field=field) from None
    if address not in range_ or address in (range_.network_address, range_.broadcast_address):
        raise Invalid(f"{ip_address} is not an address of a guest in {range_}.", field=field)
    return int(address)


def _pool(range_: IPv4Network, new: NewSubnet, gateway: int) -> tuple[int, int]:
    first, last = int(range_.network_address) + 1, int(range_.broadcast_address) - 1
    if new.pool is not None:
        first, last = (_inside(range_, end, "allocation_pools") for end in new.pool)
        if first > last or first <= gateway <= last:
            raise Invalid("The allocation pool is empty or holds the gateway.", field="allocation_pools")
    elif gateway == first:
        first += 1
    return first, last


def remove(w: Work, subnet_id: str) -> None:
    """Delete a subnet; an absent one is a success. Raises ``Conflict`` while ports have addresses of it."""
    taken = sa.exists().where(FixedIp.subnet_id == subnet_id, FixedIp.port_id.is_not(None))
    if w.session.scalar(sa.select(taken)):
        raise Conflict(
            f"Unable to complete operation on subnet {subnet_id}: One or more ports have an IP allocation from "
            "this subnet.",
            code="subnet.in_use",
        )
    w.changed(sa.delete(FixedIp).where(FixedIp.subnet_id == subnet_id))
    w.changed(sa.delete(Subnet).where(Subnet.id == subnet_id))
    w.announce("network", "")


def query_visible(w: Work) -> sa.Select[Subnet]:
    """Subnets of networks the caller may see; those of external networks are their owner's business."""
    query = sa.select(Subnet).join(Network, Network.id == Subnet.network_id)
    if w.ctx.is_admin:
        return query
    return query.where(sa.or_(Network.project_id == w.ctx.project_id, Network.is_shared))


def list_visible(w: Work) -> list[Subnet]:
    """Subnets of networks the caller may see, oldest first."""
    return list(w.session.scalars(query_visible(w).order_by(Subnet.created_at, Subnet.id)))


def get(w: Work, subnet_id: str) -> Subnet:
    subnet = w.session.scalar(query_visible(w).where(Subnet.id == subnet_id))
    if subnet is None:
        raise NotFound("subnet", subnet_id)
    return subnet


def get_own(w: Work, subnet_id: str) -> Subnet:
    """A subnet the caller may change: its own, or any for an administrator."""
    subnet = get(w, subnet_id)
    if not w.ctx.is_admin and subnet.project_id != w.ctx.project_id:
        raise NotFound("subnet", subnet_id)
    return subnet


def _route(route: dict[str, str]) -> dict[str, str]:
    try:
        return {
            "destination": str(IPv4Network(route["destination"], strict=False)),
            "nexthop": str(IPv4Address(route["nexthop"])),
        }
    except ValueError as error:
        raise Invalid(f"Invalid input for host_routes. Reason: {error}.", field="host_routes") from None


def update(w: Work, subnet_id: str, changes: Mapping[str, Any]) -> Subnet:
    """Set columns of a subnet, its ``gateway_ip`` (None: guests are told of none), ``host_routes`` and ``pool`` among
    them. Raises ``Invalid``, and ``Conflict`` for a gateway that is taken, or that a router uses."""
    subnet = get_own(w, subnet_id)
    rest = dict(changes)
    if "gateway_ip" in rest:
        _move_gateway(w, subnet, rest.pop("gateway_ip"))
    if "host_routes" in rest:
        rest["host_routes"] = [*map(_route, rest["host_routes"])]
    if "pool" in rest:
        new = NewSubnet(subnet.cidr, pool=rest.pop("pool"))
        gateway = int(IPv4Address(subnet.gateway_ip))
        subnet.pool_first, subnet.pool_last = _pool(IPv4Network(subnet.cidr), new, gateway)
    for name, value in rest.items():
        setattr(subnet, name, value)
    subnet.updated_at, subnet.revision = w.now, subnet.revision + 1
    w.session.flush()
    w.announce("network", subnet.network_id, subnet.project_id)
    return subnet


def _move_gateway(w: Work, subnet: Subnet, gateway_ip: str | None) -> None:
    subnet.tells_gateway = gateway_ip is not None
    if gateway_ip in (None, subnet.gateway_ip):
        return
    number = _inside(IPv4Network(subnet.cidr), str(gateway_ip), "gateway_ip")
    kept = sa.update(FixedIp).where(FixedIp.subnet_id == subnet.id, FixedIp.ip_address == subnet.gateway_ip)
    taken = sa.select(FixedIp.id).where(FixedIp.subnet_id == subnet.id, FixedIp.address == number)
    if w.session.scalar(taken) is not None or not w.changed(
        kept.where(FixedIp.port_id.is_(None)).values(address=number, ip_address=gateway_ip)
    ):
        raise Conflict(
            f"Current gateway ip {subnet.gateway_ip} already in use by a port, or {gateway_ip} is. Unable to update.",
            code="gateway_ip.in_use",
        )
    subnet.gateway_ip = str(gateway_ip)


def pool(subnet: Subnet) -> tuple[str, str]:
    """First and last address that ports get."""
    return str(IPv4Address(subnet.pool_first)), str(IPv4Address(subnet.pool_last))
