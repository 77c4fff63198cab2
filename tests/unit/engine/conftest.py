from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from novalite.cloud import records
from novalite.db.records import Base
from novalite.db.work import Database
from tests.contracts.plain_logs import plain_logs
from tests.unit.engine.scripted import Clock, World, set_clock

plain_logs()
assert records  # the tables are known to Base once they are imported


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = Database(f"sqlite:///{tmp_path}/x.db", busy_timeout_seconds=0.05)
    sa.event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    Base.metadata.create_all(database.engine)
    moving = Clock()
    set_clock(moving)
    yield World(database, moving)
    set_clock(None)
    database.close()
