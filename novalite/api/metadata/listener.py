"""Sockets at the metadata addresses of each network, in the network's own namespace: the socket says which network a
guest is on.

All are served by one loop and few threads, run as a component of the supervisor. A second thread opens them, since
that may take its time, and notices when their network was made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.trigger import trigger

from novalite import logs
from novalite.api.metadata.app import Wsgi
from novalite.drivers.network.base import NetworkSpec, bridge_name
from novalite.errors import NovaLiteError

_CHECK_SECONDS = 2.0
_TURN_SECONDS = 0.5
_GET_INDEX = 0x8933  # SIOCGIFINDEX
_LONGEST_BODY_BYTES = 8192
_MOST_CONNECTIONS_OF_A_GUEST = 32
_MOST_CONNECTIONS_OF_A_NETWORK = 512
_log = logs.get("metadata")

Sockets = Callable[[str], tuple[socket.socket, ...]]
"""Listening sockets at the metadata addresses of a network. Raises ``DriverError``."""


@dataclass(frozen=True)
class _Listener:
    """The sockets of a network, and what was seen of it when they were opened."""

    sockets: tuple[socket.socket, ...]
    identity: object
    bridge_index: int


class _Server(TcpWSGIServer):  # type: ignore[misc]
    """A guest that opens connection after connection takes them from itself, not from its neighbours."""

    def share(self, waker: Any) -> None:
        """Wake the loop as all do, instead of by a pipe of its own."""
        self.trigger.close()
        self.trigger: Any = waker

    def close(self) -> None:
        """Connections end as well: they would keep what is left of a namespace."""
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        wasyncore.dispatcher.close(self)

    @staticmethod
    def channel_class(server: Any, connection: socket.socket, address: Any, adjustments: Any, map: Any) -> None:
        channels = server.active_channels.values()
        mine = sum(channel.addr[0] == address[0] for channel in channels)
        if mine >= _MOST_CONNECTIONS_OF_A_GUEST or len(channels) >= _MOST_CONNECTIONS_OF_A_NETWORK:
            connection.close()
            return
        HTTPChannel(server, connection, address, adjustments, map=map)


class _Loop:
    """waitress' loop over all sockets. Only the thread that calls ``turn`` touches them; others leave orders."""

    def __init__(self, threads: int) -> None:
        self._map: dict[int, Any] = {}
        self._tasks = ThreadedTaskDispatcher()
        self._tasks.set_thread_count(threads)
        self._waker = trigger(self._map)
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def turn(self) -> None:
        wasyncore.loop(timeout=_TURN_SECONDS, map=self._map, use_poll=True, count=1)
        with contextlib.suppress(Empty):
            while True:
                self._orders.get_nowait()()

    def serve(self, app: Wsgi, listener: _Listener) -> None:
        self._order(lambda: self._serve(app, listener))

    def close(self, listener: _Listener) -> None:
        self._order(lambda: self._close(listener))

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.put(order)
        self._waker.pull_trigger()

    def _serve(self, app: Wsgi, listener: _Listener) -> None:
        for bound in listener.sockets:
            info = (bound.family, bound.type, bound.proto, bound.getsockname())
            server = _Server(app, self._map, True, bound, dispatcher=self._tasks, adj=_adjustments(),
                             bind_socket=False, sockinfo=info)  # fmt: skip
            server.share(self._waker)

    def _close(self, listener: _Listener) -> None:
        for served in [one for one in self._map.values() if one.socket in listener.sockets]:
            served.close()

    def end(self) -> None:
        self._tasks.shutdown(cancel_pending=True, timeout=2)
        wasyncore.close_all(self._map, ignore_all=True)


class MetadataService:
    """``make_app(network_id)`` gives the application of a network, ``open_sockets`` what it is served on.
    ``identity(network_id)`` changes when the network's namespace is made anew. ``sync`` may be called from any thread
    and at any time; ``run`` serves until it is stopped."""

    def __init__(
        self,
        make_app: Callable[[str], Wsgi],
        open_sockets: Sockets,
        identity: Callable[[str], object] = lambda network_id: None,
        *,
        threads: int = 2,
    ) -> None:
        self._make_app, self._open_sockets, self._identity = make_app, open_sockets, identity
        self._threads = threads
        self._wanted: frozenset[str] = frozenset()
        self._open: dict[str, _Listener] = {}
        self._problems: dict[str, str] = {}
        self._changed = threading.Event()
        self._runs = False

    def sync(self, networks: Iterable[NetworkSpec]) -> None:
        """Serve exactly these networks from now on (those that want metadata)."""
        self._wanted = frozenset(spec.id for spec in networks if spec.metadata)
        self._changed.set()

    def look(self) -> None:
        """Networks may have been made anew: look now, not in a while."""
        self._changed.set()

    def alive(self) -> bool:
        """Does the loop run, with sockets for every network?"""
        return self._runs and not self._problems and self._open.keys() == self._wanted

    def problems(self) -> tuple[str, ...]:
        """Sentences about networks that cannot be served now; it is tried again every few seconds."""
        return tuple(self._problems.values())

    def run(self, stop: threading.Event) -> None:
        """The component: serves until ``stop`` is set."""
        loop, ended = _Loop(self._threads), threading.Event()
        opener = threading.Thread(target=self._keep, args=(loop, ended), name="metadata-sockets", daemon=True)
        self._runs = True
        opener.start()
        try:
            while not stop.is_set():
                if not opener.is_alive():
                    raise RuntimeError("the thread that opens the sockets of the metadata service has ended")
                loop.turn()
        finally:
            self._runs = False
            ended.set()
            self._changed.set()
            opener.join()
            loop.turn()
            loop.end()

    def _keep(self, loop: _Loop, ended: threading.Event) -> None:
        self._open = {}
        while not ended.is_set():
            wanted = self._wanted
            for network_id, listener in list(self._open.items()):
                if network_id not in wanted or self._is_stale(network_id, listener):
                    del self._open[network_id]
                    loop.close(listener)
                    _log.info("metadata listener closed", network_id=network_id)
            problems = {}
            for network_id in wanted - self._open.keys():
                if ended.is_set():
                    break
                try:
                    opened = self._listen(network_id)
                except (NovaLiteError, OSError) as error:
                    problems[network_id] = self._told(network_id, error)
                else:
                    self._open[network_id] = opened
                    loop.serve(self._make_app(network_id), opened)
            self._problems = problems
            self._changed.wait(_CHECK_SECONDS)
            self._changed.clear()

    def _is_stale(self, network_id: str, listener: _Listener) -> bool:
        """A namespace made anew has another identity, a bridge made anew in it another number."""
        return (
            self._identity(network_id) != listener.identity
            or _index(listener.sockets, bridge_name(network_id)) != listener.bridge_index
        )

    def _listen(self, network_id: str) -> _Listener:
        identity = self._identity(network_id)
        opened = self._open_sockets(network_id)
        _log.info("metadata listener open", network_id=network_id, sockets=len(opened))
        return _Listener(opened, identity, _index(opened, bridge_name(network_id)))

    def _told(self, network_id: str, error: Exception) -> str:
        """The sentence about it, logged when it is news."""
        text = f"Metadata cannot be served on network {network_id}: {error}"
        if self._problems.get(network_id) != text:
            _log.warning("metadata listener failed", network_id=network_id, error=text)
        return text


def _index(sockets: tuple[socket.socket, ...], link: str) -> int:
    """The kernel's number of a link where the sockets are; 0 when there is none of that name."""
    for one in sockets:
        with contextlib.suppress(OSError):
            answer = fcntl.ioctl(one.fileno(), _GET_INDEX, struct.pack("16si20x", link.encode(), 0))
            return int(struct.unpack_from("16si", answer)[1])
    return 0


def _adjustments() -> Any:
    # waitress counts listening sockets as connections; a limit of ours is in _Server.
    return Adjustments(ident="novalite", channel_timeout=30, connection_limit=1 << 30, log_socket_errors=False,
                       max_request_body_size=_LONGEST_BODY_BYTES, max_request_header_size=16384,
                       clear_untrusted_proxy_headers=True)  # fmt: skip
