"""How many addresses networks have, and how many are taken."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import networks
from novalite.cloud.network.records import FixedIp, Network, Subnet
from novalite.db.work import Work
from novalite.errors import NotFound


@dataclass(frozen=True)
class SubnetUse:
    """``total`` counts the addresses of the pools."""

    subnet: Subnet
    total: int
    used: int


@dataclass(frozen=True)
class NetworkUse:
    network: Network
    subnets: tuple[SubnetUse, ...]

    @property
    def total(self) -> int:
        return sum(each.total for each in self.subnets)

    @property
    def used(self) -> int:
        return sum(each.used for each in self.subnets)


def of_networks(w: Work, network_id: str | None = None) -> list[NetworkUse]:
    """All networks that the caller sees, or one of them, in three queries. Raises ``NotFound``."""
    query = networks.query_visible(w).order_by(Network.created_at, Network.id)
    query = query.options(selectinload(Network.subnets).selectinload(Subnet.pools))
    if network_id is not None:
        query = query.where(Network.id == network_id)
    found = w.session.scalars(query, execution_options={"populate_existing": True}).all()
    if network_id is not None and not found:
        raise NotFound("network", network_id)
    counts: Any = w.session.execute(sa.select(FixedIp.subnet_id, sa.func.count()).group_by(FixedIp.subnet_id))
    used = dict(tuple(row) for row in counts)
    return [
        NetworkUse(network, tuple(SubnetUse(one, _size(one), used.get(one.id, 0)) for one in network.subnets))
        for network in found
    ]


def _size(subnet: Subnet) -> int:
    return sum(int(ip_address(pool.last_ip)) - int(ip_address(pool.first_ip)) + 1 for pool in subnet.pools)
