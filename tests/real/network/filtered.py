"""A network made by hand with nothing but the packet filter on it: a namespace with a bridge, namespaces as guests
with the names of ports' taps, and one behind its uplink."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

from novalite.drivers.network import namespaces
from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    METADATA_ADDRESS_6,
    GroupSpec,
    NetworkSpec,
    PortSpec,
    RuleSpec,
    SubnetSpec,
    bridge_name,
    network_namespace,
    tap_name,
    uplink_name,
)
from novalite.drivers.network.nftables import Tracking
from novalite.drivers.network.packet_rules import PacketRules

OUT = (RuleSpec(inbound=False), RuleSpec(inbound=False, version=6))
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58


def sh(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert not check or done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout


def group(*rules: RuleSpec, id: str = "", stateful: bool = True) -> GroupSpec:
    return GroupSpec(id or str(uuid4()), (*OUT, *rules), stateful)


def let_in(
    protocol: int | None = None,
    low: int | None = None,
    high: int | None = None,
    *,
    version: int = 4,
    remotes: tuple[str, ...] = (),
    remote_group: str = "",
    nobody: bool = False,
) -> RuleSpec:
    return RuleSpec(True, version, protocol, low, high, remotes, remote_group, nobody)


def new_network(**more: object) -> NetworkSpec:
    subnets = (SubnetSpec(str(uuid4()), "10.97.0.0/24"), SubnetSpec(str(uuid4()), "fd97::/64"))
    return NetworkSpec(str(uuid4()), "test", subnets=subnets, **more)  # type: ignore[arg-type]


def new_port(network: NetworkSpec, last: int, **more: object) -> PortSpec:
    addresses = (f"10.97.0.{last}", f"fd97::{last}")
    return PortSpec(str(uuid4()), network.id, f"fa:16:3e:00:00:{last:02x}", addresses, **more)  # type: ignore[arg-type]


@dataclass
class Guest:
    """A namespace with one card, plugged in as a port's tap. ``ip`` and ``ip6`` are its first addresses."""

    name: str
    port: PortSpec

    @property
    def mac(self) -> str:
        return self.port.mac_address

    @property
    def ip(self) -> str:
        return next(address for address in self.port.addresses if ":" not in address)

    @property
    def ip6(self) -> str:
        return next(address for address in self.port.addresses if ":" in address)

    def ok(self, *argv: str) -> bool:
        done = subprocess.run(["ip", "netns", "exec", self.name, *argv], capture_output=True, timeout=300, check=False)
        return done.returncode == 0

    def pings(self, address: str, *options: str) -> bool:
        return self.ok("ping", "-c1", "-W1", *options, address)

    def has(self, address: str) -> None:
        """One more address on its card."""
        size = "/64" if ":" in address else "/24"
        sh("ip", "-n", self.name, "addr", "add", address + size, "dev", "eth0", *(["nodad"] if ":" in address else []))


@dataclass
class Site:
    """One network with its filter. Rules, ports and groups go straight to the filter; no driver has a part."""

    rules: PacketRules
    network: NetworkSpec
    ports: dict[str, PortSpec] = field(default_factory=dict)
    seen: str = "1"
    _namespaces: list[str] = field(default_factory=list)

    @property
    def inside(self) -> str:
        return network_namespace(self.network.id)

    def build(self) -> None:
        assert namespaces.ensure(self.inside)
        sh("ip", "netns", "exec", self.inside, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0",
           "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")  # fmt: skip
        bridge = bridge_name(self.network.id)
        sh("ip", "-n", self.inside, "link", "add", bridge, "type", "bridge", "forward_delay", "0",
           "nf_call_iptables", self.seen, "nf_call_ip6tables", self.seen)  # fmt: skip
        sh("ip", "netns", "exec", self.inside, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0",
           "net.bridge.bridge-nf-call-ip6tables=0")  # fmt: skip
        sh("ip", "-n", self.inside, "link", "set", bridge, "up")
        for address in (f"{METADATA_ADDRESS}/32", f"{METADATA_ADDRESS_6}/64", "10.97.0.2/24", "fd97::2/64"):
            sh("ip", "-n", self.inside, "addr", "add", address, "dev", bridge, *(["nodad"] if ":" in address else []))
        self.load()

    def load(self) -> None:
        self.rules.load_network(self.network, self.ports.values())

    def _namespace(self, name: str = "") -> str:
        name = name or f"nlguest-{uuid4().hex[:8]}"
        sh("ip", "netns", "add", name)
        self._namespaces.append(name)
        sh("ip", "-n", name, "link", "set", "lo", "up")
        sh("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0",
           "net.ipv6.conf.default.accept_ra=0", "net.ipv6.conf.default.router_solicitations=0")  # fmt: skip
        return name

    def _card(self, name: str, far_end: str, mac: str) -> None:
        sh("ip", "-n", self.inside, "link", "add", far_end, "type", "veth", "peer", "name", "eth0", "netns", name)
        sh("ip", "-n", name, "link", "set", "eth0", "address", mac, "addrgenmode", "eui64", "up")
        sh("ip", "-n", self.inside, "link", "set", far_end, "master", bridge_name(self.network.id), "up")

    def plug(self, port: PortSpec) -> Guest:
        self.put(port)
        guest = Guest(self._namespace(), port)
        self._card(guest.name, tap_name(port.id), port.mac_address)
        for address in port.addresses:
            guest.has(address)
        return guest

    def put(self, port: PortSpec) -> None:
        self.rules.change_port(self.ports.get(port.id), port)
        self.ports[port.id] = port

    def outside(self) -> Guest:
        """What is behind the network's uplink, at .1."""
        port = replace(new_port(self.network, 1), mac_address="52:54:00:00:00:01")
        guest = Guest(self._namespace(), port)
        self._card(guest.name, uplink_name(self.network.id), port.mac_address)
        for address in port.addresses:
            guest.has(address)
        return guest

    def change(self, guest: Guest, **more: object) -> None:
        guest.port = replace(guest.port, **more)  # type: ignore[arg-type]
        self.put(guest.port)

    def clean(self) -> None:
        for name in (*self._namespaces, self.inside):
            namespaces.remove(name)


def why_bridges_do_not_track() -> str:
    """What the kernel says to a rule that asks a bridge for the state of a connection; empty when it takes it."""
    name = f"nlprobe-{uuid4().hex[:8]}"
    sh("ip", "netns", "add", name)
    try:
        rule = "table bridge probe { chain one { type filter hook prerouting priority 0; ct state related accept; }; }"
        done = subprocess.run(["ip", "netns", "exec", name, "nft", rule], capture_output=True, text=True, check=False)
        return done.stderr.splitlines()[0] if done.returncode else ""
    finally:
        namespaces.remove(name)


@contextmanager
def made(tracking: Tracking = "netfilter", **more: object) -> Iterator[Site]:
    site = Site(PacketRules(tracking), new_network(**more), seen="1" if tracking == "netfilter" else "0")
    try:
        site.build()
        yield site
    finally:
        site.clean()
