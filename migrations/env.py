"""Alembic's entry point; the URL comes from the program, never from a file."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from novalite.cloud import records as _records  # noqa: F401  loads every record
from novalite.db.engine import make_engine
from novalite.db.records import Base, UtcDateTime


def render(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Revisions name plain SQLAlchemy types: they must not change with the program's own."""
    return "sa.DateTime()" if kind == "type" and isinstance(item, UtcDateTime) else False


def run() -> None:
    """All or nothing. SQLite changes a table by making it anew, which its foreign keys would forbid: they are
    looked at once everything is done instead."""
    engine = make_engine(context.config.attributes["url"])
    with engine.connect().execution_options(writes=True) as connection:
        on_sqlite = engine.dialect.name == "sqlite"
        if on_sqlite:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        context.configure(
            connection=connection, target_metadata=Base.metadata, render_as_batch=True, render_item=render,
            transactional_ddl=True,
        )  # fmt: skip
        with context.begin_transaction():
            context.run_migrations()
            if on_sqlite:
                _refuse_dangling(connection)
    engine.dispose()


def _refuse_dangling(connection: Connection) -> None:
    dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if dangling:
        raise RuntimeError(f"the migration would leave rows that point nowhere: {dangling[:5]}")


run()
