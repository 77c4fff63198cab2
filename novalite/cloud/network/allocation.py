"""Which addresses ports of a network get: those asked for, free ones, and those they make of their MACs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from novalite.cloud.network import addresses, ranges
from novalite.cloud.network.port_views import INTERFACE
from novalite.cloud.network.records import Network, Subnet
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid

MOST = 5
Place = tuple[Subnet, str]
"""A subnet, and an address of it."""


@dataclass(frozen=True)
class Asked:
    """An address that a port is to have: this one, any of the subnet, or (without both) any of the network."""

    ip_address: str | None = None
    subnet_id: str | None = None


@dataclass(frozen=True)
class Wish:
    """What one port asks for. ``fixed_ips`` None: what the network gives by itself, which is an address of each IP
    version; empty: none."""

    mac_address: str
    device_owner: str = ""
    fixed_ips: tuple[Asked, ...] | None = None


def places(w: Work, network: Network, wishes: Sequence[Wish]) -> list[list[Place]]:
    """The addresses of each port, in order. Raises ``Invalid`` for what its network cannot give, ``Conflict`` when
    there is none left (``network.no_addresses``). Whether one asked for is taken, the unique index decides."""
    plans = [_plan(network, wish) for wish in wishes]
    named = frozenset(slot[1] for plan in plans for slot in plan if isinstance(slot[1], str))
    needs: dict[tuple[str, ...], tuple[tuple[Subnet, ...], int]] = {}
    for plan in plans:
        for subnets, text in plan:
            if text is None:
                key = tuple(subnet.id for subnet in subnets)
                needs[key] = (subnets, needs.get(key, (subnets, 0))[1] + 1)
    given = {key: iter(addresses.free(w, subnets, count, named)) for key, (subnets, count) in needs.items()}
    return [
        [
            (subnets[0], text) if text is not None else next(given[tuple(subnet.id for subnet in subnets)])
            for subnets, text in plan
        ]
        for plan in plans
    ]


Slot = tuple[tuple[Subnet, ...], str | None]
"""The subnets that an address may be of, and the address when it is known."""


def _plan(network: Network, wish: Wish) -> list[Slot]:
    usable = eligible(network.subnets, wish.device_owner)
    if wish.fixed_ips is None:
        plan = [] if network.lan else _by_itself(usable)
    else:
        if len(wish.fixed_ips) > MOST:
            raise ranges.refused("Exceeded maximum amount of fixed ips per port", "fixed_ips")
        plan = [_slot(network, usable, wish, asked) for asked in wish.fixed_ips]
        _refuse_repeated(plan)
    if wish.fixed_ips != () and wish.device_owner != INTERFACE and not network.lan:
        present = {subnets[0].id for subnets, text in plan if text is not None}
        plan += [_of_mac(subnet, wish) for subnet in usable if _makes_own(subnet) and subnet.id not in present]
    return plan


def eligible(subnets: Sequence[Subnet], device_owner: str) -> list[Subnet]:
    """Those that give addresses to ports of this owner: the ones for it alone when there are any, else those for
    all."""
    special = [subnet for subnet in subnets if device_owner and device_owner in subnet.service_types]
    return special or [subnet for subnet in subnets if not subnet.service_types]


def _makes_own(subnet: Subnet) -> bool:
    return ranges.is_automatic(subnet.ipv6_address_mode)


def _of_mac(subnet: Subnet, wish: Wish) -> Slot:
    return (subnet,), ranges.of_mac(subnet.cidr, wish.mac_address)


def _by_itself(usable: Sequence[Subnet]) -> list[Slot]:
    given = [subnet for subnet in usable if not _makes_own(subnet)]
    versions = [tuple(subnet for subnet in given if subnet.ip_version == version) for version in (4, 6)]
    return [(subnets, None) for subnets in versions if subnets]


def _slot(network: Network, usable: Sequence[Subnet], wish: Wish, asked: Asked) -> Slot:
    if asked.subnet_id is None and asked.ip_address is None:
        found = _by_itself(usable)
        if not found:
            raise Invalid(f"Network {network.id} has no subnet to take addresses from.", field="fixed_ips")
        return found[0]
    subnet = _subnet(network, asked)
    if asked.ip_address is None:
        return _of_mac(subnet, wish) if _makes_own(subnet) and wish.device_owner != INTERFACE else ((subnet,), None)
    text = str(ranges.address(asked.ip_address, "fixed_ips"))
    if _makes_own(subnet) and wish.device_owner != INTERFACE and text != ranges.of_mac(subnet.cidr, wish.mac_address):
        raise ranges.refused(
            f"IPv6 address {text} can not be directly assigned to a port on subnet {subnet.id} since the subnet is "
            "configured for automatic addresses",
            "fixed_ips",
        )
    if network.nat and text == subnet.gateway_ip:
        raise taken(text, subnet.id)  # the machine has it
    return (subnet,), text


def _subnet(network: Network, asked: Asked) -> Subnet:
    """The subnet of the network that is meant."""
    if asked.subnet_id is not None:
        subnet = next((one for one in network.subnets if one.id == asked.subnet_id), None)
        if subnet is None:
            raise ranges.refused(
                f"Failed to create port on network {network.id}, because fixed_ips included invalid subnet "
                f"{asked.subnet_id}",
                "fixed_ips",
            )
        if asked.ip_address is not None and not _fits(subnet, asked.ip_address):
            raise Invalid(f"IP address {asked.ip_address} is not a valid IP for the specified subnet.",
                          code="invalid_ip_for_subnet", field="fixed_ips")  # fmt: skip
        return subnet
    for subnet in network.subnets:
        if _fits(subnet, asked.ip_address or ""):
            return subnet
    raise Invalid(
        f"IP address {asked.ip_address} is not a valid IP for any of the subnets on the specified network.",
        code="invalid_ip_for_network",
        field="fixed_ips",
    )


def _fits(subnet: Subnet, text: str) -> bool:
    return ranges.holds(ip_network(subnet.cidr), ranges.address(text, "fixed_ips"))


def _refuse_repeated(plan: Sequence[Slot]) -> None:
    named = [text for _, text in plan if text is not None]
    for text in named:
        if named.count(text) > 1:
            raise Invalid(f"Invalid input for fixed_ips. Reason: Duplicate IP address '{text}'.", field="fixed_ips")


def taken(text: str, subnet_id: str) -> Conflict:
    """Neutron's ``IpAddressAlreadyAllocated``."""
    return Conflict(f"IP address {text} already allocated in subnet {subnet_id}", code="ip_address.already_allocated")
