from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from novalite.db.work import Database
from tests.databases import declared


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Every table, empty; units are as in the product, only the disk is not waited for."""
    made = Database(declared(tmp_path / "x.db"))
    yield made
    made.close()
