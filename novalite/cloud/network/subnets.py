"""Subnets: the IPv4 range of a network and who may see it."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

import sqlalchemy as sa

from novalite.cloud.network.records import Network, Subnet
from novalite.db.work import Work
from novalite.errors import NotFound


def add(w: Work, network: Network, *, name: str, range_: IPv4Network, dns_servers: Sequence[str]) -> Subnet:
    """A subnet over all of ``range_``: the first address is the gateway, guests get the rest."""
    gateway = range_.network_address + 1
    subnet = Subnet(
        network_id=network.id,
        project_id=network.project_id,
        name=name,
        cidr=str(range_),
        gateway_ip=str(gateway),
        pool_first=int(gateway) + 1,
        pool_last=int(range_.broadcast_address) - 1,
        dns_servers=list(dns_servers),
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(subnet)
    w.session.flush()
    return subnet


def query_visible(w: Work) -> sa.Select[Subnet]:
    """Subnets of networks the caller may see."""
    query = sa.select(Subnet).join(Network, Network.id == Subnet.network_id)
    if w.ctx.is_admin:
        return query
    return query.where(sa.or_(Network.project_id == w.ctx.project_id, Network.is_shared))


def get(w: Work, subnet_id: str) -> Subnet:
    subnet = w.session.scalar(query_visible(w).where(Subnet.id == subnet_id))
    if subnet is None:
        raise NotFound("subnet", subnet_id)
    return subnet


def rename(w: Work, subnet_id: str, *, name: str | None = None, description: str | None = None) -> Subnet:
    """Change what people call a subnet; only its owner or an administrator may."""
    subnet = get(w, subnet_id)
    if not w.ctx.is_admin and subnet.project_id != w.ctx.project_id:
        raise NotFound("subnet", subnet_id)
    subnet.name = subnet.name if name is None else name
    subnet.description = subnet.description if description is None else description
    subnet.updated_at, subnet.revision = w.now, subnet.revision + 1
    return subnet


def pool(subnet: Subnet) -> tuple[str, str]:
    """First and last address that ports get."""
    return str(IPv4Address(subnet.pool_first)), str(IPv4Address(subnet.pool_last))
