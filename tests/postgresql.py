"""The suites of ``tests/api`` on PostgreSQL: NOVALITE_TEST_POSTGRESQL is the URL of a server without a database, as in
``postgresql+psycopg://postgres@127.0.0.1:5432``. Each state directory gets a database of its own."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import psycopg
import pytest

SERVER = os.environ.get("NOVALITE_TEST_POSTGRESQL", "")
sqlite_only = pytest.mark.skipif(bool(SERVER), reason="about the file of SQLite")


def database_for(server: str, state_dir: Path) -> str:
    """The URL of the database that belongs to ``state_dir``; an appliance that starts there again finds it again."""
    name = "test_" + hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:24]
    with psycopg.connect(f"{server.replace('+psycopg', '')}/postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(f'CREATE DATABASE "{name}"')
    return f"{server}/{name}"
