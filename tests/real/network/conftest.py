"""A network namespace as the machine, other namespaces as guests and as the outside world: real packets, while
the machine's own network is never touched."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.network import namespaces
from novalite.drivers.network.base import NetworkSpec, PortSpec, SubnetSpec, network_namespace, tap_name
from novalite.drivers.network.linux import LinuxNetworkDriver
from tests.real.network.pump import Pump, open_tap

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_DHCP_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip -4 addr flush dev $interface
ip addr add $ip/$mask dev $interface
set -- $staticroutes
while [ $# -ge 2 ]; do ip route replace $1 via $2 dev $interface; shift 2; done
env > LEASE
"""
_DHCP6_SCRIPT = """#!/bin/sh
case $reason in
BOUND6) ip -6 addr add $new_ip6_address/64 dev $interface;;
REBIND6|RENEW6) ;;
*) exit 0;;
esac
echo $new_ip6_address $new_dhcp6_name_servers $new_dhcp6_domain_search > TOLD
kill $PPID
"""


def sh(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert not check or done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout


def new_subnet(cidr: str, **more: object) -> SubnetSpec:
    """A subnet whose gateway is its first address and whose server its second; ``more`` are other fields."""
    range_ = ip_network(cidr)
    told = {"gateway_ip": str(range_[1]), "server_ip": str(range_[2])} | more
    return SubnetSpec(str(uuid4()), cidr, **told)  # type: ignore[arg-type]


def new_network(*cidrs: str, subnet: dict[str, object] | None = None, **more: object) -> NetworkSpec:
    """A network with a subnet for each range (10.97.0.0/24); ``subnet`` are other fields of all subnets."""
    subnets = tuple(new_subnet(cidr, **(subnet or {})) for cidr in cidrs or ("10.97.0.0/24",))
    return NetworkSpec(str(uuid4()), "test", subnets=subnets, **more)  # type: ignore[arg-type]


def address_of(network: NetworkSpec, last: int, subnet: int = 0) -> str:
    return str(ip_network(network.subnets[subnet].cidr)[last])


def new_port(network: NetworkSpec, last: int, hostname: str = "", **more: object) -> PortSpec:
    """A port with address number ``last`` of each subnet; ``more`` are other fields."""
    addresses = tuple(address_of(network, last, number) for number in range(len(network.subnets)))
    told = {"addresses": addresses, "project_id": network.project_id, "hostname": hostname} | more
    return PortSpec(str(uuid4()), network.id, f"fa:16:3e:00:00:{last:02x}", **told)  # type: ignore[arg-type]


@dataclass
class Guest:
    """A namespace with a card behind a port's tap."""

    name: str
    port: PortSpec
    directory: Path
    pump: Pump
    card: str = "eth0"

    def unplug(self) -> None:
        self.pump.stop()

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["ip", "netns", "exec", self.name, *argv], capture_output=True, text=True,
                              timeout=300, check=False)  # fmt: skip

    def ok(self, *argv: str) -> bool:
        return self.run(*argv).returncode == 0

    def pings(self, address: str, *options: str) -> bool:
        return self.ok("ping", "-c1", "-W1", *options, address)

    def lease(self, tries: int = 5) -> dict[str, str]:
        """What DHCP gave (busybox's names); empty when nothing. The card is set up with it."""
        lease, script = self.directory / f"{self.port.id}.lease", self.directory / f"{self.port.id}.sh"
        lease.unlink(missing_ok=True)
        script.write_text(_DHCP_SCRIPT.replace("LEASE", str(lease)))
        script.chmod(0o755)
        self.run("busybox", "udhcpc", "-i", self.card, "-n", "-q", "-f", "-t", str(tries), "-T", "1", "-s", str(script),
                 "-O", "staticroutes", "-O", "mtu", "-O", "hostname")  # fmt: skip
        if not lease.exists():
            return {}
        return dict(line.split("=", 1) for line in lease.read_text().splitlines() if "=" in line)

    def lease_6(self, seconds: int = 8) -> str:
        """The IPv6 address and name server that DHCPv6 gave, or all it told; empty when nothing."""
        told, script = self.directory / f"{self.port.id}.told6", self.directory / f"{self.port.id}.sh6"
        told.unlink(missing_ok=True)
        script.write_text(_DHCP6_SCRIPT.replace("TOLD", str(told)))
        script.chmod(0o755)
        files = ["-lf", str(self.directory / f"{self.port.id}.lease6"), "-pf", str(self.directory / "dhclient.pid")]
        self.run("timeout", str(seconds), "dhclient", "-6", "-1", "-d", "-sf", str(script), *files, self.card)
        return told.read_text().strip() if told.exists() else ""

    def resolves(self, name: str, server: str = "10.97.0.2") -> set[str]:
        """What the name server answers: addresses of a name, names of an address."""
        done = self.run("timeout", "5", "busybox", "nslookup", name, server)
        answer = done.stdout.partition("\n\n")[2]
        found = {line.partition(": ")[2].strip() for line in answer.splitlines() if line.startswith("Address")}
        return found | {line.rpartition("name = ")[2].strip() for line in answer.splitlines() if "name = " in line}

    def fetch(self, url: str, *options: str) -> str | None:
        """The body at ``url``; None when there is none."""
        done = self.run("timeout", "5", "busybox", "wget", "-qO-", *options, url)
        return done.stdout if done.returncode == 0 else None


@dataclass
class Machine:
    """The namespace the tests run in. ``outside`` is a namespace behind its default route, at ``gateway``."""

    directory: Path
    outside: str = ""
    gateway: str = "203.0.113.1"
    address: str = "203.0.113.2"
    drivers: list[LinuxNetworkDriver] = field(default_factory=list)
    _namespaces: list[str] = field(default_factory=list)
    _pumps: list[Pump] = field(default_factory=list)

    def driver(self, appliance_id: str = "", **options: float) -> LinuxNetworkDriver:
        driver = LinuxNetworkDriver(appliance_id or str(uuid4()), run_dir=self.directory / "run", **options)
        self.drivers.append(driver)
        return driver

    def namespace(self) -> str:
        name = f"nlguest-{uuid4().hex[:8]}"
        sh("ip", "netns", "add", name)
        self._namespaces.append(name)
        sh("ip", "-n", name, "link", "set", "lo", "up")
        return name

    def plug(self, port: PortSpec, *, guest: Guest | None = None) -> Guest:
        """A guest starts on the port's tap; with ``guest`` it gets another card."""
        name = guest.name if guest else self.namespace()
        card = f"eth{sum(pump.guest == name for pump in self._pumps)}"
        tap, inner = open_tap("", tap_name(port.id), queues=port.queues), open_tap(name, card)
        pump = Pump(tap, inner, name)
        self._pumps.append(pump)
        namespaces.switches("plug", name, {f"ipv6/conf/{card}/accept_dad": "0"})
        sh("ip", "-n", name, "link", "set", card, "address", port.mac_address, "up")
        return Guest(name, port, self.directory, pump, card)

    def make_outside(self) -> None:
        self.outside = self.namespace()
        sh("ip", "link", "add", "uplink0", "type", "veth", "peer", "name", "eth0", "netns", self.outside)
        sh("ip", "addr", "add", f"{self.address}/24", "dev", "uplink0")
        sh("ip", "link", "set", "uplink0", "up")
        sh("ip", "-n", self.outside, "addr", "add", f"{self.gateway}/24", "dev", "eth0")
        sh("ip", "-n", self.outside, "link", "set", "eth0", "up")
        sh("ip", "route", "add", "default", "via", self.gateway)

    def clean(self) -> None:
        for pump in self._pumps:
            pump.stop()
        for driver in self.drivers:
            report = driver.check()
            for router_id in report.routers:
                driver.remove_router(router_id)
            for network_id in report.networks:
                driver.remove_network(network_id)
            driver.close()
        for name in self._namespaces:
            sh("ip", "netns", "del", name, check=False)


def on(network: NetworkSpec, *argv: str, check: bool = True) -> str:
    """What the program prints in the network's namespace."""
    return sh("ip", "netns", "exec", network_namespace(network.id), *argv, check=check)


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if _LIBC.unshare(_CLONE_NEWNET):
        os.close(own)
        pytest.skip("network namespaces need root")
    directory = Path(f"/tmp/novalite-net-{uuid4().hex[:8]}")  # dnsmasq's user must be able to pass
    directory.mkdir(mode=0o755)
    machine = Machine(directory)
    try:
        sh("sysctl", "-qw", "net.ipv4.ip_forward=0")  # a new namespace takes this from the machine
        sh("ip", "link", "set", "lo", "up")
        machine.make_outside()
        yield machine
    finally:
        machine.clean()
        sh("rm", "-rf", str(directory))
        assert _LIBC.setns(own, _CLONE_NEWNET) == 0
        os.close(own)
