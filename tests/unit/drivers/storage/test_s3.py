"""How answers of an S3 server are taken, from one that answers what the test says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from novalite.drivers.storage.s3 import Bucket, S3Objects
from novalite.errors import DriverError


class _Server(ThreadingHTTPServer):
    answers: list[tuple[int, bytes]]
    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(f"{self.command} {self.path}")
        status, text = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        self.send_response(status)
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Sun, 29 Nov 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as made:
        made.answers, made.asked = [(200, b"")], []
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join(60)


def objects(server: _Server, retry_seconds: float = 10) -> S3Objects:
    port = server.server_address[1]
    bucket = Bucket("b1b", "r", "key", "hush", endpoint=f"http://127.0.0.1:{port}", prefix="p")
    return S3Objects(bucket, retry_seconds=retry_seconds)


def test_a_server_that_is_busy_is_asked_again(server: _Server) -> None:
    server.answers = [(503, b"<Error><Code>SlowDown</Code></Error>"), (500, b""), (200, b"")]
    objects(server).put("pieces/ab/c", b"x")
    assert server.asked == ["PUT /b1b/p/pieces/ab/c"] * 3
    server.answers = [(503, b""), (200, b"content")]
    assert objects(server).get("pieces/ab/c") == b"content"


def test_one_that_stays_busy_is_given_up(server: _Server) -> None:
    server.answers = [(503, b"<Error><Code>SlowDown</Code></Error>")]
    with pytest.raises(DriverError) as told:
        objects(server, 1).put("x", b"x")
    assert told.value.retryable
    assert "hush" not in str(told.value)


def test_a_refusal_is_told_at_once(server: _Server) -> None:
    server.answers = [(403, b"<Error><Code>AccessDenied</Code></Error>")]
    for act in (objects(server).get, objects(server).has, objects(server).delete):
        with pytest.raises(DriverError, match="access is denied"):
            act("x")
    assert len(server.asked) == 3


def test_absent_objects_and_absent_buckets_are_told_apart(server: _Server) -> None:
    server.answers = [(404, b"<Error><Code>NoSuchKey</Code></Error>")]
    assert objects(server).get("x") is None
    assert not objects(server).has("x")
    objects(server).delete("x")
    server.answers = [(404, b"<Error><Code>NoSuchBucket</Code></Error>")]
    for act in (objects(server).get, objects(server).delete):
        with pytest.raises(DriverError, match="there is no bucket b1b"):
            act("x")
