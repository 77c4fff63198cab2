"""The Linux driver with real packets: addresses, reach, refusal of forged sources, repair, removal."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from novalite.drivers.network.base import NetworkDriver, bridge_name
from novalite.errors import DriverError
from tests.real.network.conftest import Machine, new_network, new_port, sh

pytestmark = pytest.mark.real


def _dnsmasq(machine: Machine, network_id: str) -> int:
    (file,) = machine.directory.glob(f"run/*/{network_id}/dnsmasq.pid")
    return int(file.read_text())


def _runs(pid: int) -> bool:
    """A process that has ended but was not waited for yet has no command line."""
    file = Path(f"/proc/{pid}/cmdline")
    return file.exists() and bool(file.read_bytes())


def _mac(network_id: str) -> str:
    return sh("ip", "-o", "link", "show", bridge_name(network_id)).split("link/ether ")[1].split()[0]


def _tables() -> str:
    return sh("nft", "list", "tables")


def test_dhcp_gives_each_port_its_own_address_and_nobody_else_any(machine: Machine) -> None:
    driver, network = machine.driver(), new_network(mtu=1400, dns_servers=("192.0.2.53",))
    assert isinstance(driver, NetworkDriver)
    driver.ensure_network(network)
    port = new_port(network, 5, "first")
    guest = machine.plug(port)
    assert guest.lease(tries=2) == {}, "a MAC nobody knows gets nothing"
    driver.ensure_port(port)
    lease = guest.lease()
    assert (lease["ip"], lease["mask"], lease["mtu"], lease["dns"], lease["hostname"]) == (
        "10.97.0.5", "24", "1400", "192.0.2.53", "first")  # fmt: skip
    assert lease["staticroutes"].split() == ["169.254.169.254/32", "10.97.0.1", "0.0.0.0/0", "10.97.0.1"]


def test_guests_reach_the_host_one_another_and_the_outside_but_are_not_reached(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    one, two = new_port(network, 5), new_port(network, 6)
    driver.ensure_network(network, (one, two))
    first, second = machine.plug(one), machine.plug(two)
    assert first.lease()["ip"] == one.ip_address
    assert second.lease()["ip"] == two.ip_address
    assert first.pings(network.gateway_ip)
    assert first.pings(machine.address)
    assert first.pings(two.ip_address)
    assert first.pings(machine.gateway), "through NAT: the outside knows no way back to 10.97.0.0/24"
    sh("ip", "-n", machine.outside, "route", "add", network.cidr, "via", machine.address)
    sh("ip", "netns", "exec", machine.outside, "ping", "-c1", "-W1", machine.address)
    inward = sh("ip", "netns", "exec", machine.outside, "ping", "-c1", "-W1", one.ip_address, check=False)
    assert "0 received" in inward, "who knows the way still does not come in"


def test_networks_are_apart(machine: Machine) -> None:
    driver, left, right = machine.driver(), new_network(), new_network("10.98.0.0/24")
    one, two = new_port(left, 5), new_port(right, 6)
    driver.ensure_network(left, (one,))
    driver.ensure_network(right, (two,))
    first, second = machine.plug(one), machine.plug(two)
    assert first.lease()
    assert second.lease()
    assert not first.pings(two.ip_address)
    assert first.pings(machine.gateway)
    assert second.pings(machine.gateway)


def test_a_forged_source_is_refused(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    one, two = new_port(network, 5), new_port(network, 6)
    driver.ensure_network(network, (one, two))
    guest, neighbour = machine.plug(one), machine.plug(two)
    assert guest.lease()
    assert neighbour.lease()
    assert guest.pings(network.gateway_ip)
    guest.run("ip", "addr", "add", "10.97.0.66/24", "dev", "eth0")
    assert not guest.pings(network.gateway_ip, "-I", "10.97.0.66"), "an address that is not the port's"
    guest.run("ip", "addr", "add", f"{two.ip_address}/24", "dev", "eth0")
    guest.run("busybox", "arping", "-U", "-c", "2", "-I", "eth0", "-s", two.ip_address, two.ip_address)
    assert neighbour.pings(network.gateway_ip)
    known = sh("ip", "neigh", "show", two.ip_address, "dev", bridge_name(network.id))
    assert two.mac_address in known, "an ARP answer in another's name changes nothing"
    assert one.mac_address not in known
    guest.run("ip", "link", "set", "eth0", "address", "fa:16:3e:00:00:99")
    assert not guest.pings(network.gateway_ip), "a MAC that is not the port's"


def test_a_removed_port_is_mute_and_its_address_goes_to_the_next_at_once(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    old = new_port(network, 5)
    driver.ensure_network(network, (old,))
    guest = machine.plug(old)
    assert guest.lease()["ip"] == "10.97.0.5"
    driver.remove_port(network.id, old.id)
    driver.remove_port(network.id, old.id)
    assert (network.id, old.id) not in driver.check().ports
    new = new_port(network, 6)
    new = type(new)(new.id, network.id, new.mac_address, "10.97.0.5")
    driver.ensure_port(new)
    assert machine.plug(new).lease()["ip"] == "10.97.0.5"


def test_a_restart_finds_everything_as_it_was(machine: Machine) -> None:
    appliance = "6b1f6ed6-9d4b-4d35-90a4-b8a1f0d1f9f1"
    driver, network = machine.driver(appliance), new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    guest = machine.plug(port)
    assert guest.lease()
    pid = _dnsmasq(machine, network.id)
    driver.close()
    again = machine.driver(appliance)
    again.ensure_network(network, (port,))
    assert _dnsmasq(machine, network.id) == pid, "the DHCP server is adopted, not started anew"
    report = again.check()
    assert report.problems == ()
    assert report.ports == ((network.id, port.id),)
    assert guest.pings(machine.gateway)


def test_a_killed_dhcp_server_is_noticed_and_mended(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    assert driver.watch(0.1) == ()
    pid, heard = _dnsmasq(machine, network.id), []
    watcher = threading.Thread(target=lambda: heard.append(driver.watch(20)))
    watcher.start()
    os.kill(pid, signal.SIGKILL)
    watcher.join(10)
    assert heard == [(network.id,)]
    assert any("DHCP" in problem for problem in driver.check().problems)
    driver.ensure_network(network)
    assert driver.check().problems == ()
    assert machine.plug(port).lease()["ip"] == port.ip_address


def test_closing_ends_the_watch_at_once(machine: Machine) -> None:
    driver, heard = machine.driver(), []
    driver.ensure_network(new_network())
    watcher = threading.Thread(target=lambda: heard.append(driver.watch(60)))
    watcher.start()
    driver.close()
    watcher.join(5)
    assert heard == [()]


def test_a_server_that_ended_by_request_is_no_alarm(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    driver.ensure_network(network)
    heard: list[tuple[str, ...]] = []
    watcher = threading.Thread(target=lambda: heard.append(driver.watch(1.0)))
    watcher.start()
    driver.remove_network(network.id)
    watcher.join(10)
    assert heard == [()]


def test_a_power_cut_is_undone(machine: Machine) -> None:
    appliance = "0d5e0bb1-0df7-4ad6-8c4f-6a1c3b8a8a11"
    driver, network = machine.driver(appliance), new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    mac = _mac(network.id)
    os.kill(_dnsmasq(machine, network.id), signal.SIGKILL)
    sh("ip", "link", "del", bridge_name(network.id))
    sh("nft", "flush", "ruleset")
    sh("rm", "-rf", str(machine.directory / "run"))
    driver.close()
    again = machine.driver(appliance)
    again.ensure_network(network, (port,))
    assert _mac(network.id) == mac, "the gateway keeps its MAC: neighbours' caches stay true"
    guest = machine.plug(port)
    assert guest.lease()["ip"] == port.ip_address
    assert guest.pings(machine.gateway)
    assert again.check().problems == ()


def test_a_bridge_made_anew_gets_a_new_dhcp_server(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    sh("ip", "link", "del", bridge_name(network.id))
    driver.ensure_network(network)
    assert machine.plug(port).lease()["ip"] == port.ip_address


def test_rules_that_others_flushed_come_back(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    guest = machine.plug(port)
    assert guest.lease()
    sh("nft", "flush", "ruleset")
    assert any("tables" in problem for problem in driver.check().problems)
    assert not guest.pings(machine.gateway)
    driver.ensure_network(network)
    assert guest.pings(machine.gateway)
    sh("nft", "flush", "ruleset")
    driver.ensure_port(new_port(network, 7))
    assert guest.pings(machine.gateway)


def test_removal_leaves_nothing(machine: Machine) -> None:
    before = sh("ip", "-o", "link"), _tables(), sh("sysctl", "-n", "net.ipv4.conf.uplink0.forwarding")
    driver, network = machine.driver(), new_network()
    driver.ensure_network(network, (new_port(network, 5),))
    pid = _dnsmasq(machine, network.id)
    assert sh("sysctl", "-n", "net.ipv4.conf.uplink0.forwarding").strip() == "1"
    driver.remove_network(network.id)
    driver.remove_network(network.id)
    assert (sh("ip", "-o", "link"), _tables(), sh("sysctl", "-n", "net.ipv4.conf.uplink0.forwarding")) == before
    assert list((machine.directory / "run").glob("*")) == []
    assert not _runs(pid)


def test_what_the_machine_had_is_left_alone(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    sh("nft", "add", "table", "inet", "others")
    addresses, routes = sh("ip", "-o", "addr", "show", "dev", "uplink0"), sh("ip", "route", "show", "default")
    driver.ensure_network(network)
    assert sh("ip", "route", "show", "default") == routes
    driver.remove_network(network.id)
    assert "inet others" in _tables()
    assert sh("ip", "-o", "addr", "show", "dev", "uplink0") == addresses
    assert sh("sysctl", "-n", "net.ipv4.ip_forward").strip() == "0", "no other interface is made to forward"


def test_two_appliances_live_side_by_side(machine: Machine) -> None:
    ours, theirs = machine.driver(), machine.driver()
    left, right = new_network(), new_network("10.98.0.0/24")
    one, two = new_port(left, 5), new_port(right, 6)
    ours.ensure_network(left, (one,))
    theirs.ensure_network(right, (two,))
    assert left.cidr in theirs.used_ranges()
    first, second = machine.plug(one), machine.plug(two)
    assert first.lease()
    assert second.lease()
    assert not first.pings(two.ip_address), "appliances are apart"
    assert ours.check().bridges == (bridge_name(left.id),)
    ours.remove_network(left.id)
    assert second.pings(machine.gateway), "one appliance's end is not the other's"
    assert theirs.check().problems == ()


def test_docker_does_not_cut_guests_off(machine: Machine) -> None:
    sh("nft", "add", "table", "ip", "filter")
    sh("nft", "add", "chain", "ip", "filter", "DOCKER-USER")
    sh("nft", "add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }")
    sh("nft", "add", "rule", "ip", "filter", "FORWARD", "jump", "DOCKER-USER")
    driver, network = machine.driver(), new_network()
    one, two = new_port(network, 5), new_port(network, 6)
    driver.ensure_network(network, (one, two))
    driver.ensure_network(network)
    guest = machine.plug(one)
    assert guest.lease()
    assert machine.plug(two).lease()
    assert guest.pings(machine.gateway)
    assert guest.pings(two.ip_address)
    assert sh("nft", "list", "chain", "ip", "filter", "DOCKER-USER").count("accept") == 2
    assert driver.check().problems == ()
    driver.remove_network(network.id)
    assert "accept" not in sh("nft", "list", "chain", "ip", "filter", "DOCKER-USER")


def test_a_firewall_that_drops_is_told(machine: Machine) -> None:
    sh("nft", "add", "table", "ip", "filter")
    sh("nft", "add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }")
    driver = machine.driver()
    assert driver.check().problems == ()
    driver.ensure_network(new_network())
    assert any("drops forwarded packets" in problem for problem in driver.check().problems)


def test_a_foreign_link_is_never_touched(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    name = bridge_name(network.id)
    sh("ip", "link", "add", name, "type", "bridge")
    with pytest.raises(DriverError, match="belongs to something else"):
        driver.ensure_network(network)
    driver.remove_network(network.id)
    assert name in sh("ip", "-o", "link")
    assert driver.check().bridges == ()


def test_a_range_the_machine_uses_is_refused(machine: Machine) -> None:
    driver = machine.driver()
    assert "203.0.113.0/24" in driver.used_ranges()
    with pytest.raises(DriverError, match=r"already uses 203\.0\.113\.0/24 on uplink0"):
        driver.ensure_network(new_network("203.0.113.0/24"))
    report = driver.check()
    assert (report.bridges, report.problems) == ((), ())


def test_many_ports_at_once(machine: Machine) -> None:
    driver, network = machine.driver(), new_network("10.97.0.0/24")
    driver.ensure_network(network)
    ports = [new_port(network, last) for last in range(10, 60)]
    threads = [threading.Thread(target=driver.ensure_port, args=(port,)) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(driver.check().ports) == len(ports)
    assert machine.plug(ports[-1]).lease()["ip"] == ports[-1].ip_address
    sources = sh("nft", "list", "ruleset")
    assert all(port.ip_address in sources for port in ports)


def test_a_new_port_leaves_the_dhcp_server_of_busy_guests_running(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    first = new_port(network, 5, "first")
    driver.ensure_network(network, (first,))
    assert machine.plug(first).lease()
    pid = _dnsmasq(machine, network.id)
    for last in (6, 7):
        port = new_port(network, last)
        driver.ensure_port(port)
        assert machine.plug(port).lease()["ip"] == port.ip_address
    assert _dnsmasq(machine, network.id) == pid
    assert driver.check().problems == ()


def test_what_others_tore_down_is_noticed(machine: Machine) -> None:
    driver, left, right = machine.driver(look_seconds=0.1), new_network(), new_network("10.98.0.0/24")
    driver.ensure_network(left)
    driver.ensure_network(right)
    assert driver.watch(0.3) == ()
    sh("ip", "link", "del", bridge_name(left.id))
    assert driver.watch(10) == (left.id,)
    driver.ensure_network(left)
    sh("nft", "flush", "ruleset")
    assert set(driver.watch(10)) == {left.id, right.id}
    driver.ensure_network(left)
    assert driver.watch(0.3) == ()
    assert driver.check().problems == ()


def test_a_dhcp_server_whose_files_were_lost_is_replaced(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    lost = _dnsmasq(machine, network.id)
    sh("rm", "-rf", str(machine.directory / "run"))
    driver.ensure_network(network, (port,))
    assert _dnsmasq(machine, network.id) != lost
    assert machine.plug(port).lease()["ip"] == port.ip_address
    assert not _runs(lost)


def test_a_run_directory_that_cannot_be_is_said(machine: Machine) -> None:
    (machine.directory / "run").write_text("a file where a directory should be")
    driver = machine.driver()
    with pytest.raises(DriverError, match="run"):
        driver.ensure_network(new_network())
    assert driver.check().bridges == ()
