from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from novalite.cloud import records
from novalite.db.records import Base
from novalite.db.work import Database

assert records  # the tables are known to Base once they are imported


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Every table, empty; units are as in the product, only the disk is not waited for."""
    made = Database(f"sqlite:///{tmp_path}/x.db")
    sa.event.listen(made.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    Base.metadata.create_all(made.engine)
    yield made
    made.close()
