"""The data plane: one rule more among 10 to 10,000 ports, 1,000 ports from nothing, throughput through taps; each over
the least that the same kernel needs. In a network namespace of its own; nothing leaves it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from benchmarks import table
from benchmarks.samples import Samples
from novalite.drivers.network import links, namespaces
from novalite.drivers.network.base import (
    GroupSpec,
    NetworkSpec,
    PortSpec,
    RuleSpec,
    SubnetSpec,
    bridge_name,
    network_namespace,
    tap_name,
)
from novalite.drivers.network.linux import LinuxNetworkDriver

_MEMORY = Path("/dev/shm")
NETWORKS = 10
"""A bridge of the kernel has at most 1,023 ports, so 10,000 are on ten networks; so are fewer, to be compared."""
SIZES = (10, 1000, 10_000)
REBUILT = 1000
SECONDS = 3.0
AIM_GROWTH, AIM_RULES, AIM_PATH = 1.5, 1.15, 2.0
_CLONE_NEWNET = 0x40000000
_GROUP = GroupSpec(str(uuid4()), (RuleSpec(True, protocol=6, low=22, high=22), RuleSpec(False)))


def run(directory: Path, *, with_libvirt: bool) -> None:
    table.heading("Networks", "The driver of networks alone, in a namespace of its own. Ports have real taps.")
    if os.geteuid() != 0:
        print("Left out: network namespaces need root.")
        return
    with TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else directory) as own, _machine():
        Path(own).chmod(0o755)  # dnsmasq gives up root
        _rules(Path(own))
        _rebuild(Path(own))
        _throughput(Path(own))


@contextmanager
def _machine() -> Iterator[None]:
    """This thread, and what it starts, is on a machine without any other network."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as own:
        if libc.unshare(_CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            libc.setns(own.fileno(), _CLONE_NEWNET)


def _network(number: int) -> NetworkSpec:
    base = IPv4Address("10.128.0.0") + (number << 16)
    subnet = SubnetSpec(str(uuid4()), f"{base}/16", gateway_ip=str(base + 1), server_ip=str(base + 2))
    return NetworkSpec(str(uuid4()), f"bench-{number}", project_id="bench", subnets=(subnet,))


def _port(network: NetworkSpec, number: int) -> PortSpec:
    address = IPv4Address(network.subnets[0].cidr.partition("/")[0]) + 10 + number
    octets = ":".join(f"{byte:02x}" for byte in number.to_bytes(3, "big"))
    return PortSpec(
        str(uuid4()),
        network.id,
        f"fa:16:3e:{octets}",
        (str(address),),
        "bench",
        f"host-{network.name[6:]}-{number}",
        (_GROUP.id,),
    )


@contextmanager
def _driver(directory: Path) -> Iterator[LinuxNetworkDriver]:
    driver = LinuxNetworkDriver(str(uuid4()), run_dir=directory / "run")
    try:
        yield driver
    finally:
        for network_id in driver.check().networks:
            driver.remove_network(network_id)
        driver.close()


def _rules(directory: Path) -> None:
    """One rule more of a group that all ports are in, and one port more, in turn with their floors."""
    rows, rules, ports_ = [], [], []
    with _driver(directory) as driver:
        networks = [_network(number) for number in range(NETWORKS)]
        driver.ensure_groups((_GROUP,))
        for size in SIZES:
            made = [[_port(network, number) for number in range(size // NETWORKS)] for network in networks]
            for network, ports in zip(networks, made, strict=True):
                driver.ensure_network(network, tuple(ports))
            rule, bare_rule = _one_rule(driver, [network_namespace(network.id) for network in networks])
            port, bare_port = _one_port(driver, networks[0])
            rules.append((rule.median, rule.paired_over(bare_rule)))
            ports_.append((port.median, port.paired_over(bare_port)))
            rows.append([f"{size:,}", rule.told(1000), bare_rule.told(1000), f"{rules[-1][1]:.2f}",
                         port.told(1000), bare_port.told(1000), f"{ports_[-1][1]:.2f}"])  # fmt: skip
    table.show(("ports present", "a rule more ms", "bare nft ms", "ratio", "a port more ms", "bare ms", "ratio"), rows)
    for what, found in (("A rule", rules), ("A port", ports_)):
        growth = f"{what} more among {SIZES[-1]:,} ports over that among {SIZES[0]}"
        table.verdict(f"{growth}, seconds alone", found[-1][0] / found[0][0], AIM_GROWTH)
        table.verdict(f"{growth}, each over its floor", found[-1][1] / found[0][1], AIM_GROWTH)


def _one_rule(driver: LinuxNetworkDriver, names: list[str]) -> tuple[Samples, Samples]:
    """On all networks at once: the group has ports on each. The floor is one element into a set of each of these
    namespaces, by a program each."""
    for name in names:
        namespaces.nft("bench", name, "table inet floor\ndelete table inet floor\ntable inet floor {\n"
                       " set ports { type inet_service; }\n}\n")  # fmt: skip
    mine, floor = Samples(), Samples()
    for low in range(1000, 1010):
        with mine.timed():
            driver.ensure_groups(
                (replace(_GROUP, rules=(*_GROUP.rules, RuleSpec(True, protocol=6, low=low, high=low))),)
            )
        with floor.timed():
            for name in names:
                namespaces.nft("bench", name, f"add element inet floor ports {{ {low} }}\n")
    for name in names:
        namespaces.nft("bench", name, "delete table inet floor\n")
    return mine, floor


def _one_port(driver: LinuxNetworkDriver, network: NetworkSpec) -> tuple[Samples, Samples]:
    """The floor makes a tap and a pair, a port of the same bridge, and an element of a set."""
    ports = [_port(network, 40_000 + number) for number in range(8)]
    name, bridge = network_namespace(network.id), bridge_name(network.id)
    mine, floor = Samples(), Samples()
    for number, port in enumerate(ports):
        tap, pair = f"nlbt{number}", f"nlbv{number}"
        with mine.timed():
            driver.ensure_port(port)
        with floor.timed():
            namespaces.batch("bench", "", [
                f"tuntap add dev {tap} mode tap", f"link set dev {tap} up",
                f"link add dev {pair} type veth peer name {tap} netns {name}", f"link set dev {pair} up",
            ])  # fmt: skip
            namespaces.batch("bench", name, [f"link set dev {tap} master {bridge} up"])
            namespaces.nft("bench", name, "table inet floor\ndelete table inet floor\n")
        links.delete([tap, pair])
        driver.remove_port(network.id, port.id)
    return mine, floor


def _rebuild(directory: Path) -> None:
    """A network with all its ports, as after a restart of the machine; the floor makes only the links."""
    mine, floor = Samples(), Samples()
    for _ in range(3):
        network = _network(0)
        ports = tuple(_port(network, number) for number in range(REBUILT - 1))
        with _driver(directory) as driver:
            driver.ensure_groups((_GROUP,))
            with mine.timed():
                driver.ensure_network(network, ports)
        floor.add(_bare_links())
    table.show(("ports from nothing", "seconds", "bare links s", "ratio"),
               [[f"{REBUILT - 1:,}", mine.told(), floor.told(), f"{mine.over(floor):.2f}"]])  # fmt: skip


def _bare_links() -> float:
    near, far = (f"nlbench-{uuid4().hex[:8]}" for _ in range(2))
    taken = Samples()
    for name in (near, far):
        namespaces.ensure(name)
    pairs = [f"link add dev v{number} type veth peer name t{number} netns {far}" for number in range(REBUILT - 1)]
    try:
        namespaces.batch("bench", far, ["link add br0 type bridge", "link set br0 up"])
        with taken.timed():
            namespaces.batch("bench", near, [f"tuntap add dev t{number} mode tap" for number in range(REBUILT - 1)])
            namespaces.batch("bench", near, pairs)
            namespaces.batch("bench", far, [f"link set dev t{number} master br0 up" for number in range(REBUILT - 1)])
    finally:
        for name in (near, far):
            namespaces.remove(name)
    return taken.values[0]


_SINK = """
import socket, sys, time
server = socket.create_server(("", 5001)); print("ready", flush=True)
peer = server.accept()[0]; end = time.monotonic() + float(sys.argv[1]); got = 0; buffer = bytearray(1 << 20)
while time.monotonic() < end and (more := peer.recv_into(buffer)): got += more
print(got, flush=True)
"""
_SOURCE = """
import socket, sys
peer = socket.create_connection((sys.argv[1], 5001)); data = bytes(1 << 20)
try:
    while True: peer.sendall(data)
except OSError: pass
"""


def _throughput(directory: Path) -> None:
    """TCP between two guests. Their cards are links to namespaces in the place of taps, since a tap needs a program."""
    open_, filtered, bare = Samples(), Samples(), Samples()
    for _ in range(3):
        bare.add(1 / _between_bridged())
        open_.add(1 / _between_taps(directory, groups=False))
        filtered.add(1 / _between_taps(directory, groups=True))
    kinds = (("bare bridge", bare), ("no security", open_), ("security groups", filtered))
    rows = [[name, f"{8e-9 / each.median:.2f}", f"{each.over(bare):.2f}"] for name, each in kinds]
    table.show(("TCP between guests", "Gbit/s", "time over a bare bridge"), rows)
    table.verdict("Time with taps and rules over a bare bridge", filtered.over(bare), AIM_PATH)
    table.verdict("Time with rules over without", filtered.over(open_), AIM_RULES)


def _between_taps(directory: Path, *, groups: bool) -> float:
    network = _network(1)
    ports = [_port(network, number) for number in range(2)]
    if not groups:
        ports = [replace(port, groups=None, secured=False) for port in ports]
    with _driver(directory) as driver:
        driver.ensure_groups((GroupSpec(_GROUP.id, (RuleSpec(True), RuleSpec(False))),))
        driver.ensure_network(network, ())
        appliance_id = next((directory / "run").iterdir()).name
        names = []
        for port in ports:
            names.append(_card(tap_name(port.id), port.mac_address, f"{port.addresses[0]}/16"))
            mark = links.alias(appliance_id, "port", network.id, port.id)
            namespaces.batch("bench", "", [f'link set dev {tap_name(port.id)} alias "{mark}"'])
            driver.ensure_port(port)
        return _bytes_a_second(names, ports[1].addresses[0])


def _between_bridged() -> float:
    bridge = f"nlbench-{uuid4().hex[:8]}"
    namespaces.ensure(bridge)
    try:
        namespaces.batch("bench", bridge, ["link add br0 type bridge", "link set br0 up"])
        names = []
        for number in range(2):
            names.append(_card(f"p{number}", f"fa:16:3e:00:00:0{number}", f"10.130.0.{number + 1}/16", bridge))
            namespaces.batch("bench", bridge, [f"link set p{number} master br0 up"])
        return _bytes_a_second(names, "10.130.0.2")
    finally:
        namespaces.remove(bridge)


def _card(outer: str, mac: str, address: str, where: str = "") -> str:
    """A namespace whose card is the other end of the link ``outer``."""
    name = f"nlbench-{uuid4().hex[:8]}"
    namespaces.ensure(name)
    namespaces.batch(
        "bench", where, [f"link add {outer} type veth peer name eth0 netns {name}", f"link set {outer} up"]
    )
    namespaces.batch("bench", name, [f"link set eth0 address {mac} up", f"addr add {address} dev eth0"])
    return name


def _bytes_a_second(names: list[str], address: str) -> float:
    def program(name: str, script: str, argument: str) -> subprocess.Popen[str]:
        argv = namespaces.inside(name, [sys.executable, "-c", script, argument])
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    sink = program(names[1], _SINK, str(SECONDS))
    assert sink.stdout is not None
    sink.stdout.readline()
    source = program(names[0], _SOURCE, address)
    try:
        return int(sink.stdout.readline()) / SECONDS
    finally:
        for process in (source, sink):
            process.kill()
            process.communicate()
        for name in names:
            namespaces.remove(name)
