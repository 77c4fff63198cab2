"""Arithmetic of addresses: free ranges for networks, free addresses in a subnet, MAC addresses."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from novalite.cloud.network.records import FixedIp, Subnet
from novalite.db.work import Work
from novalite.errors import Conflict, DependencyDown, Invalid

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
_SIZE = 256


def new_mac() -> str:
    """A random MAC address of the range that OpenStack uses for guests."""
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def free_range(used: Iterable[str], *, pick: Callable[[Sequence[int]], int] = secrets.choice) -> str:
    """A private /24 that overlaps none of ``used`` (CIDRs). Random by default: appliances that start side by
    side on one machine shall not choose the same. ``pick`` chooses among first addresses as numbers."""
    taken = [IPv4Network(cidr, strict=False) for cidr in used]
    for block in map(IPv4Network, _PRIVATE):
        near = [(int(net[0]), int(net[-1])) for net in taken if net.overlaps(block)]
        free = [
            first
            for first in range(int(block[0]), int(block[-1]), _SIZE)
            if all(first + _SIZE <= low or first > high for low, high in near)
        ]
        if free:
            return f"{IPv4Address(pick(free))}/24"
    raise DependencyDown(
        "No private address range is free on this machine.", hint="Set network.cidr to a range of your choice."
    )


def parse_range(cidr: str) -> IPv4Network:
    """Raises ``Invalid`` unless ``cidr`` is an IPv4 range of at least four addresses with no host bits set."""
    try:
        network = IPv4Network(cidr)
    except ValueError as error:
        raise Invalid(
            f"Invalid input for cidr. Reason: '{cidr}' is not a valid IPv4 range: {error}.", field="cidr"
        ) from None
    if not 8 <= network.prefixlen <= 29:
        raise Invalid(
            f"Invalid input for cidr. Reason: a range from /8 to /29 is needed, not /{network.prefixlen}.", field="cidr"
        )
    return network


def number_in(subnet: Subnet, ip_address: str) -> int:
    """The 32-bit number of an address asked for; ``Invalid`` when the subnet cannot give it."""
    try:
        address = IPv4Address(ip_address)
    except ValueError:
        raise Invalid(f"IP address {ip_address} is not valid.", field="fixed_ip") from None
    network = IPv4Network(subnet.cidr)
    if address not in network or address in (network.network_address, network.broadcast_address):
        raise Invalid(f"IP address {ip_address} is not a valid IP for the specified subnet.", field="fixed_ip")
    return int(address)


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


def free_numbers(w: Work, subnet: Subnet, count: int) -> list[int]:
    """``count`` free addresses of the pool as numbers: above the highest one taken, then the gaps.

    The cost does not follow the number of addresses taken while there is room above. Another unit may take them
    first: the unique index decides. Raises ``Conflict`` (``network.no_addresses``).
    """
    highest = w.session.scalar(sa.select(sa.func.max(FixedIp.address)).where(*_in_pool(FixedIp, subnet)))
    start = subnet.pool_first if highest is None else highest + 1
    found = list(range(start, min(start + count, subnet.pool_last + 1)))
    if len(found) < count:
        found = _gaps(w, subnet, count - len(found)) + found
    if len(found) < count:
        raise Conflict(
            f"No more IP addresses available on network {subnet.network_id}.",
            code="network.no_addresses",
            hint="Delete unused ports or make a larger network.",
        )
    return found


def _in_pool(record: type[FixedIp], subnet: Subnet) -> tuple[sa.ColumnElement[bool], ...]:
    return (record.subnet_id == subnet.id, record.address.between(subnet.pool_first, subnet.pool_last))


def _gaps(w: Work, subnet: Subnet, count: int) -> list[int]:
    """Up to ``count`` free numbers below the highest one taken, lowest first."""
    before = aliased(FixedIp)
    starts = (
        sa.select(FixedIp.address)
        .where(
            *_in_pool(FixedIp, subnet),
            FixedIp.address > subnet.pool_first,
            ~sa.exists().where(before.subnet_id == subnet.id, before.address == FixedIp.address - 1),
        )
        .order_by(FixedIp.address)
        .limit(count)
    )
    found: list[int] = []
    for after in w.session.scalars(starts).all():
        floor = w.session.scalar(
            sa.select(sa.func.max(FixedIp.address)).where(*_in_pool(FixedIp, subnet), FixedIp.address < after)
        )
        first = subnet.pool_first if floor is None else floor + 1
        found += range(first, min(after, first + count - len(found)))
        if len(found) == count:
            break
    return found
