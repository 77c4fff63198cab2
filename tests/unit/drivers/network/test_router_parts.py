"""What routers bring into their packet filter, routes and advertisements, as values."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from novalite.drivers.network import cards, host_routes, machine_rules, radvd, router_rules, routing_checks
from novalite.drivers.network.base import (
    FloatingSpec,
    HostForwardSpec,
    NetworkSpec,
    PortForwardSpec,
    RouterPortSpec,
    RouterSpec,
    SubnetSpec,
    UplinkSpec,
    uplink_name,
)
from novalite.drivers.network.host_routes import Used
from novalite.drivers.network.nft_sets import difference, replacement
from novalite.errors import DriverError


def port(network: NetworkSpec, *addresses: str) -> RouterPortSpec:
    return RouterPortSpec(str(uuid4()), network.id, "fa:16:3e:01:02:03", addresses)


def network(*cidrs: str, uplink: UplinkSpec | None = None, **more: object) -> NetworkSpec:
    subnets = tuple(SubnetSpec(str(uuid4()), cidr, **more) for cidr in cidrs)  # type: ignore[arg-type]
    return NetworkSpec(str(uuid4()), "n", subnets=subnets, uplink=uplink)


PUBLIC = network("198.51.100.0/24", "2001:db8::/64", uplink=UplinkSpec("host"))
RED, BLUE = network("10.1.0.0/24"), network("10.2.0.0/24")
GATEWAY = port(PUBLIC, "198.51.100.9/24")
INSIDE = port(RED, "10.1.0.1/24")
ROUTER = RouterSpec(str(uuid4()), (INSIDE,), GATEWAY, ("198.51.100.1",))
OUTER, INNER = (f'"{router_rules.card_name(one.id)}"' for one in (GATEWAY, INSIDE))


def test_a_difference_takes_out_before_it_puts_in() -> None:
    before = {"m": frozenset({"a : b", "c : d"}), "s": frozenset({"1"})}
    after = {"m": frozenset({"a : e", "c : d"}), "s": frozenset({"1"}), "t": frozenset({"x"})}
    assert difference("ip n", before, after).splitlines() == [
        "delete element ip n m { a }",
        "add element ip n m { a : e }",
        "add element ip n t { x }",
    ]
    assert difference("ip n", after, after) == ""
    assert replacement("ip n", "body\n", {}) == "table ip n\ndelete table ip n\ntable ip n {\nbody\n}\n"


def test_a_router_without_a_gateway_translates_nothing() -> None:
    assert router_rules.elements(replace(ROUTER, gateway=None)) == {}


def test_what_leaves_is_seen_as_the_gateways_address_unless_switched_off() -> None:
    assert router_rules.elements(ROUTER)["outside"] == {f"{OUTER} : 198.51.100.9"}
    assert router_rules.elements(replace(ROUTER, snat=False))["outside"] == frozenset()
    assert router_rules.elements(ROUTER)["inside"] == {f"{INNER} : 198.51.100.9"}
    only6 = replace(ROUTER, gateway=port(PUBLIC, "2001:db8::9/64"))
    assert router_rules.elements(only6)["outside"] == frozenset()
    assert router_rules.elements(only6)["gateways"] != frozenset()


def test_forwards_are_one_element_for_each_port() -> None:
    spec = replace(ROUTER, forwards=(PortForwardSpec("udp", "", 8000, 8002, "10.1.0.5", 90),))
    sets = router_rules.elements(spec)
    assert sets["forwards"] == {f"udp . 198.51.100.9 . {8000 + n} : 10.1.0.5 . {90 + n}" for n in range(3)}
    assert len(sets["forwarded"]) == 3


def test_lone_addresses_are_those_the_card_has_not_anyway() -> None:
    spec = replace(
        ROUTER,
        floating=(FloatingSpec("198.51.100.20", "10.1.0.5"),),
        forwards=(
            PortForwardSpec("tcp", "198.51.100.9", 1, 1, "10.1.0.5", 1),
            PortForwardSpec("tcp", "198.51.100.21", 1, 1, "10.1.0.5", 1),
        ),
    )
    assert router_rules.lone_addresses(spec) == {"198.51.100.20", "198.51.100.21"}
    (card,) = [card for card in cards.wanted(spec, {PUBLIC.id: PUBLIC, RED.id: RED}) if card.is_gateway]
    assert card.all_addresses == {"198.51.100.9/24", "198.51.100.20/32", "198.51.100.21/32"}


def test_only_what_a_change_ends_is_forgotten() -> None:
    one, two = FloatingSpec("198.51.100.20", "10.1.0.5"), FloatingSpec("198.51.100.21", "10.1.0.6")
    before = replace(ROUTER, floating=(one, two))
    assert router_rules.ended(before, before) == []
    assert router_rules.ended(before, replace(before, floating=(one,))) == [
        ["--orig-dst", "198.51.100.21"],
        ["--reply-dst", "198.51.100.21"],
    ]
    assert router_rules.ended(before, replace(before, snat=False)) == [["--reply-dst", "198.51.100.9"]]
    assert ["--orig-src", "10.1.0.0/24"] in router_rules.ended(before, replace(before, interfaces=()))
    few = replace(ROUTER, forwards=(PortForwardSpec("tcp", "", 80, 81, "10.1.0.5", 80),))
    many = replace(ROUTER, forwards=(PortForwardSpec("tcp", "", 1000, 2000, "10.1.0.5", 1000),))
    assert len(router_rules.ended(few, ROUTER)) == 2
    assert router_rules.ended(many, ROUTER) == [["-p", "tcp", "--orig-dst", "198.51.100.9", "--reply-src", "10.1.0.5"]]


def test_a_static_default_goes_before_the_gateways_and_unreachable_hops_are_left_out() -> None:
    known = {PUBLIC.id: PUBLIC, RED.id: RED}
    plugged = cards.wanted(ROUTER, known)
    inner, outer = (router_rules.card_name(one.id) for one in (INSIDE, GATEWAY))
    assert cards.wanted_routes(ROUTER, plugged) == {"0.0.0.0/0": ("198.51.100.1", outer)}
    routes = (("0.0.0.0/0", "10.1.0.7"), ("10.9.0.0/16", "10.1.0.8"), ("10.8.0.0/16", "10.77.0.1"))
    assert cards.wanted_routes(replace(ROUTER, routes=routes), plugged) == {
        "0.0.0.0/0": ("10.1.0.7", inner),
        "10.9.0.0/16": ("10.1.0.8", inner),
    }
    assert cards.wanted(ROUTER, {}) == []


def _routes(*routers: RouterSpec, used: tuple[Used, ...] = ()) -> dict[str, tuple[str, str]]:
    return host_routes.wanted(routers, {one.id: one for one in (PUBLIC, RED, BLUE)}, used)


def test_the_machine_routes_to_ranges_that_are_there_once() -> None:
    way = ("198.51.100.9", uplink_name(PUBLIC.id))
    assert _routes(ROUTER) == {"10.1.0.0/24": way}
    twin = network("10.1.0.128/25")
    other = RouterSpec(str(uuid4()), (port(twin, "10.1.0.129/25"), port(BLUE, "10.2.0.1/24")), GATEWAY)
    assert _routes(ROUTER, other) == {"10.2.0.0/24": way}
    assert _routes(ROUTER, replace(other, gateway=None)) == {"10.1.0.0/24": way}, "behind no gateway: in nobody's way"
    same = RouterSpec(str(uuid4()), (port(RED, "10.1.0.2/24"),), GATEWAY)
    assert list(_routes(ROUTER, same)) == ["10.1.0.0/24"], "one network twice is one range"


def test_the_machines_own_ranges_go_before() -> None:
    (range_,) = (host_routes.ip_network("10.1.0.64/26"),)
    assert _routes(ROUTER, used=(Used("vpn0", range_),)) == {}
    assert _routes(ROUTER, used=(Used("nlu", range_, own=True),)) != {}
    flat = replace(PUBLIC, uplink=UplinkSpec("flat", "eth1"))
    assert host_routes.wanted([ROUTER], {flat.id: flat}, ()) == {}
    six = replace(ROUTER, interfaces=(port(RED, "fd00:1::1/64"),))
    assert _routes(six) == {}, "the gateway has no IPv6 address"


def test_the_machines_table_knows_host_uplinks_only() -> None:
    plain = network("198.18.0.0/24", uplink=UplinkSpec("host", nat=False))
    flat = network("192.0.2.0/24", uplink=UplinkSpec("flat", "eth1"))
    forwards = (HostForwardSpec("tcp", 8080, "10.1.0.5", 80), HostForwardSpec("udp", 8080, "10.1.0.5", 80))
    sets = machine_rules.elements([PUBLIC, plain, flat, RED], forwards)
    assert sets["uplinks"] == {f'"{uplink_name(one.id)}"' for one in (PUBLIC, plain)}
    assert sets["translated"] == {f'"{uplink_name(PUBLIC.id)}"'}
    assert sets["ranges"] == {"198.51.100.0/24", "198.18.0.0/24"}
    assert sets["ranges6"] == {"2001:db8::/64"}
    assert sets["forwards"] == {"tcp . 8080 : 10.1.0.5 . 80", "udp . 8080 : 10.1.0.5 . 80"}
    (ended,) = machine_rules.ended(forwards, forwards[1:])
    assert ended[:4] == ["-p", "tcp", "--orig-port-dst", "8080"]


def test_advertisements_are_as_the_subnets_say() -> None:
    spec = replace(ROUTER, interfaces=(port(RED, "10.1.0.1/24"),))
    assert radvd.configuration(spec, {RED.id: RED}) == ""
    stateful = SubnetSpec(str(uuid4()), "fd00:1::/64", ra_mode="dhcpv6-stateful", server_ip="fd00:1::2")
    mixed = NetworkSpec(str(uuid4()), "n", subnets=(stateful,), mtu=1450, dns_domain="cloud.example")
    text = radvd.configuration(replace(ROUTER, interfaces=(port(mixed, "fd00:1::1/64"),)), {mixed.id: mixed})
    for line in ("AdvLinkMTU 1450;", "AdvManagedFlag on;", "AdvAutonomous off;", "RDNSS fd00:1::2 { };"):
        assert line in text
    assert "DNSSL cloud.example { };" in text
    assert radvd.configuration(replace(ROUTER, interfaces=(port(mixed, "fd00:1::1/64"),)), {}) == ""


@pytest.mark.parametrize(
    "harm",
    [
        {"id": "x; drop"},
        {"next_hops": ("198.51.100.1 dev lo",)},
        {"routes": (("10.0.0.1/8", "10.1.0.1"),)},
        {"routes": (("10.0.0.0/8", "fd00::1"),)},
        {"floating": (FloatingSpec("198.51.100.20", "fd00::1"),)},
        {"floating": (FloatingSpec("{}", "10.1.0.5"),)},
        {"forwards": (PortForwardSpec("icmp", "", 1, 1, "10.1.0.5", 1),)},
        {"forwards": (PortForwardSpec("tcp", "", 2, 1, "10.1.0.5", 1),)},
        {"forwards": (PortForwardSpec("tcp", "", 1, 3, "10.1.0.5", 65534),)},
        {"gateway": replace(GATEWAY, mac_address="fa:16:3e:01:02")},
        {"gateway": replace(GATEWAY, id="../x")},
        {"interfaces": (replace(INSIDE, addresses=("10.1.0.1/24 dev lo",)),)},
    ],
)
def test_what_is_not_what_it_says_is_refused(harm: dict[str, object]) -> None:
    assert routing_checks.router(ROUTER) == ROUTER
    with pytest.raises(DriverError) as refused:
        routing_checks.router(replace(ROUTER, **harm))  # type: ignore[arg-type]
    assert refused.value.code == "network.invalid"


@pytest.mark.parametrize(
    "forward",
    [HostForwardSpec("sctp", 1, "10.0.0.1", 1), HostForwardSpec("tcp", 0, "10.0.0.1", 1),
     HostForwardSpec("tcp", 1, "10.0.0.1", 65536), HostForwardSpec("tcp", 1, "fd00::1", 1)],
)  # fmt: skip
def test_a_bad_forward_of_the_machine_is_refused(forward: HostForwardSpec) -> None:
    with pytest.raises(DriverError):
        routing_checks.host_forward(forward)
