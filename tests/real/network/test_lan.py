"""The machine's LAN: its addresses move to a bridge and back without being cut off, and guests are on the LAN."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.network import commands, lan
from novalite.drivers.network.base import HostForwardSpec, NetworkSpec, PortSpec, UplinkSpec, network_namespace
from novalite.drivers.network.lan import Lan
from novalite.drivers.network.machine import Machine
from novalite.drivers.network.uplinks import lan_bridge
from novalite.errors import DriverError
from tests.real.network.lab_routing import Guest, Lab, eventually, lab, sh, within
from tests.real.network.talk import connection, connects, seen_as, server

pytestmark = pytest.mark.real
__all__ = ["lab"]

BRIDGE = lan_bridge("uplink0")
_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr flush dev $interface
ip addr add $ip/$mask dev $interface
"""


@pytest.fixture
def machine(lab: Lab) -> Iterator[Machine]:
    machine = Machine(str(uuid4()), lab.directory / "machine", lab.directory / "lan")
    yield machine
    machine.close()


def _addresses(link: str) -> list[str]:
    shown = json.loads(sh("ip", "-j", "addr", "show", "dev", link))
    return [f"{e['local']}/{e['prefixlen']}" for one in shown for e in one["addr_info"] if e["scope"] == "global"]


def _routes() -> list[str]:
    lines = [line for v in ("-4", "-6") for line in sh("ip", v, "route", "show", "table", "all").splitlines()]
    return sorted(line.strip() for line in lines if "fe80::" not in line and "ff00::" not in line)


def _rich(lab: Lab) -> None:
    """More than one address and route, of all kinds."""
    sh("ip", "addr", "add", "203.0.113.77/24", "dev", "uplink0")
    sh("ip", "addr", "add", "192.0.2.9/26", "dev", "uplink0", "noprefixroute")
    sh("ip", "route", "add", "192.0.2.0/26", "dev", "uplink0", "proto", "static", "metric", "100")
    sh("ip", "route", "add", "198.18.0.0/15", "via", "203.0.113.3", "src", "203.0.113.77", "metric", "50")
    sh("ip", "route", "add", "default", "via", lab.gateway, "table", "77")
    sh("ip", "addr", "add", "2001:db8::2/64", "dev", "uplink0", "nodad")
    sh("ip", "-n", lab.outside, "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
    sh("ip", "route", "add", "default", "via", "2001:db8::1")


def test_addresses_and_routes_move_and_come_back_and_connections_go_on(lab: Lab, machine: Machine) -> None:
    _rich(lab)
    addresses, routes = _addresses("uplink0"), _routes()
    (mac,) = (link["address"] for link in json.loads(sh("ip", "-j", "link", "show", "dev", "uplink0")))
    with server(lab.outside, 80), connection("", lab.gateway, 80) as open_:
        assert open_ is not None
        made = machine.attach_lan("uplink0", wait_seconds=5)
        assert (made.interface, made.bridge, made.gateway) == ("uplink0", BRIDGE, lab.gateway)
        assert sorted(made.addresses) == sorted(addresses)
        assert sorted(_addresses(BRIDGE)) == sorted(addresses)
        assert _addresses("uplink0") == []
        assert f"ether {mac} " in sh("ip", "link", "show", "dev", BRIDGE), "the LAN sees the same MAC as before"
        assert [route.replace(BRIDGE, "uplink0") for route in _routes()] == routes
        assert open_.says("hello") == f"{lab.address} hello"
        assert connects("", lab.gateway, 80)
        assert sh("ping", "-c1", "-W2", "2001:db8::1")
        assert machine.attach_lan("uplink0", wait_seconds=5) == made, "again is a success"
        machine.detach_lan("uplink0")
        assert sorted(_addresses("uplink0")) == sorted(addresses)
        assert _routes() == routes
        assert BRIDGE not in sh("ip", "link")
        assert open_.says("hello") == f"{lab.address} hello"
        machine.detach_lan("uplink0")
    assert not list((lab.directory / "lan").glob("lan-*.json"))


def test_a_lost_gateway_brings_everything_back(lab: Lab, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    _rich(lab)
    addresses, routes = _addresses("uplink0"), _routes()
    run = commands.run

    def lose_and_run(op: str, argv: list[str], *, text: str = "", keep: Sequence[int] = ()) -> str:
        if f"master {BRIDGE}" in text:  # a switch that lets nothing through from a bridge
            sh("ip", "-n", lab.outside, "addr", "flush", "dev", "eth0")
        return run(op, argv, text=text, keep=keep)

    monkeypatch.setattr(lan, "run", lose_and_run)
    with pytest.raises(DriverError) as refused:
        machine.attach_lan("uplink0", wait_seconds=1.5)
    assert refused.value.code == "network.lan_lost"
    assert sorted(_addresses("uplink0")) == sorted(addresses)
    assert _routes() == routes
    assert BRIDGE not in sh("ip", "link")
    assert not list((lab.directory / "lan").glob("lan-*.json"))


def test_a_gateway_that_never_answered_is_no_reason(lab: Lab, machine: Machine) -> None:
    sh("ip", "-n", lab.outside, "addr", "flush", "dev", "eth0")
    assert machine.attach_lan("uplink0", wait_seconds=0.5).bridge == BRIDGE


@contextmanager
def attaching(lab: Lab, appliance: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has moved the addresses, and is about to ask the gateway."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom novalite.drivers.network import arp, lan\n"
        "def answers(link, *_):\n"
        "    if link != 'uplink0':\n"
        "        print('moved', flush=True)\n"
        "        sys.stdin.read()\n"
        "    return True\n"
        "arp.answers = answers\n"
        f"lan.Lan({appliance!r}, Path({str(lab.directory / 'lan')!r})).attach('uplink0', wait_seconds=60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "moved\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("also_the_watchdog", [False, True])
def test_a_process_killed_in_the_middle_leaves_nothing_half_done(lab: Lab, also_the_watchdog: bool) -> None:
    addresses, routes, appliance = _addresses("uplink0"), _routes(), str(uuid4())
    with attaching(lab, appliance) as process:
        assert _addresses(BRIDGE) == addresses
        if also_the_watchdog:
            for watchdog in _watchdogs(process.pid):
                os.kill(watchdog, signal.SIGKILL)
        process.kill()
        process.wait()
        if also_the_watchdog:
            assert _addresses(BRIDGE) == addresses, "nobody is left to undo it"
            Lan(appliance, lab.directory / "lan")
            assert _addresses("uplink0") == addresses, "a new process undoes it"
    assert eventually(lambda: _addresses("uplink0") == addresses and _routes() == routes, 10)
    assert eventually(lambda: not list((lab.directory / "lan").glob("lan-*.json")))
    assert BRIDGE not in sh("ip", "link")


def test_a_process_at_work_is_left_alone_by_another_that_starts(lab: Lab) -> None:
    appliance = str(uuid4())
    with attaching(lab, appliance) as process:
        Lan(appliance, lab.directory / "lan")
        assert _addresses(BRIDGE)
        process.communicate("")
    assert process.returncode == 0
    assert _addresses(BRIDGE), "it came to its end"


def _watchdogs(parent: int) -> list[int]:
    return [int(line) for line in sh("ps", "-o", "pid=", "--ppid", str(parent)).split()]


def test_a_journal_of_before_a_reboot_is_history(lab: Lab) -> None:
    folder = lab.directory / "lan"
    folder.mkdir(exist_ok=True)
    journal = folder / "lan-uplink0.json"
    journal.write_text(json.dumps({"boot": "another", "undo": ["addr add 192.0.2.99/24 dev uplink0"]}))
    Lan(str(uuid4()), folder)
    assert not journal.exists()
    assert "192.0.2.99/24" not in _addresses("uplink0")


@pytest.mark.parametrize(
    ("interface", "says"),
    [
        ("eth99", "no interface"),
        ("lo", "no Ethernet"),
        ("br0", "a bridge already"),
        ("port0", "a port of br0"),
    ],
)
def test_what_cannot_be_attached_is_refused(machine: Machine, interface: str, says: str) -> None:
    sh("ip", "link", "add", "br0", "type", "bridge")
    sh("ip", "link", "add", "port0", "type", "veth", "peer", "name", "port1")
    sh("ip", "link", "set", "port0", "master", "br0")
    with pytest.raises(DriverError, match=says):
        machine.attach_lan(interface, wait_seconds=1)


@contextmanager
def dhcp_server(namespace: str, directory: Path) -> Iterator[None]:
    """The LAN's own."""
    pid = directory / "lan-dhcp.pid"
    within(namespace, "dnsmasq", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--bind-interfaces",
           "--no-ping", "--user=nobody", "--dhcp-range=203.0.113.100,203.0.113.120,255.255.255.0,1h",
           f"--dhcp-leasefile={directory / 'lan-leases'}", f"--pid-file={pid}")  # fmt: skip
    try:
        yield
    finally:
        os.kill(int(pid.read_text()), signal.SIGTERM)


def _lease(guest: Guest, directory: Path) -> str:
    script = directory / f"{guest.name}.sh"
    script.write_text(_SCRIPT)
    script.chmod(0o755)
    guest.run("busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1", "-s", str(script))
    shown = json.loads(guest.run("ip", "-j", "-4", "addr", "show", "dev", "eth0").stdout)
    return next((e["local"] for one in shown for e in one.get("addr_info", ())), "")


def _lan_network(lab: Lab, machine: Machine) -> NetworkSpec:
    network = lab.network(uplink=UplinkSpec("flat", "uplink0"), lan_addresses=True, metadata=False)
    machine.ensure_uplink(network)
    machine.ensure(lab.networks, (), ())
    return network


def test_guests_on_the_lan_get_its_addresses_which_are_learned(lab: Lab) -> None:
    news: list[str] = []
    machine = Machine(str(uuid4()), lab.directory / "machine", lab.directory / "lan", news.append)
    machine.attach_lan("uplink0", wait_seconds=5)
    network = _lan_network(lab, machine)
    guest = lab.guest(network)
    port = PortSpec(str(uuid4()), network.id, guest.mac)
    with dhcp_server(lab.outside, lab.directory):
        assert machine.learned([port]) == ()
        address = _lease(guest, lab.directory)
    assert address.startswith("203.0.113.1")
    assert eventually(lambda: news[:1] == [network.id])
    assert machine.learned([port]) == ((port.id, address),)
    with server(guest.name, 80), server("", 80):
        assert seen_as(lab.outside, address, 80) == lab.gateway, "the LAN reaches it"
        assert seen_as("", address, 80) == lab.address, "the machine reaches it"
        assert seen_as(guest.name, lab.address, 80) == address
        machine.ensure(lab.networks, (), (HostForwardSpec("tcp", 8080, address, 80),))
        assert connects(lab.outside, lab.address, 8080)
        assert machine.missing() == ()
        sh("nft", "flush", "ruleset")
        assert machine.missing() == (network.id,)
        machine.ensure(lab.networks, (), (HostForwardSpec("tcp", 8080, address, 80),))
        assert connects(lab.outside, lab.address, 8080)
    within(guest.name, "ip", "addr", "add", "2001:db8:5::7/64", "dev", "eth0")
    within(guest.name, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=1")
    within(guest.name, "ip", "addr", "add", "2001:db8:5::8/64", "dev", "eth0")
    assert eventually(lambda: (port.id, "2001:db8:5::8") in machine.learned([port]))
    machine.close()
    again = Machine(str(uuid4()), lab.directory / "machine", lab.directory / "lan")
    assert (port.id, address) in again.learned([port]), "a new process knows it"
    again.close()


def test_answers_that_no_guest_asked_for_teach_nothing(lab: Lab, machine: Machine) -> None:
    machine.attach_lan("uplink0", wait_seconds=5)
    network = _lan_network(lab, machine)
    guest = lab.guest(network)
    port = PortSpec(str(uuid4()), network.id, guest.mac)
    forged = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n"
        "s.bind(('', 67))\n"
        f"mac = bytes.fromhex('{guest.mac.replace(':', '')}')\n"
        "head = bytes([2, 1, 6, 0]) + b'abcd' + bytes(8) + bytes([203, 0, 113, 66]) + bytes(8) + mac\n"
        "data = head + bytes(236 - len(head)) + bytes.fromhex('638253633501050000ff')\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')\n"
        "for size in (len(data), 240, 3):\n"
        "    s.sendto(data[:size], ('255.255.255.255', 68))\n"
    )
    within(lab.outside, sys.executable, "-c", forged)
    with dhcp_server(lab.outside, lab.directory):
        address = _lease(guest, lab.directory)
    assert eventually(lambda: machine.learned([port]) == ((port.id, address),)), "only what it asked for"
    assert address != "203.0.113.66"


def test_docker_on_the_machine_lets_bridged_packets_through(lab: Lab, machine: Machine) -> None:
    sh("nft", "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }")
    sh("nft", "add chain ip filter DOCKER-USER; add rule ip filter FORWARD jump DOCKER-USER")
    machine.attach_lan("uplink0", wait_seconds=5)
    sh("ip", "link", "set", BRIDGE, "type", "bridge", "nf_call_iptables", "1")
    network = _lan_network(lab, machine)
    guest = lab.guest(network, "203.0.113.50/24")
    assert guest.pings(lab.gateway)
    sh("nft", "flush", "chain", "ip", "filter", "DOCKER-USER")
    assert machine.missing() == (network.id,)
    assert not guest.pings(lab.gateway), "without the rule it would be dropped"
    machine.ensure_uplink(network)
    machine.ensure(lab.networks, (), ())
    assert guest.pings(lab.gateway)


def test_networks_on_the_lan_keep_it_attached_and_routes_follow(lab: Lab, machine: Machine) -> None:
    host = lab.network("198.51.100.0/24", uplink=UplinkSpec("host"))
    machine.ensure_uplink(host)
    machine.ensure(lab.networks, (), ())
    behind = lab.guest(host, "198.51.100.5/24")
    assert behind.pings(lab.gateway)
    machine.attach_lan("uplink0", wait_seconds=5)
    assert behind.pings(lab.gateway), "forwarding follows the default route"
    network = _lan_network(lab, machine)
    with pytest.raises(DriverError, match="networks are on the LAN"):
        machine.detach_lan("uplink0")
    sh("ip", "addr", "add", "203.0.113.88/24", "dev", "uplink0")
    assert any("has addresses of its own again" in sentence for sentence in machine.problems())
    sh("ip", "addr", "del", "203.0.113.88/24", "dev", "uplink0")
    machine.remove_uplink(network.id)
    assert _addresses(BRIDGE), "the bridge stays"
    machine.detach_lan("uplink0")
    assert behind.pings(lab.gateway)
    assert network_namespace(network.id) in sh("ip", "netns")
