"""Floating addresses as Compute's actions use them: by address and server."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Barrier, Thread

import pytest

from novalite.cloud.identity import quotas
from novalite.cloud.network import first_public, floating_ips, networks, ports, router_ports, routers
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.network.base import UplinkSpec
from novalite.errors import Conflict, Invalid, NotFound, OverQuota
from tests.unit.network.conftest import MEMBER, OTHER, make_network

SERVER = "aaaaaaaa-0000-4000-8000-000000000000"


@dataclass
class Site:
    database: Database
    addresses: list[str]  # of the server's cards: on a network of its own, on the first network
    floating: str


@pytest.fixture
def site(database: Database) -> Site:
    """The first networks, a server with a card nobody leads to and one on the first network, and one address."""
    with database.write(internal()) as w:
        first = networks.ensure_first(w, name="private", cidr="10.5.0.0/24", mtu=1500, dns_servers=(), project_id="p")
        first_public.ensure(w, first, name="public", cidr="10.6.0.0/28")
    own = make_network(database)
    with database.write(MEMBER) as w:
        asked = [ports.NewPort(net, device_id=SERVER, position=n) for n, net in enumerate((own, first))]
        made = ports.create_many(w, asked)
        floating = floating_ips.allocate(w, "public").ip_address
    return Site(database, [port.fixed_ips[0].ip_address for port in made], floating)


def test_the_first_networks_have_a_router_between_them(site: Site) -> None:
    with site.database.read(internal()) as w:
        (router,) = routers.list_visible(w)
        assert [network.name for network in floating_ips.pools(w)] == ["public"]
        uplinks = {spec.name: spec.uplink for spec in networks.specs(w)}
    assert router.external_network_id is not None
    assert uplinks["private"] is None
    assert uplinks["public"] == UplinkSpec("host")
    with site.database.read(MEMBER) as w:
        assert [network.name for network in floating_ips.pools(w)] == ["public"], "for everybody"


def test_the_first_card_that_a_router_joins_gets_it(site: Site) -> None:
    with site.database.write(MEMBER) as w:
        led = floating_ips.associate(w, site.floating, SERVER)
        assert led.fixed_ip_address == site.addresses[1]
        again = floating_ips.associate(w, site.floating, SERVER, site.addresses[1])
        assert again.id == led.id
        assert floating_ips.disassociate(w, site.floating, SERVER).port_id is None
        with pytest.raises(Conflict):
            floating_ips.disassociate(w, site.floating, SERVER)


def test_what_cannot_be_is_refused(site: Site) -> None:
    with site.database.write(MEMBER) as w:
        with pytest.raises(NotFound):
            floating_ips.associate(w, "10.6.0.99", SERVER)
        with pytest.raises(Invalid):
            floating_ips.associate(w, site.floating, "no-server")
        with pytest.raises(Invalid):
            floating_ips.associate(w, site.floating, SERVER, "10.5.0.250")
        with pytest.raises(NotFound, match="not reachable"):
            floating_ips.associate(w, site.floating, SERVER, site.addresses[0])
        with pytest.raises(NotFound):
            floating_ips.allocate(w, "nowhere")
    with site.database.write(OTHER) as w, pytest.raises(NotFound):
        floating_ips.associate(w, site.floating, SERVER)


def test_a_server_that_goes_leaves_its_address_behind(site: Site) -> None:
    with site.database.write(MEMBER) as w:
        floating_ips.associate(w, site.floating, SERVER)
    with site.database.write(MEMBER) as w:
        ports.remove_of_device(w, SERVER)
        for port in ports.list_visible(w, columns={"device_owner": [""]}, fixed_ips={}):
            ports.delete(w, port.id)
        (left,) = floating_ips.list_visible(w)
        assert (left.ip_address, left.port_id) == (site.floating, None)
        floating_ips.release(w, left.id)
        assert floating_ips.list_visible(w) == []


def test_a_quota_holds_against_many_at_once(site: Site) -> None:
    with site.database.write(MEMBER) as w:
        quotas.set_limits(w, MEMBER.project_id, {"floatingip": 4, "router": 2})
    ready, refused = Barrier(12), []

    def ask(number: int) -> None:
        ready.wait(60)
        try:
            with site.database.write(MEMBER) as w:
                if number % 2:
                    floating_ips.allocate(w)
                else:
                    routers.create(w, name=f"r{number}")
        except OverQuota as error:
            refused.append(error.resource)

    threads = [Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(refused) == ["floatingip"] * 3 + ["router"] * 4
    with site.database.read(MEMBER) as w:
        assert len(floating_ips.list_visible(w)) == 4
        assert len(routers.list_visible(w)) == 2


def test_an_interface_is_one_routers(site: Site) -> None:
    with site.database.write(MEMBER) as w:
        router = routers.create(w, name="mine")
        first = networks.list_visible(w, name="private")[0]
        with pytest.raises(Conflict, match="already allocated"):
            router_ports.add_subnet(w, router, first.subnets[0].id)
