"""The machine's side of networks by real packets: its uplinks, forwards, routes, and other firewalls beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest

from novalite.drivers.network.base import (
    FloatingSpec,
    HostForwardSpec,
    NetworkSpec,
    RouterSpec,
    UplinkSpec,
    bridge_name,
    network_namespace,
    uplink_name,
)
from novalite.drivers.network.machine import Machine
from novalite.drivers.network.routers import Routers
from novalite.drivers.network.uplinks import lan_bridge
from novalite.errors import DriverError
from tests.real.network.lab_routing import Guest, Lab, card, eventually, lab, sh, subnet, within
from tests.real.network.talk import connection, connects, datagram_returns, seen_as, server

pytestmark = pytest.mark.real
__all__ = ["lab"]

PUBLIC, RED = "198.51.100.0/24", "10.91.0.0/24"
OUTER, FLOATING = "198.51.100.10", "198.51.100.11"
HOST = UplinkSpec("host")


@dataclass
class Site:
    """A network that the machine is on, and what it was told."""

    lab: Lab
    machine: Machine
    routers: Routers
    public: NetworkSpec
    told: list[RouterSpec] = field(default_factory=list)

    def tell(self, *forwards: HostForwardSpec) -> None:
        self.machine.ensure(self.lab.networks, self.told, forwards)

    def uplinked(self, *subnets: str, uplink: UplinkSpec = HOST) -> NetworkSpec:
        network = self.lab.network(*subnets, uplink=uplink)
        self.machine.ensure_uplink(network)
        self.tell()
        return network

    def route(self, network: NetworkSpec, address: str, outer: str = OUTER, **more: object) -> RouterSpec:
        spec = RouterSpec(str(uuid4()), (card(network, address),), card(self.public, f"{outer}/24"),
                          next_hops=("198.51.100.1",), **more)  # type: ignore[arg-type]  # fmt: skip
        self.routers.ensure([spec], self.lab.networks)
        self.told.append(spec)
        self.tell()
        return spec


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    appliance = str(uuid4())
    machine, routers = (
        Machine(appliance, lab.directory / "machine", lab.directory / "lan"),
        Routers(appliance, lab.directory / "routers"),
    )
    public = lab.network(PUBLIC, uplink=HOST)
    machine.ensure_uplink(public)
    site = Site(lab, machine, routers, public)
    site.tell()
    yield site
    for id_ in routers.known():
        routers.remove(id_)


def test_a_network_the_machine_is_on_leads_outside_as_the_machine(site: Site) -> None:
    guest = site.lab.guest(site.public, "198.51.100.5/24")
    assert guest.pings("198.51.100.1")
    with server(site.lab.outside, 80), server("", 81):
        assert seen_as(guest.name, site.lab.gateway, 80) == site.lab.address
        assert seen_as(guest.name, site.lab.address, 81) == guest.address, "the machine sees who it is"
    with server(guest.name, 80):
        assert seen_as("", guest.address, 80) == "198.51.100.1"


def test_what_is_behind_a_second_link_of_the_machine_is_outside_too(site: Site) -> None:
    guest = site.lab.guest(site.public, "198.51.100.5/24")
    other, forwarding = site.lab.namespace(), "/proc/sys/net/ipv4/conf/second0/forwarding"
    sh("ip", "link", "add", "second0", "type", "veth", "peer", "name", "eth0", "netns", other)
    sh("ip", "link", "set", "second0", "up")
    assert site.machine.missing() == (), "no route leads there yet"
    sh("ip", "addr", "add", "192.0.2.1/30", "dev", "second0")
    sh("ip", "-n", other, "addr", "add", "192.0.2.2/30", "dev", "eth0")
    sh("ip", "-n", other, "addr", "add", "192.0.2.129/32", "dev", "lo")
    sh("ip", "-n", other, "link", "set", "eth0", "up")
    sh("ip", "route", "add", "192.0.2.129/32", "table", "77", "nexthop", "via", "192.0.2.2", "dev", "second0")
    sh("ip", "rule", "add", "to", "192.0.2.129", "lookup", "77")
    assert eventually(lambda: site.machine.missing() == (site.public.id,))
    assert not guest.pings("192.0.2.2"), "answers do not find in"
    site.machine.ensure_uplink(site.public)
    site.tell()
    assert site.machine.missing() == ()
    with server(other, 80):
        assert seen_as(guest.name, "192.0.2.2", 80) == "192.0.2.1"
        assert seen_as(guest.name, "192.0.2.129", 80) == "192.0.2.1"
    site.machine.remove_uplink(site.public.id)
    site.machine.ensure({}, (), ())
    assert sh("cat", forwarding).strip() == "0"


def test_the_machine_routes_nothing_between_links_that_are_not_ours(site: Site) -> None:
    """Unless somebody else has it route: what stood before is as before."""
    other = site.lab.namespace()
    sh("ip", "link", "add", "second0", "type", "veth", "peer", "name", "eth0", "netns", other)
    sh("ip", "addr", "add", "192.0.2.1/30", "dev", "second0")
    sh("ip", "link", "set", "second0", "up")
    sh("ip", "-n", other, "addr", "add", "192.0.2.2/30", "dev", "eth0")
    sh("ip", "-n", other, "link", "set", "eth0", "up")
    for name, hop in ((other, "192.0.2.1"), (site.lab.outside, site.lab.address)):
        sh("ip", "-n", name, "route", "replace", "default", "via", hop)
    site.tell()
    assert site.machine.missing() == ()
    with server(site.lab.outside, 80):
        assert not connects(other, site.lab.gateway, 80)
        assert connects("", site.lab.gateway, 80)
        sh("sysctl", "-qw", "net.ipv4.ip_forward=1")
        assert site.machine.missing() == (site.public.id,)
        site.machine.ensure_uplink(site.public)
        site.tell()
        assert site.machine.missing() == ()
        assert connects(other, site.lab.gateway, 80)


def test_without_nat_addresses_stay(site: Site) -> None:
    plain = site.uplinked("198.18.0.0/24", uplink=UplinkSpec("host", nat=False))
    guest = site.lab.guest(plain, "198.18.0.5/24")
    sh("ip", "-n", site.lab.outside, "route", "add", "198.18.0.0/24", "via", site.lab.address)
    with server(site.lab.outside, 80):
        assert seen_as(guest.name, site.lab.gateway, 80) == guest.address


def test_guests_behind_routers_reach_outside_and_the_machine_reaches_them(site: Site) -> None:
    red = site.lab.network(RED)
    guest = site.lab.guest(red, "10.91.0.5/24")
    site.route(red, "10.91.0.1/24", floating=(FloatingSpec(FLOATING, guest.address),))
    sh("ip", "-n", site.lab.outside, "route", "add", PUBLIC, "via", site.lab.address)
    sh("ip", "-n", site.lab.outside, "route", "add", RED, "via", site.lab.address)
    with server(site.lab.outside, 80), server(guest.name, 80):
        assert seen_as(guest.name, site.lab.gateway, 80) == site.lab.address
        assert seen_as("", FLOATING, 80) == "198.51.100.1"
        assert seen_as(site.lab.outside, FLOATING, 80) == site.lab.gateway
        assert seen_as("", guest.address, 80) == "198.51.100.1", "by its fixed address"
        assert not connects(site.lab.outside, guest.address, 80), "nothing from outside goes to fixed addresses"


def test_the_machine_routes_to_no_range_that_is_there_twice_or_its_own(site: Site) -> None:
    red, twin = site.lab.network(RED), site.lab.network(RED)
    site.route(red, "10.91.0.1/24")
    assert "via 198.51.100.10" in sh("ip", "route", "show", RED)
    site.route(twin, "10.91.0.1/24", outer="198.51.100.20")
    assert not sh("ip", "route", "show", RED)
    site.told.pop()
    site.tell()
    assert sh("ip", "route", "show", RED)
    sh("ip", "link", "add", "vpn0", "type", "bridge")
    sh("ip", "addr", "add", "10.91.0.77/25", "dev", "vpn0")
    sh("ip", "link", "set", "vpn0", "up")
    site.tell()
    assert not sh("ip", "route", "show", RED)


def test_a_range_that_the_machine_uses_is_refused(site: Site) -> None:
    network = site.lab.network("203.0.113.128/25", uplink=HOST)
    with pytest.raises(DriverError) as refused:
        site.machine.ensure_uplink(network)
    assert refused.value.code == "network.range_in_use"
    assert uplink_name(network.id) not in sh("ip", "link")


def test_networks_of_one_appliance_meet_and_those_of_another_do_not(site: Site) -> None:
    second = site.uplinked("198.18.0.0/24")
    one, two = site.lab.guest(site.public, "198.51.100.5/24"), site.lab.guest(second, "198.18.0.5/24")
    other = Machine(str(uuid4()), site.lab.directory / "other", site.lab.directory / "lan")
    third = site.lab.network("198.19.0.0/24", uplink=HOST)
    own = {third.id: third}
    site.lab.networks.pop(third.id)
    other.ensure_uplink(third)
    other.ensure(own, (), ())
    foreign = site.lab.guest(third, "198.19.0.5/24")
    assert one.pings(two.address)
    assert not one.pings(foreign.address)
    assert not foreign.pings(one.address)
    assert foreign.pings(site.lab.gateway)
    other.remove_uplink(third.id)
    other.ensure({}, (), ())
    assert one.pings(site.lab.gateway), "it goes on after the other has gone"


def test_link_local_addresses_of_the_providers_are_not_reached(site: Site) -> None:
    guest = site.lab.guest(site.public, "198.51.100.5/24")
    within(site.lab.outside, "ip", "addr", "add", "169.254.169.253/32", "dev", "lo")
    sh("ip", "route", "add", "169.254.169.253", "via", site.lab.gateway)
    with server(site.lab.outside, 80), server(site.lab.outside, 53):
        assert connects("", "169.254.169.253", 80)
        assert not connects(guest.name, "169.254.169.253", 80)
        assert connects(guest.name, "169.254.169.253", 53)


def test_forwards_from_outside_the_machine_and_its_loopback(site: Site) -> None:
    red = site.lab.network(RED)
    guest = site.lab.guest(red, "10.91.0.5/24")
    beside = site.lab.guest(site.public, "198.51.100.5/24")
    site.route(red, "10.91.0.1/24", floating=(FloatingSpec(FLOATING, guest.address),))
    forwards = (HostForwardSpec("tcp", 8080, FLOATING, 80), HostForwardSpec("udp", 8080, FLOATING, 80),
                HostForwardSpec("tcp", 8081, guest.address, 80))  # fmt: skip
    site.tell(*forwards)
    with server(guest.name, 80), connection(site.lab.outside, site.lab.address, 8081) as kept:
        assert kept is not None
        assert seen_as(site.lab.outside, site.lab.address, 8080) == site.lab.gateway, "who asks is seen"
        assert datagram_returns(site.lab.outside, site.lab.address, 8080)
        assert connects(site.lab.outside, site.lab.address, 8081), "a fixed address works too"
        assert connects("", site.lab.address, 8080)
        assert connects("", "198.51.100.1", 8080)
        assert seen_as("", "127.0.0.1", 8080) == "198.51.100.1"
        assert datagram_returns("", "127.0.0.1", 8080)
        assert not connects(beside.name, "198.51.100.1", 8080), "guests have ports of the machine for themselves"
        with connection(site.lab.outside, site.lab.address, 8080) as gone:
            assert gone is not None
            site.tell(forwards[2])
            assert gone.says("hello") == "silence"
            assert kept.says("hello").endswith("hello")
        assert not connects(site.lab.outside, site.lab.address, 8080)
        assert not connects("", "127.0.0.1", 8080)


def test_forwards_open_the_loopback_to_no_guest(site: Site) -> None:
    guest = site.lab.guest(site.public, "198.51.100.5/24")
    site.tell(HostForwardSpec("tcp", 8080, guest.address, 80))
    within(guest.name, "sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1")
    sh("ip", "-n", guest.name, "route", "add", "127.0.0.9", "via", "198.51.100.1", "table", "7")
    sh("ip", "-n", guest.name, "rule", "add", "to", "127.0.0.9", "table", "7", "priority", "0")
    sh("ip", "-n", guest.name, "rule", "del", "table", "local")
    sh("ip", "-n", guest.name, "rule", "add", "table", "local", "priority", "9")
    with server("", 90):
        assert connects("", "127.0.0.9", 90)
        assert "via 198.51.100.1" in guest.run("ip", "route", "get", "127.0.0.9").stdout
        assert not connects(guest.name, "127.0.0.9", 90)
        sh("nft", "flush", "ruleset")
        assert not connects(guest.name, "127.0.0.9", 90), "nor while the machine's packet filter is empty"
        within(network_namespace(site.public.id), "nft", "flush", "ruleset")
        assert connects(guest.name, "127.0.0.9", 90), "with no filter at all it would be open: this test can fail"


def test_other_firewalls_are_told_of_or_asked(site: Site) -> None:
    guest = site.lab.guest(site.public, "198.51.100.5/24")
    assert site.machine.problems() == ()
    sh("nft", "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }")
    assert not guest.pings(site.lab.gateway)
    (sentence,) = site.machine.problems()
    assert "'ip filter' drops forwarded packets" in sentence
    sh("nft", "add chain ip filter DOCKER-USER; add rule ip filter FORWARD jump DOCKER-USER")
    sh("nft", "add rule ip filter DOCKER-USER ip daddr 192.0.2.1 accept")
    assert site.machine.missing() == (site.public.id,)
    site.machine.ensure_uplink(site.public)
    site.tell()
    assert guest.pings(site.lab.gateway)
    assert site.machine.problems() == ()
    assert site.machine.missing() == ()
    site.machine.remove_uplink(site.public.id)
    rules = sh("nft", "list", "chain", "ip", "filter", "DOCKER-USER")
    assert "nlu" not in rules
    assert "192.0.2.1" in rules


@pytest.mark.parametrize("harm", ["link", "rules", "elements", "address", "route", "far"])
def test_what_others_take_away_is_missed_and_repaired(site: Site, harm: str) -> None:
    red = site.lab.network(RED)
    guest = site.lab.guest(red, "10.91.0.5/24")
    site.route(red, "10.91.0.1/24")
    name = uplink_name(site.public.id)
    (table,) = (line.split(maxsplit=1)[1] for line in sh("nft", "list", "tables").splitlines() if "novalite" in line)
    harms = {
        "link": ("ip", "link", "del", name),
        "rules": ("nft", "flush", "ruleset"),
        "elements": ("nft", "flush", "set", *table.split(), "translated"),
        "address": ("ip", "addr", "flush", "dev", name),
        "route": ("ip", "route", "del", RED),
        "far": ("ip", "-n", network_namespace(site.public.id), "link", "del", name),
    }
    sh("nft", "add", "table", "ip", "others")
    assert site.machine.missing() == ()
    assert guest.pings(site.lab.gateway)
    sh(*harms[harm])
    assert eventually(lambda: site.machine.missing() == (site.public.id,))
    site.machine.ensure_uplink(site.public)
    site.tell()
    with server(site.lab.outside, 80):
        assert seen_as(guest.name, site.lab.gateway, 80) == site.lab.address
    with server(guest.name, 80):
        assert connects("", guest.address, 80)
    assert site.machine.missing() == ()
    assert harm == "rules" or "others" in sh("nft", "list", "tables")


def test_everything_is_set_back_at_the_end(site: Site) -> None:
    forwarding = "/proc/sys/net/ipv4/conf/uplink0/forwarding"
    assert sh("cat", forwarding).strip() == "1"
    again = Machine("0" * 8, site.lab.directory / "unknown", site.lab.directory / "lan")
    again.ensure({}, (), ())
    site.machine.remove_uplink(site.public.id)
    site.machine.remove_uplink(site.public.id)
    site.machine.ensure({}, (), ())
    assert sh("cat", forwarding).strip() == "0"
    assert "novalite" not in sh("nft", "list", "ruleset")
    assert "nlu" not in sh("ip", "link")


def test_connections_outlive_changes_and_a_new_process(site: Site) -> None:
    guest = site.lab.guest(site.public, "198.51.100.5/24")
    with server(site.lab.outside, 80), connection(guest.name, site.lab.gateway, 80) as open_:
        assert open_ is not None
        site.uplinked("198.18.0.0/24")
        (appliance,) = {line.split()[1] for line in _aliases()}
        again = Machine(appliance, site.lab.directory / "machine", site.lab.directory / "lan")
        again.ensure_uplink(site.public)
        again.ensure(site.lab.networks, (), ())
        assert open_.says("hello") == f"{site.lab.address} hello"


def _aliases() -> list[str]:
    lines = [line.strip() for line in sh("ip", "link").splitlines()]
    return [line.removeprefix("alias ") for line in lines if line.startswith("alias novalite")]


def test_ipv6_leads_outside_as_the_machine(site: Site) -> None:
    sh("ip", "addr", "add", "2001:db8::2/64", "dev", "uplink0", "nodad")
    sh("ip", "-n", site.lab.outside, "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
    sh("ip", "route", "add", "default", "via", "2001:db8::1")
    six = site.uplinked("fd00:98::/64", "198.18.0.0/24")
    guest = site.lab.guest(six, "fd00:98::5/64")
    assert eventually(lambda: guest.pings("2001:db8::1"))
    assert not connects(site.lab.outside, "fd00:98::5", 80)


def test_ipv6_behind_a_router_leads_outside_and_the_machine_reaches_it(site: Site) -> None:
    sh("ip", "addr", "add", "2001:db8::2/64", "dev", "uplink0", "nodad")
    sh("ip", "-n", site.lab.outside, "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
    sh("ip", "route", "add", "default", "via", "2001:db8::1")
    six = site.uplinked("fd00:98::/64")
    red = site.lab.network("fd00:91::/64")
    guest = site.lab.guest(red, "fd00:91::5/64")
    spec = RouterSpec(str(uuid4()), (card(red, "fd00:91::1/64"),), card(six, "fd00:98::10/64"), ("fd00:98::1",))
    site.routers.ensure([spec], site.lab.networks)
    site.told.append(spec)
    site.tell()
    assert eventually(lambda: guest.pings("2001:db8::1"))
    assert sh("ping", "-c1", "-W2", guest.address)


def test_a_flat_network_is_one_with_what_is_behind_the_interface(site: Site) -> None:
    lan = site.lab.namespace()
    sh("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", lan)
    sh("ip", "-n", lan, "addr", "add", "192.0.2.1/24", "dev", "eth0")
    sh("ip", "-n", lan, "link", "set", "eth0", "up")
    flat = site.uplinked("192.0.2.0/24", uplink=UplinkSpec("flat", "lan0"))
    guest = site.lab.guest(flat, "192.0.2.5/24")
    with server(lan, 80):
        assert seen_as(guest.name, "192.0.2.1", 80) == guest.address
    second = site.uplinked("192.0.2.0/24", uplink=UplinkSpec("flat", "lan0"))
    assert site.lab.guest(second, "192.0.2.6/24").pings("192.0.2.5"), "several networks share an interface"
    site.machine.remove_uplink(second.id)
    assert guest.pings("192.0.2.1")
    site.machine.remove_uplink(flat.id)
    assert lan_bridge("lan0") not in sh("ip", "link")
    assert "lan0" in sh("ip", "link")


def test_metadata_addresses_are_each_networks_own(site: Site) -> None:
    lan = site.lab.namespace()
    sh("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", lan)
    for address in ("192.0.2.1/24", "169.254.169.254/32"):
        sh("ip", "-n", lan, "addr", "add", address, "dev", "eth0")
    within(lan, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
    sh("ip", "-n", lan, "link", "set", "eth0", "up")
    flat = site.uplinked("192.0.2.0/24", uplink=UplinkSpec("flat", "lan0"))
    guest = site.lab.guest(flat, "192.0.2.5/24")
    sh("ip", "-n", guest.name, "route", "add", "169.254.169.254", "dev", "eth0")
    with server(network_namespace(flat.id), 80):
        assert connects(guest.name, "169.254.169.254", 80), "the network's answers, not the LAN's"
    sh("ip", "-n", network_namespace(flat.id), "addr", "del", "169.254.169.254/32", "dev", bridge_name(flat.id))
    with server(lan, 80):
        assert connects(guest.name, "192.0.2.1", 80)
        guest.run("ip", "neigh", "flush", "all")
        assert not connects(guest.name, "169.254.169.254", 80)
        within(network_namespace(flat.id), "nft", "flush", "ruleset")
        guest.run("ip", "neigh", "flush", "all")
        assert connects(guest.name, "169.254.169.254", 80), "without the filter it would: this test can fail"
    sh(
        "ip",
        "-n",
        network_namespace(flat.id),
        "addr",
        "add",
        "fe80::a9fe:a9fe/64",
        "dev",
        bridge_name(flat.id),
        "nodad",
    )
    assert within(lan, "ping", "-c1", "-W2", "fe80::a9fe:a9fe%eth0")
    site.machine.ensure_uplink(flat)
    within(lan, "ip", "neigh", "flush", "all")
    assert "1 received" not in within(lan, "ping", "-c1", "-W1", "fe80::a9fe:a9fe%eth0", check=False)


def test_a_flat_network_on_a_bridge_of_the_machine_is_a_port_of_that(site: Site) -> None:
    lan = site.lab.namespace()
    sh("ip", "link", "add", "br0", "type", "bridge")
    sh("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", lan)
    sh("ip", "-n", lan, "addr", "add", "192.0.2.1/24", "dev", "eth0")
    sh("ip", "-n", lan, "link", "set", "eth0", "up")
    sh("ip", "link", "set", "lan0", "master", "br0", "up")
    sh("ip", "link", "set", "br0", "up")
    flat = site.uplinked("192.0.2.0/24", uplink=UplinkSpec("flat", "br0"))
    assert site.lab.guest(flat, "192.0.2.5/24").pings("192.0.2.1")
    site.machine.remove_uplink(flat.id)
    assert "br0" in sh("ip", "link", "show", "lan0")
    with pytest.raises(DriverError, match="is a port of br0"):
        site.uplinked("192.0.2.0/24", uplink=UplinkSpec("flat", "lan0"))


def test_an_interface_that_is_not_there_or_has_addresses_is_refused(site: Site) -> None:
    with pytest.raises(DriverError) as refused:
        site.uplinked("192.0.2.0/24", uplink=UplinkSpec("flat", "eth99"))
    assert refused.value.code == "network.no_interface"
    with pytest.raises(DriverError, match="attach-lan uplink0"):
        site.uplinked("192.0.2.0/24", uplink=UplinkSpec("flat", "uplink0"))


def _has_vlans() -> bool:
    sh("ip", "link", "add", "probe0", "type", "bridge")
    try:
        return "probe0.7" in sh("ip", "link", "add", "link", "probe0", "name", "probe0.7", "type", "vlan", "id", "7",
                                check=False) + sh("ip", "link")  # fmt: skip
    finally:
        sh("ip", "link", "del", "probe0")


def _lan_with_vlan(site: Site) -> str:
    lan = site.lab.namespace()
    sh("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", lan)
    sh("ip", "-n", lan, "link", "set", "eth0", "up")
    return lan


def test_without_802_1q_a_vlan_is_refused_by_name_of_the_module(site: Site) -> None:
    if _has_vlans():
        pytest.skip("this kernel has 802.1Q")
    _lan_with_vlan(site)
    with pytest.raises(DriverError, match=r"lacks 802\.1Q") as refused:
        site.uplinked("192.0.2.0/24", uplink=UplinkSpec("vlan", "lan0", 7))
    assert "8021q" in refused.value.hint


def test_a_vlan_network_is_one_with_that_vlan_only(site: Site) -> None:
    if not _has_vlans():
        pytest.skip("this kernel lacks 802.1Q")
    lan = _lan_with_vlan(site)
    for vlan, address in ((7, "192.0.2.1/24"), (8, "192.0.2.2/24")):
        sh("ip", "-n", lan, "link", "add", "link", "eth0", "name", f"v{vlan}", "type", "vlan", "id", str(vlan))
        sh("ip", "-n", lan, "link", "set", f"v{vlan}", "up")
        sh("ip", "-n", lan, "addr", "add", address, "dev", f"v{vlan}")
    network = site.uplinked("192.0.2.0/24", uplink=UplinkSpec("vlan", "lan0", 7))
    guest: Guest = site.lab.guest(network, "192.0.2.5/24")
    assert guest.pings("192.0.2.1")
    assert not guest.pings("192.0.2.2")
    site.machine.remove_uplink(network.id)
    assert "lan0.7" not in sh("ip", "link")


def test_the_uplink_has_the_networks_mtu_and_addresses_change(site: Site) -> None:
    changed = replace(site.public, mtu=1400, subnets=(subnet("198.51.100.0/24", gateway_ip="198.51.100.254"),))
    site.machine.ensure_uplink(changed)
    shown = sh("ip", "addr", "show", "dev", uplink_name(site.public.id))
    assert "mtu 1400" in shown
    assert "198.51.100.254/24" in shown
    assert "198.51.100.1/24" not in shown
