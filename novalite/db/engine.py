"""Engines by dialect, with the discipline each needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url

from novalite.errors import Failed


def _sqlite_discipline(engine: Engine, busy_timeout_seconds: float) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun by us, not by the sqlite3 module
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.execute(f"PRAGMA busy_timeout={int(busy_timeout_seconds * 1000)}")
        cursor.execute("PRAGMA cache_size=-8000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def parsed(url: str | URL) -> URL:
    """Raises ``Failed`` for what is no URL; the text is not shown, it may hold a password."""
    try:
        return make_url(url)
    except sa.exc.ArgumentError as error:
        raise Failed(
            "database.url is not a URL.",
            code="database.url",
            hint="It is like postgresql+psycopg://USER@HOST/DATABASE.",
        ) from error


def is_sqlite(url: str | URL) -> bool:
    return parsed(url).get_backend_name() == "sqlite"


def sqlite_path(url: str | URL) -> Path | None:
    """The file of an SQLite URL; None for memory and for other databases."""
    found = parsed(url)
    if not is_sqlite(found) or not found.database or found.database == ":memory:":
        return None
    return Path(found.database)


_TIME_LIMITS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""By which PostgreSQL's client notices that the server is gone; what the URL says counts instead."""


def _driver_args(url: URL) -> dict[str, Any]:
    """What the driver is told beside the URL. Raises ``Failed`` for a URL that leads to no driver that is here."""
    try:
        dialect = url.get_dialect()
        dialect.import_dbapi()
    except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
        raise Failed(
            f"database.url {url.render_as_string()} cannot be used: {error}.",
            code="database.url",
            hint="PostgreSQL is postgresql+psycopg://USER@HOST/DATABASE and needs the Python package psycopg[binary].",
        ) from error
    if dialect.driver != "psycopg":
        return {}
    return {name: value for name, value in _TIME_LIMITS.items() if name not in url.query}


def make_engine(url: str, *, busy_timeout_seconds: float = 10.0, pool_size: int = 32) -> Engine:
    """An engine for ``url``. SQLite: WAL, foreign keys, IMMEDIATE writers; others: READ COMMITTED. Its errors never
    show the values of a statement, which may be secrets."""
    if is_sqlite(url):
        path = sqlite_path(url)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            url,
            connect_args={"check_same_thread": False, "timeout": busy_timeout_seconds},
            hide_parameters=True,
            json_serializer=_encode,
            json_deserializer=msgspec.json.decode,
            poolclass=sa.pool.QueuePool,
            pool_size=pool_size,
            max_overflow=32,
        )
        _sqlite_discipline(engine, busy_timeout_seconds)
        return engine
    return sa.create_engine(
        url,
        connect_args=_driver_args(parsed(url)),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        hide_parameters=True,
        json_serializer=_encode,
        json_deserializer=msgspec.json.decode,
        pool_size=pool_size,
    )
