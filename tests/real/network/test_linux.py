"""The Linux driver with real packets: addresses, separation, limits, restart, removal."""

from __future__ import annotations

import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    METADATA_ADDRESS_6,
    bridge_name,
    link_name,
    network_namespace,
    tap_name,
)
from novalite.errors import DriverError
from tests.real.network.conftest import Guest, Machine, address_of, new_network, new_port, on, sh

pytestmark = pytest.mark.real


def _dnsmasq(machine: Machine, network_id: str) -> int:
    (file,) = machine.directory.glob(f"run/*/{network_id}/dnsmasq.pid")
    return int(file.read_text())


def _runs(pid: int) -> bool:
    """A process that has ended but was not waited for yet has no command line."""
    file = Path(f"/proc/{pid}/cmdline")
    return file.exists() and bool(file.read_bytes())


def test_dhcp_gives_each_port_its_own_address_and_nobody_else_any(machine: Machine) -> None:
    driver = machine.driver()
    network = new_network(mtu=1400, dns_domain="cloud.test", subnet={"dns_servers": ("192.0.2.53",)})
    port = new_port(network, 5, "first")
    driver.ensure_network(network, (replace(port, mac_address="fa:16:3e:00:00:77"),))
    guest = machine.plug(port)
    assert guest.lease(tries=2) == {}, "a MAC nobody knows gets nothing"
    driver.ensure_port(port)
    lease = guest.lease()
    told = {key: lease[key] for key in ("ip", "mask", "mtu", "dns", "hostname", "domain")}
    assert told == {"ip": "10.97.0.5", "mask": "24", "mtu": "1400", "dns": "192.0.2.53", "hostname": "first",
                    "domain": "cloud.test"}  # fmt: skip
    assert lease["staticroutes"].split() == ["169.254.169.254/32", "10.97.0.2", "0.0.0.0/0", "10.97.0.1"]


def test_guests_of_a_network_reach_one_another_and_its_servers_but_not_the_machine(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    one, two = new_port(network, 5), new_port(network, 6)
    driver.ensure_network(network, (one, two))
    first, second = machine.plug(one), machine.plug(two)
    assert first.lease()["ip"] == "10.97.0.5"
    assert second.lease()["ip"] == "10.97.0.6"
    assert first.pings("10.97.0.6")
    assert first.pings("10.97.0.2")
    assert first.pings(METADATA_ADDRESS)
    assert not first.pings(machine.address)


def test_networks_with_the_same_range_do_not_see_each_other(machine: Machine) -> None:
    driver, left, right = machine.driver(), new_network(), new_network()
    one, two, three = new_port(left, 5), new_port(right, 5), new_port(right, 6)
    driver.ensure_network(left, (one,))
    driver.ensure_network(right, (two, three))
    first, second, third = (machine.plug(port) for port in (one, replace(two, mac_address=two.mac_address), three))
    for guest, address in ((first, "10.97.0.5"), (second, "10.97.0.5"), (third, "10.97.0.6")):
        assert guest.lease()["ip"] == address
    assert second.pings("10.97.0.6")
    assert not first.pings("10.97.0.6"), "the neighbour of the same range is on another network"


def test_a_second_card_is_plugged_in_and_out(machine: Machine) -> None:
    driver, left, right = machine.driver(), new_network(), new_network("10.98.0.0/24")
    one, two, other = new_port(left, 5), new_port(right, 5), new_port(right, 6)
    driver.ensure_network(left, (one,))
    driver.ensure_network(right, (other,))
    guest, neighbour = machine.plug(one), machine.plug(other)
    assert guest.lease()
    assert neighbour.lease()
    driver.ensure_port(two)
    second = machine.plug(two, guest=guest)
    assert second.card == "eth1"
    assert second.lease()["ip"] == "10.98.0.5"
    assert neighbour.pings("10.98.0.5")
    second.unplug()
    driver.remove_port(right.id, two.id)
    assert not neighbour.pings("10.98.0.5")
    assert guest.pings("10.97.0.2")


def test_several_subnets_of_a_network(machine: Machine) -> None:
    driver, network = machine.driver(), new_network("10.97.0.0/24", "10.99.0.0/25")
    one = replace(new_port(network, 5), addresses=("10.97.0.5",))
    two = replace(new_port(network, 6), addresses=("10.99.0.6",))
    driver.ensure_network(network, (one, two))
    first, second = machine.plug(one), machine.plug(two)
    assert first.lease()["ip"] == "10.97.0.5"
    lease = second.lease()
    assert (lease["ip"], lease["mask"]) == ("10.99.0.6", "25")
    told = lease["staticroutes"].split()
    assert dict(zip(told[::2], told[1::2], strict=True)) == {
        "169.254.169.254/32": "10.99.0.2", "0.0.0.0/0": "10.99.0.1", "10.97.0.0/24": "0.0.0.0"}  # fmt: skip
    assert second.pings("10.97.0.5"), "the other range of the network is on the link"


def test_a_network_without_dhcp_gives_no_address(machine: Machine) -> None:
    driver, network = machine.driver(), new_network(subnet={"dhcp": False})
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    guest = machine.plug(port)
    assert guest.lease(tries=2) == {}
    guest.run("ip", "addr", "add", "10.97.0.5/24", "dev", "eth0")
    assert guest.pings("10.97.0.2")


def test_a_network_without_server_address_still_has_metadata(machine: Machine) -> None:
    driver, network = machine.driver(), new_network(subnet={"server_ip": ""})
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    guest = machine.plug(port)
    guest.run("ip", "addr", "add", "10.97.0.5/24", "dev", "eth0")
    guest.run("ip", "route", "add", METADATA_ADDRESS, "dev", "eth0")
    assert guest.pings(METADATA_ADDRESS)


def _who_asks(guest: Guest, listening: socket.socket, address: str) -> str:
    """The peer that the listener sees when the guest connects to the address."""
    script = f"import socket; socket.create_connection(({address!r}, 80), timeout=3)"
    found: list[str] = []
    client = threading.Thread(target=lambda: found.append(guest.run(sys.executable, "-c", script).stderr))
    client.start()
    listening.settimeout(5)
    with listening, listening.accept()[0] as connection:
        peer = str(connection.getpeername()[0])
    client.join(10)
    assert found == [""]
    return peer


def test_metadata_is_asked_by_both_protocols_and_tells_who_asks(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    guest = machine.plug(port)
    assert guest.lease()
    four, six = driver.metadata_sockets(network.id)
    assert _who_asks(guest, four, METADATA_ADDRESS) == "10.97.0.5"
    assert _who_asks(guest, six, f"{METADATA_ADDRESS_6}%eth0").startswith("fe80::f816:3eff:fe00:5")
    again = driver.metadata_sockets(network.id)
    for one in again:
        one.close()


def test_the_mtu_is_what_passes(machine: Machine) -> None:
    driver, network = machine.driver(), new_network(mtu=1300)
    one, two = new_port(network, 5), new_port(network, 6)
    driver.ensure_network(network, (one, two))
    first, second = machine.plug(one), machine.plug(two)
    assert first.lease()
    assert second.lease()
    first.run("ip", "link", "set", "eth0", "mtu", "1500")
    assert first.pings("10.97.0.6", "-s", "1272", "-M", "do")
    assert not first.pings("10.97.0.6", "-s", "1273", "-M", "do")
    driver.ensure_network(replace(network, mtu=1500))
    second.run("ip", "link", "set", "eth0", "mtu", "1500")
    assert first.pings("10.97.0.6", "-s", "1472", "-M", "do")


def test_nothing_passes_a_port_or_a_network_that_is_down(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    one, two = new_port(network, 5), new_port(network, 6)
    driver.ensure_network(network, (one, two))
    first, second = machine.plug(one), machine.plug(two)
    assert first.lease()
    assert second.lease()
    driver.ensure_port(replace(one, up=False))
    assert not second.pings("10.97.0.5")
    assert not first.pings("10.97.0.2")
    driver.ensure_port(one)
    assert second.pings("10.97.0.5")
    driver.ensure_network(replace(network, up=False))
    assert not second.pings("10.97.0.5")
    assert driver.check().problems == ()
    driver.ensure_network(network)
    assert second.pings("10.97.0.5")
    assert second.lease()["ip"] == "10.97.0.6"


def test_a_removed_port_is_mute_and_its_address_goes_to_the_next_at_once(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    old = new_port(network, 5)
    driver.ensure_network(network, (old,))
    guest = machine.plug(old)
    assert guest.lease()["ip"] == "10.97.0.5"
    for _ in range(2):
        driver.remove_port(network.id, old.id)
    assert (network.id, old.id) not in driver.check().ports
    assert not guest.pings("10.97.0.2")
    assert tap_name(old.id) not in sh("ip", "-o", "link")
    new = replace(new_port(network, 6), addresses=("10.97.0.5",))
    driver.ensure_port(new)
    assert machine.plug(new).lease()["ip"] == "10.97.0.5"


def test_a_restart_finds_everything_as_it_was(machine: Machine) -> None:
    appliance = "6b1f6ed6-9d4b-4d35-90a4-b8a1f0d1f9f1"
    driver, network = machine.driver(appliance), new_network()
    one, two = new_port(network, 5), new_port(network, 6)
    driver.ensure_network(network, (one, two))
    first, second = machine.plug(one), machine.plug(two)
    assert first.lease()
    assert second.lease()
    pid = _dnsmasq(machine, network.id)
    driver.close()
    again = machine.driver(appliance)
    assert again.check().problems == ()
    again.ensure_network(network, (one, two))
    assert _dnsmasq(machine, network.id) == pid, "the DHCP server is adopted, not started anew"
    report = again.check()
    assert report.problems == ()
    assert set(report.ports) == {(network.id, one.id), (network.id, two.id)}
    assert first.pings("10.97.0.6")


def test_removal_leaves_nothing(machine: Machine) -> None:
    before = sh("ip", "-o", "link"), sh("nft", "list", "ruleset"), sh("ip", "route")
    driver, network = machine.driver(), new_network()
    driver.ensure_network(network, (new_port(network, 5),))
    pid = _dnsmasq(machine, network.id)
    for _ in range(2):
        driver.remove_network(network.id)
    assert (sh("ip", "-o", "link"), sh("nft", "list", "ruleset"), sh("ip", "route")) == before
    assert network_namespace(network.id) not in sh("ip", "netns", "list")
    assert list((machine.directory / "run").glob("*")) == []
    assert not _runs(pid)


def test_two_appliances_live_side_by_side(machine: Machine) -> None:
    ours, theirs = machine.driver(), machine.driver()
    left, right = new_network(), new_network()
    one, two, three = new_port(left, 5), new_port(right, 6), new_port(right, 7)
    ours.ensure_network(left, (one,))
    theirs.ensure_network(right, (two, three))
    first, second, third = machine.plug(one), machine.plug(two), machine.plug(three)
    for guest in (first, second, third):
        assert guest.lease()
    assert ours.check().networks == (left.id,)
    with pytest.raises(DriverError, match="belongs to something else"):
        ours.ensure_network(right)
    ours.remove_network(right.id)
    assert theirs.check().problems == ()
    ours.remove_network(left.id)
    assert second.pings("10.97.0.7"), "one appliance's end is not the other's"
    assert theirs.check().problems == ()


def test_a_foreign_link_is_never_touched(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    port = new_port(network, 5)
    sh("ip", "tuntap", "add", "dev", tap_name(port.id), "mode", "tap")
    sh("ip", "link", "add", bridge_name(network.id), "type", "bridge")
    driver.ensure_network(network)
    with pytest.raises(DriverError, match="belongs to something else"):
        driver.ensure_port(port)
    driver.remove_port(network.id, port.id)
    driver.remove_network(network.id)
    for name in (tap_name(port.id), bridge_name(network.id)):
        assert name in sh("ip", "-o", "link")


def test_a_guest_of_an_older_release_is_taken_over(machine: Machine) -> None:
    appliance = "6b1f6ed6-9d4b-4d35-90a4-b8a1f0d1f9f2"
    driver, network = machine.driver(appliance), new_network()
    one, two = new_port(network, 5), new_port(network, 6)
    bridge = bridge_name(network.id)
    sh("ip", "link", "add", bridge, "type", "bridge")
    sh("ip", "link", "set", bridge, "up", "alias", f"novalite {appliance} {network.id}")
    sh("ip", "addr", "add", "10.97.0.1/24", "dev", bridge)
    guest = machine.plug(one)  # the hypervisor had made the tap
    sh("ip", "link", "set", tap_name(one.id), "master", bridge, "up")
    driver.ensure_network(network, (one, two))
    assert bridge not in sh("ip", "-o", "link")
    assert guest.lease()["ip"] == "10.97.0.5"
    assert machine.plug(two).lease()
    assert guest.pings("10.97.0.6")
    assert driver.check().problems == ()


def test_a_tap_with_several_queues(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    driver.ensure_port(replace(port, queues=True))
    guest = machine.plug(replace(port, queues=True))
    assert guest.lease()["ip"] == "10.97.0.5"
    driver.ensure_port(port)
    assert guest.pings("10.97.0.2"), "a card in use keeps its queues"
    guest.unplug()
    driver.ensure_port(port)
    assert machine.plug(port).lease()["ip"] == "10.97.0.5", "the next guest's card has those that it asks for"


def test_many_ports_at_once(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    driver.ensure_network(network)
    ports = [new_port(network, last) for last in range(10, 40)]
    threads = [threading.Thread(target=driver.ensure_port, args=(port,)) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    report = driver.check()
    assert (len(report.ports), report.problems) == (len(ports), ())
    assert machine.plug(ports[-1]).lease()["ip"] == address_of(network, 39)


def test_a_new_port_leaves_the_dhcp_server_of_busy_guests_running(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    first = new_port(network, 5, "first")
    driver.ensure_network(network, (first,))
    assert machine.plug(first).lease()
    pid = _dnsmasq(machine, network.id)
    for last in (6, 7):
        port = new_port(network, last)
        driver.ensure_port(port)
        assert machine.plug(port).lease()["ip"] == address_of(network, last)
    assert _dnsmasq(machine, network.id) == pid
    assert driver.check().problems == ()


def test_a_dhcp_server_whose_files_were_lost_is_replaced(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    lost = _dnsmasq(machine, network.id)
    sh("rm", "-rf", str(machine.directory / "run"))
    driver.ensure_network(network, (port,))
    assert _dnsmasq(machine, network.id) != lost
    assert machine.plug(port).lease()["ip"] == port.addresses[0]
    assert not _runs(lost)


def test_a_run_directory_that_cannot_be_is_said(machine: Machine) -> None:
    (machine.directory / "run").write_text("a file where a directory should be")
    driver = machine.driver()
    with pytest.raises(DriverError, match="run"):
        driver.ensure_network(new_network())
    assert driver.check().networks == ()


def test_links_of_a_port_are_marked(machine: Machine) -> None:
    appliance = "6b1f6ed6-9d4b-4d35-90a4-b8a1f0d1f9f3"
    driver, network = machine.driver(appliance), new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    for name in (tap_name(port.id), link_name(port.id)):
        assert f"alias novalite {appliance} port {network.id} {port.id}" in sh("ip", "link", "show", "dev", name)
    assert on(network, "ip", "-o", "link", "show", "master", bridge_name(network.id)).count("\n") == 1
