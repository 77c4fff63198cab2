"""The same appliance on a real PostgreSQL: schema, claims, tasks, lists."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from novalite.cloud import records as _records  # noqa: F401  loads every record
from novalite.cloud.compute import new_servers, servers
from novalite.cloud.identity.catalogue import IMAGE
from novalite.cloud.identity.quotas import QuotaHold
from novalite.context import Context, internal
from novalite.db import migrate
from novalite.db.records import Base
from novalite.errors import Invalid
from tests.api.conftest import Appliance, running, wait_for

pytestmark = pytest.mark.real


def _program(name: str) -> str:
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    assert found, "PostgreSQL is not installed: ./run setup --test installs it"
    return found[-1]


@dataclass(frozen=True)
class Server:
    home: Path
    port: int

    @property
    def options(self) -> str:
        return f"-p {self.port} -k {self.home} -c listen_addresses=127.0.0.1 -c fsync=off"

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def control(self, *arguments: str) -> None:
        _as_postgres(_program("pg_ctl"), "-D", str(self.home / "data"), "-w", "-l", str(self.home / "log"), *arguments)


def _as_postgres(*arguments: str) -> None:
    subprocess.run(arguments, user="postgres", group="postgres", check=True, cwd="/", timeout=60,
                   stdout=subprocess.DEVNULL)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server of this test's own, on a free loopback port."""
    home = Path("/var/tmp") / f"novalite-test-postgresql-{os.getpid()}"
    home.mkdir(mode=0o700)
    shutil.chown(home, "postgres", "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Server(home, port)
    try:
        _as_postgres(_program("initdb"), "-D", str(home / "data"), "-A", "trust")
        made.control("start", "-o", made.options)
        try:
            yield made
        finally:
            made.control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def database_url(server: Server) -> str:
    return server.url


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


def test_who_changes_what_was_read_takes_turns(appliance: Appliance) -> None:
    """What a unit has read is still true when it commits: of two that end what they share the last one knows it."""
    database, begin = appliance.built.database, Barrier(8)

    def count(_: int) -> None:
        begin.wait(60)
        with database.write(internal()) as w:
            hold = w.session.get(QuotaHold, "turns") or QuotaHold(project_id="turns", times=0)
            w.session.add(hold)
            hold.times += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    with database.read(internal()) as w:
        assert w.session.get_one(QuotaHold, "turns").times == 8


def test_what_a_unit_reads_is_of_one_moment(appliance: Appliance) -> None:
    database, rows = appliance.built.database, sa.select(sa.func.count()).select_from(QuotaHold)

    def write() -> None:
        with database.write(internal()) as w:
            w.session.add(QuotaHold(project_id="meanwhile"))

    with ThreadPoolExecutor(1) as pool, database.read(internal()) as w:
        before = w.session.scalar(rows)
        pool.submit(write).result(60)
        assert w.session.scalar(rows) == before
    with database.read(internal()) as w:
        assert w.session.scalar(rows) == (before or 0) + 1


@pytest.mark.parametrize("value", ["a\0b", "n" * 5000])
def test_what_the_database_cannot_take_is_the_callers_fault(appliance: Appliance, value: str) -> None:
    with pytest.raises(Invalid, match="cannot take"), appliance.built.database.write(internal()) as w:
        w.session.add(QuotaHold(project_id=value))


def test_the_server_may_be_stopped_and_started_meanwhile(appliance: Appliance, server: Server) -> None:
    assert appliance.get("/compute/v2.1/servers").status_code == 200
    server.control("stop", "-m", "fast")
    answer = appliance.get("/compute/v2.1/servers")
    assert answer.status_code == 503, answer.text
    assert "does not answer" in answer.text
    server.control("start", "-o", server.options)
    made = wait_for(lambda: appliance.image("after"), 60)
    appliance.post("/compute/v2.1/os-keypairs", {"keypair": {"name": "after"}})
    body = {"server": {"name": "after", "imageRef": made, "flavorRef": "1", "networks": "none"}}
    answer = appliance.post("/compute/v2.1/servers", body, version="2.90")
    assert answer.status_code == 202, answer.text
    path = f"/compute/v2.1/servers/{answer.json['server']['id']}"
    wait_for(lambda: appliance.get(path).json["server"]["status"] in ("ACTIVE", "ERROR"), 120)
    wait_for(lambda: all(part.state == "running" for part in appliance.engine.status()), 60)
