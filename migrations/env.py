"""Alembic's entry point; the URL comes from the program, never from a file."""

from __future__ import annotations

from alembic import context

from novalite.cloud import records as _records  # noqa: F401  loads every record
from novalite.db.engine import make_engine
from novalite.db.records import Base


def run() -> None:
    engine = make_engine(context.config.attributes["url"])
    with engine.connect().execution_options(writes=True) as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
