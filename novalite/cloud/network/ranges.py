"""Arithmetic of ranges without records: what a subnet's range, gateway and pools may be, and IPv6 addresses of MACs.

Messages are Neutron's.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import pairwise

from novalite.errors import Conflict, Invalid

Address = IPv4Address | IPv6Address
Range = IPv4Network | IPv6Network
Pool = tuple[Address, Address]
MODES = ("slaac", "dhcpv6-stateful", "dhcpv6-stateless")
_AUTOMATIC = ("slaac", "dhcpv6-stateless")
_LINK_LOCAL = IPv6Network("fe80::/10")


def refused(message: str, field: str) -> Invalid:
    """Neutron's ``InvalidInput``."""
    return Invalid(f"Invalid input for operation: {message}.", code="invalid_input", field=field)


def read_range(text: str, *, strict: bool = False) -> Range:
    """A range as it is written. Raises ``ValueError``, also for a zone (``fe80::1%eth0``), which may be any text."""
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    return ip_network(text, strict=strict)


def read_address(text: str) -> Address:
    """Likewise an address."""
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    return ip_address(text)


def parse(cidr: str) -> Range:
    """The range that is written so. Raises ``Invalid`` for what is none, or has host bits set."""
    try:
        found = read_range(cidr)
    except ValueError:
        raise Invalid(f"Invalid input for cidr. Reason: '{cidr}' is not a valid IP subnet.", field="cidr") from None
    if str(found) != cidr.lower() and cidr.lower() != found.exploded:
        written, _, length = cidr.partition("/")
        if not length or ip_address(written) != found.network_address:
            raise Invalid(
                f"Invalid input for cidr. Reason: '{cidr}' isn't a recognized IP subnet cidr, '{found}' is "
                "recommended.",
                field="cidr",
            )
    if found.prefixlen == 0:
        raise refused("0 is not allowed as CIDR prefix length", "cidr")
    return found


_OWN = tuple(map(ip_network, ("169.254.169.254/32", "fe80::/10")))
"""Where every network has its metadata, and IPv6 cards the addresses that they give themselves."""


def check_use(range_: Range) -> None:
    """Raises ``Invalid`` for a range in which guests and networks have addresses of their own."""
    if any(own.version == range_.version and own.overlaps(range_) for own in _OWN):
        raise refused(f"{range_} overlaps link-local addresses, which every network has already", "cidr")


def check_dhcp(range_: Range, *, dhcp: bool) -> None:
    """Raises ``Invalid`` for a range in which DHCP cannot give addresses."""
    if not dhcp:
        return
    if range_.is_multicast or range_.is_loopback:
        kind = "Multicast" if range_.is_multicast else "Loopback"
        raise refused(f"{kind} IP subnet is not supported if enable_dhcp is True", "cidr")
    if range_.prefixlen > range_.max_prefixlen - 2:
        raise refused("Subnet has a prefix length that is incompatible with DHCP service enabled", "cidr")


def check_modes(range_: Range, ra_mode: str | None, address_mode: str | None, *, dhcp: bool) -> None:
    """Raises ``Invalid`` for modes that do not go together with each other, the range or ``dhcp``."""
    if not (ra_mode or address_mode):
        return
    field = "ipv6_ra_mode" if ra_mode else "ipv6_address_mode"
    if range_.version == 4:
        raise refused("ipv6_ra_mode or ipv6_address_mode cannot be set when ip_version is set to 4", field)
    if not dhcp:
        raise refused("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False", field)
    if ra_mode and address_mode and ra_mode != address_mode:
        raise refused(
            f"ipv6_ra_mode set to '{ra_mode}' with ipv6_address_mode set to '{address_mode}' is not valid. If both "
            "attributes are set, they must be the same value",
            "ipv6_ra_mode",
        )
    if address_mode in _AUTOMATIC and range_.prefixlen != 64:
        raise refused(
            f"Invalid CIDR {range_} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires "
            "the prefix to be /64",
            "cidr",
        )


def is_automatic(address_mode: str | None) -> bool:
    """Whether guests of a subnet make their addresses of their MACs."""
    return address_mode in _AUTOMATIC


def _whole(range_: Range) -> Pool:
    """First and last address that somebody may have."""
    first, last = range_.network_address, range_.broadcast_address
    if range_.prefixlen >= range_.max_prefixlen - 1:
        return first, last
    return first + 1, last - 1 if range_.version == 4 else last


def holds(range_: Range, address: Address) -> bool:
    """Whether somebody on the range may have the address."""
    first, last = _whole(range_)
    return address.version == range_.version and int(first) <= int(address) <= int(last)


def gateway(range_: Range, wanted: str | None) -> Address | None:
    """The gateway asked for; empty: the first address. Raises ``Invalid``."""
    if wanted is None:
        return None
    if not wanted:
        return _whole(range_)[0]
    found = address(wanted, "gateway_ip", version=range_.version)
    if not (holds(range_, found) or (isinstance(found, IPv6Address) and found in _LINK_LOCAL)):
        raise refused(f"Gateway is not valid on subnet: {wanted} is not an address of {range_}", "gateway_ip")
    return found


def address(text: str, field: str, *, version: int | None = None) -> Address:
    """An address as it is written. Raises ``Invalid`` naming the field."""
    try:
        found = read_address(text)
    except ValueError:
        raise Invalid(f"Invalid input for {field}. Reason: '{text}' is not a valid IP address.", field=field) from None
    if version not in (None, found.version):
        raise refused(f"{field} '{text}' does not match the ip_version '{version}'", field)
    return found


def pools(range_: Range, gateway_ip: Address | None, wanted: Sequence[tuple[str, str]] | None) -> list[Pool]:
    """The pools asked for, sorted, or all of the range but the gateway. Raises ``Invalid``, and ``Conflict`` for
    pools that overlap or hold the gateway."""
    if wanted is None:
        return _all_but(range_, gateway_ip)
    found = sorted((_pool(range_, pair) for pair in wanted), key=lambda pool: int(pool[0]))
    for before, after in pairwise(found):
        if int(after[0]) <= int(before[1]):
            raise Conflict(
                f"Found overlapping allocation pools: {_shown(before)} {_shown(after)} for subnet {range_}.",
                code="overlapping_allocation_pools",
            )
    check_gateway(gateway_ip, found)
    return found


def check_gateway(gateway_ip: Address | None, found: Sequence[Pool]) -> None:
    """Raises ``Conflict`` when a pool holds the gateway."""
    for pool in found:
        if gateway_ip is not None and int(pool[0]) <= int(gateway_ip) <= int(pool[1]):
            raise Conflict(
                f"Gateway ip {gateway_ip} conflicts with allocation pool {_shown(pool)}.",
                code="gateway_conflict_with_allocation_pools",
            )


def _pool(range_: Range, pair: tuple[str, str]) -> Pool:
    first, last = (address(text, "allocation_pools", version=range_.version) for text in pair)
    if int(first) > int(last):
        raise Invalid(f"The allocation pool {first}-{last} is not valid.", code="invalid_allocation_pool",
                      field="allocation_pools")  # fmt: skip
    if not (holds(range_, first) and holds(range_, last)):
        raise Invalid(
            f"The allocation pool {first}-{last} spans beyond the subnet cidr {range_}.",
            code="out_of_bounds_allocation_pool",
            field="allocation_pools",
        )
    return first, last


def _all_but(range_: Range, gateway_ip: Address | None) -> list[Pool]:
    first, last = _whole(range_)
    if gateway_ip is None or not int(first) <= int(gateway_ip) <= int(last):
        return [(first, last)]
    parts = [(first, gateway_ip - 1)] if gateway_ip != first else []
    return parts + ([(gateway_ip + 1, last)] if gateway_ip != last else [])


def _shown(pool: Pool) -> str:
    return f"{pool[0]}-{pool[1]}"


def route(destination: str, nexthop: str, version: int) -> dict[str, str]:
    """A route that guests are told. Raises ``Invalid``."""
    try:
        range_, hop = read_range(destination), read_address(nexthop)
    except ValueError as error:
        raise Invalid(f"Invalid input for host_routes. Reason: {error}.", field="host_routes") from None
    if {range_.version, hop.version} != {version}:
        raise refused(f"Host route {destination} by {nexthop} does not match the ip_version '{version}'", "host_routes")
    return {"destination": str(range_), "nexthop": str(hop)}


def of_mac(cidr: str, mac_address: str) -> str:
    """The address that a guest with this MAC makes for itself in an IPv6 range (modified EUI-64)."""
    octets = bytes.fromhex(mac_address.replace(":", ""))
    identifier = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return str(IPv6Network(cidr)[int.from_bytes(identifier)])
