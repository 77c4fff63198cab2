"""Migrations: from nothing to the newest schema, which is exactly the records' own; a file is copied aside first."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
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
