"""The port to the machine's network: what the engine may ask of networks, DHCP, packet filters and routers.

All verbs are idempotent and describe the wanted state from ids; nothing here knows records. Values stand for
themselves only after ``checks`` has passed them.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

METADATA_ADDRESS = "169.254.169.254"
METADATA_ADDRESS_6 = "fe80::a9fe:a9fe"
METADATA_PORT = 80
"""Where guests ask for metadata, on every network: both addresses are on the network itself, in its own namespace."""


def _short(id_: str) -> str:
    return id_.replace("-", "")[:11]


def tap_name(port_id: str) -> str:
    """Name of a port's tap in the machine's namespace, and of its place on the bridge in the network's."""
    return "nlt" + _short(port_id)


def link_name(port_id: str) -> str:
    """Name, in the machine's namespace, of the near end of the pair that leads a tap to its network."""
    return "nlv" + _short(port_id)


def uplink_name(network_id: str) -> str:
    """Name, in the machine's namespace, of the near end of the pair that leads to a network with an uplink."""
    return "nlu" + _short(network_id)


def bridge_name(network_id: str) -> str:
    """Name of a network's bridge in its own namespace."""
    return "nlb" + _short(network_id)


def network_namespace(network_id: str) -> str:
    """Name (as ``ip netns`` shows it) of the namespace that holds a network."""
    return "nln-" + network_id


def router_namespace(router_id: str) -> str:
    """Name of the namespace that holds a router."""
    return "nlr-" + router_id


@dataclass(frozen=True)
class SubnetSpec:
    """One range of a network, IPv4 or IPv6. ``server_ip`` is the address that the network's own DHCP and name server
    has on it; without one there is neither. ``gateway_ip`` may be empty. ``dns_servers`` are told to guests instead of
    the network's own. ``ra_mode`` and ``address_mode`` are Neutron's (slaac, dhcpv6-stateful, dhcpv6-stateless, or
    empty); ``dhcp`` is Neutron's ``enable_dhcp``."""

    id: str
    cidr: str
    gateway_ip: str = ""
    dhcp: bool = True
    server_ip: str = ""
    dns_servers: tuple[str, ...] = ()
    host_routes: tuple[tuple[str, str], ...] = ()  # (range, next hop), told to guests
    ra_mode: str = ""
    address_mode: str = ""

    @property
    def version(self) -> int:
        return 6 if ":" in self.cidr else 4


@dataclass(frozen=True)
class UplinkSpec:
    """How a network leaves the machine. ``host``: the machine is on it, has its subnets' gateway addresses and routes
    for it; with ``nat`` what leaves is masqueraded behind the machine's own addresses. ``flat``: it is one with the
    network behind the machine's ``interface``. ``vlan``: the same for one VLAN of that."""

    kind: str
    interface: str = ""
    vlan_id: int = 0
    nat: bool = True


@dataclass(frozen=True)
class NetworkSpec:
    """One network, in a namespace of its own. Without ``uplink`` it reaches nothing until a router joins it to others.
    ``metadata`` has the metadata addresses on it. ``dns_domain`` is told to guests; names of all ports of
    ``project_id`` are known on its networks. ``lan_addresses``: guests take addresses that nobody here gave
    (from a DHCP server behind the uplink), so any source address is theirs."""

    id: str
    name: str
    project_id: str = ""
    subnets: tuple[SubnetSpec, ...] = ()
    mtu: int = 1500
    metadata: bool = True
    dns_domain: str = ""
    upstream_dns: tuple[str, ...] = ()
    uplink: UplinkSpec | None = None
    up: bool = True
    lan_addresses: bool = False


@dataclass(frozen=True)
class RateSpec:
    """Most that may pass, in kbit/s and kbit of burst; 0: no limit. ``in`` is towards the guest."""

    in_kbps: int = 0
    in_burst_kb: int = 0
    out_kbps: int = 0
    out_burst_kb: int = 0


@dataclass(frozen=True)
class PortSpec:
    """One port of a guest. ``addresses`` (IPv4 and IPv6, in order) are what DHCP gives its MAC and, with ``pairs``
    (MAC or empty for its own, range), all it may speak from. ``groups`` are ids of the security groups whose rules
    let packets through; None lets everything through. A port that is not ``secured`` may speak from any address.
    ``dhcp_options`` are (name or number, value, IP version). ``queues``: its tap takes several. Without ``up``
    nothing passes."""

    id: str
    network_id: str
    mac_address: str
    addresses: tuple[str, ...] = ()
    project_id: str = ""
    hostname: str = ""
    groups: tuple[str, ...] | None = None
    secured: bool = True
    pairs: tuple[tuple[str, str], ...] = ()
    dhcp_options: tuple[tuple[str, str, int], ...] = ()
    rate: RateSpec = RateSpec()
    queues: bool = False
    up: bool = True


@dataclass(frozen=True)
class RuleSpec:
    """What a security group lets through, of IP ``version`` 4 or 6. ``protocol`` is a number, None: all; ``low`` and
    ``high`` are ports, or for ICMP type and code, None: all. Towards guests ``remotes`` (ranges) and ``remote_group``
    (the addresses of its ports) tell where from, else where to; without both: anywhere. ``nobody``: an empty list of
    remotes that means no address at all (an empty address group)."""

    inbound: bool
    version: int = 4
    protocol: int | None = None
    low: int | None = None
    high: int | None = None
    remotes: tuple[str, ...] = ()
    remote_group: str = ""
    nobody: bool = False


@dataclass(frozen=True)
class GroupSpec:
    """A security group: nothing passes but what its rules allow. A group that is not ``stateful`` lets answers pass
    only by rules of their own; a port is stateless when all its groups are."""

    id: str
    rules: tuple[RuleSpec, ...] = ()
    stateful: bool = True


@dataclass(frozen=True)
class RouterPortSpec:
    """A router's card on a network. ``addresses`` are like 10.0.0.1/24."""

    id: str
    network_id: str
    mac_address: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class FloatingSpec:
    """``address`` leads to a guest's ``fixed_address`` and is what it is seen as."""

    address: str
    fixed_address: str


@dataclass(frozen=True)
class PortForwardSpec:
    """Port ``low`` to ``high`` of ``address`` lead to ports from ``fixed_low`` on of ``fixed_address``.
    ``protocol`` is tcp or udp. An empty ``address`` is the router's own IPv4 gateway address."""

    protocol: str
    address: str
    low: int
    high: int
    fixed_address: str
    fixed_low: int


@dataclass(frozen=True)
class RouterSpec:
    """Joins networks and, with a ``gateway``, leads to the outside by ``next_hops`` (one of each IP version at most):
    for IPv4 as the gateway's own address when ``snat`` is set. ``routes`` are (range, next hop)."""

    id: str
    interfaces: tuple[RouterPortSpec, ...] = ()
    gateway: RouterPortSpec | None = None
    next_hops: tuple[str, ...] = ()
    snat: bool = True
    routes: tuple[tuple[str, str], ...] = ()
    floating: tuple[FloatingSpec, ...] = ()
    forwards: tuple[PortForwardSpec, ...] = ()


@dataclass(frozen=True)
class HostForwardSpec:
    """A port of all the machine's own addresses leads to ``address`` port ``port``. ``protocol`` is tcp or udp."""

    protocol: str
    host_port: int
    address: str
    port: int


@dataclass(frozen=True)
class LanSpec:
    """What ``attach_lan`` has made: the bridge that has the interface's addresses now."""

    interface: str
    bridge: str
    addresses: tuple[str, ...]
    gateway: str = ""


@dataclass(frozen=True)
class NetworkReport:
    """What exists on the machine for this appliance; ``problems`` are sentences for people. ``networks`` and
    ``routers`` are ids of those that stand, ``learned`` are (port id, address) that guests on networks with
    ``lan_addresses`` were seen to get."""

    networks: tuple[str, ...] = ()
    dhcp_running: tuple[str, ...] = ()  # network ids with a live DHCP server
    ports: tuple[tuple[str, str], ...] = ()  # (network id, port id)
    routers: tuple[str, ...] = ()
    learned: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()


@runtime_checkable
class NetworkDriver(Protocol):
    """Raises ``DriverError``; all methods may be called from several threads at once."""

    def used_ranges(self) -> tuple[str, ...]:
        """CIDRs the machine routes or owns now, so that a new network with an uplink can avoid them."""

    def ensure_network(self, spec: NetworkSpec, ports: tuple[PortSpec, ...] | None = None) -> None:
        """Namespace, bridge, addresses, DHCP and name server and uplink as ``spec`` says, repairing what is missing
        or dead. With ``ports`` exactly these ports are known afterwards; ``None`` leaves them as they are."""

    def remove_network(self, network_id: str) -> None:
        """Take all of it away; an absent network is a success."""

    def ensure_port(self, port: PortSpec) -> None:
        """The port's tap, ready for a guest or with one, led to its network; its reservation, its rules, its limits."""

    def remove_port(self, network_id: str, port_id: str) -> None:
        """Forget the tap, the reservation, its lease and its rules; an absent port is a success."""

    def ensure_groups(self, groups: tuple[GroupSpec, ...], *, only: bool = False) -> None:
        """These security groups have these rules from now on, also for guests that run; with ``only`` there are
        no others. A port's group that is not known lets nothing through."""

    def remove_group(self, group_id: str) -> None:
        """Forget a security group; an absent one is a success."""

    def ensure_routers(self, routers: tuple[RouterSpec, ...], *, only: bool = False) -> None:
        """These routers are as told; with ``only`` there are no others. A card on a network that is not known is left
        out until it is."""

    def remove_router(self, router_id: str) -> None:
        """Take the router away; an absent one is a success."""

    def ensure_forwards(self, forwards: tuple[HostForwardSpec, ...]) -> None:
        """Exactly these ports of the machine lead to guests."""

    def attach_lan(self, interface: str, *, wait_seconds: float) -> LanSpec:
        """Move the machine's addresses and routes from ``interface`` to a bridge of which it becomes a port. Undone
        when its gateway answers before but not after (for ``wait_seconds``); what is so already is a success."""

    def detach_lan(self, interface: str) -> None:
        """The other way round; success when it is not attached."""

    def metadata_sockets(self, network_id: str) -> tuple[socket.socket, ...]:
        """New listening sockets at ``METADATA_PORT`` of the metadata addresses (IPv4, IPv6) of the network, for the
        caller to serve and close. Their peers are guests of this network."""

    def check(self) -> NetworkReport:
        """What exists, and which DHCP servers have died."""

    def watch(self, timeout_seconds: float) -> tuple[str, ...]:
        """Wait until a DHCP server dies, or something of a network or router is found missing, or a LAN address was
        learned, or the time is up; the ids of networks and routers to repair."""

    def close(self) -> None:
        """Let go of threads; everything made stays."""
