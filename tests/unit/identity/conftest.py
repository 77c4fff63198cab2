"""A new database with the records of identity."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from novalite.db.records import Base
from novalite.db.work import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    importlib.import_module("novalite.cloud.records")
    made = Database(f"sqlite:///{tmp_path / 'cloud.db'}")
    Base.metadata.create_all(made.engine)
    yield made
    made.close()
