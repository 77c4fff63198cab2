"""Migrations: from nothing to the newest schema, which is exactly the records' own; a file is copied aside first."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from novalite.cloud import records
from novalite.db import migrate
from novalite.db.engine import make_engine
from novalite.db.records import Base
from novalite.errors import Failed

assert records  # the tables are known to Base once they are imported


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "novalite.db"


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


def test_from_nothing_to_the_newest_schema(file: Path) -> None:
    migrate.upgrade(_url(file))
    assert migrate.current(_url(file)) == migrate.head() != ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_newest_schema_is_the_records_own(file: Path) -> None:
    migrate.upgrade(_url(file))
    engine = make_engine(_url(file))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_a_second_time_nothing_happens(file: Path) -> None:
    migrate.upgrade(_url(file))
    before = file.read_bytes()
    migrate.upgrade(_url(file))
    assert file.read_bytes() == before
    assert not list(file.parent.glob("*.before-*"))


def _value(column: sa.Column[Any]) -> Any:
    if column.foreign_keys:
        return _value(next(iter(column.foreign_keys)).column)
    kinds: dict[type[Any], Any] = {sa.Integer: 1, sa.Boolean: True, sa.JSON: "{}", sa.Float: 1.0, sa.LargeBinary: b"x"}
    found = next((value for kind, value in kinds.items() if isinstance(column.type, kind)), None)
    if isinstance(column.type, sa.DateTime):
        return datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    return found if found is not None else f"{column.name}"[: getattr(column.type, "length", None) or 64]


def _fill(engine: sa.Engine) -> list[str]:
    """One row in every table, each pointing to the others' where it has to; the names of the tables."""
    tables = sa.MetaData()
    tables.reflect(engine)
    with engine.connect().execution_options(writes=True) as connection:
        for table in tables.sorted_tables:
            if table.name != "alembic_version":
                connection.execute(table.insert().values({each.name: _value(each) for each in table.columns}))
        connection.commit()
    return [table.name for table in tables.sorted_tables]


def test_what_stands_in_the_first_schema_is_carried_over(file: Path) -> None:
    file.parent.mkdir()
    command.upgrade(migrate._config(_url(file)), "0001")
    engine = make_engine(_url(file))
    names = _fill(engine)
    migrate.upgrade(_url(file))
    with engine.connect() as connection:
        counts = {name: connection.scalar(sa.text(f"SELECT count(*) FROM {name}")) for name in names}
        assert counts == dict.fromkeys(names, 1)
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    engine.dispose()
    assert (file.parent / "novalite.db.before-0001").exists()


def test_one_pool_of_a_subnet_becomes_pools_around_its_gateway(file: Path) -> None:
    file.parent.mkdir()
    command.upgrade(migrate._config(_url(file)), "0002")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "INSERT INTO networks (id, project_id, name, description, status, is_shared, mtu, nat, created_at, "
            "updated_at, revision) VALUES ('n', 'p', 'n', '', 'ACTIVE', 0, 1500, 0, '2026-01-01', '2026-01-01', 0)"
        )
        for id_, gateway, told in (("a", "10.0.0.5", 1), ("b", "10.0.0.1", 0)):
            connection.execute(
                "INSERT INTO subnets (id, network_id, project_id, name, description, cidr, gateway_ip, enable_dhcp, "
                "pool_first, pool_last, dns_servers, host_routes, tells_gateway, created_at, updated_at, revision) "
                f"VALUES ('{id_}', 'n', 'p', '', '', '10.0.0.0/28', '{gateway}', 1, 167772162, 167772174, '[]', '[]', "
                f"{told}, '2026-01-01', '2026-01-01', 0)"
            )
            number = 167772160 + int(gateway.rpartition(".")[2])
            connection.execute(f"INSERT INTO fixed_ips VALUES ('{id_}', '{id_}', NULL, '{gateway}', {number})")
        connection.commit()
    migrate.upgrade(_url(file))
    with closing(sqlite3.connect(file)) as connection:
        pools = connection.execute("SELECT subnet_id, first_ip, last_ip FROM allocation_pools ORDER BY 1, position")
        assert pools.fetchall() == [
            ("a", "10.0.0.2", "10.0.0.4"),
            ("a", "10.0.0.6", "10.0.0.14"),
            ("b", "10.0.0.2", "10.0.0.14"),
        ]
        assert connection.execute("SELECT gateway_ip FROM subnets ORDER BY id").fetchall() == [("10.0.0.5",), (None,)]
        assert connection.execute("SELECT count(*) FROM fixed_ips").fetchone() == (0,)


def test_a_database_of_an_earlier_revision_is_copied_aside_for_its_owner_only(file: Path) -> None:
    migrate.upgrade(_url(file))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE precious (text)")
        connection.execute("INSERT INTO precious VALUES ('kept')")
        connection.commit()
    copy = migrate._copy_aside(file, "0001")
    assert copy.name == "novalite.db.before-0001"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT text FROM precious").fetchall() == [("kept",)]


def test_a_database_of_a_newer_version_is_left_alone(file: Path) -> None:
    migrate.upgrade(_url(file))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'zzzz'")
        connection.commit()
    before = file.read_bytes()
    with pytest.raises(Failed, match="zzzz") as refused:
        migrate.upgrade(_url(file))
    assert refused.value.code == "database.newer"
    assert file.read_bytes() == before


def test_networks_for_everybody_are_so_by_policies_afterwards(file: Path) -> None:
    """And groups begin with the rules they always had."""
    url = _url(file)
    file.parent.mkdir(parents=True)
    command.upgrade(migrate._config(url), "0003")
    engine = make_engine(url)
    with engine.begin() as connection:
        for id_, shared, external in (("a", 1, 0), ("b", 0, 1), ("c", 0, 0)):
            connection.execute(
                sa.text(
                    "INSERT INTO networks (id, project_id, name, description, status, is_shared, mtu, nat, is_external,"
                    " created_at, updated_at, revision) VALUES (:id, 'p', 'n', '', 'ACTIVE', :shared, 1500, 0,"
                    " :external, '2026-01-01', '2026-01-01', 0)"
                ),
                {"id": id_, "shared": shared, "external": external},
            )
    command.upgrade(migrate._config(url), "0004")
    with engine.connect() as connection:
        policies = connection.execute(
            sa.text("SELECT object_id, action, target_project, project_id FROM rbac_policies ORDER BY object_id")
        ).all()
        rules = connection.execute(sa.text("SELECT count(*) FROM default_security_group_rules")).scalar()
    engine.dispose()
    assert policies == [("a", "access_as_shared", "*", "p"), ("b", "access_as_external", "*", "p")]
    assert rules == 4


def test_what_protections_have_made_is_known_as_such(file: Path) -> None:
    url = _url(file)
    file.parent.mkdir(parents=True)
    command.upgrade(migrate._config(url), "0012")
    engine = make_engine(url)
    run = {"task_id": "t", "resource_id": "r", "resource_type": "server", "frequencies": "[]", "result": "done",
           "problem": "", "started_at": datetime(2026, 1, 1, tzinfo=UTC)}  # fmt: skip
    with engine.begin() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        for name in ("images", "volume_backups"):
            table = tables.tables[name]
            for id in ("mine", "root", "data"):
                row = {each.name: _value(each) for each in table.columns}
                connection.execute(table.insert().values({**row, "id": f"{name}-{id}"}))
        runs = sa.table("protection_runs", *(sa.column(name) for name in (*run, "id", "copy_id")),
                        sa.column("facts", sa.JSON))  # fmt: skip
        volumes = [{"backup_id": "volume_backups-data"}]
        for id, copy_id, facts in (("1", "images-root", {"volumes": volumes}), ("2", "volume_backups-root", {}),
                                   ("3", None, {})):  # fmt: skip
            connection.execute(runs.insert().values({**run, "id": id, "copy_id": copy_id, "facts": facts}))
    migrate.upgrade(url)
    query = "SELECT id FROM images WHERE by_protection UNION SELECT id FROM volume_backups WHERE by_protection"
    with engine.connect() as connection:
        found = set(connection.exec_driver_sql(query).scalars())
    engine.dispose()
    assert found == {"images-root", "volume_backups-data", "volume_backups-root"}


def test_limits_of_projects_get_ids(file: Path) -> None:
    url = _url(file)
    file.parent.mkdir(parents=True)
    command.upgrade(migrate._config(url), "0008")
    engine = make_engine(url)
    rows = [("p", "cores", 4), ("p", "ram", -1), ("q", "cores", 0), ("", "cores", 20), ("class:default", "cores", 21)]
    with engine.begin() as connection:
        for row in rows:
            connection.exec_driver_sql("INSERT INTO quota_limits (project_id, resource, value) VALUES (?, ?, ?)", row)
    migrate.upgrade(url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT project_id, resource, value, id FROM quota_limits").all()
    engine.dispose()
    assert sorted(tuple(each[:3]) for each in found) == sorted(rows)
    assert len({each.id for each in found}) == len(rows)
    assert all(len(each.id) == 32 for each in found)


def test_what_was_told_of_keys_that_there_are_not_is_forgotten(file: Path) -> None:
    file.parent.mkdir()
    command.upgrade(migrate._config(_url(file)), "0012")
    told = {"cinder_encryption_key_id": "another's", "cinder_encryption_key_deletion_policy": "x", "os": "y"}
    with closing(sqlite3.connect(file)) as connection:
        for image_id, properties in (("a", told), ("b", {"os": "z"})):
            connection.execute(
                "INSERT INTO images (id, owner, status, visibility, protected, os_hidden, min_disk, min_ram, "
                "properties, created_at, updated_at) VALUES (?, 'p', 'active', 'private', 0, 0, 0, 0, ?, "
                "'2026-01-01', '2026-01-01')", (image_id, json.dumps(properties)),
            )  # fmt: skip
        connection.commit()
    migrate.upgrade(_url(file))
    with closing(sqlite3.connect(file)) as connection:
        kept = dict(connection.execute("SELECT id, properties FROM images").fetchall())
    assert {image_id: json.loads(text) for image_id, text in kept.items()} == {"a": {"os": "y"}, "b": {"os": "z"}}
