"""Servers put into security groups and taken out of them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from novalite.cloud.network import ports, security_groups
from novalite.cloud.network.records import Port
from novalite.db.work import Database
from novalite.errors import Conflict, Invalid, NotFound
from tests.unit.network.conftest import MEMBER, OTHER, make_network

SERVER = "aaaaaaaa-0000-4000-8000-000000000000"


@pytest.fixture
def wired(database: Database) -> Database:
    """A server with two ports, and a group ``web`` of its project."""
    network_id = make_network(database)
    with database.write(MEMBER) as w:
        ports.create_many(w, [ports.NewPort(network_id, device_id=SERVER) for _ in range(2)])
        security_groups.create(w, name="web")
    return database


def _groups(database: Database) -> set[tuple[str, ...]]:
    with database.read(MEMBER) as w:
        return {view.security_groups for view in ports.of_device(w, SERVER)}


def test_all_ports_join_and_leave(wired: Database) -> None:
    told: list[tuple[str, str]] = []
    wired.listen(lambda topic, id, project_id: told.append((topic, id)))
    with wired.write(MEMBER) as w:
        joined = security_groups.add_to_ports(w, SERVER, "web")
    assert len(joined) == 2
    assert _groups(wired) == {("default", "web")}
    assert {(security_groups.PORT_TOPIC, port_id) for port_id in joined} <= set(told)
    with wired.write(MEMBER) as w:
        assert security_groups.add_to_ports(w, SERVER, "web") == []
        group_id = security_groups.find(w, "default").id
        assert sorted(security_groups.remove_from_ports(w, SERVER, group_id)) == sorted(joined)
    assert _groups(wired) == {("web",)}


def test_what_is_not_there_is_told(wired: Database) -> None:
    with wired.write(MEMBER) as w:
        for name, server in (("nobody", SERVER), ("web", "bbbbbbbb-0000-4000-8000-000000000000")):
            with pytest.raises(NotFound):
                security_groups.add_to_ports(w, server, name)
        with pytest.raises(NotFound, match="not associated"):
            security_groups.remove_from_ports(w, SERVER, "web")
        web = security_groups.find(w, "web").id
    with wired.write(OTHER) as w, pytest.raises(NotFound):
        security_groups.add_to_ports(w, SERVER, web)


def test_a_name_of_two_groups_is_not_guessed(wired: Database) -> None:
    with wired.write(MEMBER) as w:
        second = security_groups.create(w, name="web")
        with pytest.raises(Conflict, match="Multiple"):
            security_groups.add_to_ports(w, SERVER, "web")
        with pytest.raises(Conflict, match="Multiple"):
            security_groups.resolve(w, ["web"], MEMBER.project_id)
        assert len(security_groups.add_to_ports(w, SERVER, second.id)) == 2


def test_a_port_without_port_security_takes_no_group(wired: Database) -> None:
    with wired.write(MEMBER) as w:
        w.changed(sa.update(Port).values(port_security=False))
        with pytest.raises(Invalid, match="port_security_enabled"):
            security_groups.add_to_ports(w, SERVER, "web")
