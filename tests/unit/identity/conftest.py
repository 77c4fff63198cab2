"""A new database with the records of identity."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from novalite.db.work import Database
from tests.databases import declared


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(declared(tmp_path / "cloud.db"))
    yield made
    made.close()
