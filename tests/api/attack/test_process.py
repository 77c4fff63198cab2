"""Attacks on a process of its own: slow and broken clients, a killed upload, what its files and its log tell."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.waiting import until

CANARY = "canary-Zq7-secret"
HEAD = b"POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
SLOW = {
    "a head without end": b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-Slow: ",
    "nothing at all": b"",
    "half a body": HEAD + b"Content-Length: 1000\r\n\r\n{",
    "a chunk without end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "waiting to be told": HEAD + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
    "a body too large": HEAD + b"Content-Length: 10000000\r\n\r\n{",
    "half a form": b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 1000\r\n\r\na=",
    "never leaving": b"GET /healthz HTTP/1.0\r\n\r\n",
}
BROKEN = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    b"POST /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
    b"GET / HTTP/1.1\nHost: h\n\n\r\n\r\n",
    b"\r\n\r\n\r\n\r\n",
    b"GET http://evil.example/ HTTP/1.1\r\nHost: h\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /compute/\xff\xfe HTTP/1.1\r\nHost: h\r\nX-Auth-Token: \xff\r\n\r\n",
)


@dataclass
class Serving:
    """``novalite serve`` with the fake driver."""

    process: subprocess.Popen[bytes]
    state: Path
    port: int
    log: Path
    seconds: float = 60.0

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.seconds)) as connection:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            kind = {} if data is None else {"Content-Type": "application/json"}
            connection.request(method, path, data, {**kind, **headers})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def password(self) -> str:
        lines = (self.state / "admin-openrc").read_text().splitlines()
        return next(line.partition("=")[2].strip("'") for line in lines if "OS_PASSWORD=" in line)

    def token(self) -> str:
        user = {"name": "admin", "domain": {"id": "default"}, "password": self.password()}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        body = {"auth": {"identity": identity, "scope": scope}}
        return self.ask("POST", "/identity/v3/auth/tokens", body)[1]["x-subject-token"]


def command(state: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "novalite.cli.main", "serve", "--state-dir", str(state), "--port", str(port),
            "--driver", "fake"]  # fmt: skip


def start(state: Path, log: Path) -> Serving:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "NOVALITE_LOGGING_LEVEL": "DEBUG"}
    with log.open("ab") as file:
        process = subprocess.Popen(command(state, port), stderr=file, stdout=file, env=environment)
    made = Serving(process, state, port, log)

    def ready() -> bool:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            return made.ask("GET", "/healthz")[0] == 200
        except OSError:
            return False

    until(ready, "it is ready")
    return made


def end(serving: Serving) -> None:
    serving.process.terminate()
    serving.process.wait(60)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("attacked")
    made = start(folder / "state", folder / "log")
    try:
        yield made
    finally:
        end(made)


@pytest.mark.parametrize("said", SLOW.values(), ids=list(SLOW))
def test_dozens_of_slow_clients_keep_nobody_out(serving: Serving, said: bytes) -> None:
    with ExitStack() as opened:
        for _ in range(60):
            client = opened.enter_context(socket.create_connection(("127.0.0.1", serving.port)))
            client.sendall(said)
        brief = replace(serving, seconds=15)  # the silent ones are sent away after 20 s: nobody waits for that
        for _ in range(5):
            assert brief.ask("GET", "/identity/v3")[0] == 200


@pytest.mark.parametrize("said", BROKEN)
def test_what_is_no_http_is_refused_and_harms_nobody(serving: Serving, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", serving.port), timeout=60) as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := client.recv(4096):
            answer += piece
    statuses = [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1")]
    assert len(statuses) <= 1, "one request was taken for two"
    assert not [status for status in statuses if status.startswith(b"5") and status != b"501"], answer
    assert serving.ask("GET", "/healthz")[0] == 200


def test_only_the_owner_reads_what_is_secret(serving: Serving) -> None:
    for name in ("novalite.db", "admin-openrc", "clouds.yaml", "lock", "novalite.db-wal"):
        assert stat.S_IMODE((serving.state / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(serving.state.stat().st_mode) == 0o711


def test_secrets_are_neither_logged_nor_kept(serving: Serving) -> None:
    token = serving.token()
    own: dict[str, str] = {"X-Auth-Token": token}
    user = {"user": {"name": "canary", "password": CANARY}}
    assert serving.ask("POST", "/identity/v3/users", user, **own)[0] == 201
    wrong = {"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": "canary", "domain": {"id": "default"}, "password": CANARY + "-wrong"}}}}}  # fmt: skip
    assert serving.ask("POST", "/identity/v3/auth/tokens", wrong)[0] == 401
    invalid = {"user": {"name": "canary", "password": {"nested": CANARY}}}
    status, _, told = serving.ask("POST", "/identity/v3/users", invalid, **own)
    assert status == 400
    assert CANARY.encode() not in told
    body = {"disk_format": "raw", "container_format": "bare"}
    image = json.loads(serving.ask("POST", "/image/v2/images", body, **own)[2])["id"]
    put = {**own, "Content-Type": "application/octet-stream"}
    assert serving.ask("PUT", f"/image/v2/images/{image}/file", b"\0" * 4096, **put)[0] == 204
    server = {"name": "s", "flavorRef": "1", "imageRef": image, "adminPass": CANARY}
    made = json.loads(serving.ask("POST", "/compute/v2.1/servers", {"server": server}, **own)[2])["server"]["id"]

    def active() -> bool:
        return b'"ACTIVE"' in serving.ask("GET", f"/compute/v2.1/servers/{made}", **own)[2]

    until(active, "the server is active")
    console = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    version = {"OpenStack-API-Version": "compute 2.6"}
    url = serving.ask("POST", f"/compute/v2.1/servers/{made}/remote-consoles", console, **own, **version)[2]
    opened = json.loads(url)["remote_console"]["url"].rpartition("%3D")[2]
    serving.ask("GET", f"/console/vnc_auto.html?path=%3Ftoken%3D{opened}")
    log = serving.log.read_text()
    with closing(sqlite3.connect(serving.state / "novalite.db")) as database:
        kept = "\n".join(database.iterdump())
    for secret in (token, serving.password(), CANARY, opened):
        assert secret not in log
        assert secret not in kept


def test_a_second_process_leaves_the_first_alone(serving: Serving) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        second = subprocess.run(command(serving.state, port), capture_output=True, timeout=60, check=False)
        assert second.returncode != 0
        assert b"Another NovaLite" in second.stderr
        third = subprocess.run(
            command(serving.state.parent / "other", port), capture_output=True, timeout=60, check=False
        )
        assert third.returncode != 0
        assert b"Cannot listen" in third.stderr
        assert b"Traceback" not in second.stderr + third.stderr
    assert serving.ask("GET", "/healthz")[0] == 200


def test_a_killed_upload_leaves_an_image_that_can_be_uploaded_again(tmp_path: Path) -> None:
    first = start(tmp_path / "state", tmp_path / "log")
    own: dict[str, str] = {"X-Auth-Token": first.token()}
    body = {"disk_format": "raw", "container_format": "bare"}
    image = json.loads(first.ask("POST", "/image/v2/images", body, **own)[2])["id"]
    with socket.create_connection(("127.0.0.1", first.port)) as client:
        client.sendall(
            f"PUT /image/v2/images/{image}/file HTTP/1.1\r\nHost: h\r\nX-Auth-Token: {own['X-Auth-Token']}\r\n"
            "Content-Type: application/octet-stream\r\nContent-Length: 9000000\r\n\r\n".encode()
            + b"x" * 3000000
        )
        until(lambda: list((first.state / "images").iterdir()), "the upload is on its way")
        os.kill(first.process.pid, signal.SIGSTOP)  # the parent must not start another worker
        children = Path(f"/proc/{first.process.pid}/task/{first.process.pid}/children").read_text().split()
        for pid in (*map(int, children), first.process.pid):
            os.kill(pid, signal.SIGKILL)
        first.process.wait(60)
    second = start(first.state, first.log)
    try:
        own = {"X-Auth-Token": second.token()}
        assert json.loads(second.ask("GET", f"/image/v2/images/{image}", **own)[2])["status"] == "queued"
        until(lambda: not list((second.state / "images").iterdir()), "the rest is gone")
        put = {**own, "Content-Type": "application/octet-stream"}
        assert second.ask("PUT", f"/image/v2/images/{image}/file", b"x" * 4096, **put)[0] == 204
    finally:
        end(second)


@pytest.mark.parametrize("broken", ["not a database", "newer", "a directory"])
def test_a_database_that_cannot_be_used_is_told_at_start(tmp_path: Path, broken: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    if broken == "a directory":
        (state / "novalite.db").mkdir()
    elif broken == "not a database":
        (state / "novalite.db").write_bytes(b"garbage" * 1000)
    else:
        with closing(sqlite3.connect(state / "novalite.db")) as database:
            database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            database.execute("INSERT INTO alembic_version VALUES ('9999')")
            database.commit()
    done = subprocess.run(command(state, 0), capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
    assert b"database" in done.stderr.lower()
    assert b"Traceback" not in done.stderr
