"""Databases for tests: their tables are made once in a process and copied, and nobody waits for the disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from novalite.cloud import records
from novalite.db import engine, migrate
from novalite.db.records import Base

assert records  # the tables are known to Base once they are imported


@cache
def do_not_wait_for_the_disk() -> None:
    """Commits as everywhere, but for fsync: what is lost when the power fails is no test's business."""
    discipline = engine._sqlite_discipline

    def hasty(made: sa.Engine, busy_timeout_seconds: float) -> None:
        discipline(made, busy_timeout_seconds)
        sa.event.listen(made, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))

    engine._sqlite_discipline = hasty


def declared(path: Path) -> str:
    """The URL of a new database at ``path`` with every table as the records declare it."""
    path.write_bytes(_made_once(_declare))
    return f"sqlite:///{path}"


def migrated(path: Path) -> None:
    """A new database at ``path`` as a first start leaves it: what would be migrated there has been elsewhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_made_once(migrate.upgrade))
    path.chmod(0o600)


@cache
def _made_once(make: Callable[[str], None]) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "x.db")
        make(f"sqlite:///{path}")
        return path.read_bytes()


def _declare(url: str) -> None:
    made = engine.make_engine(url)
    Base.metadata.create_all(made)
    made.dispose()
