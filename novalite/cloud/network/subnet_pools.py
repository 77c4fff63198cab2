"""Subnet pools: ranges of which subnets are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import address_scopes, grants, quota, ranges
from novalite.cloud.network.records import Subnet
from novalite.cloud.network.subnet_pool_records import SubnetPool
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, Invalid, NotFound

KIND = "subnetpool"
Range = IPv4Network | IPv6Network
_LENGTHS = {4: (8, 32), 6: (64, 128)}


@dataclass(frozen=True)
class NewPool:
    """A pool to make. Lengths of prefixes None: the shortest and longest that the IP version's pools have, and the
    shortest when a subnet asks for none."""

    name: str
    prefixes: tuple[str, ...]
    description: str = ""
    default_prefixlen: int | None = None
    min_prefixlen: int | None = None
    max_prefixlen: int | None = None
    default_quota: int | None = None
    is_default: bool = False
    shared: bool = False
    address_scope_id: str | None = None
    project_id: str = ""


def query_visible(w: Work) -> sa.Select[SubnetPool]:
    """The caller's pools and those shared with it; an administrator sees all."""
    return sa.select(SubnetPool).where(grants.visible(w, SubnetPool)).options(selectinload(SubnetPool.grants))


def list_visible(w: Work) -> list[SubnetPool]:
    return list(w.session.scalars(query_visible(w).order_by(SubnetPool.created_at, SubnetPool.id)))


def get(w: Work, pool_id: str) -> SubnetPool:
    query = query_visible(w).where(SubnetPool.id == pool_id)
    found = w.session.scalar(query, execution_options={"populate_existing": True})
    if found is None:
        raise NotFound("subnet pool", pool_id, message=f"Subnet pool {pool_id} could not be found.")
    return found


def get_own(w: Work, pool_id: str) -> SubnetPool:
    """One that the caller may change."""
    found = get(w, pool_id)
    if not w.ctx.is_admin and found.project_id != w.ctx.project_id:
        raise Forbidden("Policy doesn't allow update_subnetpool to be performed.", rule="update_subnetpool")
    return found


def default(w: Work, ip_version: int) -> SubnetPool | None:
    """The pool for subnets that name none."""
    query = sa.select(SubnetPool).where(SubnetPool.is_default, SubnetPool.ip_version == ip_version)
    return w.session.scalar(query)


def create(w: Work, new: NewPool) -> SubnetPool:
    """Raises ``Invalid`` for ranges and lengths that do not fit, ``Conflict`` for ranges that another pool of the
    address scope has, ``NotFound`` for the scope, ``OverQuota``."""
    owner = new.project_id or w.ctx.project_id
    quota.require(w, owner, "subnetpool")
    prefixes, version = _prefixes(new.prefixes)
    shortest, longest = _LENGTHS[version]
    made = SubnetPool(
        id=new_id(),
        project_id=owner,
        name=new.name,
        description=new.description,
        ip_version=version,
        prefixes=prefixes,
        min_prefixlen=shortest if new.min_prefixlen is None else new.min_prefixlen,
        max_prefixlen=longest if new.max_prefixlen is None else new.max_prefixlen,
        default_quota=new.default_quota,
        is_default=new.is_default,
        address_scope_id=new.address_scope_id,
        created_at=w.now,
        updated_at=w.now,
    )
    made.default_prefixlen = made.min_prefixlen if new.default_prefixlen is None else new.default_prefixlen
    _check(w, made)
    w.session.add(made)
    w.session.flush()
    if new.shared:
        grants.open_to_all(w, KIND, made.id, owner)
    return get(w, made.id)


def _prefixes(texts: Sequence[str]) -> tuple[list[str], int]:
    if not texts:
        raise Invalid("Empty subnet pool prefix list.", code="empty.subnet_pool_prefix_list", field="prefixes")
    found: list[Range] = []
    for text in texts:
        try:
            found.append(ranges.read_range(text, strict=True))
        except ValueError:
            raise Invalid(f"Invalid input for prefixes. Reason: '{text[:80]}' is not a valid IP subnet.",
                          field="prefixes") from None  # fmt: skip
    versions = {each.version for each in found}
    if len(versions) > 1:
        raise Invalid("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", code="prefix.version_mismatch",
                      field="prefixes")  # fmt: skip
    return [str(each) for each in _merged(found)], versions.pop()


def _merged(ranges: Sequence[Range]) -> list[Range]:
    return list(collapse_addresses(ranges))  # type: ignore[type-var]


def _check(w: Work, pool: SubnetPool) -> None:
    """Raises for a pool whose parts do not fit together, or that does not fit beside others."""
    widest = 32 if pool.ip_version == 4 else 128
    for low, high in (("min_prefixlen", "max_prefixlen"), ("min_prefixlen", "default_prefixlen"),
                      ("default_prefixlen", "max_prefixlen")):  # fmt: skip
        if not 0 <= getattr(pool, low) <= getattr(pool, high) <= widest:
            raise Invalid(
                f"Illegal prefix bounds: {low}={getattr(pool, low)}, {high}={getattr(pool, high)}.",
                code="illegal.subnet_pool_prefix_bounds", field=high)  # fmt: skip
    other = default(w, pool.ip_version) if pool.is_default else None
    if other is not None and other.id != pool.id:
        raise Invalid(
            "Invalid input for operation: A default subnetpool for this IP family has already been set. Only one "
            "default may exist per IP family.", code="invalid_input", field="is_default")  # fmt: skip
    if pool.address_scope_id:
        _check_scope(w, pool, pool.address_scope_id)


def _check_scope(w: Work, pool: SubnetPool, scope_id: str) -> None:
    scope = address_scopes.get(w, scope_id)
    if scope.ip_version != pool.ip_version:
        raise Invalid(
            f"Illegal subnetpool association: subnetpool {pool.id} cannot associate with address scope {scope_id} "
            f"because subnetpool ip_version is not {scope.ip_version}.",
            code="illegal.subnet_pool_ip_version_association_to_address_scope", field="address_scope_id")  # fmt: skip
    mine = [ip_network(text) for text in pool.prefixes]
    query = sa.select(SubnetPool.prefixes).where(SubnetPool.address_scope_id == scope_id, SubnetPool.id != pool.id)
    for prefixes in w.session.scalars(query):
        if any(one.overlaps(ip_network(text)) for text in prefixes for one in mine):
            raise Conflict(
                "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.",
                code="address_scope.prefix_conflict",
            )


def update(w: Work, pool_id: str, changes: Mapping[str, Any]) -> SubnetPool:
    """Set columns, ``prefixes`` (more than before) and ``is_default`` among them. Raises as ``create``."""
    pool, rest = get_own(w, pool_id), dict(changes)
    if "prefixes" in rest:
        rest["prefixes"] = _more_prefixes(pool, rest["prefixes"])
    with w.session.no_autoflush:
        for name, value in rest.items():
            setattr(pool, name, value)
        _check(w, pool)
    pool.updated_at, pool.revision = w.now, pool.revision + 1
    w.session.flush()
    return get(w, pool_id)


def _more_prefixes(pool: SubnetPool, texts: Sequence[str]) -> list[str]:
    found, version = _prefixes(texts)
    if version != pool.ip_version:
        raise Invalid("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", code="prefix.version_mismatch",
                      field="prefixes")  # fmt: skip
    both, _ = _prefixes([*found, *pool.prefixes])
    if both != found:
        raise Invalid("Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.",
                      code="illegal.subnet_pool_prefix_update", field="prefixes")  # fmt: skip
    return found


def add_prefixes(w: Work, pool_id: str, more: Sequence[str]) -> SubnetPool:
    """The pool has these ranges too. Raises as ``create``."""
    pool = get_own(w, pool_id)
    return update(w, pool_id, {"prefixes": [*pool.prefixes, *more]})


def remove_prefixes(w: Work, pool_id: str, gone: Sequence[str]) -> SubnetPool:
    """It does not have these. Raises ``Invalid`` for what it does not have, ``Conflict`` while subnets are of them."""
    pool = get_own(w, pool_id)
    unwanted, version = _prefixes(gone)
    left: list[Range] = [ip_network(text) for text in pool.prefixes]
    for range_ in map(ip_network, unwanted):
        holder = next((one for one in left if version == one.version and _inside(range_, one)), None)
        if holder is None:
            raise Invalid(f"Illegal prefix: {range_} is not one of the pool's prefixes.",
                          code="illegal.subnet_pool_prefix_update", field="prefixes")  # fmt: skip
        left = [*(one for one in left if one is not holder), *_without(holder, range_)]
    for cidr in w.session.scalars(sa.select(Subnet.cidr).where(Subnet.subnetpool_id == pool_id)):
        if not any(_inside(ip_network(cidr), one) for one in left):
            raise Conflict(f"Prefix in use by subnet {cidr} of the pool.", code="subnet_pool.in_use")
    pool.prefixes = [str(one) for one in _merged(left)]
    pool.updated_at, pool.revision = w.now, pool.revision + 1
    w.session.flush()
    return get(w, pool_id)


def _inside(range_: Range, other: Range) -> bool:
    return other[0] <= range_[0] and range_[-1] <= other[-1]  # type: ignore[operator]


def _without(whole: Range, part: Range) -> list[Range]:
    return list(whole.address_exclude(part))  # type: ignore[arg-type]


def delete(w: Work, pool_id: str) -> None:
    """Raises ``Invalid`` while subnets are of it."""
    pool = get_own(w, pool_id)
    if w.session.scalar(sa.select(sa.exists().where(Subnet.subnetpool_id == pool_id))):
        raise Invalid("Unable to delete subnet pool: Subnet pool has existing allocations.",
                      code="subnet_pool.delete_error", field="id")  # fmt: skip
    grants.forget(w, pool_id)
    w.session.delete(pool)
    w.session.flush()


def allocate(w: Work, pool_id: str, *, project_id: str, prefixlen: int | None = None, cidr: str | None = None) -> str:
    """A range of the pool that no subnet of it has: ``cidr``, or the first that is free with this length. The
    caller makes the subnet with it in the same unit. Raises ``Conflict`` when there is none, ``Invalid`` for a length
    that the pool does not give."""
    pool = get(w, pool_id)
    w.changed(sa.update(SubnetPool).where(SubnetPool.id == pool_id).values(updated_at=w.now))  # others wait here
    rows = w.session.execute(sa.select(Subnet.cidr, Subnet.project_id).where(Subnet.subnetpool_id == pool_id)).all()
    used = sorted((ip_network(row.cidr) for row in rows), key=lambda each: int(each.network_address))
    length = _length(pool, ip_network(cidr).prefixlen if cidr else prefixlen)
    _require_share(pool, [row.cidr for row in rows if row.project_id == project_id], length)
    found = _asked(pool, cidr, used) if cidr else _first_free(pool, length, used)
    return str(found)


def _length(pool: SubnetPool, asked: int | None) -> int:
    length = pool.default_prefixlen if asked is None else asked
    if length < pool.min_prefixlen:
        raise Invalid(
            f"Unable to allocate subnet with prefix length {length}, minimum allowed prefix is {pool.min_prefixlen}.",
            code="min_prefix.subnet_allocation_error", field="prefixlen")  # fmt: skip
    if length > pool.max_prefixlen:
        raise Invalid(
            f"Unable to allocate subnet with prefix length {length}, maximum allowed prefix is {pool.max_prefixlen}.",
            code="max_prefix.subnet_allocation_error", field="prefixlen")  # fmt: skip
    return length


def _require_share(pool: SubnetPool, mine: Sequence[str], length: int) -> None:
    if pool.default_quota is None:
        return
    widest = 32 if pool.ip_version == 4 else 64
    used = sum(2 ** max(0, widest - ip_network(text).prefixlen) for text in mine)
    if used + 2 ** max(0, widest - length) > pool.default_quota:
        raise Conflict("Per-tenant subnet pool prefix quota exceeded.", code="subnet_pool.quota_exceeded")


def _refused(reason: str) -> Conflict:
    return Conflict(f"Failed to allocate subnet: {reason}.", code="subnet.allocation_error")


def _asked(pool: SubnetPool, cidr: str, used: Sequence[Range]) -> Range:
    wanted = ip_network(cidr)
    inside = any(wanted.subnet_of(ip_network(text)) for text in pool.prefixes)  # type: ignore[arg-type]
    if wanted.version != pool.ip_version or not inside or any(wanted.overlaps(other) for other in used):
        raise _refused("Cannot allocate requested subnet from the available set of prefixes")
    return wanted


def _first_free(pool: SubnetPool, length: int, used: Sequence[Range]) -> Range:
    size = 2 ** ((32 if pool.ip_version == 4 else 128) - length)
    taken = [(int(each.network_address), int(each.broadcast_address)) for each in used]
    for block in map(ip_network, pool.prefixes):
        place, end = int(block.network_address), int(block.broadcast_address)
        for low, high in taken:
            if low <= place + size - 1 and high >= place:
                place = (high // size + 1) * size
        if block.prefixlen <= length and place + size - 1 <= end:
            return type(block)((place, length))
    raise _refused(f"Insufficient prefix space to allocate subnet size /{length}")
