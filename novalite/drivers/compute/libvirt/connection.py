"""Connections to libvirtd that come back: one event loop thread for the process, one keeper thread per driver
which opens, watches and reopens, so that no caller ever waits on a daemon that hangs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import libvirt

from novalite import logs
from novalite.drivers.compute.libvirt.faults import is_lost, translated
from novalite.errors import HostUnreachable

P = ParamSpec("P")
T = TypeVar("T")
Setup = Callable[[Any], None]

_log = logs.get("libvirt")
_loop_lock = threading.Lock()
_loop_started = False

WAIT_SECONDS = 5.0
"""How long a call waits for a connection that is being opened."""
KEEPALIVE_SECONDS, KEEPALIVE_COUNT = 5, 3
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)


def _start_event_loop() -> None:
    """Must come before the process's first open; libvirt knows one event loop per process."""
    global _loop_started
    with _loop_lock:
        if _loop_started:
            return
        libvirt.registerErrorHandler(lambda *_: None, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_run_event_loop, name="libvirt-events", daemon=True).start()
        _loop_started = True


def _run_event_loop() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError as error:
            _log.error("event_loop_failed", error=str(error))


class Connection:
    """``size`` connections to one libvirtd, because it serves few parallel calls per connection.

    ``on_open`` runs on the first one each time contact is made, in the keeper's thread; ``on_loss`` when
    contact is lost.
    """

    def __init__(self, uri: str, *, on_open: Setup, on_loss: Callable[[str], None], size: int = 3) -> None:
        self._uri, self._size = uri, size
        self._on_open, self._on_loss = on_open, on_loss
        self._open: list[Any] = []
        self._state = threading.Condition()
        self._turn = itertools.count()
        self._generation = 0
        self._why = "not connected yet"
        self._tried = False
        self._stop = False
        _start_event_loop()
        self._keeper = threading.Thread(target=self._keep, name="libvirt-keeper", daemon=True)
        self._keeper.start()

    def call(self, op: str, do: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``do(connection, …)`` with libvirt's errors translated. Raises ``HostUnreachable`` within
        ``WAIT_SECONDS`` when there is no connection."""
        generation, connection = self._take()
        try:
            return do(connection, *args, **kwargs)
        except libvirt.libvirtError as error:
            if is_lost(error) or not _alive(connection):
                self._drop(generation, str(error))
                raise HostUnreachable(
                    f"libvirt at {self._uri} does not answer: {error}", hint="Is libvirtd running?"
                ) from error
            raise translated(op, error) from error

    def _take(self) -> tuple[int, Any]:
        with self._state:
            if not self._open and not self._stop and not self._tried:
                self._state.wait_for(lambda: self._open or self._stop or self._tried, WAIT_SECONDS)
            if not self._open:
                raise HostUnreachable(
                    f"libvirt at {self._uri} does not answer: {self._why}", hint="Is libvirtd running?"
                )
            return self._generation, self._open[next(self._turn) % len(self._open)]

    def _keep(self) -> None:
        attempt = 0
        while True:
            with self._state:
                if self._stop:
                    return
                if self._open:
                    attempt = 0
                    self._state.wait_for(lambda: self._stop or not self._open)
                    continue
            try:
                self._connect()
            except libvirt.libvirtError as error:
                self._failed(str(error), first=attempt == 0)
                with self._state:
                    self._state.wait_for(lambda: self._stop, RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
                attempt += 1

    def _connect(self) -> None:
        fresh: list[Any] = []
        generation = self._generation + 1
        try:
            for _ in range(self._size):
                connection = libvirt.open(self._uri)
                fresh.append(connection)
                connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
                connection.registerCloseCallback(self._closed, generation)
            self._on_open(fresh[0])
        except libvirt.libvirtError:
            _close_all(fresh)
            raise
        with self._state:
            self._open, self._tried, self._generation = fresh, False, generation
            self._state.notify_all()
        _log.info("libvirt_connected", uri=self._uri)

    def _failed(self, why: str, *, first: bool) -> None:
        with self._state:
            self._why, self._tried = why, True
            self._state.notify_all()
        if first:
            _log.warning("libvirt_unreachable", uri=self._uri, why=why)

    def _closed(self, connection: Any, reason: int, generation: int) -> None:
        reasons = {
            libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "it hung up",
            libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "it stopped answering",
        }
        self._drop(generation, reasons.get(reason, f"connection closed ({reason})"))

    def _drop(self, generation: int, why: str) -> None:
        """Give all connections up when one is lost: they lead to the same daemon."""
        with self._state:
            if self._stop or not self._open or generation != self._generation:
                return
            lost, self._open, self._why = self._open, [], why
            self._state.notify_all()
        # Closing a connection talks to the event loop, which may be the thread that runs this.
        threading.Thread(target=_close_all, args=(lost,), name="libvirt-close", daemon=True).start()
        self._on_loss(why)

    def close(self) -> None:
        """Let go of everything; guests keep running."""
        with self._state:
            self._stop = True
            held, self._open = self._open, []
            self._state.notify_all()
        _close_all(held)
        self._keeper.join(WAIT_SECONDS)


def _alive(connection: Any) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


def _close_all(connections: list[Any]) -> None:
    for connection in connections:
        try:
            connection.unregisterCloseCallback()
            connection.close()
        except libvirt.libvirtError as error:
            _log.debug("close_failed", error=str(error))
