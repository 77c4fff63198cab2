"""One listening socket for each network, bound to its bridge: the socket says which network a guest is on.

All are served by one loop and few threads, run as a component of the supervisor.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.trigger import trigger

from novalite import logs
from novalite.api.metadata.app import Wsgi
from novalite.drivers.network.base import METADATA_PORT, NetworkSpec, bridge_name

_CHECK_SECONDS = 2.0
_IP_FREEBIND = 15
_LONGEST_BODY_BYTES = 8192
_MOST_CONNECTIONS_OF_A_GUEST = 32
_log = logs.get("metadata")


@dataclass(frozen=True)
class _Place:
    """Where a network is served: a bridge and an address on it."""

    bridge: str
    address: str


@dataclass
class _Listener:
    place: _Place
    bridge_index: int
    server: Any


class _Server(TcpWSGIServer):  # type: ignore[misc]
    """A guest that opens connection after connection takes them from itself, not from its neighbours."""

    @staticmethod
    def channel_class(server: Any, connection: socket.socket, address: Any, adjustments: Any, map: Any) -> None:
        mine = sum(channel.addr[0] == address[0] for channel in server.active_channels.values())
        if mine >= _MOST_CONNECTIONS_OF_A_GUEST:
            connection.close()
            return
        HTTPChannel(server, connection, address, adjustments, map=map)


class MetadataService:
    """``make_app(network_id)`` gives the application of a network. ``sync`` may be called from any thread and at
    any time; ``run`` serves until it is stopped, and looks after sockets whose bridge was made anew."""

    def __init__(self, make_app: Callable[[str], Wsgi], *, threads: int = 2, port: int = METADATA_PORT) -> None:
        self._make_app = make_app
        self._threads = threads
        self._port = port
        self._wanted: dict[str, _Place] = {}
        self._open: dict[str, _Listener] = {}
        self._problems: dict[str, str] = {}
        self._changed = threading.Event()
        self._wake: Callable[[], None] = lambda: None
        self._runs = False

    def sync(self, networks: Iterable[NetworkSpec]) -> None:
        """Serve exactly these networks from now on (those that want metadata)."""
        self._wanted = {spec.id: _Place(bridge_name(spec.id), spec.gateway_ip) for spec in networks if spec.metadata}
        self._changed.set()
        self._wake()

    def alive(self) -> bool:
        """Does the loop run, with a socket for every network?"""
        return self._runs and not self._problems and set(self._open) == set(self._wanted)

    def problems(self) -> tuple[str, ...]:
        """Sentences about networks that cannot be served now; it is tried again every few seconds."""
        return tuple(self._problems.values())

    def run(self, stop: threading.Event) -> None:
        """The component: serves until ``stop`` is set."""
        sockets: dict[int, Any] = {}
        tasks = ThreadedTaskDispatcher()
        tasks.set_thread_count(self._threads)
        waker = trigger(sockets)
        self._wake = waker.pull_trigger
        self._runs, self._open = True, {}
        looked_at = float("-inf")
        try:
            while not stop.is_set():
                if self._changed.is_set() or time.monotonic() - looked_at > _CHECK_SECONDS:
                    self._changed.clear()
                    self._adjust(sockets, tasks)
                    looked_at = time.monotonic()
                wasyncore.loop(timeout=_CHECK_SECONDS / 4, map=sockets, use_poll=True, count=1)
        finally:
            self._runs, self._wake = False, lambda: None
            tasks.shutdown(cancel_pending=True, timeout=2)
            wasyncore.close_all(sockets, ignore_all=True)
            self._open = {}

    def _adjust(self, sockets: dict[int, Any], tasks: Any) -> None:
        wanted = dict(self._wanted)
        for network_id, listener in list(self._open.items()):
            if listener.place != wanted.get(network_id) or listener.bridge_index != _index(listener.place.bridge):
                listener.server.close()
                del self._open[network_id]
                _log.info("metadata listener closed", network_id=network_id)
        for network_id, place in wanted.items():
            if network_id not in self._open:
                self._listen(network_id, place, sockets, tasks)
        self._problems = {id_: text for id_, text in self._problems.items() if id_ in wanted}

    def _listen(self, network_id: str, place: _Place, sockets: dict[int, Any], tasks: Any) -> None:
        try:
            bound = _bind(place, self._port)
        except OSError as error:
            text = (f"Metadata cannot be served on {place.bridge}, {place.address} port {self._port}: "
                    f"{error.strerror or error}.")  # fmt: skip
            if self._problems.get(network_id) != text:
                _log.warning("metadata listener failed", network_id=network_id, error=text)
            self._problems[network_id] = text
            return
        info = (bound.family, bound.type, bound.proto, bound.getsockname())
        server = _Server(self._make_app(network_id), sockets, True, bound, dispatcher=tasks,
                               adj=_adjustments(), bind_socket=False, sockinfo=info)  # fmt: skip
        self._open[network_id] = _Listener(place, _index(place.bridge), server)
        self._problems.pop(network_id, None)
        _log.info("metadata listener open", network_id=network_id, bridge=place.bridge)


def _index(link: str) -> int:
    """The kernel's number of a link; 0 when there is none of that name."""
    try:
        return socket.if_nametoindex(link)
    except OSError:
        return 0


def _bind(place: _Place, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, place.bridge.encode() + b"\0")
        bound.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        bound.bind((place.address, port))
    except OSError:
        bound.close()
        raise
    return bound


def _adjustments() -> Any:
    return Adjustments(ident="novalite", channel_timeout=30, connection_limit=1000, log_socket_errors=False,
                       max_request_body_size=_LONGEST_BODY_BYTES, max_request_header_size=16384,
                       clear_untrusted_proxy_headers=True)  # fmt: skip
