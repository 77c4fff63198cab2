"""What a network tells its guests: names, IPv6 addresses, options of single ports, and how much may pass."""

from __future__ import annotations

import socket
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import pytest

from novalite.drivers.network import namespaces
from novalite.drivers.network.base import NetworkSpec, RateSpec, UplinkSpec
from novalite.drivers.network.dnsmasq import DhcpServer
from tests.real.network import talk
from tests.real.network.conftest import Guest, Machine, new_network, new_port, new_subnet, on

pytestmark = pytest.mark.real

PROJECT, STRANGER = "4f1c1a525a574c438f7a0c2b5d3a1e10", "3f1c1a525a574c438f7a0c2b5d3a1e10"


def _six(mode: str = "dhcpv6-stateful", **more: object) -> NetworkSpec:
    subnets = (new_subnet("10.97.0.0/24"), new_subnet("fd00:97::/64", address_mode=mode, **more))
    return NetworkSpec(str(uuid4()), "six", subnets=subnets, dns_domain="cloud.test")


def test_names_of_the_network_and_of_the_projects_other_networks(machine: Machine) -> None:
    driver = machine.driver()
    network = new_network(project_id=PROJECT, dns_domain="cloud.test")
    other = new_network("10.98.0.0/24", project_id=PROJECT, dns_domain="cloud.test")
    foreign = new_network("10.99.0.0/24", project_id=STRANGER, dns_domain="cloud.test")
    web, guest_of = new_port(network, 5, "web"), new_port(network, 6)
    elsewhere, stranger = new_port(other, 7, "store"), new_port(foreign, 8, "secret")
    shared = new_port(network, 9, "visitor", project_id=STRANGER)
    for spec, ports in ((network, (web, guest_of, shared)), (other, (elsewhere,)), (foreign, (stranger,))):
        driver.ensure_network(spec, ports)
    guest = machine.plug(guest_of)
    assert guest.lease()["dns"] == "10.97.0.2"
    for name in ("web", "web.cloud.test", "WEB.cloud.test"):
        assert guest.resolves(name) == {"10.97.0.5"}, name
    assert guest.resolves("store") == {"10.98.0.7"}, "on the project's other network"
    assert guest.resolves("visitor") == {"10.97.0.9"}, "another project's port on this network"
    assert guest.resolves("secret") == set(), "another project's network"
    assert guest.resolves("10.97.0.5") == {"web.cloud.test"}
    assert guest.resolves("10.98.0.7") == {"store.cloud.test"}
    late = new_port(other, 20, "late")
    driver.ensure_port(late)
    assert guest.resolves("late") == {"10.98.0.20"}
    driver.remove_port(other.id, late.id)
    assert guest.resolves("late") == set()
    driver.ensure_port(replace(web, hostname="www"))
    assert guest.resolves("www") == {"10.97.0.5"}
    assert guest.resolves("web") == set()
    driver.remove_network(other.id)
    assert guest.resolves("store") == set()


def test_names_that_a_killed_process_had_written_but_not_told_are_read_at_the_next_start(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    appliance = str(uuid4())
    driver, network = machine.driver(appliance), new_network(project_id=PROJECT)
    other, asking = new_network("10.98.0.0/24", project_id=PROJECT), new_port(network, 6)
    driver.ensure_network(network, (asking,))
    driver.ensure_network(other, ())
    guest, late = machine.plug(asking), new_port(other, 20, "late")
    assert guest.lease()
    with monkeypatch.context() as killed:
        killed.setattr(DhcpServer, "signal", lambda *_: None)
        driver.ensure_port(late)
    assert guest.resolves("late") == set()
    machine.driver(appliance).ensure_network(network, (asking,))
    assert guest.resolves("late") == {"10.98.0.20"}


def test_the_name_of_a_guest_with_a_lease_goes_with_its_port(machine: Machine) -> None:
    driver, network = machine.driver(), new_network(project_id=PROJECT)
    web, asking = new_port(network, 5, "web"), new_port(network, 6)
    driver.ensure_network(network, (web, asking))
    guest = machine.plug(asking)
    assert machine.plug(web).lease()["hostname"] == "web"
    assert guest.lease()
    assert guest.resolves("web") == {"10.97.0.5"}
    driver.remove_port(network.id, web.id)
    assert guest.resolves("web") == set()
    assert guest.resolves("10.97.0.5") == set()


def _answer_once(asked: list[bytes], server: socket.socket) -> None:
    """A name server that answers one question about an address with 192.0.2.99."""
    server.settimeout(5)
    while True:
        query, peer = server.recvfrom(4096)
        asked.append(query)
        question = query[12:]
        end = question.index(b"\0") + 5
        is_a = question[end - 4 : end - 2] == b"\0\1"
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([192, 0, 2, 99])
        head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
        server.sendto(head + question[:end] + (answer if is_a else b""), peer)


def test_other_names_are_asked_of_the_upstream(machine: Machine) -> None:
    driver = machine.driver()
    network = new_network(upstream_dns=("10.97.0.9",), dns_domain="cloud.test")
    asking, upstream = new_port(network, 6), new_port(network, 9)
    driver.ensure_network(network, (asking, upstream))
    guest, server = machine.plug(asking), machine.plug(upstream)
    assert guest.lease()
    assert server.lease()

    def opened() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("", 53))
        return made

    asked: list[bytes] = []
    with closing(namespaces.within(server.name, opened)) as listening:

        def serve() -> None:
            try:
                _answer_once(asked, listening)
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        assert guest.resolves("www.example.org") == {"192.0.2.99"}
        count = len(asked)
        assert guest.resolves("nobody.cloud.test") == set()
        assert guest.resolves("nobody") == set()
        assert len(asked) == count, "names of the cloud's own domain, and bare ones, are never asked outside"
        thread.join(10)


def test_a_stateful_ipv6_address(machine: Machine) -> None:
    driver, network = machine.driver(), _six()
    port, neighbour = new_port(network, 5, "web"), new_port(network, 6)
    driver.ensure_network(network, (port, neighbour))
    guest, other = machine.plug(port), machine.plug(neighbour)
    assert guest.lease()["ip"] == "10.97.0.5"
    assert guest.lease_6() == "fd00:97::5 fd00:97::2 cloud.test."
    assert other.lease_6().startswith("fd00:97::6")
    assert other.lease()
    assert other.pings("fd00:97::5")
    assert other.pings("fd00:97::2")
    assert other.resolves("web") == {"10.97.0.5", "fd00:97::5"}
    driver.remove_port(network.id, port.id)
    heir = replace(new_port(network, 7), addresses=("10.97.0.7", "fd00:97::5"))
    driver.ensure_port(heir)
    assert machine.plug(heir).lease_6().startswith("fd00:97::5")


def test_nobody_unknown_gets_an_ipv6_address(machine: Machine) -> None:
    driver, network = machine.driver(), _six()
    port = new_port(network, 5)
    driver.ensure_network(network, (replace(port, mac_address="fa:16:3e:00:00:77", secured=False),))
    assert machine.plug(port).lease_6(seconds=4) == ""


def test_options_of_a_port_are_told_to_it_alone_and_change(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    one, two = new_port(network, 5, "one"), new_port(network, 6, "two")
    driver.ensure_network(network, (one, two))
    first, second = machine.plug(one), machine.plug(two)
    assert first.lease()["dns"] == "10.97.0.2"
    options = (("dns-server", "192.0.2.1,192.0.2.2", 4), ("26", "1350", 4), ("bootfile-name", "pxe.0", 4))
    driver.ensure_port(replace(one, dhcp_options=options))
    lease = first.lease()
    assert (lease["dns"], lease["mtu"]) == ("192.0.2.1 192.0.2.2", "1350")
    told = second.lease()
    assert (told["dns"], told["mtu"]) == ("10.97.0.2", "1500")
    driver.ensure_port(replace(one, dhcp_options=(("dns-server", "192.0.2.3", 4),)))
    assert first.lease()["dns"] == "192.0.2.3"
    driver.ensure_port(replace(one, dhcp_options=(("no-such-option", "x", 4), ("router", "not-an-address", 4))))
    assert first.lease()["dns"] == "10.97.0.2", "what dnsmasq does not take is left out, and it goes on"
    driver.ensure_port(one)
    assert first.lease()["ip"] == "10.97.0.5"
    assert second.lease()["ip"] == "10.97.0.6"
    assert driver.check().problems == ()


def _kbits(sender: Guest, receiver: Guest, address: str, *, count: int) -> float:
    """How fast that many bytes came through TCP, in kbit/s."""
    sink = """
import socket, time
server = socket.create_server(("", 7000)); print("ready", flush=True)
peer, _ = server.accept(); begin = time.monotonic(); seen = 0
while data := peer.recv(65536): seen += len(data)
print(seen * 8 / 1000 / (time.monotonic() - begin), flush=True)
"""
    source = f"""
import socket
peer = socket.create_connection(({address!r}, 7000), timeout=5); peer.settimeout(30)
peer.sendall(b"x" * {count})
"""
    with talk._running(receiver.name, sink) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert sender.ok(sys.executable, "-c", source)
        return float(process.stdout.readline())


def test_limits_hold_both_ways_and_can_be_lifted(machine: Machine) -> None:
    driver, network = machine.driver(), new_network()
    slow, fast = new_port(network, 5), new_port(network, 6)
    limited = replace(slow, rate=RateSpec(in_kbps=4000, in_burst_kb=100, out_kbps=2000, out_burst_kb=100))
    driver.ensure_network(network, (limited, fast))
    one, two = machine.plug(slow), machine.plug(fast)
    assert one.lease()
    assert two.lease()
    assert 200 < _kbits(one, two, "10.97.0.6", count=400_000) < 2600
    assert 400 < _kbits(two, one, "10.97.0.5", count=800_000) < 5200
    driver.ensure_port(replace(slow, rate=RateSpec(in_kbps=4000)))
    assert _kbits(one, two, "10.97.0.6", count=2_000_000) > 5200
    driver.ensure_port(slow)
    assert _kbits(two, one, "10.97.0.5", count=2_000_000) > 8000


def test_a_thousand_ports_from_nothing(machine: Machine) -> None:
    driver, network = machine.driver(), new_network("10.96.0.0/16", project_id=PROJECT)
    base = new_port(network, 5)
    ports = tuple(
        replace(base, id=str(uuid4()), mac_address=f"fa:16:3e:01:{n >> 8:02x}:{n & 255:02x}",
                addresses=(f"10.96.{1 + (n >> 8)}.{n & 255}",), hostname=f"host-{n}")
        for n in range(1000)
    )  # fmt: skip
    begin = time.monotonic()
    driver.ensure_network(network, ports)
    assert time.monotonic() - begin < 120
    assert driver.check().problems == ()
    guest = machine.plug(ports[700])
    assert guest.lease()["ip"] == ports[700].addresses[0]
    assert guest.resolves("host-3", "10.96.0.2") == {"10.96.1.3"}
    begin = time.monotonic()
    driver.ensure_port(replace(ports[0], hostname="renamed"))
    assert time.monotonic() - begin < 60
    assert "nlt" in on(network, "ip", "-o", "link")


@pytest.mark.parametrize("uplink", [None, UplinkSpec("host")])
def test_the_machine_may_not_ask(machine: Machine, uplink: UplinkSpec | None) -> None:
    """The servers are for guests of their network, also where that is one with others' by an uplink."""
    driver, network = machine.driver(), new_network(uplink=uplink)
    port = new_port(network, 5, "web")
    driver.ensure_network(network, (port,))
    guest = machine.plug(port)
    assert guest.lease()
    assert guest.resolves("web") == {"10.97.0.5"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        asking.connect(("10.97.0.2", 53))
        asking.send(b"\0\1\1\0\0\1\0\0\0\0\0\0\3web\0\0\1\0\1")
        with pytest.raises(TimeoutError):
            asking.recv(100)
