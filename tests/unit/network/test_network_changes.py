"""What people change reaches the machine: groups, ports that are plugged in, routers; and again when it failed."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from novalite.cloud.network import (
    first_public,
    floating_ips,
    networks,
    ports,
    routers,
    security_group_rules,
    security_groups,
    subnets,
)
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.network.fake import FakeNetworkDriver
from novalite.engine.network_changes import NetworkChanges
from tests.contracts.waiting import until
from tests.unit.network.conftest import MEMBER

SERVER = "aaaaaaaa-0000-4000-8000-000000000000"


@dataclass
class Site:
    database: Database
    driver: FakeNetworkDriver
    changes: NetworkChanges
    network_id: str
    port_id: str


@pytest.fixture
def site(database: Database) -> Site:
    """The first networks on the machine, and a server's port that is plugged in."""
    driver = FakeNetworkDriver()
    changes = NetworkChanges(database, driver)
    database.listen(lambda topic, id, project_id: changes.note(topic, id))
    with database.write(internal()) as w:
        first = networks.ensure_first(w, name="private", cidr="10.5.0.0/24", mtu=1500, dns_servers=(), project_id="p")
        first_public.ensure(w, first, name="public", cidr="10.6.0.0/28")
        specs = networks.specs(w)
    for spec in specs:
        driver.ensure_network(spec)
    with database.write(MEMBER) as w:
        port = ports.create(w, ports.NewPort(first, device_id=SERVER, device_owner="compute:nova"))
        ports.set_host(w, SERVER, "here")
    return Site(database, driver, changes, first, port.id)


def test_a_rule_reaches_the_machine_and_a_group_leaves_it(site: Site) -> None:
    with site.database.write(MEMBER) as w:
        group_id = security_groups.create(w, name="web").id
        rule = security_group_rules.NewRule(group_id, "ingress", protocol="tcp", port_min=80, port_max=80)
        security_group_rules.create(w, rule)
    assert site.changes.apply()
    inbound = [rule for rule in site.driver.groups[group_id].rules if rule.inbound]
    assert [(rule.protocol, rule.low, rule.high) for rule in inbound] == [(6, 80, 80)]
    with site.database.write(MEMBER) as w:
        security_groups.delete(w, group_id)
    assert site.changes.apply()
    assert group_id not in site.driver.groups


def test_a_plugged_port_follows_its_groups_and_others_wait(site: Site) -> None:
    with site.database.write(MEMBER) as w:
        group_id = security_groups.create(w, name="web").id
        idle = ports.create(w, ports.NewPort(site.network_id, security_groups=(group_id,)))
        security_groups.add_to_ports(w, SERVER, "web")
        ports.update(w, idle.id, {}, groups=["web"])
    assert site.changes.apply()
    assert {port_id for _, port_id in site.driver.ports} == {site.port_id}
    assert group_id in (site.driver.ports[site.network_id, site.port_id].groups or ())


def test_a_floating_address_reaches_the_machine(site: Site) -> None:
    with site.database.write(MEMBER) as w:
        address = floating_ips.associate(w, floating_ips.allocate(w).ip_address, SERVER).ip_address
    assert site.changes.apply()
    (told,) = site.driver.routers.values()
    assert [one.address for one in told.floating] == [address]
    with site.database.write(internal()) as w:
        (router,) = routers.list_visible(w)
        routers.update(w, router.id, {"admin_state_up": False})
    assert site.changes.apply()
    assert site.driver.routers == {}


def test_what_failed_is_done_again(site: Site) -> None:
    stop = threading.Event()
    site.changes.apply()
    site.driver.fail_next("ensure_groups")
    with site.database.write(MEMBER) as w:
        group_id = security_groups.create(w, name="web").id
    assert not site.changes.apply()
    assert group_id not in site.driver.groups
    thread = threading.Thread(target=site.changes.loop, args=(stop,))
    thread.start()
    try:
        until(lambda: group_id in site.driver.groups, "the loop does it again")
    finally:
        stop.set()
        site.changes.close()
        thread.join(60)
    assert not thread.is_alive()


def test_what_cannot_be_done_for_one_keeps_nothing_from_the_others(site: Site) -> None:
    site.changes.apply()
    with site.database.write(MEMBER) as w:
        made = [networks.create(w, networks.NewNetwork(name)) for name in ("one", "two")]
        ids = sorted(network.id for network in made)
        for network in made:
            subnets.create(w, network, subnets.NewSubnet("10.7.0.0/24"))
    site.driver.fail_next("ensure_network")
    assert not site.changes.apply()
    assert [network_id in site.driver.networks for network_id in ids] == [False, True]
    assert site.changes.apply()
    assert ids[0] in site.driver.networks


def test_a_gateway_of_the_outside_that_moves_reaches_the_routers(site: Site) -> None:
    site.changes.apply()
    with site.database.write(internal()) as w:
        (public,) = networks.list_visible(w, name="public")
        subnets.update(w, public.subnets[0].id, {"gateway_ip": None})
    assert site.changes.apply()
    (told,) = site.driver.routers.values()
    assert told.next_hops == ()


def test_what_does_not_matter_is_not_noted(site: Site) -> None:
    site.changes.apply()
    site.driver.fail_next("ensure_groups", times=9)
    site.changes.note("server", "x")
    assert site.changes.apply()
