"""Routers and floating addresses with real packets: nothing crosses between networks but through them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest

from novalite.drivers.network.base import (
    FloatingSpec,
    GroupSpec,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    RoutingSpec,
    RuleSpec,
    bridge_name,
)
from novalite.drivers.network.linux import LinuxNetworkDriver
from tests.real.network.conftest import Guest, Machine, new_network, new_port, sh
from tests.real.network.talk import connection, connects, seen_as, server

pytestmark = pytest.mark.real

PUBLIC, RED, BLUE = "10.90.0.0/24", "10.91.0.0/24", "10.92.0.0/24"
GATEWAY, FLOATING, SECOND = "10.90.0.2", "10.90.0.3", "10.90.0.4"


@dataclass
class Site:
    """An external network and two isolated ones, with a guest on each of these and one outside."""

    machine: Machine
    driver: LinuxNetworkDriver
    public: NetworkSpec
    red: NetworkSpec
    blue: NetworkSpec
    guests: dict[str, Guest] = field(default_factory=dict)

    def guest(self, network: NetworkSpec, last: int) -> Guest:
        port = new_port(network, last)
        self.driver.ensure_port(port)
        guest = self.machine.plug(port)
        assert guest.lease()["ip"] == port.ip_address
        return guest

    def route(self, *networks: NetworkSpec, floating: dict[str, str] | None = None, outside: bool = True) -> None:
        gateway = (self.public.id, GATEWAY) if outside else ("", "")
        router = RouterSpec(str(uuid4()), tuple(network.id for network in networks), *gateway)
        led = tuple(FloatingSpec(one, self.public.id, other) for one, other in (floating or {}).items())
        self.driver.ensure_routing(RoutingSpec((router,), led))


@pytest.fixture
def site(machine: Machine) -> Site:
    driver, public = machine.driver(), new_network(PUBLIC)
    red, blue = (new_network(cidr, nat=False, isolated=True) for cidr in (RED, BLUE))
    for network in (public, red, blue):
        driver.ensure_network(network, ())
    sh("ip", "-n", machine.outside, "route", "add", PUBLIC, "via", machine.address)
    return Site(machine, driver, public, red, blue)


def _address(guest: Guest) -> str:
    return guest.port.ip_address


def test_an_isolated_network_reaches_nothing_but_its_gateway(site: Site) -> None:
    red, blue = site.guest(site.red, 5), site.guest(site.blue, 5)
    assert red.pings(site.red.gateway_ip)
    for address in (_address(blue), site.machine.gateway, "10.90.0.1"):
        with server("", 80), server(site.machine.outside, 80), server(blue.name, 80):
            assert not connects(red.name, address, 80), address
    with server("", 8080):
        assert not connects(red.name, site.machine.address, 8080), "the machine is outside"
        assert not connects(red.name, site.red.gateway_ip, 8080)
    with server(red.name, 80):
        assert connects("", _address(red), 80), "the machine reaches its guests"


def test_a_router_leads_outside_and_back_and_nothing_begins_there(site: Site) -> None:
    red = site.guest(site.red, 5)
    site.route(site.red)
    with server(site.machine.outside, 80):
        assert seen_as(red.name, site.machine.gateway, 80) == site.machine.address
    sh("ip", "-n", site.machine.outside, "route", "add", RED, "via", site.machine.address)
    with server(red.name, 80):
        assert not connects(site.machine.outside, _address(red), 80)
    neighbour = site.guest(site.public, 9)
    with server(neighbour.name, 80):
        assert seen_as(red.name, _address(neighbour), 80) == GATEWAY
    assert neighbour.pings(GATEWAY)
    with server(red.name, 80):
        assert not connects(neighbour.name, _address(red), 80)


def test_a_router_joins_its_networks_only(site: Site) -> None:
    red, blue = site.guest(site.red, 5), site.guest(site.blue, 5)
    other = new_network("10.93.0.0/24", nat=False, isolated=True)
    site.driver.ensure_network(other, ())
    third = site.guest(other, 5)
    site.route(site.red, site.blue, outside=False)
    with server(blue.name, 80):
        assert seen_as(red.name, _address(blue), 80) == _address(red), "addresses stay between networks of one router"
        assert not connects(third.name, _address(blue), 80)
    assert not red.pings(site.machine.gateway), "it has no gateway"


def test_leaving_a_router_ends_connections_at_once(site: Site) -> None:
    red, blue = site.guest(site.red, 5), site.guest(site.blue, 5)
    site.route(site.red, site.blue)
    with server(site.machine.outside, 80), \
            connection(red.name, site.machine.gateway, 80) as one, \
            connection(blue.name, site.machine.gateway, 80) as two:  # fmt: skip
        assert one is not None
        assert two is not None
        assert one.says("hello").endswith("hello")
        site.route(site.blue)
        assert one.says("hello") == "silence"
        assert two.says("hello").endswith("hello"), "others go on"


def test_a_floating_address_leads_in_from_everywhere(site: Site) -> None:
    red, blue, beside = site.guest(site.red, 5), site.guest(site.blue, 5), site.guest(site.red, 6)
    neighbour = site.guest(site.public, 9)
    site.route(site.red, site.blue, floating={FLOATING: _address(red)})
    with server(red.name, 80):
        assert seen_as("", FLOATING, 80), "from the machine"
        assert seen_as(site.machine.outside, FLOATING, 80) == site.machine.gateway, "from outside"
        assert seen_as(neighbour.name, FLOATING, 80) == _address(neighbour), "from the external network"
        assert connects(blue.name, FLOATING, 80), "from another network of the router"
        assert connects(beside.name, FLOATING, 80), "from the same network"
        assert not connects(site.machine.outside, GATEWAY, 80)
    with server(neighbour.name, 80):
        assert seen_as(red.name, _address(neighbour), 80) == FLOATING, "what it is seen as"


def test_a_floating_address_moves_and_goes(site: Site) -> None:
    red, blue = site.guest(site.red, 5), site.guest(site.blue, 5)
    with server(red.name, 80), server(blue.name, 81):
        site.route(site.red, site.blue, floating={FLOATING: _address(red), SECOND: _address(blue)})
        assert connects("", FLOATING, 80)
        assert connects("", SECOND, 81)
        site.route(site.red, site.blue, floating={FLOATING: _address(blue)})
        assert connects("", FLOATING, 81)
        assert not connects("", FLOATING, 80)
        assert not connects("", SECOND, 81)
        site.driver.ensure_routing(RoutingSpec())
        assert not connects("", FLOATING, 81)
    assert f"{GATEWAY}/" not in sh("ip", "-4", "addr", "show", "dev", bridge_name(site.public.id))


def test_a_network_without_a_router_does_not_reach_floating_addresses(site: Site) -> None:
    red, blue = site.guest(site.red, 5), site.guest(site.blue, 5)
    site.route(site.red, floating={FLOATING: _address(red)})
    with server(red.name, 80):
        assert not connects(blue.name, FLOATING, 80)


def test_security_groups_see_who_really_asks(site: Site) -> None:
    closed = GroupSpec(str(uuid4()), (RuleSpec(False), RuleSpec(True, 6, 80, 80, f"{site.machine.gateway}/32")))
    site.driver.ensure_groups((closed,))
    red = site.guest(site.red, 5)
    site.driver.ensure_port(replace(red.port, groups=(closed.id,)))
    site.route(site.red, floating={FLOATING: _address(red)})
    with server(red.name, 80), server(red.name, 81):
        assert connects(site.machine.outside, FLOATING, 80)
        assert not connects(site.machine.outside, FLOATING, 81)
        assert not connects("", FLOATING, 80)
    with server(site.machine.outside, 80):
        assert connects(red.name, site.machine.gateway, 80)


def test_routing_outlives_the_process_and_a_flushed_filter(site: Site) -> None:
    red = site.guest(site.red, 5)
    site.route(site.red, floating={FLOATING: _address(red)})
    (appliance_id,) = (entry.name for entry in (site.machine.directory / "run").iterdir())
    sh("nft", "flush", "ruleset")
    sh("ip", "addr", "flush", "dev", bridge_name(site.public.id))
    again = site.machine.driver(appliance_id)
    for network in (site.public, site.red, site.blue):
        again.ensure_network(network)
    with server(red.name, 80):
        assert connects(site.machine.outside, FLOATING, 80)
    assert red.pings(site.machine.gateway)


def test_a_subnet_without_a_gateway_is_told_of_none(site: Site) -> None:
    closed = new_network("10.94.0.0/24", nat=False, isolated=True, tells_gateway=False,
                         host_routes=(("10.95.0.0/16", "10.94.0.9"),))  # fmt: skip
    port: PortSpec = new_port(closed, 5)
    site.driver.ensure_network(closed, (port,))
    lease = site.machine.plug(port).lease()
    assert lease["staticroutes"].split() == ["169.254.169.254/32", "10.94.0.1", "10.95.0.0/16", "10.94.0.9"]
    assert "router" not in lease
