"""Brings the database to the newest schema; an SQLite file is copied aside first."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from novalite import assets, logs
from novalite.db.engine import make_engine, sqlite_path
from novalite.errors import Failed

_log = logs.get("migrations")

HEAD = "0014"
"""The newest revision in migrations/. Alembic itself is only loaded when a database is not there yet."""


def _config(url: str) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(assets.migrations()))
    config.attributes["url"] = url
    return config


def head() -> str:
    """The newest revision this program knows."""
    return HEAD


def current(url: str) -> str:
    """The revision the database is at; empty for a new one. Raises ``Failed`` when it cannot be read."""
    engine = make_engine(url)
    try:
        if not sa.inspect(engine).has_table("alembic_version"):
            return ""
        with engine.connect() as connection:
            return str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")) or "")
    except sa.exc.DatabaseError as error:
        raise Failed(
            f"The database {engine.url.render_as_string()} cannot be read: {error.orig}.",
            code="database.unreadable",
            hint="Restore a copy, or see who else holds it; its file, when it has one, must belong to NovaLite's user.",
        ) from error
    finally:
        engine.dispose()


def _copy_aside(path: Path, revision: str) -> Path:
    copy = path.with_name(f"{path.name}.before-{revision}")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.chmod(0o600)
    return copy


def upgrade(url: str) -> None:
    """Apply what is missing. Repeating it does nothing.

    Raises ``Failed`` when the database was made by a newer NovaLite.
    """
    here, newest = current(url), head()
    if here == newest:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config(url))
    if here and here not in {script.revision for script in scripts.walk_revisions()}:
        raise Failed(
            f"The database is at revision {here}, which this NovaLite does not know.",
            code="database.newer",
            hint="It was made by a newer version; run that one, or restore a copy.",
        )
    path = sqlite_path(url)
    if here and path is not None and path.exists():
        _log.info("database copied aside", copy=str(_copy_aside(path, here)))
    command.upgrade(_config(url), "head")
    if path is not None:
        path.chmod(0o600)
    _log.info("database upgraded", before=here or "new", after=newest)
