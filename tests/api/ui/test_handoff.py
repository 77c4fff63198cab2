"""A view may take its connection; the worker's threads and places are free again at once."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, Response

import novalite
from novalite.api.kit.handoff import SLOT, HandoffSlot, handoff
from tests.contracts.waiting import until

APPLICATION = Path(__file__).with_name("handoff_app.py")
THREADS = 4


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The real worker with four threads; (process, port)."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    os.set_inheritable(listener.fileno(), True)
    port = listener.getsockname()[1]
    command = [sys.executable, str(APPLICATION), str(listener.fileno()), str(THREADS)]
    log = (tmp_path / "log").open("wb")
    environment = {**os.environ, "PYTHONPATH": str(Path(novalite.__file__).parent.parent)}
    with subprocess.Popen(command, pass_fds=[listener.fileno()], stderr=log, cwd=tmp_path, env=environment) as process:
        listener.close()
        try:
            yield process, port
        finally:
            process.terminate()
            process.wait(60)
            log.close()


def ask(port: int, path: str, timeout: float = 60) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def settles(port: int, figures: dict[str, int]) -> bool:
    """Whether the worker soon counts so; a connection that is closed leaves its count a moment later."""
    until(lambda: json.loads(ask(port, "/figures")[1]) == figures, f"the worker counts {figures}")
    return True


def open_stream(port: int, more: bytes = b"", path: bytes = b"/stream") -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", port), timeout=60)
    stream.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: here\r\n\r\n" + more)
    return stream


def read_until(stream: socket.socket, end: bytes) -> bytes:
    got = b""
    while not got.endswith(end):
        piece = stream.recv(4096)
        if not piece:
            raise AssertionError(f"closed after {got!r}")
        got += piece
    return got


def test_forty_streams_leave_four_threads_free(served: tuple[subprocess.Popen[bytes], int]) -> None:
    _, port = served
    streams = [open_stream(port) for _ in range(40)]
    for stream in streams:
        assert read_until(stream, b"hello\n").startswith(b"HTTP/1.1 200 OK\r\n")
    for _ in range(2 * THREADS):
        assert ask(port, "/ping") == (200, b"pong")
    assert settles(port, {"held": 40, "connections": 1})
    ask(port, "/say")
    for stream in streams:
        assert read_until(stream, b"event\n") == b"event\n"
        stream.close()


def test_bytes_sent_behind_the_request_reach_the_new_owner(
    served: tuple[subprocess.Popen[bytes], int],
) -> None:
    with open_stream(served[1], b"early bytes") as stream:
        assert b"leftover=early bytes\n" in read_until(stream, b"hello\n")


def test_a_connection_kept_alive_before_can_still_be_taken(
    served: tuple[subprocess.Popen[bytes], int],
) -> None:
    with open_stream(served[1], path=b"/ping") as stream:
        read_until(stream, b"pong")
        stream.sendall(b"GET /stream HTTP/1.1\r\nHost: here\r\n\r\n")
        read_until(stream, b"hello\n")
        ask(served[1], "/say")
        assert read_until(stream, b"event\n") == b"event\n"


def test_an_owner_that_fails_closes_the_connection_and_nothing_else(
    served: tuple[subprocess.Popen[bytes], int],
) -> None:
    with open_stream(served[1], path=b"/broken") as stream:
        assert stream.recv(100) == b""
    assert settles(served[1], {"held": 0, "connections": 1})


def test_the_worker_takes_the_descriptors_it_may_have_and_outlives_their_end(
    served: tuple[subprocess.Popen[bytes], int], tmp_path: Path
) -> None:
    _, port = served
    with open_stream(port, path=b"/descriptors?free=2") as stream:
        limits = json.loads(read_until(stream, b"}\n").rpartition(b"\r\n\r\n")[2])
        assert limits["soft"] == min(limits["hard"], 65536)
        crowd = [open_stream(port, path=b"/ping") for _ in range(6)]
        until(lambda: "No file descriptors are left" in (tmp_path / "log").read_text(), "it runs out of them")
        stream.sendall(b"GET /descriptors?free=-1 HTTP/1.1\r\nHost: here\r\n\r\n")
        read_until(stream, b"}\n")
        for each in crowd:
            each.close()
    assert settles(port, {"held": 0, "connections": 1})
    assert (tmp_path / "log").read_text().count("Booting worker") == 1, "it is still the same worker"


def test_open_streams_do_not_hold_up_the_drain(served: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = served
    with open_stream(port) as stream:
        read_until(stream, b"hello\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, "long before the graceful time-out of ten minutes"
        readable, _, _ = select.select([stream], [], [], 60)
        assert readable
        assert stream.recv(100) == b"bye\n", "its owner, not the worker, ends a stream"


def test_elsewhere_the_answer_is_a_clear_501() -> None:
    app = Flask(__name__)
    app.add_url_rule("/stream", view_func=lambda: handoff(lambda sock, leftover: None))
    answer = app.test_client().get("/stream")
    assert answer.status_code == 501
    assert "cannot give connections away" in answer.text


def test_a_response_replaced_by_middleware_takes_nothing() -> None:
    app = Flask(__name__)
    app.add_url_rule("/stream", view_func=lambda: handoff(lambda sock, leftover: None))
    app.after_request(lambda response: Response("no", status=403))
    slot = HandoffSlot()
    assert app.test_client().get("/stream", environ_overrides={SLOT: slot}).status_code == 403
    assert slot.callback is None


@pytest.mark.parametrize(("size", "sent", "ends"), [(0, 0, False), (200_000, 200_000, False), (1 << 30, 1000, True)])
def test_an_answer_says_when_an_unread_body_ends_the_connection(
    served: tuple[subprocess.Popen[bytes], int], size: int, sent: int, ends: bool
) -> None:
    """Without a word the next request on it would fail."""
    with socket.create_connection(("127.0.0.1", served[1]), timeout=60) as client:
        client.sendall(b"POST /ping HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % size + bytes(sent))
        head = read_until(client, b"too much").partition(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 413 ")
        assert (b"connection: close" in head) is ends
        if ends:
            assert client.recv(1) == b""
        else:
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: here\r\n\r\n")
            assert read_until(client, b"pong").startswith(b"HTTP/1.1 200 ")


def test_what_follows_an_answer_to_a_body_without_an_end_is_not_read(
    served: tuple[subprocess.Popen[bytes], int],
) -> None:
    with socket.create_connection(("127.0.0.1", served[1]), timeout=60) as client:
        client.sendall(b"POST /ping HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n0\r\n\r\n")
        said = b""
        while piece := client.recv(4096):
            said += piece
    assert said.count(b"HTTP/1.1") == 1
    assert b"connection: close" in said.lower()
