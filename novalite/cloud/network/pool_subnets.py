"""Where a new subnet's range comes from: from who asks, or from a subnet pool."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.network import ranges, subnet_pools
from novalite.cloud.network.records import Network, Subnet
from novalite.cloud.network.subnet_pool_records import SubnetPool
from novalite.db.work import Work
from novalite.errors import Invalid


def _bad(reason: str, field: str) -> Invalid:
    return Invalid(f"Bad subnets request: {reason}.", code="bad_request", field=field)


def choose(
    w: Work,
    network: Network,
    *,
    cidr: str | None,
    pool_id: str | None,
    use_default: bool,
    prefixlen: int | None,
    ip_version: int | None,
) -> tuple[str, str | None]:
    """The range, and the pool it is of (None: of no pool). The subnet is made in the same unit. Raises ``Invalid`` for
    wishes that do not fit together, and what ``subnet_pools.allocate`` raises."""
    if cidr is not None and prefixlen is not None:
        raise _bad("cidr and prefixlen must not be supplied together", "prefixlen")
    pool = _pool(w, pool_id, use_default=use_default, version=_version(cidr, ip_version))
    _require_same_pool(w, network, pool, _version(cidr, ip_version if pool is None else pool.ip_version))
    if pool is None:
        if cidr is None:
            raise _bad("a subnetpool must be specified in the absence of a cidr", "cidr")
        return cidr, None
    asked = None if cidr is None else str(ranges.parse(cidr))
    found = subnet_pools.allocate(w, pool.id, project_id=network.project_id, prefixlen=prefixlen, cidr=asked)
    return found, pool.id


def _version(cidr: str | None, asked: int | None) -> int:
    return ranges.parse(cidr).version if cidr is not None else (asked or 4)


def _pool(w: Work, pool_id: str | None, *, use_default: bool, version: int) -> SubnetPool | None:
    if use_default and pool_id:
        raise _bad("subnetpool_id and use_default_subnetpool cannot both be specified", "use_default_subnetpool")
    if use_default:
        pool = subnet_pools.default(w, version)
        if pool is None:
            raise _bad(f"No default subnetpool found for IPv{version}", "use_default_subnetpool")
        return pool
    if not pool_id:
        return None
    pool = subnet_pools.get(w, pool_id)
    if pool.ip_version != version:
        raise _bad(f"Cannot allocate IPv{version} subnet from IPv{pool.ip_version} subnet pool", "ip_version")
    return pool


def _require_same_pool(w: Work, network: Network, pool: SubnetPool | None, version: int) -> None:
    """All subnets of one IP version on a network come from the same pool, or all from none."""
    query = sa.select(Subnet.subnetpool_id).where(Subnet.network_id == network.id, Subnet.ip_version == version)
    for other in w.session.scalars(query):
        if other != (None if pool is None else pool.id):
            raise Invalid(
                "Subnets hosted on the same network must be allocated from the same subnet pool.",
                code="network_subnet_pool.affinity_error", field="subnetpool_id")  # fmt: skip
