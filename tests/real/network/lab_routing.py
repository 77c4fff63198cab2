"""A network namespace as the machine, with networks in namespaces of their own, guests on them, and an outside: for
tests of what is above layer 2, without the rest of the driver."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_interface, ip_network
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.clock import Deadline
from novalite.drivers.network import namespaces
from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    NetworkSpec,
    RouterPortSpec,
    SubnetSpec,
    UplinkSpec,
    bridge_name,
    network_namespace,
)

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def sh(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert not check or done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout


def within(name: str, *argv: str, check: bool = True) -> str:
    return sh("ip", "netns", "exec", name, *argv, check=check)


def eventually(true: Callable[[], bool], seconds: float = 5) -> bool:
    """Whether it becomes so in time."""
    deadline = Deadline(seconds)
    while not true():
        if deadline.passed:
            return False
        threading.Event().wait(0.02)
    return True


def subnet(cidr: str, **more: object) -> SubnetSpec:
    """A subnet whose first address is the gateway's and whose second is the network's own."""
    range_ = ip_network(cidr)
    values: dict[str, object] = {"gateway_ip": str(range_[1]), "server_ip": str(range_[2]), **more}
    return SubnetSpec(str(uuid4()), cidr, **values)  # type: ignore[arg-type]


def card(network: NetworkSpec, *addresses: str) -> RouterPortSpec:
    id_ = str(uuid4())
    return RouterPortSpec(id_, network.id, "fa:16:3e:" + ":".join(id_[at : at + 2] for at in (0, 2, 4)), addresses)


@dataclass
class Guest:
    """A namespace with one card on a network's bridge."""

    name: str
    address: str
    mac: str
    place: str

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["ip", "netns", "exec", self.name, *argv], capture_output=True, text=True,
                              timeout=300, check=False)  # fmt: skip

    def ok(self, *argv: str) -> bool:
        return self.run(*argv).returncode == 0

    def pings(self, address: str, *options: str) -> bool:
        return self.ok("ping", "-c1", "-W1", *options, address)


@dataclass
class Lab:
    """The namespace the tests run in. ``outside`` is a namespace behind its default route, at ``gateway``."""

    directory: Path
    outside: str = ""
    gateway: str = "203.0.113.1"
    address: str = "203.0.113.2"
    networks: dict[str, NetworkSpec] = field(default_factory=dict)
    _namespaces: list[str] = field(default_factory=list)

    def namespace(self, name: str = "") -> str:
        name = name or f"nlguest-{uuid4().hex[:8]}"
        sh("ip", "netns", "add", name)
        self._namespaces.append(name)
        sh("ip", "-n", name, "link", "set", "lo", "up")
        return name

    def network(self, *subnets: SubnetSpec | str, uplink: UplinkSpec | None = None, **more: object) -> NetworkSpec:
        """A network that stands: namespace, bridge, metadata and own addresses."""
        chosen = tuple(subnet(item) if isinstance(item, str) else item for item in subnets)
        spec = NetworkSpec(str(uuid4()), "test", subnets=chosen, uplink=uplink, **more)  # type: ignore[arg-type]
        self.networks[spec.id] = spec
        self.stand(spec)
        return spec

    def stand(self, spec: NetworkSpec) -> None:
        name, bridge = network_namespace(spec.id), bridge_name(spec.id)
        self.namespace(name)
        lines = [
            f"link add name {bridge} mtu {spec.mtu} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            f"link set dev {bridge} up",
            f"addr add {METADATA_ADDRESS}/32 dev {bridge}",
        ]
        for item in spec.subnets:
            length = item.cidr.partition("/")[2]
            lines.append(f"addr add {item.server_ip}/{length} dev {bridge}" + (" nodad" if item.version == 6 else ""))
            if item.version == 4:
                lines.append(f"route add default via {item.gateway_ip}")
        namespaces.batch("ensure_network", name, lines)

    def guest(self, network: NetworkSpec, *addresses: str) -> Guest:
        """On the network; with addresses set up by hand, and the first subnet's gateways as default routes."""
        name, place = self.namespace(), "nlt" + uuid4().hex[:11]
        sh("ip", "-n", network_namespace(network.id), "link", "add", place, "type", "veth", "peer", "name", "eth0",
           "netns", name)  # fmt: skip
        sh("ip", "-n", network_namespace(network.id), "link", "set", place, "master", bridge_name(network.id), "up")
        within(name, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
        sh("ip", "-n", name, "link", "set", "eth0", "up")
        for address in addresses:
            sh("ip", "-n", name, "addr", "add", address, "dev", "eth0")
        own = {ip_interface(address).network for address in addresses}
        for item in network.subnets:
            if ip_network(item.cidr) in own and item.gateway_ip:
                sh("ip", "-n", name, "route", "add", "default", "via", item.gateway_ip)
        mac = within(name, "cat", "/sys/class/net/eth0/address").strip()
        return Guest(name, addresses[0].partition("/")[0] if addresses else "", mac, place)

    def make_outside(self) -> None:
        self.outside = self.namespace()
        sh("ip", "link", "add", "uplink0", "type", "veth", "peer", "name", "eth0", "netns", self.outside)
        sh("ip", "addr", "add", f"{self.address}/24", "dev", "uplink0")
        sh("ip", "link", "set", "uplink0", "up")
        sh("ip", "-n", self.outside, "addr", "add", f"{self.gateway}/24", "dev", "eth0")
        sh("ip", "-n", self.outside, "link", "set", "eth0", "up")
        sh("ip", "route", "add", "default", "via", self.gateway)

    def clean(self) -> None:
        for name in self._namespaces:
            sh("ip", "netns", "del", name, check=False)


@contextmanager
def machine_namespace() -> Iterator[None]:
    """This thread in a namespace of its own, as if it were a machine; skipped without root."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if _LIBC.unshare(_CLONE_NEWNET):
        os.close(own)
        pytest.skip("network namespaces need root")
    try:
        sh("sysctl", "-qw", "net.ipv4.ip_forward=0")  # a new namespace takes this from the machine
        sh("ip", "link", "set", "lo", "up")
        yield
    finally:
        assert _LIBC.setns(own, _CLONE_NEWNET) == 0
        os.close(own)


@pytest.fixture
def lab() -> Iterator[Lab]:
    directory = Path(f"/tmp/novalite-net-{uuid4().hex[:8]}")  # daemons' users must be able to pass
    directory.mkdir(mode=0o755)
    with machine_namespace():
        lab = Lab(directory)
        try:
            lab.make_outside()
            yield lab
        finally:
            lab.clean()
            sh("rm", "-rf", str(directory))
