"""Which networks a new server gets, and what becomes of its ports."""

from __future__ import annotations

import pytest

from novalite.cloud.network import networks, ports, subnets
from novalite.cloud.network.networks import NetworkRequest
from novalite.cloud.network.ports import NewPort
from novalite.context import Context
from novalite.db.work import Database
from novalite.errors import Conflict, Invalid, NotFound
from tests.unit.network.conftest import MEMBER, OTHER, make_network

NOBODY = "00000000-0000-4000-8000-000000000000"


def _choose(
    database: Database, requested: str | list[NetworkRequest] | None, ctx: Context = MEMBER
) -> list[NetworkRequest]:
    with database.read(ctx) as w:
        return networks.choose(w, requested)


def test_the_only_network_is_taken(database: Database) -> None:
    assert _choose(database, None) == []
    with pytest.raises(Invalid, match="automatically allocate"):
        _choose(database, "auto")
    network_id = make_network(database, shared=True)
    assert _choose(database, None) == _choose(database, "auto") == [NetworkRequest(network_id)]
    assert _choose(database, None, OTHER) == [NetworkRequest(network_id)]
    assert _choose(database, "none") == []


def test_two_networks_leave_the_choice_to_the_user(database: Database) -> None:
    make_network(database, shared=True)
    second = make_network(database, "10.1.0.0/24", ctx=OTHER)
    assert len(_choose(database, None)) == 1, "another project's network does not count"
    with pytest.raises(Conflict, match="Multiple possible networks found, use a Network ID to be more specific"):
        _choose(database, None, OTHER)
    assert _choose(database, [NetworkRequest(second)], OTHER) == [NetworkRequest(second)]


def test_unknown_things_are_named(database: Database) -> None:
    make_network(database, shared=True)
    foreign = make_network(database, "10.1.0.0/24", ctx=OTHER)
    for network_id in (NOBODY, foreign):
        with pytest.raises(Invalid, match=network_id):
            _choose(database, [NetworkRequest(network_id)])
    with database.write(OTHER) as w:
        port = ports.create(w, NewPort(foreign))
    for port_id in (NOBODY, port.id):
        with pytest.raises(Invalid, match=port_id):
            _choose(database, [NetworkRequest(port_id=port_id)])


def test_an_existing_port_brings_its_network_and_address(database: Database) -> None:
    network_id = make_network(database)
    with database.write(MEMBER) as w:
        port = ports.create(w, NewPort(network_id))
    chosen = _choose(database, [NetworkRequest(port_id=port.id, tag="web")])
    assert chosen == [NetworkRequest(network_id, port.id, "10.0.0.2", "web")]
    with pytest.raises(Conflict, match="in use"):
        _choose(database, [NetworkRequest(port_id=port.id), NetworkRequest(port_id=port.id)])
    with database.write(MEMBER) as w:
        ports.bind(w, port.id, "server-1", "compute:nova")
    with pytest.raises(Conflict, match="in use"):
        _choose(database, [NetworkRequest(port_id=port.id)])


@pytest.mark.parametrize("address", ["10.0.0.14", "10.9.0.1", "10.0.0.15", "nonsense"])
def test_an_address_that_cannot_be_had_is_refused(database: Database, address: str) -> None:
    network_id = make_network(database)
    with pytest.raises(Invalid, match=address):
        _choose(database, [NetworkRequest(network_id, fixed_ip=address)])


def test_a_port_belongs_to_one_device(database: Database) -> None:
    network_id = make_network(database)
    with database.write(MEMBER) as w:
        port = ports.create(w, NewPort(network_id))
        ports.bind(w, port.id, "server-1", "compute:nova")
        ports.bind(w, port.id, "server-1", "compute:nova", "host-1")
        with pytest.raises(Conflict):
            ports.bind(w, port.id, "server-2", "compute:nova")
        with pytest.raises(NotFound):
            ports.bind(w, NOBODY, "server-2", "compute:nova")


def test_with_a_server_go_the_ports_made_for_it(database: Database) -> None:
    network_id = make_network(database)
    with database.write(MEMBER) as w:
        own = ports.create(w, NewPort(network_id, name="kept"))
        made = ports.create(w, NewPort(network_id, device_id="server-1", is_compute_made=True))
        ports.bind(w, own.id, "server-1", "compute:nova", position=1)
        assert [view.port_id for view in ports.of_device(w, "server-1")] == [made.id, own.id]
        assert set(ports.remove_of_device(w, "server-1")) == {own.id, made.id}
    with database.read(MEMBER) as w:
        assert ports.of_device(w, "server-1") == []
        assert ports.get(w, own.id).device_id == ""
        with pytest.raises(NotFound):
            ports.get(w, made.id)


def test_ports_of_many_servers_come_in_one_query(database: Database) -> None:
    network_id = make_network(database, "10.0.0.0/24")
    ids = [f"server-{number}" for number in range(20)]
    with database.write(MEMBER) as w:
        ports.create_many(w, [NewPort(network_id, device_id=id_) for id_ in ids for _ in range(2)])
    with database.read(MEMBER) as w:
        found = ports.of_devices(w, [*ids, "server-without"])
    assert [len(found[id_]) for id_ in ids] == [2] * 20
    assert found["server-without"] == []
    view = found[ids[0]][0]
    assert (view.network_name, view.security_groups) == ("10.0.0.0/24", ("default",))
    assert {view.fixed_ips for view in found[ids[0]]} == {("10.0.0.2",), ("10.0.0.3",)}


def test_networks_may_overlap_but_subnets_of_one_may_not(database: Database) -> None:
    make_network(database)
    make_network(database, "10.0.0.0/16", ctx=OTHER)
    network_id = make_network(database, "10.0.0.0/28")
    with pytest.raises(Invalid, match="overlaps with another subnet"), database.write(MEMBER) as w:
        subnets.create(w, networks.get(w, network_id), subnets.NewSubnet("10.0.0.0/24"))


def test_a_network_that_the_machine_is_on_keeps_out_of_its_ranges(database: Database) -> None:
    with database.write(MEMBER) as w:
        networks.ensure_first(w, name="private", cidr="10.5.0.0/24", mtu=1500)
        outside = networks.create(w, networks.NewNetwork("out", external=True))
        for cidr in ("10.5.0.128/25", "192.0.2.0/25"):
            with pytest.raises(Invalid, match="the machine itself uses"):
                subnets.create(w, outside, subnets.NewSubnet(cidr), machine_uses=("192.0.2.1/24", "0.0.0.0/0"))
        subnets.create(w, outside, subnets.NewSubnet("10.6.0.0/24"), machine_uses=("192.0.2.1/24", "0.0.0.0/0"))


def test_the_first_network_is_made_once(database: Database) -> None:
    made = []
    for cidr in ("10.5.0.0/24", "10.6.0.0/24"):
        with database.write(MEMBER) as w:
            made.append(networks.ensure_first(w, name="private", cidr=cidr, mtu=1500, dns_servers=()))
    assert made[0] == made[1]
    with database.read(OTHER) as w:
        assert [network.is_shared for network in networks.list_visible(w, name="private")] == [True]
        assert [subnet.cidr for spec in networks.specs(w) for subnet in spec.subnets] == ["10.5.0.0/24"]
