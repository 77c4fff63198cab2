"""GET /servers/detail?limit=100 with 10 to 10,000 servers in the table, over two floors."""

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
from benchmarks.caller import COMPUTE_VERSION, openrc
from benchmarks.processes import appliance, bare_flask
from benchmarks.samples import Samples, repeat

SIZES = (10, 100, 1000, 10000)
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
    over_http: Samples
    encoding: Samples
    dumps: Samples
    bare: Samples

    def row(self, name: str) -> list[str]:
        return [
            name, str(self.queries), f"{self.size / 1000:.0f}", self.inside.told(1000, 2), self.over_http.told(1000, 2),
            *_floor(self.over_http, self.encoding), *_floor(self.over_http, self.dumps),
            *_floor(self.over_http, self.bare),
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
        "A page of 100. Inside: the whole answer made in one process, no socket. Encode: the same JSON from memory,\n"
        "by the same encoder (C); json.dumps: by Python's own. Bare Flask: a route that encodes the same JSON\n"
        "under the same gunicorn worker. Ratios are of HTTP.",
    )
    state_dir = directory / "state"
    built = populate.build(state_dir)
    ctx, there, found = populate.admin(built), 0, {}
    image_id = populate.add_image(built, ctx)
    app = in_process(built)
    rows = []
    for size in SIZES:
        populate.add_servers(built, ctx, image_id, size - there)
        there = size
        with appliance(state_dir, options=populate.SETTINGS) as program:
            program.await_ready().close()
            found[size] = _measure(directory, state_dir, program.port, app, PAGE)
            rows.append(found[size].row(f"{size:,}"))
            if size == SIZES[-1]:
                rows.append(_measure(directory, state_dir, program.port, app, WHOLE, times=8).row("1,000 in one page"))
    built.database.close()
    table.show(COLUMNS, rows)
    counts = {size: figures.queries for size, figures in found.items()}
    print(f"SQL statements per request: {', '.join(str(number) for number in sorted(set(counts.values())))}")
    last = found[SIZES[-1]]
    for name, floor in (("msgspec", last.encoding), ("json.dumps", last.dumps), ("bare Flask", last.bare)):
        table.verdict(f"A page of 100 among 10,000, HTTP over {name}", last.over_http.over(floor), AIM_RATIO)


def in_process(built: Any) -> flask.Flask:
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


def _measure(directory: Path, state_dir: Path, port: int, app: flask.Flask, path: str, times: int = _TIMES) -> Figures:
    from benchmarks.caller import Caller

    ask = asker(app, state_dir, path)
    repeat(_WARM_UP, ask)
    with counted(sa.Engine) as statements:  # type: ignore[arg-type]  # every engine of this process
        data = ask()
    inside = repeat(times, ask)
    caller = Caller(port)
    caller.log_in(state_dir)
    repeat(_WARM_UP, lambda: caller.call("GET", path))
    over_http = repeat(times, lambda: caller.call("GET", path))
    caller.close()
    document, encode = msgspec.json.decode(data), msgspec.json.Encoder().encode
    encoding = repeat(times, lambda: encode(document))
    dumps = repeat(times, lambda: json.dumps(document))
    return Figures(len(statements), len(data), inside, over_http, encoding, dumps, _bare(directory, data, times))


def _bare(directory: Path, data: bytes, times: int) -> Samples:
    file = directory / "page.json"
    file.write_bytes(data)
    with bare_flask(directory, file) as program:
        caller = program.await_ready("/")
        repeat(_WARM_UP, lambda: caller.call("GET", "/"))
        taken = repeat(times, lambda: caller.call("GET", "/"))
        caller.close()
    return taken
