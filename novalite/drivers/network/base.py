"""The port to the machine's network: what the conductor may ask of bridges, DHCP and packet filters.

All verbs are idempotent and describe the wanted state from ids; nothing here knows records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

METADATA_ADDRESS = "169.254.169.254"
METADATA_PORT = 16925
"""Where a network's metadata requests arrive: this TCP port of its gateway address. Guests ask
``METADATA_ADDRESS`` port 80; the machine itself does not own that address, since in many clouds the machine
needs it to reach its own provider."""


def bridge_name(network_id: str) -> str:
    """Link name of a network's bridge (at most 15 characters)."""
    return "nlb" + network_id.replace("-", "")[:11]


def tap_name(port_id: str) -> str:
    """Link name of a port's tap (at most 15 characters)."""
    return "nlt" + port_id.replace("-", "")[:11]


@dataclass(frozen=True)
class NetworkSpec:
    """One network with one IPv4 subnet. ``cidr`` like 10.0.0.0/24; ``mtu`` in bytes. ``nat`` masquerades what
    leaves towards the outside. ``metadata`` leads requests to ``METADATA_ADDRESS`` to ``METADATA_PORT`` of the
    gateway address. An ``isolated`` network reaches nothing but its gateway address until a router joins it to
    others, and nothing from outside reaches it."""

    id: str
    name: str
    cidr: str
    gateway_ip: str
    mtu: int = 1500
    dhcp: bool = True
    nat: bool = True
    metadata: bool = True
    dns_servers: tuple[str, ...] = ()
    dns_domain: str = ""
    isolated: bool = False
    host_routes: tuple[tuple[str, str], ...] = ()  # (range, next hop), told to guests
    tells_gateway: bool = True  # as the way to everything else


@dataclass(frozen=True)
class PortSpec:
    """One port: the address a MAC gets by DHCP and, with ``more``, the only ones it may speak from. ``groups`` are
    ids of the security groups whose rules let packets through; None lets everything through. A port that is not
    ``secured`` may also speak from any address."""

    id: str
    network_id: str
    mac_address: str
    ip_address: str
    hostname: str = ""
    groups: tuple[str, ...] | None = None
    secured: bool = True
    more: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.ip_address, *self.more)


@dataclass(frozen=True)
class RuleSpec:
    """What a security group lets through. ``protocol`` is a number, None: all; ``low`` and ``high`` are ports, or
    for ICMP type and code, None: all. Towards guests ``remote`` (a range) and ``remote_group`` (the addresses of
    its ports) tell where from, else where to; without both: anywhere."""

    inbound: bool
    protocol: int | None = None
    low: int | None = None
    high: int | None = None
    remote: str = ""
    remote_group: str = ""


@dataclass(frozen=True)
class GroupSpec:
    """A security group: nothing passes but what its rules allow."""

    id: str
    rules: tuple[RuleSpec, ...] = ()


@dataclass(frozen=True)
class RouterSpec:
    """Joins networks (ids) to one another and, with ``external`` (a network's id), to the outside: from ``address``
    of it when ``snat`` is set. ``own`` are its addresses on the networks (id, address)."""

    id: str
    networks: tuple[str, ...] = ()
    external: str = ""
    address: str = ""
    snat: bool = True
    own: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class FloatingSpec:
    """``address`` of the network ``external`` leads to a guest's ``fixed_address`` and is what it is seen as."""

    address: str
    external: str
    fixed_address: str


@dataclass(frozen=True)
class RoutingSpec:
    """All routers and floating addresses there are."""

    routers: tuple[RouterSpec, ...] = ()
    floating: tuple[FloatingSpec, ...] = ()


@dataclass(frozen=True)
class NetworkReport:
    """What exists on the machine for this appliance; ``problems`` are sentences for people."""

    bridges: tuple[str, ...] = ()
    dhcp_running: tuple[str, ...] = ()  # network ids with a live DHCP server
    ports: tuple[tuple[str, str], ...] = ()  # (network id, port id) known to DHCP
    problems: tuple[str, ...] = ()


@runtime_checkable
class NetworkDriver(Protocol):
    """Raises ``DriverError``; all methods may be called from several threads at once."""

    def used_ranges(self) -> tuple[str, ...]:
        """CIDRs the machine routes or owns now, so that a new network can avoid them."""

    def ensure_network(self, spec: NetworkSpec, ports: tuple[PortSpec, ...] | None = None) -> None:
        """Bridge, addresses, DHCP, NAT and metadata address as ``spec`` says, repairing what is missing or
        dead. With ``ports`` exactly these ports are known afterwards; ``None`` leaves them as they are."""

    def remove_network(self, network_id: str) -> None:
        """Take all of it away; an absent network is a success."""

    def ensure_port(self, port: PortSpec) -> None:
        """Reserve the address for the MAC and refuse spoofed sources from the port's tap."""

    def remove_port(self, network_id: str, port_id: str) -> None:
        """Forget the reservation, its lease and its rules; an absent port is a success."""

    def ensure_groups(self, groups: tuple[GroupSpec, ...], *, only: bool = False) -> None:
        """These security groups have these rules from now on, also for guests that run; with ``only`` there are
        no others. A port's group that is not known lets nothing through."""

    def remove_group(self, group_id: str) -> None:
        """Forget a security group; an absent one is a success."""

    def ensure_routing(self, routing: RoutingSpec) -> None:
        """Exactly these routers and floating addresses. Networks that are not known are left out until they are."""

    def check(self) -> NetworkReport:
        """What exists, and which DHCP servers have died."""

    def watch(self, timeout_seconds: float) -> tuple[str, ...]:
        """Wait until a DHCP server dies, or a bridge or the rules are found missing, or the time is up; the
        network ids to repair."""

    def close(self) -> None:
        """Let go of threads; bridges, rules and DHCP servers stay."""
