"""Router advertisements by real packets: what guests are told, and the addresses they make of it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from novalite.drivers.network.base import (
    NetworkSpec,
    RouterPortSpec,
    RouterSpec,
    UplinkSpec,
    network_namespace,
    router_namespace,
)
from novalite.drivers.network.daemons import arguments
from novalite.drivers.network.machine import Machine
from novalite.drivers.network.routers import Routers
from tests.real.network.lab_routing import Guest, Lab, card, eventually, lab, sh, subnet, within

pytestmark = pytest.mark.real
__all__ = ["lab"]

_ASK = """
import json, socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.settimeout(4)
s.sendto(struct.pack("!BBHI", 133, 0, 0, 0), ("ff02::2", 0, 0, socket.if_nametoindex("eth0")))
while True:
    try:
        data, peer = s.recvfrom(2000)
    except TimeoutError:
        print("null")
        break
    if data[0] != 134:
        continue
    told = {"from": peer[0].partition("%")[0], "managed": bool(data[5] & 128), "other": bool(data[5] & 64), "dns": [],
            "prefixes": {}}
    at = 16
    while at < len(data):
        kind, length = data[at], data[at + 1] * 8
        if kind == 3:
            prefix = socket.inet_ntop(socket.AF_INET6, data[at + 16:at + 32])
            told["prefixes"][f"{prefix}/{data[at + 2]}"] = bool(data[at + 3] & 64)
        elif kind == 5:
            told["mtu"] = struct.unpack("!I", data[at + 4:at + 8])[0]
        elif kind == 25:
            told["dns"] += [socket.inet_ntop(socket.AF_INET6, data[i:i + 16]) for i in range(at + 8, at + length, 16)]
        at += length
    print(json.dumps(told))
    break
"""


def ask(guest: Guest) -> dict[str, object]:
    """What a router tells who asks; empty when none does."""
    done = guest.run(sys.executable, "-c", _ASK)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) or {}


@dataclass
class Site:
    lab: Lab
    routers: Routers

    def routed(self, network: NetworkSpec, *addresses: str) -> RouterSpec:
        spec = RouterSpec(str(uuid4()), (card(network, *addresses),))
        self.routers.ensure([spec], self.lab.networks)
        return spec

    def pid(self, spec: RouterSpec) -> int:
        return int((self.lab.directory / "routers" / spec.id / "radvd.pid").read_text())


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    routers = Routers(str(uuid4()), lab.directory / "routers")
    yield Site(lab, routers)
    for id_ in routers.known():
        routers.remove(id_)


def test_a_guest_makes_its_address_of_what_it_is_told_and_is_routed(site: Site) -> None:
    red = site.lab.network(subnet("fd00:91::/64", ra_mode="slaac", address_mode="slaac"), "10.91.0.0/24", mtu=1400)
    blue = site.lab.network(subnet("fd00:92::/64", ra_mode="slaac", address_mode="slaac"))
    one, two = site.lab.guest(red), site.lab.guest(blue)
    ports: list[RouterPortSpec] = [card(red, "fd00:91::1/64"), card(red, "10.91.0.1/24"), card(blue, "fd00:92::1/64")]
    spec = RouterSpec(str(uuid4()), tuple(ports))
    site.routers.ensure([spec], site.lab.networks)

    def address(guest: Guest) -> str:
        shown = json.loads(guest.run("ip", "-j", "-6", "addr", "show", "dev", "eth0", "scope", "global").stdout)
        found = [entry["local"] for link in shown for entry in link.get("addr_info", ()) if "local" in entry]
        return found[0] if found else ""

    assert eventually(lambda: bool(address(one) and address(two)), 20)
    tail = one.mac.replace(":", "")
    assert address(one).endswith(f"ff:fe{tail[6:8]}:{tail[8:]}".replace(":0", ":")), "made of its MAC"
    assert one.pings(address(two)), "routed between the networks"
    told = ask(one)
    assert told["mtu"] == 1400
    assert told["prefixes"] == {"fd00:91::/64": True}
    assert told["dns"] == ["fd00:91::2"]
    assert (told["managed"], told["other"]) == (False, False)
    assert (
        told["from"] == f"fe80::f816:3eff:fe{ports[0].mac_address[9:11]}:{ports[0].mac_address[12:].replace(':', '')}"
    )


@pytest.mark.parametrize(
    ("mode", "by_itself", "managed", "other"),
    [("dhcpv6-stateless", True, False, True), ("dhcpv6-stateful", False, True, True)],
)
def test_the_modes_are_told_as_neutron_tells_them(
    site: Site, mode: str, by_itself: bool, managed: bool, other: bool
) -> None:
    network = site.lab.network(subnet("fd00:93::/64", ra_mode=mode, address_mode=mode, dns_servers=("2001:db8::53",)))
    guest = site.lab.guest(network)
    site.routed(network, "fd00:93::1/64")
    told = ask(guest)
    assert (told["managed"], told["other"]) == (managed, other)
    assert told["prefixes"] == {"fd00:93::/64": by_itself}
    assert told["dns"] == ["2001:db8::53"]


def test_subnets_without_a_mode_and_networks_without_ipv6_are_told_nothing(site: Site) -> None:
    network = site.lab.network("fd00:94::/64", "10.94.0.0/24")
    guest = site.lab.guest(network)
    spec = site.routed(network, "fd00:94::1/64", "10.94.0.1/24")
    assert ask(guest) == {}
    assert not (site.lab.directory / "routers" / spec.id / "radvd.pid").exists()


def test_changes_are_told_without_a_new_process(site: Site) -> None:
    slaac = subnet("fd00:95::/64", ra_mode="slaac")
    network = site.lab.network(slaac)
    guest = site.lab.guest(network)
    spec = site.routed(network, "fd00:95::1/64")
    pid = site.pid(spec)
    assert ask(guest)["mtu"] == 1500
    changed = replace(network, mtu=1420)
    site.lab.networks[network.id] = changed
    site.routers.network_changed(changed, site.lab.networks)
    assert eventually(lambda: ask(guest).get("mtu") == 1420, 10)
    assert site.pid(spec) == pid
    plain = replace(changed, subnets=(replace(slaac, ra_mode=""),))
    site.routers.network_changed(plain, {network.id: plain})
    assert ask(guest) == {}
    assert arguments(pid) == []


def test_a_dead_radvd_is_missed_and_started_again(site: Site) -> None:
    network = site.lab.network(subnet("fd00:96::/64", ra_mode="slaac"))
    spec = site.routed(network, "fd00:96::1/64")
    assert site.routers.missing() == ()
    (descriptor,) = site.routers.descriptors()
    assert descriptor is not None
    os.close(descriptor)
    os.kill(site.pid(spec), signal.SIGKILL)
    assert eventually(lambda: site.routers.missing() == (spec.id,))
    assert site.routers.descriptors() == [None]
    assert site.routers.dead() == (spec.id,)
    site.routers.ensure([spec], site.lab.networks)
    assert site.routers.missing() == ()
    assert ask(site.lab.guest(network))


def test_a_router_made_anew_has_a_radvd_in_its_own_namespace(site: Site) -> None:
    network = site.lab.network(subnet("fd00:97::/64", ra_mode="slaac"))
    guest = site.lab.guest(network)
    spec = site.routed(network, "fd00:97::1/64")
    before = site.pid(spec)
    sh("ip", "netns", "del", router_namespace(spec.id))
    site.routers.ensure([spec], site.lab.networks)
    assert site.pid(spec) != before
    assert ask(guest)["prefixes"] == {"fd00:97::/64": True}
    site.routers.remove(spec.id)
    assert ask(guest) == {}
    assert "nlc" not in within(network_namespace(network.id), "ip", "link")


def test_the_machine_tells_networks_that_it_is_the_router_of(site: Site) -> None:
    directory = site.lab.directory
    machine = Machine(str(uuid4()), directory / "machine", directory / "lan")
    uplinked = site.lab.network(subnet("fd00:98::/64", ra_mode="slaac"), uplink=UplinkSpec("host"))
    guest = site.lab.guest(uplinked)
    machine.ensure_uplink(uplinked)
    machine.ensure(site.lab.networks, (), ())
    assert ask(guest)["prefixes"] == {"fd00:98::/64": True}
    assert eventually(lambda: guest.pings("fd00:98::1"), 10)
    (descriptor,) = machine.descriptors()
    assert descriptor is not None
    os.close(descriptor)
    assert machine.missing() == ()
    os.kill(int((directory / "machine" / "radvd.pid").read_text()), signal.SIGKILL)
    assert eventually(lambda: machine.missing() == (uplinked.id,))
    machine.ensure(site.lab.networks, (), ())
    assert ask(guest)
    machine.remove_uplink(uplinked.id)
    machine.ensure({}, (), ())
    assert machine.descriptors() == []
    assert not (directory / "machine" / "radvd.pid").exists()
