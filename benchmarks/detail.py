"""GET /servers/detail?limit=100 with 10 to 100,000 servers in the table, over three floors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask
import msgspec
import sqlalchemy as sa

from benchmarks import populate, table
from benchmarks.caller import COMPUTE_VERSION, Caller, openrc
from benchmarks.processes import appliance, bare_flask
from benchmarks.samples import Samples, repeat
from novalite.appliance.build import Built
from novalite.cloud.compute.servers import Server
from novalite.context import Context, internal

SIZES = (10, 100, 1000, 10_000, 100_000)
ASKED_FOR = 1000
"""So many are made by the cloud's own functions; the others are copies of them."""
PAGE = "/compute/v2.1/servers/detail?limit=100"
WHOLE = "/compute/v2.1/servers/detail"
AIM_RATIO = 3.0
_TIMES = 40
_WARM_UP = 5


@dataclass
class Figures:
    """Of one page: SQL statements, bytes, and seconds in six ways."""

    queries: int
    size: int
    inside: Samples
    http: Samples
    encoding: Samples
    dumps: Samples
    bare: Samples

    def row(self, name: str) -> list[str]:
        return [
            name, str(self.queries), f"{self.size / 1000:.0f}", self.inside.told(1000, 2), self.http.told(1000, 2),
            *_floor(self.http, self.encoding), *_floor(self.http, self.dumps),
            *_floor(self.http, self.bare),
        ]  # fmt: skip


def _floor(taken: Samples, floor: Samples) -> tuple[str, str]:
    return f"{floor.median * 1000:.2f}", f"{taken.over(floor):.1f}"


COLUMNS = (
    "servers", "SQL", "kB", "inside ms", "HTTP ms", "encode ms", "ratio", "json.dumps ms", "ratio", "bare Flask ms",
    "ratio",
)  # fmt: skip


def run(directory: Path, *, with_libvirt: bool) -> None:
    table.heading(
        "GET /servers/detail",
        "A page of 100; 'changed' means that every server on it has changed since it was last asked for.\n"
        "Inside: the whole answer made in one process, no socket. Encode: the same JSON from memory, by the same\n"
        "encoder (C); json.dumps: by Python's own. Bare Flask: a route that encodes the same JSON under the same\n"
        "gunicorn worker. Ratios are of HTTP.",
    )
    state_dir = directory / "state"
    built = populate.build(state_dir)
    ctx, there = populate.admin(built), 0
    image_id = populate.add_image(built, ctx)
    bench = Bench(directory, state_dir, built)
    rows, found = [], {}
    for size in SIZES:
        grow(built, ctx, image_id, there, size)
        there = size
        with appliance(state_dir, options=populate.SETTINGS) as program:
            program.await_ready().close()
            for name, change in ((f"{size:,}", False), (f"{size:,}, changed", True)):
                found[name] = bench.measure(program.port, PAGE, change=change)
                rows.append(found[name].row(name))
            if size == SIZES[-1]:
                rows.append(bench.measure(program.port, WHOLE, times=8).row("1,000 in one page"))
    built.database.close()
    table.show(COLUMNS, rows)
    for name in (f"{SIZES[-1]:,}", f"{SIZES[-1]:,}, changed"):
        for floor_name, floor in (
            ("msgspec", found[name].encoding),
            ("json.dumps", found[name].dumps),
            ("bare Flask", found[name].bare),
        ):
            table.verdict(
                f"A page of 100 among {name}: HTTP over {floor_name}", found[name].http.over(floor), AIM_RATIO
            )


def grow(built: Built, ctx: Context, image_id: str, there: int, size: int) -> None:
    """Let there be ``size`` servers where ``there`` are."""
    asked_for = max(0, min(size, ASKED_FOR) - there)
    populate.add_servers(built, ctx, image_id, asked_for)
    populate.multiply_servers(built, size - there - asked_for)


def in_process(built: Built) -> flask.Flask:
    """The whole application on ``built``, with no thread of the engine running."""
    from novalite.appliance.engine import Engine
    from novalite.appliance.web import application

    return application(Engine(built))


@contextmanager
def counted(engine: sa.Engine) -> Iterator[list[str]]:
    """Collects the SQL statements executed while the block lasts."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def asker(app: flask.Flask, state_dir: Path, path: str) -> Callable[[], bytes]:
    """A function that asks ``app`` for ``path`` as the administrator, without a socket."""
    client, given = app.test_client(), openrc(state_dir)
    user = {"name": given["OS_USERNAME"], "domain": {"id": "default"}, "password": given["OS_PASSWORD"]}
    scope = {"project": {"name": given["OS_PROJECT_NAME"], "domain": {"id": "default"}}}
    identity = {"methods": ["password"], "password": {"user": user}}
    answer = client.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
    headers = {
        "X-Auth-Token": answer.headers["X-Subject-Token"],
        "OpenStack-API-Version": f"compute {COMPUTE_VERSION}",
    }

    def ask() -> bytes:
        found = client.get(path, headers=headers)
        assert found.status_code == 200, found.text
        data: bytes = found.data
        return data

    return ask


class Bench:
    """Asks the same appliance twice: its application in this process, and its process over HTTP."""

    def __init__(self, directory: Path, state_dir: Path, built: Built) -> None:
        self._directory, self._state_dir, self._built = directory, state_dir, built
        self._app = in_process(built)

    def measure(self, port: int, path: str, *, change: bool = False, times: int = _TIMES) -> Figures:
        ask = asker(self._app, self._state_dir, path)
        repeat(_WARM_UP, ask)
        document = msgspec.json.decode(ask())
        ids = [each["id"] for each in document["servers"]] if change else []

        def before() -> None:
            if change:
                self._change(ids)

        before()
        with counted(self._built.database.engine) as statements:
            data = ask()
        inside = repeat(times, ask, before=before)
        caller = Caller(port)
        caller.log_in(self._state_dir)
        repeat(_WARM_UP, lambda: caller.call("GET", path))
        http = repeat(times, lambda: caller.call("GET", path), before=before)
        caller.close()
        encode = msgspec.json.Encoder().encode
        encoding, dumps = repeat(times, lambda: encode(document)), repeat(times, lambda: json.dumps(document))
        return Figures(len(statements), len(data), inside, http, encoding, dumps, _bare(self._directory, data, times))

    def _change(self, ids: list[str]) -> None:
        with self._built.database.write(internal()) as w:
            w.changed(sa.update(Server).where(Server.id.in_(ids)).values(revision=Server.revision + 1))


def _bare(directory: Path, data: bytes, times: int) -> Samples:
    file = directory / "page.json"
    file.write_bytes(data)
    with bare_flask(directory, file) as program:
        caller = program.await_ready("/")
        repeat(_WARM_UP, lambda: caller.call("GET", "/"))
        taken = repeat(times, lambda: caller.call("GET", "/"))
        caller.close()
    return taken
