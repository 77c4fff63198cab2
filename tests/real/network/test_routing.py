"""Routers by real packets: what crosses from network to network and to the outside, and as whom."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from novalite.drivers.network.base import (
    FloatingSpec,
    NetworkSpec,
    PortForwardSpec,
    RouterPortSpec,
    RouterSpec,
    bridge_name,
    network_namespace,
    router_namespace,
)
from novalite.drivers.network.router_rules import card_name
from novalite.drivers.network.routers import Routers
from tests.real.network.lab_routing import Guest, Lab, card, eventually, lab, sh, subnet, within
from tests.real.network.talk import connection, connects, datagram_returns, seen_as, server

pytestmark = pytest.mark.real
__all__ = ["lab"]

PUBLIC, RED, BLUE = "198.51.100.0/24", "10.91.0.0/24", "10.92.0.0/24"
OUTER, FLOATING, SECOND = "198.51.100.10", "198.51.100.11", "198.51.100.12"


@dataclass
class Site:
    """An external network whose gateway is a guest on it, two tenant networks, and a router's cards on them."""

    lab: Lab
    routers: Routers
    public: NetworkSpec
    red: NetworkSpec
    blue: NetworkSpec
    outside: Guest
    gateway: RouterPortSpec
    to_red: RouterPortSpec
    to_blue: RouterPortSpec

    def router(self, **more: object) -> RouterSpec:
        values: dict[str, object] = {
            "interfaces": (self.to_red, self.to_blue),
            "gateway": self.gateway,
            "next_hops": (self.outside.address,),
            **more,
        }
        return RouterSpec(str(uuid4()), **values)  # type: ignore[arg-type]

    def ensure(self, *specs: RouterSpec, only: bool = False) -> None:
        self.routers.ensure(specs, self.lab.networks, only=only)


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    routers = Routers(str(uuid4()), lab.directory / "routers")
    public, red, blue = (lab.network(cidr) for cidr in (PUBLIC, RED, BLUE))
    outside = lab.guest(public, "198.51.100.1/24")
    sh("ip", "-n", outside.name, "route", "del", "default", check=False)
    yield Site(lab, routers, public, red, blue, outside, card(public, f"{OUTER}/24"), card(red, "10.91.0.1/24"),
               card(blue, "10.92.0.1/24"))  # fmt: skip
    for id_ in routers.known():
        routers.remove(id_)


def test_a_router_joins_its_networks_and_addresses_stay(site: Site) -> None:
    red, blue = site.lab.guest(site.red, "10.91.0.5/24"), site.lab.guest(site.blue, "10.92.0.5/24")
    assert not red.pings(blue.address)
    spec = site.router(gateway=None, next_hops=())
    site.ensure(spec)
    with server(blue.name, 80):
        assert seen_as(red.name, blue.address, 80) == red.address
    assert not red.pings(site.outside.address), "it has no gateway"
    site.routers.remove(spec.id)
    assert not red.pings(blue.address)
    assert not sh("ip", "netns", "list").count(router_namespace(spec.id))
    assert site.routers.known() == {}


def test_what_leaves_is_seen_as_the_router_unless_it_does_not_translate(site: Site) -> None:
    red = site.lab.guest(site.red, "10.91.0.5/24")
    spec = site.router()
    site.ensure(spec)
    with server(site.outside.name, 80):
        assert seen_as(red.name, site.outside.address, 80) == OUTER
        assert datagram_returns(red.name, site.outside.address, 80)
        site.ensure(replace(spec, snat=False))
        sh("ip", "-n", site.outside.name, "route", "add", RED, "via", OUTER)
        assert seen_as(red.name, site.outside.address, 80) == red.address


def test_cards_have_the_ports_mac_mtu_and_addresses(site: Site) -> None:
    small = site.lab.network("10.93.0.0/24", mtu=1400)
    port = card(small, "10.93.0.1/24", "10.93.0.9/24")
    site.ensure(site.router(interfaces=(port,), floating=(FloatingSpec(FLOATING, "10.93.0.5"),)))
    guest = site.lab.guest(small, "10.93.0.5/24")
    assert guest.pings("10.93.0.9")
    assert port.mac_address in guest.run("ip", "neigh", "show", "10.93.0.9").stdout
    (spec,) = site.routers.known().values()
    shown = within(router_namespace(spec.id), "ip", "addr", "show", "dev", card_name(port.id))
    assert "mtu 1400" in shown
    assert f"inet6 fe80::f816:3eff:fe{port.mac_address[9:11]}" in shown
    assert f"{FLOATING}/32" in within(
        router_namespace(spec.id), "ip", "addr", "show", "dev", card_name(site.gateway.id)
    )


def test_a_floating_address_is_reached_from_everywhere_and_is_what_its_guest_is_seen_as(site: Site) -> None:
    red, beside = site.lab.guest(site.red, "10.91.0.5/24"), site.lab.guest(site.red, "10.91.0.6/24")
    blue = site.lab.guest(site.blue, "10.92.0.5/24")
    site.ensure(site.router(floating=(FloatingSpec(FLOATING, red.address), FloatingSpec(SECOND, beside.address))))
    with server(red.name, 80):
        assert seen_as(site.outside.name, FLOATING, 80) == site.outside.address, "who asks is seen as itself"
        assert seen_as(beside.name, FLOATING, 80) == SECOND, "a neighbour is seen as its floating address"
        assert seen_as(blue.name, FLOATING, 80) == OUTER, "one without is seen as the router"
        assert seen_as(red.name, FLOATING, 80) == FLOATING, "it reaches itself"
        assert datagram_returns(site.outside.name, FLOATING, 80)
        assert not connects(site.outside.name, OUTER, 80)
    with server(site.outside.name, 80):
        assert seen_as(red.name, site.outside.address, 80) == FLOATING
        assert seen_as(blue.name, site.outside.address, 80) == OUTER


def test_a_floating_address_moves_at_once_and_takes_its_connections_along(site: Site) -> None:
    red, blue = site.lab.guest(site.red, "10.91.0.5/24"), site.lab.guest(site.blue, "10.92.0.5/24")
    spec = site.router(floating=(FloatingSpec(FLOATING, red.address), FloatingSpec(SECOND, blue.address)))
    site.ensure(spec)
    with server(red.name, 80), server(blue.name, 80), server(site.outside.name, 81), \
            connection(site.outside.name, FLOATING, 80) as moved, \
            connection(site.outside.name, SECOND, 80) as gone, \
            connection(blue.name, site.outside.address, 81) as outwards, \
            connection(red.name, blue.address, 80) as untouched:  # fmt: skip
        assert moved is not None
        assert gone is not None
        assert outwards is not None
        assert untouched is not None
        site.ensure(replace(spec, floating=(FloatingSpec(FLOATING, blue.address),)))
        assert moved.says("hello") == "silence"
        assert gone.says("hello") == "silence"
        assert outwards.says("hello") == "silence", "it was seen as the address that is taken away"
        assert untouched.says("hello") == f"{red.address} hello"
        assert connects(site.outside.name, FLOATING, 80)
        assert not connects(site.outside.name, SECOND, 80)


def test_the_kernels_memory_alone_lets_no_translation_live_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    red = site.lab.guest(site.red, "10.91.0.5/24")
    spec = site.router(floating=(FloatingSpec(FLOATING, red.address),),
                       forwards=(PortForwardSpec("tcp", "", 8080, 8080, red.address, 80),))  # fmt: skip
    site.ensure(spec)
    monkeypatch.setattr("novalite.drivers.network.conntrack.forget", lambda *_: None)
    with server(red.name, 80), server(site.outside.name, 81), \
            connection(site.outside.name, FLOATING, 80) as one, \
            connection(site.outside.name, OUTER, 8080) as two, \
            connection(red.name, site.outside.address, 81) as three:  # fmt: skip
        assert one is not None
        assert two is not None
        assert three is not None
        assert two.says("hello").endswith("hello")
        site.ensure(replace(spec, floating=(), forwards=()))
        assert [c.says("hello") for c in (one, two, three)] == ["silence"] * 3


def test_taking_an_interface_away_ends_what_went_through_it(site: Site) -> None:
    red, blue = site.lab.guest(site.red, "10.91.0.5/24"), site.lab.guest(site.blue, "10.92.0.5/24")
    spec = site.router()
    site.ensure(spec)
    with server(site.outside.name, 80), \
            connection(red.name, site.outside.address, 80) as one, \
            connection(blue.name, site.outside.address, 80) as two:  # fmt: skip
        assert one is not None
        assert two is not None
        site.ensure(replace(spec, interfaces=(site.to_blue,)))
        assert one.says("hello") == "silence"
        assert two.says("hello").endswith("hello"), "others go on"
    assert not red.pings("10.91.0.1")


def test_port_forwards_of_floating_and_gateway_addresses(site: Site) -> None:
    red, blue = site.lab.guest(site.red, "10.91.0.5/24"), site.lab.guest(site.blue, "10.92.0.5/24")
    forwards = (
        PortForwardSpec("tcp", FLOATING, 8080, 8080, red.address, 80),
        PortForwardSpec("udp", FLOATING, 8080, 8080, red.address, 80),
        PortForwardSpec("tcp", FLOATING, 9000, 9002, blue.address, 7000),
        PortForwardSpec("tcp", "", 8081, 8081, blue.address, 80),
    )
    spec = site.router(forwards=forwards)
    site.ensure(spec)
    with server(red.name, 80), server(blue.name, 80), server(blue.name, 7002):
        assert seen_as(site.outside.name, FLOATING, 8080) == site.outside.address
        assert datagram_returns(site.outside.name, FLOATING, 8080)
        assert connects(site.outside.name, FLOATING, 9002)
        assert connects(site.outside.name, OUTER, 8081)
        assert connects(blue.name, FLOATING, 8080), "from inside too"
        assert not connects(site.outside.name, FLOATING, 80)
        site.ensure(replace(spec, forwards=forwards[1:]))
        assert not connects(site.outside.name, FLOATING, 8080)
        assert datagram_returns(site.outside.name, FLOATING, 8080)


def test_errors_about_translated_packets_find_their_way(site: Site) -> None:
    red = site.lab.guest(site.red, "10.91.0.5/24")
    forward = PortForwardSpec("udp", SECOND, 8080, 8080, red.address, 80)
    site.ensure(site.router(floating=(FloatingSpec(FLOATING, red.address),), forwards=(forward,)))
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)\n"
        "s.connect((sys.argv[1], int(sys.argv[2]))); s.send(b'x')\n"
        "try:\n    s.recv(9)\n"
        "except OSError as error:\n    print(type(error).__name__)\n"
    )
    for source, address, port in (
        (site.outside.name, FLOATING, "80"),
        (site.outside.name, SECOND, "8080"),
        (red.name, site.outside.address, "80"),
    ):
        assert within(source, sys.executable, "-c", program, address, port).strip() == "ConnectionRefusedError"


def test_two_routers_with_equal_ranges_do_not_see_each_other(site: Site) -> None:
    twin = site.lab.network(RED)
    one, other = site.lab.guest(site.red, "10.91.0.5/24"), site.lab.guest(twin, "10.91.0.5/24")
    first = site.router(interfaces=(site.to_red,), floating=(FloatingSpec(FLOATING, one.address),))
    second = replace(first, id=str(uuid4()), interfaces=(card(twin, "10.91.0.1/24"),),
                     gateway=card(site.public, "198.51.100.20/24"),
                     floating=(FloatingSpec(SECOND, other.address),))  # fmt: skip
    site.ensure(first, second)
    with server(one.name, 80), server(other.name, 81):
        assert connects(site.outside.name, FLOATING, 80)
        assert connects(site.outside.name, SECOND, 81)
        assert not connects(site.outside.name, SECOND, 80)
        assert seen_as(one.name, SECOND, 81) == FLOATING, "by floating addresses they meet"
        with connection(site.outside.name, SECOND, 81) as going_on:
            assert going_on is not None
            site.ensure(replace(first, floating=()))
            site.routers.remove(first.id)
            assert going_on.says("hello").endswith("hello")
    site.ensure(second, only=True)
    assert set(site.routers.known()) == {second.id}


def test_static_routes_lead_on(site: Site) -> None:
    red, far = site.lab.guest(site.red, "10.91.0.5/24"), site.lab.guest(site.blue, "10.92.0.9/24")
    within(far.name, "ip", "addr", "add", "10.99.0.1/32", "dev", "lo")
    spec = site.router(routes=(("10.99.0.0/24", far.address),))
    site.ensure(spec)
    assert red.pings("10.99.0.1")
    site.ensure(replace(spec, routes=()))
    assert not red.pings("10.99.0.1")


def test_metadata_without_a_route_to_it_comes_back_to_the_own_network(site: Site) -> None:
    red, blue = site.lab.guest(site.red, "10.91.0.5/24"), site.lab.guest(site.blue, "10.92.0.5/24")
    site.ensure(site.router())
    for guest, network in ((red, site.red), (blue, site.blue)):
        other = site.blue if network is site.red else site.red
        with server(network_namespace(network.id), 80):
            assert seen_as(guest.name, "169.254.169.254", 80) == guest.address
            assert not connects(guest.name, "169.254.7.7", 80)
        with server(network_namespace(other.id), 80):
            assert not connects(guest.name, "169.254.169.254", 80), "another network's is not reached"


def test_a_card_waits_for_its_network_and_is_plugged_again_when_that_is_made_anew(site: Site) -> None:
    red = site.lab.guest(site.red, "10.91.0.5/24")
    spec = site.router()
    known = {site.public.id: site.public}
    site.routers.ensure([spec], known)
    assert not red.pings("10.91.0.1")
    known[site.red.id] = site.red
    site.routers.network_changed(site.red, known)
    assert red.pings(site.outside.address)
    sh("ip", "netns", "del", network_namespace(site.red.id))
    assert eventually(lambda: site.routers.missing() == (spec.id,)), "the kernel takes links away a little later"
    site.lab.stand(site.red)
    again = site.lab.guest(site.red, "10.91.0.7/24")
    site.routers.network_changed(site.red, site.lab.networks)
    assert again.pings(site.outside.address)
    assert site.routers.missing() == ()


@pytest.mark.parametrize("harm", ["namespace", "card", "rules", "addresses", "routes", "elements", "bridge"])
def test_what_others_take_away_is_missed_and_repaired(site: Site, harm: str) -> None:
    red, blue = site.lab.guest(site.red, "10.91.0.5/24"), site.lab.guest(site.blue, "10.92.0.5/24")
    spec = site.router(floating=(FloatingSpec(FLOATING, red.address),))
    other = RouterSpec(str(uuid4()), (card(site.red, "10.91.0.3/24"), card(site.blue, "10.92.0.3/24")))
    site.ensure(spec, other)
    assert site.routers.missing() == ()
    for guest, range_, hop in ((red, BLUE, "10.91.0.3"), (blue, RED, "10.92.0.3")):
        sh("ip", "-n", guest.name, "route", "add", range_, "via", hop)
    name, outer = router_namespace(spec.id), card_name(site.gateway.id)
    harms = {
        "namespace": ("ip", "netns", "del", name),
        "card": ("ip", "-n", name, "link", "del", card_name(site.to_red.id)),
        "rules": ("ip", "netns", "exec", name, "nft", "flush", "ruleset"),
        "addresses": ("ip", "-n", name, "addr", "del", f"{FLOATING}/32", "dev", outer),
        "routes": ("ip", "-n", name, "route", "del", "default"),
        "elements": ("ip", "netns", "exec", name, "nft", "flush", "map", "ip", "novalite", "floating"),
        "bridge": ("ip", "-n", network_namespace(site.public.id), "link", "set", outer, "nomaster"),
    }
    with server(red.name, 80), server(blue.name, 80), connection(red.name, blue.address, 80) as others:
        assert others is not None
        sh(*harms[harm])
        assert not connects(site.outside.name, FLOATING, 80) or harm == "routes"
        assert eventually(lambda: site.routers.missing() == (spec.id,))
        site.ensure(spec)
        assert connects(site.outside.name, FLOATING, 80)
        assert others.says("hello") == f"{red.address} hello"
    assert site.routers.missing() == ()
    assert bridge_name(site.public.id) in sh("ip", "-n", network_namespace(site.public.id), "link", "show", outer)


def test_a_new_process_knows_the_routers_and_leaves_connections_alone(site: Site) -> None:
    red = site.lab.guest(site.red, "10.91.0.5/24")
    spec = site.router(floating=(FloatingSpec(FLOATING, red.address),))
    site.ensure(spec)
    again = Routers(str(uuid4()), site.lab.directory / "routers")
    assert again.known() == {spec.id: spec}
    assert again.missing() == (spec.id,), "it has not looked at it yet"
    with server(red.name, 80), connection(site.outside.name, FLOATING, 80) as open_:
        assert open_ is not None
        again.ensure([spec], site.lab.networks)
        assert open_.says("hello").endswith("hello")
        assert again.missing() == ()


def test_what_stands_is_left_as_it_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = site.router()
    site.ensure(spec)
    programs: list[object] = []
    monkeypatch.setattr("novalite.drivers.network.namespaces.run", lambda *told, **_: programs.append(told))
    site.ensure(spec)
    assert programs == [], "no program is run to see that nothing is missing"


def test_ipv6_is_routed_as_it_is(site: Site) -> None:
    red6 = site.lab.network(RED, subnet("fd00:91::/64"))
    blue6 = site.lab.network(subnet("fd00:92::/64"))
    one, two = site.lab.guest(red6, "fd00:91::5/64", "10.91.0.5/24"), site.lab.guest(blue6, "fd00:92::5/64")
    spec = RouterSpec(str(uuid4()), (card(red6, "fd00:91::1/64", "10.91.0.1/24"), card(blue6, "fd00:92::1/64")))
    site.ensure(spec)
    assert one.pings(two.address)
    within(two.name, "ip", "addr", "add", "fd00:99::1/128", "dev", "lo")
    site.ensure(replace(spec, routes=(("fd00:99::/64", two.address),)))
    assert one.pings("fd00:99::1")
    site.ensure(spec)
    assert not one.pings("fd00:99::1")
