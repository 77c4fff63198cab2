"""Networks that are one with a LAN: attached, learned from, let go."""

from __future__ import annotations

import pytest

from novalite.cloud.network import lans, networks, options, ports
from novalite.cloud.network.networks import NetworkRequest
from novalite.cloud.network.ports import NewPort
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.network.base import LanSpec, UplinkSpec
from novalite.drivers.network.fake import FakeNetworkDriver
from novalite.engine import network_state
from novalite.errors import Conflict, NotFound
from tests.unit.network.conftest import MEMBER

LAN = LanSpec("eth9", "br-eth9", ("192.168.7.20/24", "fe80::1/64"), "192.168.7.1")


@pytest.fixture
def network_id(database: Database) -> str:
    with database.write(internal()) as w:
        return lans.attach(w, LAN, name="home", project_id="p").id


def _port(database: Database, network_id: str) -> str:
    with database.write(MEMBER) as w:
        port = ports.create(w, NewPort(network_id, device_id="s", device_owner="compute:nova"))
        assert (port.fixed_ips, port.ip_allocation) == ([], "deferred")
        return port.id


def test_a_lan_is_a_shared_flat_network_whose_addresses_are_not_ours(database: Database, network_id: str) -> None:
    with database.write(internal()) as w:
        assert lans.attach(w, LAN, name="home", project_id="p").id == network_id
        spec = networks.spec(w, network_id)
        assert (spec.uplink, spec.lan_addresses) == (UplinkSpec("flat", "eth9", nat=False), True)
        (subnet,) = spec.subnets
        assert (subnet.cidr, subnet.gateway_ip, subnet.dhcp, subnet.server_ip) == (
            "192.168.7.0/24", "192.168.7.1", False, ""
        )  # fmt: skip
        with pytest.raises(Conflict):
            lans.attach(w, LanSpec("eth8", "br-eth8", ()), name="home")
        with pytest.raises(Conflict):
            lans.begin(w, "second", "eth9")


def test_servers_may_be_on_it(database: Database, network_id: str) -> None:
    with database.read(MEMBER) as w:
        wanted = [NetworkRequest(network_id)]
        assert networks.choose(w, wanted) == wanted
    port_id = _port(database, network_id)
    with database.write(MEMBER) as w:
        ports.unbind(w, port_id)
        assert networks.choose(w, [NetworkRequest(port_id=port_id)])[0].network_id == network_id


def test_an_address_that_was_seen_is_the_ports(database: Database, network_id: str) -> None:
    port_id, driver = _port(database, network_id), FakeNetworkDriver()
    driver.learn(port_id, "192.168.7.55")
    assert network_state.learn(database, driver) == [port_id]
    assert network_state.learn(database, driver) == [], "known"
    with database.read(MEMBER) as w:
        assert ports.of_device(w, "s")[0].fixed_ips == ("192.168.7.55",)
    driver.learn(port_id, "192.168.7.56")
    assert network_state.learn(database, driver) == [port_id]
    driver.learn(port_id, "10.0.0.9")
    assert network_state.learn(database, driver) == [], "of no subnet"
    with database.read(MEMBER) as w:
        assert ports.of_device(w, "s")[0].fixed_ips == ("192.168.7.56",)
    with database.write(internal()) as w:
        ports.unbind(w, port_id)
        assert ports.get(w, port_id).fixed_ips == []


def test_a_port_has_an_address_of_each_subnet(database: Database) -> None:
    both = LanSpec("eth9", "br-eth9", ("192.168.7.20/24", "2001:db8:7::20/64"), "192.168.7.1")
    with database.write(internal()) as w:
        network_id = lans.attach(w, both, name="home", project_id="p").id
    port_id = _port(database, network_id)
    seen = [(port_id, text) for text in ("192.168.7.55", "2001:db8:7::1:5", "2001:db8:7::1:6")]
    for news in ([port_id], []):
        with database.write(internal()) as w:
            assert lans.learned(w, seen) == news
    with database.read(MEMBER) as w:
        assert set(ports.of_device(w, "s")[0].fixed_ips) == {"192.168.7.55", "2001:db8:7::1:6"}


def test_a_lan_in_use_is_not_given_back(database: Database, network_id: str) -> None:
    port_id = _port(database, network_id)
    with pytest.raises(Conflict), database.write(internal()) as w:
        lans.empty(w, "home")
    with database.write(internal()) as w:
        ports.unbind(w, port_id)
        ports.delete(w, port_id)
        assert lans.interfaces(w) == ["eth9"]
        assert lans.empty(w, "home") == ("eth9", network_id)
        assert lans.empty(w, "home") == ("eth9", None), "cut off in between"
        lans.forget(w, "home")
        assert (lans.interfaces(w), options.interfaces(w)) == ([], {})
        with pytest.raises(NotFound):
            lans.empty(w, "home")
