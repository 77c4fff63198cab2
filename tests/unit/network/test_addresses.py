"""Addresses: each is given once, all are given, and gaps are found again."""

from __future__ import annotations

import threading
from ipaddress import IPv4Address, IPv4Network
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from novalite.cloud.identity import quotas
from novalite.cloud.network import networks, ports
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.ports import NewPort
from novalite.cloud.network.records import Port
from novalite.db.work import Database
from novalite.errors import Conflict, DependencyDown, NotFound
from tests.unit.network.conftest import MEMBER, make_network


def _ips(made: list[Port]) -> list[str]:
    return [port.fixed_ips[0].ip_address for port in made]


def test_addresses_are_given_in_order_and_the_gateway_is_kept_back(database: Database) -> None:
    network_id = make_network(database)
    with database.write(MEMBER) as w:
        made = ports.create_many(w, [NewPort(network_id) for _ in range(3)])
        assert _ips(made) == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]


def test_a_gateway_inside_the_range_is_never_given(database: Database) -> None:
    network_id = make_network(database, gateway_ip="10.0.0.5")
    with database.write(MEMBER) as w:
        made = ports.create_many(w, [NewPort(network_id) for _ in range(12)])
        expected = {str(ip) for ip in IPv4Network("10.0.0.0/28").hosts()} - {"10.0.0.5", "10.0.0.14"}
        assert set(_ips(made)) == expected


def test_a_full_range_is_said_and_takes_nothing(database: Database) -> None:
    network_id = make_network(database)
    with database.write(MEMBER) as w:
        ports.create_many(w, [NewPort(network_id) for _ in range(11)])
    with pytest.raises(Conflict) as refused, database.write(MEMBER) as w:
        ports.create_many(w, [NewPort(network_id), NewPort(network_id)])
    assert refused.value.code == "network.no_addresses"
    with database.write(MEMBER) as w:
        assert _ips([ports.create(w, NewPort(network_id))]) == ["10.0.0.13"]


def test_addresses_asked_for_go_before_those_given_freely(database: Database) -> None:
    network_id = make_network(database)
    with database.write(MEMBER) as w:
        made = ports.create_many(w, [NewPort(network_id), NewPort(network_id, (Asked("10.0.0.2"),))])
        assert _ips(made) == ["10.0.0.3", "10.0.0.2"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(1, 6), st.integers(-14, -1)), max_size=14))
def test_no_address_is_given_twice_and_none_is_lost(database: Database, steps: list[int]) -> None:
    """A positive step makes so many ports, a negative one deletes one of those there are."""
    with database.write(MEMBER) as w:
        w.session.execute(sa.text("DELETE FROM port_security_groups"))
        for table in ("fixed_ips", "ports", "allocation_pools", "subnets", "networks"):
            w.session.execute(sa.text(f"DELETE FROM {table}"))
    network_id = make_network(database)
    taken: dict[str, str] = {}
    room = 12
    for step in steps:
        with database.write(MEMBER) as w:
            if step < 0:
                for port_id in sorted(taken)[: -step % 4]:
                    ports.delete(w, port_id)
                    del taken[port_id]
            elif len(taken) + step <= room:
                for port in ports.create_many(w, [NewPort(network_id) for _ in range(step)]):
                    assert port.fixed_ips[0].ip_address not in taken.values()
                    taken[port.id] = port.fixed_ips[0].ip_address
            else:
                with pytest.raises(Conflict):
                    ports.create_many(w, [NewPort(network_id) for _ in range(step)])
    pool = {str(IPv4Address("10.0.0.2") + offset) for offset in range(room)}
    assert set(taken.values()) <= pool
    with database.read(MEMBER) as w:
        shown = {port.id: port.fixed_ips[0].ip_address for port in ports.list_visible(w, columns={}, fixed_ips={})}
        assert taken.items() <= shown.items()


def test_many_at_once_get_different_addresses(database: Database) -> None:
    network_id = make_network(database, "10.0.0.0/24")
    found: list[str] = []

    def make() -> None:
        for _ in range(5):
            with database.write(MEMBER) as w:
                found.extend(_ips([ports.create(w, NewPort(network_id))]))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(found)) == 40


def test_the_cost_of_a_port_does_not_follow_their_number(database: Database) -> None:
    network_id = make_network(database, "10.0.0.0/19")
    counts = []

    def statements_of_one_more() -> int:
        seen: list[str] = []

        def note(*args: object) -> None:
            seen.append(str(args[2]))

        with database.write(MEMBER) as w:
            connection = w.session.connection()
            sa.event.listen(connection, "before_cursor_execute", note)
            ports.create(w, NewPort(network_id))
        return len(seen)

    counts.append(statements_of_one_more())
    with database.write(MEMBER) as w:
        quotas.set_limits(w, MEMBER.project_id, {"port": -1})
        ports.create_many(w, [NewPort(network_id) for _ in range(1500)])
    counts.append(statements_of_one_more())
    assert counts[1] <= counts[0]


def test_the_range_of_the_first_network_overlaps_nothing() -> None:
    used = ["10.0.0.0/9", "10.128.0.0/10", "192.0.2.2/24"]
    for _ in range(20):
        free = IPv4Network(networks.free_range(used))
        assert not any(free.overlaps(IPv4Network(cidr, strict=False)) for cidr in used)
    assert networks.free_range(["10.0.0.0/8", "172.16.0.0/12"], pick=lambda free: free[0]) == "192.168.0.0/24"
    with pytest.raises(DependencyDown):
        networks.free_range(["0.0.0.0/0"])


def test_a_network_that_is_not_there_is_said(database: Database) -> None:
    with pytest.raises(NotFound), database.write(MEMBER) as w:
        ports.create(w, NewPort(str(uuid4())))
