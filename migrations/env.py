"""Alembic's entry point; the URL comes from the program, never from a file."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from novalite.cloud import records as _records  # noqa: F401  loads every record
from novalite.db.engine import make_engine
from novalite.db.records import Base, UtcDateTime


def render(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Revisions name plain SQLAlchemy types: they must not change with the program's own."""
    return "sa.DateTime()" if kind == "type" and isinstance(item, UtcDateTime) else False


def run() -> None:
    engine = make_engine(context.config.attributes["url"])
    with engine.connect().execution_options(writes=True) as connection:
        context.configure(
            connection=connection, target_metadata=Base.metadata, render_as_batch=True, render_item=render
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
