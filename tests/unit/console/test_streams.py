"""Live events reach those who may hear them, over many connections, from one thread."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from novalite.engine.console.streams import EventHub
from tests.contracts.waiting import until

Who = tuple[str, str, bool]
MINE: Who = ("login-1", "project-a", False)
OTHERS: Who = ("login-2", "project-b", False)
ADMIN: Who = ("login-3", "project-c", True)


@pytest.fixture
def hub() -> Iterator[EventHub]:
    hub = EventHub()
    hub.start()
    yield hub
    hub.stop()
    assert not hub.is_running


class Client:
    def __init__(self, hub: EventHub, who: Who) -> None:
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(60)
        session, project_id, is_admin = who
        hub.adopt(theirs, session=session, project_id=project_id, is_admin=is_admin)
        self.seen = b""

    def read_until(self, part: bytes) -> bytes:
        while part not in self.seen:
            piece = self.sock.recv(65536)
            if not piece:
                raise AssertionError(f"ended after {self.seen!r}")
            self.seen += piece
        return self.seen

    def ended(self) -> bool:
        while self.sock.recv(65536):
            pass
        return True

    def close(self) -> None:
        self.sock.close()


def test_a_stream_opens_with_its_headers_and_tells_changes(hub: EventHub) -> None:
    client = Client(hub, MINE)
    head = client.read_until(b": connected\n\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    hub.publish("server", "s1", "project-a")
    assert b'event: change\ndata: {"topic":"server","id":"s1"}\n\n' in client.read_until(b"s1")
    client.close()


def test_only_the_project_and_admins_hear_of_a_change(hub: EventHub) -> None:
    mine, others, admin = (Client(hub, who) for who in (MINE, OTHERS, ADMIN))
    until(lambda: hub.open_streams == 3, "all listen")
    hub.publish("server", "secret-of-a", "project-a")
    hub.publish("host", "h1", "")
    hub.publish("server", "of-b", "project-b")
    hub.publish("server", "last-of-a", "project-a")
    assert b"h1" not in mine.read_until(b"last-of-a")
    assert b"secret-of-a" not in others.read_until(b"of-b")
    for word in (b"secret-of-a", b"h1", b"of-b", b"last-of-a"):
        admin.read_until(word)
    for client in (mine, others, admin):
        client.close()


def test_five_hundred_streams_miss_nothing(hub: EventHub) -> None:
    clients = [Client(hub, MINE) for _ in range(500)]
    until(lambda: hub.open_streams == 500, "all listen")
    for number in range(20):
        hub.publish("server", f"s-{number}-", "project-a")
    for client in clients:
        client.read_until(b"s-19-")
        assert all(f"s-{number}-".encode() in client.seen for number in range(20))
        client.close()
    until(lambda: hub.open_streams == 0, "nobody listens")


def test_a_client_that_does_not_read_is_dropped_and_holds_up_nobody(hub: EventHub) -> None:
    slow, quick = Client(hub, MINE), Client(hub, MINE)
    until(lambda: hub.open_streams == 2, "both listen")
    number = 0
    while hub.open_streams == 2:
        hub.publish("server", f"{'x' * 1000}-{number}", "project-a")
        quick.read_until(f"-{number}".encode())
        quick.seen = b""
        number += 1
    hub.publish("server", "still-here", "project-a")
    quick.read_until(b"still-here")
    slow.close()
    quick.close()


def test_the_end_of_a_login_ends_its_streams_only(hub: EventHub) -> None:
    mine, others = Client(hub, MINE), Client(hub, OTHERS)
    until(lambda: hub.open_streams == 2, "both listen")
    hub.end_session("login-1")
    assert mine.ended()
    hub.publish("server", "on", "project-b")
    others.read_until(b'"on"')
    mine.close()
    others.close()


def test_a_stream_beats_while_nothing_happens_and_ends_after_its_life() -> None:
    hub = EventHub(heartbeat_seconds=0.02, life_seconds=1)
    hub.start()
    client = Client(hub, MINE)
    client.read_until(b": still here\n\n")
    assert client.ended()
    client.close()
    hub.stop()


def test_one_more_than_the_limit_is_told_to_come_back() -> None:
    hub = EventHub(max_streams=1)
    hub.start()
    first = Client(hub, MINE)
    until(lambda: hub.open_streams == 1, "one listens")
    second = Client(hub, MINE)
    second.read_until(b"HTTP/1.1 503 ")
    hub.stop()
    assert first.ended()
    first.close()
    second.close()


def test_a_client_that_leaves_is_forgotten(hub: EventHub) -> None:
    client = Client(hub, MINE)
    until(lambda: hub.open_streams == 1, "one listens")
    client.close()
    until(lambda: hub.open_streams == 0, "nobody listens")


def test_an_unforeseen_error_ends_the_streams_and_not_the_hub(hub: EventHub, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(hub, MINE)
    until(lambda: hub.open_streams == 1, "one listens")
    with monkeypatch.context() as patched:
        patched.setattr("novalite.engine.console.streams._frame", lambda event: 1 / 0)
        hub.publish("server", "s1", "project-a")
        assert client.ended()
    client.close()
    again = Client(hub, MINE)
    until(lambda: hub.open_streams == 1, "one listens")
    hub.publish("server", "s2", "project-a")
    again.read_until(b"s2")
    again.close()
