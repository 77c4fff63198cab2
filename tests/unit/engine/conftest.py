from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from novalite.db.work import Database
from tests.contracts.plain_logs import plain_logs
from tests.databases import declared
from tests.unit.engine.scripted import Clock, World, set_clock

plain_logs()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = Database(declared(tmp_path / "x.db"), busy_timeout_seconds=0.05)
    moving = Clock()
    set_clock(moving)
    yield World(database, moving)
    set_clock(None)
    database.close()
