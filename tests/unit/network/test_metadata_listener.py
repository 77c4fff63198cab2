"""The metadata service on loopback sockets: what it serves, and when it opens them anew."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from novalite.api.metadata.listener import MetadataService
from novalite.drivers.network.base import NetworkSpec
from novalite.errors import DriverError
from tests.contracts.waiting import until

FIRST, SECOND = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"


def _spec(id_: str, **more: Any) -> NetworkSpec:
    return NetworkSpec(id_, id_, **more)


class Place:
    """Stands for the driver: networks have loopback sockets."""

    def __init__(self) -> None:
        self.opened: dict[str, tuple[socket.socket, ...]] = {}
        self.generation: dict[str, int] = {}
        self.failure: DriverError | None = None

    def sockets(self, network_id: str) -> tuple[socket.socket, ...]:
        if self.failure is not None:
            raise self.failure
        made = []
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            bound = socket.socket(family, socket.SOCK_STREAM)
            bound.bind((address, 0))
            bound.listen()
            made.append(bound)
        self.opened[network_id] = tuple(made)
        return self.opened[network_id]

    def identity(self, network_id: str) -> int:
        return self.generation.get(network_id, 0)

    def ask(self, network_id: str, number: int, headers: dict[str, str] | None = None) -> str:
        return ask(self.opened[network_id][number].getsockname(), headers)


def ask(where: tuple[Any, ...], headers: dict[str, str] | None = None) -> str:
    connection = http.client.HTTPConnection(where[0], where[1], timeout=60)
    try:
        connection.request("GET", "/", headers=headers or {})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _app(network_id: str) -> Callable[..., Any]:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{network_id} {environ['REMOTE_ADDR']}".encode()]

    return app


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def service(place: Place) -> Iterator[MetadataService]:
    made, stop = MetadataService(_app, place.sockets, place.identity), threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    yield made
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    assert all(one.fileno() == -1 for opened in place.opened.values() for one in opened)


def test_each_network_is_served_by_both_families(place: Place, service: MetadataService) -> None:
    service.sync([_spec(FIRST), _spec(SECOND), _spec("none", metadata=False)])
    until(service.alive, "both are served")
    assert place.ask(FIRST, 0) == f"{FIRST} 127.0.0.1"
    assert place.ask(FIRST, 1) == f"{FIRST} ::1"
    assert place.ask(SECOND, 0) == f"{SECOND} 127.0.0.1"
    assert set(place.opened) == {FIRST, SECOND}


def test_headers_do_not_change_who_asks(place: Place, service: MetadataService) -> None:
    service.sync([_spec(FIRST)])
    until(service.alive, "it is served")
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Instance-ID", "X-Forwarded-Host"):
        assert place.ask(FIRST, 0, {name: "for=10.9.9.9"}) == f"{FIRST} 127.0.0.1", name


def test_a_network_made_anew_gets_new_sockets(place: Place, service: MetadataService) -> None:
    service.sync([_spec(FIRST), _spec(SECOND)])
    until(service.alive, "both are served")
    before, untouched = place.opened[FIRST], place.opened[SECOND]
    place.generation[FIRST] = 1
    service.look()
    until(lambda: place.opened[FIRST] is not before and before[0].fileno() == -1, "the old sockets are closed")
    until(service.alive, "the new ones are served")
    assert place.ask(FIRST, 0) == f"{FIRST} 127.0.0.1"
    assert place.opened[SECOND] is untouched


def test_connections_end_with_their_network(place: Place, service: MetadataService) -> None:
    service.sync([_spec(FIRST)])
    until(service.alive, "it is served")
    with socket.create_connection(place.opened[FIRST][0].getsockname(), timeout=60) as held:
        held.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        said = b""
        while not said.endswith(b"127.0.0.1"):
            said += held.recv(65536)
        service.sync([])
        assert held.recv(65536) == b""
    until(lambda: place.opened[FIRST][0].fileno() == -1, "nobody listens any more")


def test_what_cannot_be_opened_is_told_and_tried_again(place: Place, service: MetadataService) -> None:
    place.failure = DriverError("metadata_sockets", "the network is not set up", retryable=True)
    service.sync([_spec(FIRST)])
    until(lambda: service.problems(), "it is told")
    (problem,) = service.problems()
    assert FIRST in problem
    assert "the network is not set up" in problem
    assert not service.alive()
    place.failure = None
    service.look()
    until(service.alive, "it is served after all")
    assert service.problems() == ()


def test_a_guest_that_hoards_connections_is_refused_more(place: Place, service: MetadataService) -> None:
    service.sync([_spec(FIRST)])
    until(service.alive, "it is served")
    where = place.opened[FIRST][0].getsockname()
    held = [socket.create_connection(where, timeout=60) for _ in range(32)]
    try:
        with socket.create_connection(where, timeout=60) as one_more:
            assert one_more.recv(1) == b""
    finally:
        for one in held:
            one.close()
