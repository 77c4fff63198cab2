"""What others tear down, kill or flush is noticed within moments and made again; guests that it does not concern go on
talking."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from novalite.clock import Deadline
from novalite.drivers.network.base import (
    NetworkSpec,
    PortSpec,
    bridge_name,
    link_name,
    network_namespace,
    tap_name,
)
from novalite.drivers.network.links import names
from novalite.drivers.network.linux import LinuxNetworkDriver
from tests.real.network import talk
from tests.real.network.conftest import Guest, Machine, new_network, new_port, on, sh

pytestmark = pytest.mark.real

MOMENTS = 5.0


def _dnsmasq(machine: Machine, network_id: str) -> int:
    (file,) = machine.directory.glob(f"run/*/{network_id}/dnsmasq.pid")
    return int(file.read_text())


@dataclass
class Place:
    """Two networks with the same range: three guests on the first, two that talk to each other on the second."""

    machine: Machine
    driver: LinuxNetworkDriver
    network: NetworkSpec
    ports: tuple[PortSpec, ...]
    guests: list[Guest]
    other: NetworkSpec

    def notices(self, act: Callable[[], object]) -> tuple[str, ...]:
        """What ``watch`` tells when ``act`` is done meanwhile; it is to tell within moments."""
        while self.driver.watch(0.3):
            pass
        heard: list[tuple[str, ...]] = []
        watcher = threading.Thread(target=lambda: heard.append(self.driver.watch(MOMENTS)))
        watcher.start()
        act()
        watcher.join(MOMENTS + 5)
        return heard[0]

    def repair(self) -> None:
        self.driver.ensure_network(self.network, self.ports)
        assert self.driver.check().problems == ()
        assert self.driver.watch(0.3) == ()


@pytest.fixture
def place(machine: Machine) -> Iterator[Place]:
    driver = machine.driver(look_seconds=60)
    network, other = new_network(), new_network()
    ports = tuple(new_port(network, last) for last in (5, 6, 7))
    others = tuple(new_port(other, last) for last in (5, 6))
    driver.ensure_network(network, ports)
    driver.ensure_network(other, others)
    guests = [machine.plug(port) for port in ports]
    talkers = [machine.plug(port) for port in others]
    for guest in (*guests, *talkers):
        assert guest.lease()
    with talk.server(talkers[1].name, 9000), talk.connection(talkers[0].name, "10.97.0.6", 9000) as line:
        assert line is not None
        assert line.says("before") == "10.97.0.5 before"
        yield Place(machine, driver, network, ports, guests, other)
        assert line.says("after") == "10.97.0.5 after", "the other network's connection goes on"


def _until_pings(guest: Guest, address: str) -> bool:
    deadline = Deadline(MOMENTS)
    while not guest.pings(address):
        if deadline.passed:
            return False
    return True


def test_a_killed_dhcp_server(place: Place) -> None:
    pid = _dnsmasq(place.machine, place.network.id)
    with talk.server(place.guests[1].name, 9000), talk.connection(place.guests[0].name, "10.97.0.6", 9000) as line:
        assert line is not None
        assert place.notices(lambda: os.kill(pid, signal.SIGKILL)) == (place.network.id,)
        assert any("DHCP" in problem for problem in place.driver.check().problems)
        place.repair()
        assert line.says("still") == "10.97.0.5 still"
    assert place.guests[0].lease()["ip"] == "10.97.0.5"


def test_a_deleted_bridge(place: Place) -> None:
    name = bridge_name(place.network.id)
    assert place.notices(lambda: on(place.network, "ip", "link", "del", name)) == (place.network.id,)
    assert not place.guests[0].pings("10.97.0.6")
    place.repair()
    assert _until_pings(place.guests[0], "10.97.0.6")
    assert place.guests[1].lease()["ip"] == "10.97.0.6"


def test_a_deleted_namespace(place: Place) -> None:
    name = network_namespace(place.network.id)
    assert place.notices(lambda: sh("ip", "netns", "del", name)) == (place.network.id,)
    place.repair()
    assert _until_pings(place.guests[0], "10.97.0.6")
    assert place.guests[1].lease()["ip"] == "10.97.0.6"
    for listening in place.driver.metadata_sockets(place.network.id):
        listening.close()


def test_a_deleted_pair_of_one_port(place: Place) -> None:
    first, second, third = place.guests
    with talk.server(third.name, 9000), talk.connection(second.name, "10.97.0.7", 9000) as line:
        assert line is not None
        name = link_name(place.ports[0].id)
        assert place.notices(lambda: sh("ip", "link", "del", name)) == (place.network.id,)
        assert not first.pings("10.97.0.6")
        place.repair()
        assert _until_pings(first, "10.97.0.6")
        assert line.says("still") == "10.97.0.6 still", "its neighbours' connection goes on"


def test_a_deleted_tap_is_there_for_the_next_guest(place: Place) -> None:
    name = tap_name(place.ports[0].id)
    assert place.notices(lambda: sh("ip", "link", "del", name)) == (place.network.id,)
    place.repair()
    again = place.machine.plug(place.ports[0])
    assert again.lease()["ip"] == "10.97.0.5"
    assert again.pings("10.97.0.6")


def test_flushed_rules(place: Place) -> None:
    with talk.server(place.guests[1].name, 9000), talk.connection(place.guests[0].name, "10.97.0.6", 9000) as line:
        assert line is not None
        assert place.notices(lambda: on(place.network, "nft", "flush", "ruleset")) == (place.network.id,)
        assert any("packet filter" in problem for problem in place.driver.check().problems)
        place.repair()
        assert "chain" in on(place.network, "nft", "list", "ruleset")
        assert line.says("still") == "10.97.0.5 still"


def test_one_rule_that_somebody_put_in(place: Place) -> None:
    rule = "add chain bridge novalite other { type filter hook forward priority 0; policy drop; }"
    assert place.notices(lambda: on(place.network, "nft", rule)) == (place.network.id,)
    place.repair()
    assert "other" not in on(place.network, "nft", "list", "ruleset")
    assert place.guests[0].pings("10.97.0.6")


def test_flushed_addresses_are_found_by_a_look(place: Place) -> None:
    on(place.network, "ip", "addr", "flush", "dev", bridge_name(place.network.id))
    assert any("addresses" in problem for problem in place.driver.check().problems)
    place.repair()
    assert place.guests[0].pings("10.97.0.2")


def test_closing_ends_the_watch_at_once(machine: Machine) -> None:
    driver = machine.driver()
    heard: list[tuple[str, ...]] = []
    driver.ensure_network(new_network())
    watcher = threading.Thread(target=lambda: heard.append(driver.watch(60)))
    watcher.start()
    driver.close()
    watcher.join(5)
    assert heard == [()]


def test_the_machines_own_firewall_does_not_see_guests(place: Place) -> None:
    sh("nft", "flush", "ruleset")
    for family in ("inet", "bridge"):
        sh("nft", "add", "table", family, "strict")
        sh("nft", f"add chain {family} strict every {{ type filter hook forward priority 0; policy drop; }}")
    assert place.guests[0].pings("10.97.0.6")
    assert place.guests[0].lease()["ip"] == "10.97.0.5"
    assert place.driver.check().problems == ()


def test_a_reboot(machine: Machine) -> None:
    """Everything is gone at once; only what is told again is known."""
    appliance = "5b1f6ed6-9d4b-4d35-90a4-b8a1f0d1f9f1"
    driver, network = machine.driver(appliance), new_network()
    ports = tuple(new_port(network, last) for last in (5, 6))
    driver.ensure_network(network, ports)
    driver.close()
    os.kill(_dnsmasq(machine, network.id), signal.SIGKILL)
    sh("ip", "netns", "del", network_namespace(network.id))
    for port in ports:
        sh("ip", "link", "del", link_name(port.id), check=False)  # its other end may have taken it along
        sh("ip", "link", "del", tap_name(port.id))
    sh("rm", "-rf", str(machine.directory / "run"))
    again = machine.driver(appliance)
    assert again.check().networks == ()
    again.ensure_network(network, ports)
    assert again.check().problems == ()
    first, second = (machine.plug(port) for port in ports)
    assert first.lease()["ip"] == "10.97.0.5"
    assert second.lease()
    assert first.pings("10.97.0.6")


def test_a_port_that_is_made_during_a_look_is_not_missed(place: Place) -> None:
    networks = place.driver._networks
    (known,) = (known for known in networks.all() if known.spec.id == place.network.id)
    port = new_port(place.network, 9)
    before = names()
    place.driver.ensure_port(port)
    assert networks.faults(known, before) == []
    sh("ip", "link", "delete", tap_name(port.id))
    (fault,) = networks.faults(known, before)
    assert fault == f"Port {port.id} of network {place.network.id} has lost its links."
