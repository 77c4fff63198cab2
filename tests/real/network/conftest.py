"""A network namespace as the machine, other namespaces as guests and as the outside world: real packets, while
the machine's own network is never touched."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.network.base import NetworkSpec, PortSpec, bridge_name, tap_name
from novalite.drivers.network.linux import LinuxNetworkDriver

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_DHCP_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr flush dev $interface
ip addr add $ip/$mask dev $interface
set -- $staticroutes
while [ $# -ge 2 ]; do ip route replace $1 via $2 dev $interface; shift 2; done
env > LEASE
"""


def sh(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert not check or done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout


def new_network(cidr: str = "10.97.0.0/24", **more: object) -> NetworkSpec:
    gateway = cidr.rpartition(".")[0] + ".1"
    return NetworkSpec(str(uuid4()), "test", cidr, gateway, **more)  # type: ignore[arg-type]


def new_port(network: NetworkSpec, last: int, hostname: str = "") -> PortSpec:
    address = network.gateway_ip.rpartition(".")[0] + f".{last}"
    return PortSpec(str(uuid4()), network.id, f"fa:16:3e:00:00:{last:02x}", address, hostname)


@dataclass
class Guest:
    """A namespace with one card, plugged in as a port's tap."""

    name: str
    port: PortSpec
    directory: Path

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["ip", "netns", "exec", self.name, *argv], capture_output=True, text=True,
                              timeout=30, check=False)  # fmt: skip

    def ok(self, *argv: str) -> bool:
        return self.run(*argv).returncode == 0

    def pings(self, address: str, *options: str) -> bool:
        return self.ok("ping", "-c1", "-W1", *options, address)

    def lease(self, tries: int = 5) -> dict[str, str]:
        """What DHCP gave (busybox's names); empty when nothing. The card is set up with it."""
        lease, script = self.directory / f"{self.name}.lease", self.directory / f"{self.name}.sh"
        lease.unlink(missing_ok=True)
        script.write_text(_DHCP_SCRIPT.replace("LEASE", str(lease)))
        script.chmod(0o755)
        self.run("busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", str(tries), "-T", "1", "-s", str(script),
                 "-O", "staticroutes", "-O", "mtu", "-O", "hostname")  # fmt: skip
        if not lease.exists():
            return {}
        return dict(line.split("=", 1) for line in lease.read_text().splitlines() if "=" in line)

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

    def plug(self, port: PortSpec) -> Guest:
        name, tap = self.namespace(), tap_name(port.id)
        sh("ip", "link", "add", tap, "type", "veth", "peer", "name", "eth0", "netns", name)
        sh("ip", "link", "set", tap, "master", bridge_name(port.network_id), "up")
        sh("ip", "-n", name, "link", "set", "eth0", "address", port.mac_address, "up")
        return Guest(name, port, self.directory)

    def make_outside(self) -> None:
        self.outside = self.namespace()
        sh("ip", "link", "add", "uplink0", "type", "veth", "peer", "name", "eth0", "netns", self.outside)
        sh("ip", "addr", "add", f"{self.address}/24", "dev", "uplink0")
        sh("ip", "link", "set", "uplink0", "up")
        sh("ip", "-n", self.outside, "addr", "add", f"{self.gateway}/24", "dev", "eth0")
        sh("ip", "-n", self.outside, "link", "set", "eth0", "up")
        sh("ip", "route", "add", "default", "via", self.gateway)

    def clean(self) -> None:
        for driver in self.drivers:
            for network_id in set(driver.check().dhcp_running):
                driver.remove_network(network_id)
            driver.close()
        for name in self._namespaces:
            sh("ip", "netns", "del", name, check=False)


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
