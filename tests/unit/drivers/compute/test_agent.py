"""The agent's manners: secrets, bounds, and callers that go away."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from novalite.agent.app import Agent
from novalite.agent.main import read_secret, run_agent
from novalite.agent.server import AgentServer
from novalite.drivers.compute import wire
from novalite.drivers.compute.base import ComputeDriver, ConsoleKind, Power
from novalite.drivers.compute.fake import FakeDriver
from novalite.drivers.compute.remote import connect
from novalite.errors import DriverError, HostUnreachable, Invalid, NovaLiteError
from novalite.settings import Compute, Settings
from tests.contracts.waiting import until

SECRET = "s3cret-of-sixteen-characters"


@pytest.fixture
def fake() -> FakeDriver:
    return FakeDriver("there")


@pytest.fixture
def server(fake: FakeDriver) -> Iterator[AgentServer]:
    server = AgentServer(Agent(fake, SECRET), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    fake.close()


@pytest.fixture
def remote(server: AgentServer) -> Iterator[ComputeDriver]:
    driver = connect(f"http://127.0.0.1:{server.port}", SECRET)
    yield driver
    driver.close()


def _post(server: AgentServer, path: str, body: bytes = b"{}", secret: str = SECRET) -> httpx.Response:
    return httpx.post(
        f"http://127.0.0.1:{server.port}{path}",
        content=body,
        trust_env=False,
        headers={"Authorization": f"Bearer {secret}"},
    )


@pytest.mark.parametrize("secret", ["-", "wrong", SECRET + "x", SECRET[:-1]])
def test_a_wrong_secret_learns_and_does_nothing(server: AgentServer, fake: FakeDriver, secret: str) -> None:
    for path in (wire.CALLS + "list_guests", wire.CALLS + "nothing", "/elsewhere"):
        assert _post(server, path, secret=secret).status_code == 401
    stranger = connect(f"http://127.0.0.1:{server.port}", secret)
    with pytest.raises(DriverError, match="secret"):
        stranger.list_guests()
    with pytest.raises(DriverError, match="secret"):
        stranger.console("any", ConsoleKind.VNC)
    stranger.close()
    assert fake.calls == {}


def test_an_error_of_the_driver_comes_out_as_itself(remote: ComputeDriver, fake: FakeDriver) -> None:
    told = DriverError("guest", "broken", code="driver.busy", retryable=True, hint="Wait.")
    fake.fail_next("guest", told)
    with pytest.raises(DriverError) as caught:
        remote.guest("any")
    assert caught.value.facts == told.facts
    assert caught.value.hint == "Wait."
    fake.fail_next("guest", HostUnreachable("libvirt is away"))
    with pytest.raises(HostUnreachable, match="libvirt is away"):
        remote.guest("any")
    assert remote.guest("any").power is Power.ABSENT


def test_an_unforeseen_failure_is_told(remote: ComputeDriver, fake: FakeDriver) -> None:
    fake.fail_next("guest", ZeroDivisionError("oops"))  # type: ignore[arg-type]
    with pytest.raises(DriverError, match="oops"):
        remote.guest("any")


def test_no_agent_is_an_unreachable_host() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        remote = connect(f"http://127.0.0.1:{unused.getsockname()[1]}", SECRET)
        asked = (remote.host_report, lambda: remote.console("any", ConsoleKind.VNC))
        for ask in asked:
            with pytest.raises(HostUnreachable, match="does not answer"):
                ask()
        remote.close()
    with pytest.raises(Invalid):
        connect("ftp://example", SECRET)


def test_a_call_that_makes_no_sense_is_refused(server: AgentServer, fake: FakeDriver) -> None:
    for path, body in (
        ("guest", b"{"),
        ("guest", b"{}"),
        ("guest", b'{"guest_id": 3}'),
        ("nothing", b"{}"),
        ("guest", b'{"guest_id": "a", "more": 1}'),
        ("close", b"{}"),
        ("_boot", b"{}"),
    ):
        answer = _post(server, wire.CALLS + path, body)
        assert answer.status_code == 500
        assert json.loads(answer.content)["code"] in ("driver.bad_call", "driver.unsupported")
    assert fake.calls == {}


def test_a_call_that_is_too_large_is_not_read(server: AgentServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as caller:
        caller.sendall(
            (
                f"POST {wire.CALLS}guest HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\n"
                f"Content-Length: {wire.BODY_BYTES + 1}\r\n\r\n"
            ).encode()
        )
        caller.shutdown(socket.SHUT_WR)
        caller.settimeout(60)
        assert b" 413 " in caller.recv(64)


def test_a_caller_that_goes_away_harms_nobody(server: AgentServer, remote: ComputeDriver) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as caller:
        caller.sendall(
            (
                f"POST {wire.CALLS}guest HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\n"
                "Content-Length: 100\r\n\r\nhalf"
            ).encode()
        )
    assert remote.guest("any").power is Power.ABSENT


def test_many_long_polls_do_not_keep_others_waiting(remote: ComputeDriver, fake: FakeDriver) -> None:
    polls = [threading.Thread(target=lambda: remote.events("", 5), daemon=True) for _ in range(40)]
    for poll in polls:
        poll.start()
    until(lambda: fake.calls.get("events") == 40, "all are waiting")
    assert remote.list_guests() == ()
    fake.power_cut()
    for poll in polls:
        poll.join(60)
        assert not poll.is_alive()


def test_the_command_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text(SECRET + "\n")
    settings = Settings(state_dir=str(tmp_path / "state"), compute=Compute(driver="fake", host_name="there"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    seen: list[str] = []

    def ask() -> None:
        remote = connect(f"http://127.0.0.1:{port}", SECRET)

        def answered() -> bool:
            try:
                seen.append(remote.host_report().host)
            except HostUnreachable:
                return False
            return True

        until(answered, "the agent answers")
        remote.close()
        os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask)
    asking.start()
    run_agent(settings, "127.0.0.1", port, secret_file)
    asking.join()
    assert seen == ["there"]


def test_a_missing_or_weak_secret_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        read_secret(tmp_path / "none")
    (tmp_path / "weak").write_text("short")
    with pytest.raises(NovaLiteError, match="shorter"):
        read_secret(tmp_path / "weak")
