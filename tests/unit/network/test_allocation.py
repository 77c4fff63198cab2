"""Ports on networks of several subnets and both versions of IP; the network's own port."""

from __future__ import annotations

from itertools import pairwise

import pytest
import sqlalchemy as sa

from novalite.cloud.network import networks, port_addresses, ports, ranges, service_ports, subnets
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.ports import NewPort
from novalite.cloud.network.records import FixedIp, Port
from novalite.cloud.network.subnets import NewSubnet
from novalite.db.work import Database
from novalite.errors import Conflict, Invalid
from tests.unit.network.conftest import MEMBER

SERVER = "compute:nova"


def _network(database: Database, *wanted: NewSubnet) -> tuple[str, list[str]]:
    """A network and the ids of its subnets."""
    with database.write(MEMBER) as w:
        network_id = networks.create(w, networks.NewNetwork("n")).id
    made = []
    for new in wanted:  # each later than the one before
        with database.write(MEMBER) as w:
            made.append(subnets.create(w, networks.get(w, network_id), new).id)
    return network_id, made


def _port(database: Database, network_id: str, *asked: Asked, **more: object) -> list[str]:
    with database.write(MEMBER) as w:
        port = ports.create(w, NewPort(network_id, asked or None, **more))  # type: ignore[arg-type]
        return [fixed.ip_address for fixed in port.fixed_ips]


def test_a_port_gets_an_address_of_each_version(database: Database) -> None:
    network_id, _ = _network(database, NewSubnet("10.0.0.0/29"), NewSubnet("fd00::/64"))
    assert _port(database, network_id) == ["10.0.0.2", "fd00::2"]
    assert _port(database, network_id) == ["10.0.0.3", "fd00::3"]


def test_a_second_subnet_is_used_when_the_first_is_full(database: Database) -> None:
    network_id, _ = _network(database, NewSubnet("10.0.0.0/30", enable_dhcp=False), NewSubnet("10.0.1.0/29"))
    with database.write(MEMBER) as w:
        made = ports.create_many(w, [NewPort(network_id) for _ in range(3)])
        assert [port.fixed_ips[0].ip_address for port in made] == ["10.0.0.2", "10.0.1.2", "10.0.1.3"]


def test_several_pools_are_given_from_in_turn(database: Database) -> None:
    pools = (("10.0.0.10", "10.0.0.11"), ("10.0.0.20", "10.0.0.22"))
    network_id, _ = _network(database, NewSubnet("10.0.0.0/24", pools=pools))
    found = [_port(database, network_id)[0] for _ in range(4)]
    assert found == ["10.0.0.10", "10.0.0.11", "10.0.0.20", "10.0.0.21"]
    with pytest.raises(Conflict, match="No more IP addresses available on network"):
        _port(database, network_id)
    assert _port(database, network_id, Asked("10.0.0.200")) == ["10.0.0.200"], "outside of the pools by its name"


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateless"])
def test_guests_make_their_own_address_where_the_subnet_says_so(database: Database, mode: str) -> None:
    six = NewSubnet("fd00::/64", ra_mode=mode, address_mode=mode)
    network_id, (four_id, six_id) = _network(database, NewSubnet("10.0.0.0/29"), six)
    mac = "fa:16:3e:00:00:01"
    assert _port(database, network_id, mac_address=mac) == ["10.0.0.2", "fd00::f816:3eff:fe00:1"]
    assert _port(database, network_id, Asked("10.0.0.5"), mac_address="fa:16:3e:00:00:02") == [
        "10.0.0.5", "fd00::f816:3eff:fe00:2"]  # fmt: skip
    assert _port(database, network_id, Asked(subnet_id=six_id), mac_address="fa:16:3e:00:00:03") == [
        "fd00::f816:3eff:fe00:3"]  # fmt: skip
    with pytest.raises(Invalid, match="can not be directly assigned to a port"):
        _port(database, network_id, Asked("fd00::9"))
    with database.write(MEMBER) as w:
        subnets.remove(w, six_id)  # what guests make themselves keeps nothing
        assert w.session.scalars(sa.select(FixedIp.subnet_id).distinct()).all() == [four_id]


def test_ports_that_are_there_make_themselves_an_address_of_a_new_range(database: Database) -> None:
    network_id, _ = _network(database, NewSubnet("10.0.0.0/29"))
    _port(database, network_id, mac_address="fa:16:3e:00:00:01")
    with database.write(MEMBER) as w:
        subnets.create(w, networks.get(w, network_id), NewSubnet("fd00::/64", ra_mode="slaac", address_mode="slaac"))
        (port,) = ports.list_visible(w, columns={"device_owner": [""]}, fixed_ips={})
        assert [fixed.ip_address for fixed in port.fixed_ips] == ["10.0.0.2", "fd00::f816:3eff:fe00:1"]


def test_a_mac_address_that_changes_changes_what_follows_from_it(database: Database) -> None:
    six = NewSubnet("fd00::/64", ra_mode="slaac", address_mode="slaac")
    network_id, _ = _network(database, NewSubnet("10.0.0.0/29"), six)
    with database.write(MEMBER) as w:
        port = ports.create(w, NewPort(network_id))
        port_addresses.change_mac(w, port, "FA:16:3E:00:00:07")
        found = ports.get(w, port.id)
        assert (found.mac_address, [fixed.ip_address for fixed in found.fixed_ips]) == (
            "fa:16:3e:00:00:07", ["10.0.0.2", "fd00::f816:3eff:fe00:7"]
        )  # fmt: skip


def test_subnets_for_special_ports_serve_nobody_else(database: Database) -> None:
    special = NewSubnet("10.0.1.0/24", service_types=(SERVER,))
    network_id, _ = _network(database, NewSubnet("10.0.0.0/24"), special)
    assert _port(database, network_id) == ["10.0.0.2"]
    assert _port(database, network_id, device_owner=SERVER) == ["10.0.1.2"]


def test_addresses_asked_for_are_checked_against_the_network(database: Database) -> None:
    network_id, (one, _) = _network(database, NewSubnet("10.0.0.0/24"), NewSubnet("10.0.1.0/24"))
    _, (foreign,) = _network(database, NewSubnet("10.0.0.0/24"))
    assert _port(database, network_id, Asked("10.0.1.9"), Asked(subnet_id=one)) == ["10.0.1.9", "10.0.0.2"]
    for asked, words in (
        (Asked("10.9.0.1"), "any of the subnets on the specified network"),
        (Asked("10.0.1.7", one), "valid IP for the specified subnet"),
        (Asked("10.0.0.7", foreign), "fixed_ips included invalid subnet"),
    ):
        with pytest.raises(Invalid, match=words):
            _port(database, network_id, asked)
    with pytest.raises(Invalid, match="Duplicate"):
        _port(database, network_id, Asked("10.0.1.8"), Asked("10.0.1.8"))
    with pytest.raises(Invalid, match="maximum amount of fixed ips"):
        _port(database, network_id, *[Asked()] * 6)
    with pytest.raises(Conflict, match=r"IP address 10\.0\.1\.9 already allocated in subnet"):
        _port(database, network_id, Asked("10.0.1.9"))


def test_a_large_range_of_ipv6_gives_addresses_too(database: Database) -> None:
    network_id, _ = _network(
        database, NewSubnet("fd00::/48", ra_mode="dhcpv6-stateful", address_mode="dhcpv6-stateful")
    )
    assert _port(database, network_id) == ["fd00::2"]
    assert _port(database, network_id, Asked("fd00:0:0:7::2")) == ["fd00:0:0:7::2"]
    assert _port(database, network_id) == ["fd00::3"]


def test_the_networks_own_port_has_the_last_address_of_each_subnet(database: Database) -> None:
    six = NewSubnet("fd00::/64", ra_mode="slaac", address_mode="slaac")
    network_id, (four, _, _) = _network(database, NewSubnet("10.0.0.0/29"), NewSubnet("fd01::/64"), six)
    with database.write(MEMBER) as w:
        port = service_ports.of_network(w, network_id)
        assert port is not None
        assert (port.device_owner, port.project_id) == ("network:dhcp", MEMBER.project_id)
        assert port.device_id.endswith(network_id)
        own = {spec.cidr: spec.server_ip for spec in networks.spec(w, network_id).subnets}
        assert own["10.0.0.0/29"] == "10.0.0.6"
        assert own["fd01::/64"] == "fd01::ffff:ffff:ffff:ffff"
        assert own["fd00::/64"] == ranges.of_mac("fd00::/64", port.mac_address)
        assert port.mac_address.startswith("fa:16:3f:")
        assert {fixed.ip_address for fixed in port.fixed_ips} == set(own.values())
        subnets.update(w, four, {"enable_dhcp": False})
        assert networks.spec(w, network_id).subnets[0].server_ip == ""
        subnets.update(w, four, {"enable_dhcp": True})
        assert networks.spec(w, network_id).subnets[0].server_ip == "10.0.0.6"


def test_the_networks_own_port_goes_with_the_last_subnet_it_serves(database: Database) -> None:
    network_id, (one, two) = _network(database, NewSubnet("10.0.0.0/29"), NewSubnet("10.0.1.0/29"))
    with database.write(MEMBER) as w:
        subnets.remove(w, one)
        port = service_ports.of_network(w, network_id)
        assert port is not None
        assert [fixed.ip_address for fixed in port.fixed_ips] == ["10.0.1.6"]
        subnets.remove(w, two)
        assert service_ports.of_network(w, network_id) is None
        networks.delete(w, network_id)
        assert w.session.scalar(sa.select(sa.func.count()).select_from(Port)) == 0


def test_a_full_range_does_without_a_server_until_there_is_room(database: Database) -> None:
    network_id, (subnet_id,) = _network(database, NewSubnet("10.0.0.0/30", enable_dhcp=False))
    _port(database, network_id, device_id="d")
    with database.write(MEMBER) as w:
        subnets.update(w, subnet_id, {"enable_dhcp": True})
        assert [subnet.id for subnet in service_ports.without_server(w)] == [subnet_id]
        assert service_ports.of_network(w, network_id) is None
        (port,) = ports.list_visible(w, columns={"device_id": ["d"]}, fixed_ips={})
        ports.unbind(w, port.id)
        ports.delete(w, port.id)
        assert service_ports.complete(w) == [network_id]
        assert service_ports.without_server(w) == []
        assert service_ports.complete(w) == []


def test_the_servers_address_at_the_end_does_not_make_others_dearer(database: Database) -> None:
    network_id, _ = _network(database, NewSubnet("10.0.0.0/19"), NewSubnet("fd00::/64"))
    with database.write(MEMBER) as w:
        made = ports.create_many(w, [NewPort(network_id) for _ in range(400)])
        numbers = [port.fixed_ips[0].address for port in made]
        assert all(after == before + 1 for before, after in pairwise(numbers))
        seen: list[str] = []
        sa.event.listen(w.session.connection(), "before_cursor_execute", lambda *args: seen.append(str(args[2])))
        ports.create(w, NewPort(network_id))
        assert not [text for text in seen if "EXISTS" in text and "fixed_ips" in text], "no search for gaps"
