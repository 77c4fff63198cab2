"""Arithmetic of addresses: free ranges for networks, free addresses in a subnet, MAC addresses."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from ipaddress import ip_address as parsed

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from novalite.cloud.network.ranges import Address
from novalite.cloud.network.records import AllocationPool, FixedIp, Subnet
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, DependencyDown

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
_SIZE = 256
_LOW = 2**64 - 1
_BIAS = 2**63
_TOP = 3


def new_mac() -> str:
    """A random MAC address of the range that OpenStack uses for guests."""
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def free_range(used: Iterable[str], *, pick: Callable[[Sequence[int]], int] = secrets.choice) -> str:
    """A private /24 that overlaps none of ``used`` (CIDRs). Random by default: appliances that start side by
    side on one machine shall not choose the same. ``pick`` chooses among first addresses as numbers."""
    taken = [IPv4Network(cidr, strict=False) for cidr in used if ":" not in cidr]
    for block in map(IPv4Network, _PRIVATE):
        low, high = int(block[0]), int(block[-1])
        closed = {
            first
            for net in taken
            if net.overlaps(block)
            for first in range(max(int(net[0]) // _SIZE * _SIZE, low), min(int(net[-1]), high) + 1, _SIZE)
        }
        free = [first for first in range(low, high, _SIZE) if first not in closed]
        if free:
            return f"{IPv4Address(pick(free))}/24"
    raise DependencyDown(
        "No private address range is free on this machine.", hint="Set network.cidr to a range of your choice."
    )


def number(ip_address: str) -> int:
    """What ``FixedIp.address`` is: the number of an IPv4 address; of an IPv6 one the last 64 bits, less 2**63, as
    databases keep no more. Addresses of one subnet are told apart by it up to a range of /64."""
    address = parsed(ip_address)
    return int(address) if address.version == 4 else (int(address) & _LOW) - _BIAS


def _text(near: Address, value: int) -> str:
    """The address of this number, in the same /64 as ``near``."""
    if near.version == 4:
        return str(IPv4Address(value))
    return str(IPv6Address(int(near) & ~_LOW | value + _BIAS))


def fixed(subnet: Subnet, ip_address: str, port_id: str | None = None, position: int = 0) -> FixedIp:
    """The record that an address is taken."""
    return FixedIp(id=new_id(), subnet_id=subnet.id, port_id=port_id, ip_address=ip_address,
                   address=number(ip_address), position=position)  # fmt: skip


def beginning_with(prefix: str) -> sa.ColumnElement[bool]:
    """Whether a ``FixedIp``'s text begins with ``prefix``; for IPv4 a few ranges of the index on its number."""
    text = FixedIp.ip_address.startswith(prefix, autoescape=True)
    ranges = ipv4_ranges(prefix)
    return sa.and_(text, sa.or_(*(FixedIp.address.between(*each) for each in ranges))) if ranges else text


def ipv4_ranges(prefix: str) -> list[tuple[int, int]]:
    """The addresses, as numbers from the first to the last of each range, whose text begins with ``prefix``
    (``10.1`` is 10.1.x, 10.10.x to 10.19.x, 10.100.x to 10.199.x); none when it begins no IPv4 address."""
    *whole, last = prefix.split(".")
    octets = [int(text) for text in whole if text.isascii() and text.isdecimal() and int(text) < 256]
    if len(octets) != len(whole) or len(whole) > 3 or not (last == "" or (last.isascii() and last.isdecimal())):
        return []
    shift = 8 * (3 - len(octets))
    base = sum(octet << 8 * (3 - place) for place, octet in enumerate(octets))
    fitting = [number for number in range(256) if str(number).startswith(last)]
    runs: list[tuple[int, int]] = []
    for number in fitting:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return [(base + (first << shift), base + ((end + 1) << shift) - 1) for first, end in runs]


def free(
    w: Work, subnets: Sequence[Subnet], count: int, without: frozenset[str] = frozenset()
) -> list[tuple[Subnet, str]]:
    """``count`` free addresses of the pools of a network's subnets, one after the other, none of them in ``without``.
    In each pool those above the highest one taken come first, then the gaps.

    The cost does not follow the number of addresses taken while there is room above. Another unit may take them
    first: the unique index decides. Raises ``Conflict`` (``network.no_addresses``).
    """
    found: list[tuple[Subnet, str]] = []
    pools = of_subnets(w, subnets)
    for subnet in subnets:
        for pool in pools[subnet.id]:
            if len(found) == count:
                return found
            numbers = _free_numbers(w, pool, count - len(found) + len(without))
            texts = [_text(pool.near, value) for value in numbers]
            found += [(subnet, text) for text in texts if text not in without][: count - len(found)]
    if len(found) < count:
        raise Conflict(
            f"No more IP addresses available on network {subnets[0].network_id}.",
            code="network.no_addresses",
            hint="Delete unused ports or make a larger network.",
        )
    return found


def last_free(w: Work, subnet: Subnet) -> str | None:
    """The highest free address of the subnet's pools."""
    for pool in reversed(of_subnets(w, [subnet])[subnet.id]):
        if w.session.scalar(sa.select(FixedIp.id).where(*pool.taken(FixedIp.address == pool.last))) is None:
            return _text(pool.near, pool.last)
        before = aliased(FixedIp)
        follows = sa.exists().where(before.subnet_id == subnet.id, before.address == FixedIp.address - 1)
        start = w.session.scalar(
            sa.select(sa.func.max(FixedIp.address)).where(*pool.taken(FixedIp.address > pool.first, ~follows))
        )
        if start is not None:
            return _text(pool.near, start - 1)
    return None


@dataclass(frozen=True)
class _Pool:
    """A pool as numbers; ``near`` is an address of it."""

    subnet_id: str
    near: Address
    first: int
    last: int

    def taken(self, *which: sa.ColumnElement[bool]) -> tuple[sa.ColumnElement[bool], ...]:
        return (FixedIp.subnet_id == self.subnet_id, FixedIp.address.between(self.first, self.last), *which)


def of_subnets(w: Work, subnets: Sequence[Subnet]) -> dict[str, list[_Pool]]:
    """The pools of subnets, in one query."""
    ids = [subnet.id for subnet in subnets]
    query = sa.select(AllocationPool).where(AllocationPool.subnet_id.in_(ids)).order_by(AllocationPool.position)
    found: dict[str, list[_Pool]] = {id_: [] for id_ in ids}
    for pool in w.session.scalars(query):
        near, far = parsed(pool.first_ip), parsed(pool.last_ip)
        beyond = near.version == 6 and int(near) & ~_LOW != int(far) & ~_LOW  # only the first /64 is given from
        last = _LOW - _BIAS if beyond else number(pool.last_ip)
        found[pool.subnet_id].append(_Pool(pool.subnet_id, near, number(pool.first_ip), last))
    return found


def _free_numbers(w: Work, pool: _Pool, count: int) -> list[int]:
    """Up to ``count`` free numbers: around the highest taken (the network's own port has the last), then the gaps."""
    top = sa.select(FixedIp.address).where(*pool.taken()).order_by(FixedIp.address.desc()).limit(_TOP)
    highest = w.session.scalars(top).all()
    found: list[int] = []
    ceiling = pool.last
    for value in highest:
        found += _run(value + 1, ceiling, count - len(found))
        ceiling = value - 1
    if len(highest) < _TOP:
        return found + _run(pool.first, ceiling, count - len(found))
    return found + _gaps(w, pool, ceiling + 1, count - len(found))


def _run(first: int, last: int, count: int) -> list[int]:
    return list(range(first, min(last + 1, first + count)))


def _gaps(w: Work, pool: _Pool, top: int, count: int) -> list[int]:
    """Up to ``count`` free numbers below ``top``, lowest first."""
    if count <= 0:
        return []
    before = aliased(FixedIp)
    follows = sa.exists().where(before.subnet_id == pool.subnet_id, before.address == FixedIp.address - 1)
    starts = (
        sa.select(FixedIp.address)
        .where(*pool.taken(FixedIp.address > pool.first, FixedIp.address <= top, ~follows))
        .order_by(FixedIp.address)
        .limit(count)
    )
    found: list[int] = []
    for after in w.session.scalars(starts).all():
        floor = w.session.scalar(sa.select(sa.func.max(FixedIp.address)).where(*pool.taken(FixedIp.address < after)))
        first = pool.first if floor is None else floor + 1
        found += _run(first, after - 1, count - len(found))
        if len(found) == count:
            break
    return found
