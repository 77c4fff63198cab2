"""The Linux driver with all its parts at once: guests on a tenant network behind a router, the machine's own network as
its outside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from novalite.drivers.network.base import (
    FloatingSpec,
    GroupSpec,
    HostForwardSpec,
    NetworkSpec,
    PortSpec,
    RouterPortSpec,
    RouterSpec,
    RuleSpec,
    UplinkSpec,
    router_namespace,
)
from novalite.drivers.network.linux import LinuxNetworkDriver
from tests.real.network import talk
from tests.real.network.conftest import Guest, Machine, new_network, new_port, sh
from tests.real.network.test_lan import dhcp_server

pytestmark = pytest.mark.real

APPLIANCE = "6b1f6ed6-9d4b-4d35-90a4-b8a1f0d1f9f5"
FLOATING = "10.98.0.100"


@dataclass
class Cloud:
    """Guest ``web`` may be asked at TCP 80 by anybody, ``client`` is asked by nobody."""

    machine: Machine
    driver: LinuxNetworkDriver
    public: NetworkSpec
    private: NetworkSpec
    router: RouterSpec
    ports: tuple[PortSpec, ...]
    groups: tuple[GroupSpec, ...]
    web: Guest
    client: Guest


def _card(network: NetworkSpec, address: str, last: int) -> RouterPortSpec:
    return RouterPortSpec(str(uuid4()), network.id, f"fa:16:3e:99:00:{last:02x}", (address,))


@pytest.fixture
def cloud(machine: Machine) -> Cloud:
    driver = machine.driver(APPLIANCE, look_seconds=60)
    public = new_network("10.98.0.0/24", uplink=UplinkSpec("host"))
    private = new_network(dns_domain="cloud.test")
    out = RuleSpec(False)
    asked = GroupSpec(str(uuid4()), (out, RuleSpec(True, protocol=6, low=80, high=80)))
    closed = GroupSpec(str(uuid4()), (out,))
    router = RouterSpec(
        str(uuid4()),
        (_card(private, "10.97.0.1/24", 1),),
        _card(public, "10.98.0.3/24", 2),
        ("10.98.0.1",),
        floating=(FloatingSpec(FLOATING, "10.97.0.5"),),
    )
    ports = (new_port(private, 5, groups=(asked.id,)), new_port(private, 6, groups=(closed.id,)))
    driver.ensure_groups((asked, closed))
    driver.ensure_network(public, ())
    driver.ensure_network(private, ports)
    driver.ensure_routers((router,))
    web, client = (machine.plug(port) for port in ports)
    assert web.lease()
    assert client.lease()
    return Cloud(machine, driver, public, private, router, ports, (asked, closed), web, client)


def test_guests_reach_the_outside_and_are_reached_as_their_groups_allow(cloud: Cloud) -> None:
    outside, machine = cloud.machine.outside, cloud.machine
    with talk.server(outside, 9000):
        assert talk.seen_as(cloud.client.name, machine.gateway, 9000) == machine.address, "behind the machine"
    with talk.server("", 9001):
        assert talk.seen_as(cloud.client.name, "10.98.0.1", 9001) == "10.98.0.3", "behind the router"
        assert talk.seen_as(cloud.web.name, "10.98.0.1", 9001) == FLOATING
    with talk.server(cloud.web.name, 80), talk.server(cloud.web.name, 81):
        assert talk.connects("", FLOATING, 80)
        assert not talk.connects("", FLOATING, 81), "its group lets nobody in there"
        assert talk.connects(cloud.client.name, FLOATING, 80)
        assert talk.connects(cloud.client.name, "10.97.0.5", 80)
        assert talk.connects("", "10.97.0.5", 80), "the machine knows the way to the fixed address"


def test_a_port_of_the_machine_leads_to_a_guest(cloud: Cloud) -> None:
    cloud.driver.ensure_forwards((HostForwardSpec("tcp", 8080, FLOATING, 80),))
    with talk.server(cloud.web.name, 80):
        assert talk.connects(cloud.machine.outside, cloud.machine.address, 8080)
        cloud.driver.ensure_forwards(())
        assert not talk.connects(cloud.machine.outside, cloud.machine.address, 8080)


def test_what_is_torn_down_comes_back(cloud: Cloud) -> None:
    driver, router = cloud.driver, cloud.router
    while driver.watch(0.3):
        pass
    sh("ip", "netns", "del", router_namespace(router.id))
    assert driver.watch(5) == (router.id,)
    driver.ensure_routers((router,))
    assert cloud.client.pings(cloud.machine.gateway)
    sh("nft", "flush", "ruleset")
    assert driver.watch(5) == (cloud.public.id,)
    driver.ensure_network(cloud.public)
    assert cloud.client.pings(cloud.machine.gateway)
    sh("ip", "netns", "del", f"nln-{cloud.private.id}")
    assert cloud.private.id in driver.watch(5)
    driver.ensure_network(cloud.private)
    assert cloud.client.pings(cloud.machine.gateway)
    sh("ip", "netns", "del", f"nln-{cloud.public.id}")
    assert cloud.public.id in driver.watch(5)
    driver.ensure_network(cloud.public)
    assert cloud.client.pings(cloud.machine.gateway)
    assert driver.check().problems == ()
    assert driver.watch(0.3) == ()


def test_a_restart_leaves_connections_alone(machine: Machine, cloud: Cloud) -> None:
    with (
        talk.server(cloud.web.name, 80),
        talk.connection(cloud.machine.outside, cloud.machine.address, 8080) as none,
    ):
        assert none is None
        cloud.driver.ensure_forwards((HostForwardSpec("tcp", 8080, FLOATING, 80),))
        with talk.connection(cloud.machine.outside, cloud.machine.address, 8080) as line:
            assert line is not None
            assert line.says("one").endswith("one")
            cloud.driver.close()
            again = machine.driver(APPLIANCE)
            again.ensure_groups(cloud.groups, only=True)
            again.ensure_network(cloud.public, ())
            again.ensure_network(cloud.private, cloud.ports)
            again.ensure_routers((cloud.router,), only=True)
            assert line.says("two").endswith("two")
            again.ensure_forwards((HostForwardSpec("tcp", 8080, FLOATING, 80),))
            assert line.says("three").endswith("three")
            assert again.check().problems == ()


def test_the_end_of_all_leaves_no_trace(cloud: Cloud) -> None:
    driver = cloud.driver
    driver.ensure_forwards((HostForwardSpec("tcp", 8080, FLOATING, 80),))
    driver.ensure_forwards(())
    driver.remove_router(cloud.router.id)
    driver.remove_network(cloud.private.id)
    driver.remove_network(cloud.public.id)
    links = sh("ip", "-o", "link")
    assert not [word for word in links.split() if word.startswith(("nlt", "nlv", "nlu", "nlb", "nlc"))]
    assert "novalite" not in sh("nft", "list", "ruleset")
    assert "10.9" not in sh("ip", "route")
    assert not list((cloud.machine.directory / "run").glob("*-*"))


def test_a_new_group_rule_is_felt_at_once(cloud: Cloud) -> None:
    group = cloud.groups[0]
    with talk.server(cloud.web.name, 443):
        assert not talk.connects("", FLOATING, 443)
        more = replace(group, rules=(*group.rules, RuleSpec(True, protocol=6, low=443, high=443)))
        cloud.driver.ensure_groups((more,))
        assert talk.connects("", FLOATING, 443)
        cloud.driver.ensure_groups((group,))
        assert not talk.connects("", FLOATING, 443)


def test_guests_are_on_the_machines_lan(machine: Machine) -> None:
    driver = machine.driver(look_seconds=60)
    assert driver.attach_lan("uplink0", wait_seconds=5).gateway == machine.gateway
    lan = NetworkSpec(str(uuid4()), "lan", uplink=UplinkSpec("flat", "uplink0"), lan_addresses=True)
    port = PortSpec(str(uuid4()), lan.id, "fa:16:3e:00:00:05")
    driver.ensure_network(lan, (port,))
    guest = machine.plug(port)
    with dhcp_server(machine.outside, machine.directory):
        address = guest.lease()["ip"]
    assert lan.id in driver.watch(5)
    assert driver.check().learned == ((port.id, address),)
    driver.ensure_forwards((HostForwardSpec("tcp", 8080, address, 80),))
    with talk.server(guest.name, 80):
        assert talk.seen_as(machine.outside, address, 80) == machine.gateway
        assert talk.connects("", address, 80)
        assert talk.connects(machine.outside, machine.address, 8080)
    assert driver.check().problems == ()
    driver.ensure_forwards(())
    driver.remove_network(lan.id)
    driver.detach_lan("uplink0")
    assert machine.address in sh("ip", "addr", "show", "dev", "uplink0")
    assert "nll" not in sh("ip", "link")
