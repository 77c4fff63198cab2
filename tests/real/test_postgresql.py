"""The same appliance on a real PostgreSQL: schema, claims, tasks, lists."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from novalite.cloud import records as _records  # noqa: F401  loads every record
from novalite.cloud.compute import new_servers, servers
from novalite.cloud.identity.catalogue import IMAGE
from novalite.context import Context
from novalite.db import migrate
from novalite.db.records import Base
from tests.api.conftest import Appliance, running, wait_for

pytestmark = pytest.mark.real


def _program(name: str) -> str:
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    assert found, "PostgreSQL is not installed: ./run setup --test installs it"
    return found[-1]


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of this test's own, on a free loopback port."""
    home = Path("/var/tmp") / f"novalite-test-postgresql-{os.getpid()}"
    home.mkdir(mode=0o700)
    shutil.chown(home, "postgres", "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    as_user: dict[str, Any] = {"user": "postgres", "group": "postgres", "check": True, "cwd": "/", "timeout": 60}
    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
    try:
        subprocess.run([_program("initdb"), "-D", home / "data", "-A", "trust"], stdout=subprocess.DEVNULL, **as_user)
        control = [_program("pg_ctl"), "-D", home / "data", "-w"]
        subprocess.run([*control, "-o", options, "-l", home / "log", "start"], stdout=subprocess.DEVNULL, **as_user)
        try:
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "stop", "-m", "immediate"], stdout=subprocess.DEVNULL, **as_user)
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def appliance(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with running(tmp_path_factory.mktemp("state"), database__url=database_url, compute__fake_vcpus=1) as made:
        yield made


def test_the_schema_is_that_of_the_records(appliance: Appliance) -> None:
    with appliance.built.database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_limits_that_are_there_get_ids(database_url: str) -> None:
    name = "before"
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = database_url.removesuffix("/postgres") + f"/{name}"
    command.upgrade(migrate._config(url), "0008")
    rows = [("p", "cores", 4), ("q", "cores", -1), ("", "ram", 5)]
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        for row in rows:
            connection.execute("INSERT INTO quota_limits (project_id, resource, value) VALUES (%s, %s, %s)", row)
    migrate.upgrade(url)
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        found = connection.execute("SELECT project_id, resource, value, id FROM quota_limits").fetchall()
    assert sorted(row[:3] for row in found) == sorted(rows)
    assert len({row[3] for row in found}) == len(rows)


def test_of_many_who_ask_at_once_one_gets_the_limit(appliance: Appliance) -> None:
    project = appliance.post("/identity/v3/projects", {"project": {"name": "limited"}}).json["project"]["id"]
    body = {"service_id": IMAGE.id, "resource_name": "image_size_total", "resource_limit": 5, "project_id": project}
    token = appliance.token()

    def ask(_: int) -> int:
        answer = appliance.post("/identity/v3/limits", {"limits": [body]}, token=token)
        return int(answer.status_code)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(8))) == [201] + [409] * 7
    path = f"/identity/v3/limits?project_id={project}&service_id={IMAGE.id}"
    [limit] = appliance.get(path).json["limits"]
    changed = appliance.call("PATCH", f"/identity/v3/limits/{limit['id']}", json={"limit": {"resource_limit": 6}})
    assert changed.json["limit"] == {**limit, "resource_limit": 6}
    assert appliance.call("DELETE", f"/identity/v3/limits/{limit['id']}").status_code == 204
    assert appliance.get(path).json["limits"] == []


def test_parallel_boots_fill_the_host_exactly(appliance: Appliance) -> None:
    """16 vCPUs may be promised (one CPU, ratio 16): 16 of 24 servers fit, 8 are refused with the reason."""
    appliance.token()
    database = appliance.built.database
    image_id = appliance.image()
    from novalite.cloud.identity import quotas
    from novalite.cloud.identity.records import Project

    with database.write(Context(roles=frozenset({"admin"}))) as w:
        project = w.session.query(Project).filter_by(name="admin").one().id
        quotas.set_limits(w, project, {"instances": -1, "cores": -1, "ram": -1})
    ctx = Context(user_id="someone", project_id=project, roles=frozenset({"admin", "member", "reader"}))
    with database.write(ctx) as w:
        new = new_servers.NewServer("many", "1", image_id, min_count=24, max_count=24)
        ids = [server.id for server in new_servers.create(w, new)]

    def settled() -> list[str] | None:
        with database.read(ctx) as w:
            states = [servers.get(w, server_id).status for server_id in ids]
        return states if "BUILD" not in states else None

    states = wait_for(settled, 60)
    assert (states.count("ACTIVE"), states.count("ERROR")) == (16, 8)
    with database.read(ctx) as w:
        refused = next(s for s in (servers.get(w, server_id) for server_id in ids) if s.status == "ERROR")
        assert "cpu" in refused.fault["message"].lower()
    assert appliance.get("/admin/doctor").json["findings"] == []
