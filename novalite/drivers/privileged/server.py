"""Answers calls on a unix socket, as root, for one user."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from socketserver import BaseRequestHandler, ThreadingMixIn, UnixStreamServer
from typing import Any
from uuid import UUID

import msgspec

from novalite import logs
from novalite.drivers import calls
from novalite.drivers.network.base import NetworkDriver
from novalite.drivers.privileged import arguments
from novalite.drivers.privileged.messages import (
    CALL_BYTES,
    METHODS,
    SOCKETS,
    VERSION,
    Answer,
    Broken,
    Call,
    receive,
    send,
)
from novalite.drivers.privileged.rules import Rules
from novalite.errors import DriverError, NovaLiteError

_log = logs.get("privileged")
_PATIENCE_SECONDS = 20.0
_CONNECTIONS = 64
_APPLIANCES = 8
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid

MakeDriver = Callable[[str], NetworkDriver]
"""The driver that acts for an appliance, by its id."""


class PrivilegedServer(ThreadingMixIn, UnixStreamServer):
    """``listening`` is bound already. ``serve_forever`` answers until ``shutdown``; ``close`` lets go of the drivers,
    and leaves what they have made."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listening: socket.socket, rules: Rules, make_driver: MakeDriver) -> None:
        super().__init__(listening.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self._rules, self._make_driver = rules, make_driver
        self.uids = {0, rules.uid}
        self._drivers: dict[str, NetworkDriver] = {}
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_CONNECTIONS)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        pid, uid, _ = _CREDENTIALS.unpack(request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if uid not in self.uids:
            _log.warning("refused", uid=uid, pid=pid)
            return False
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            _log.warning("too_many_connections", limit=_CONNECTIONS)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.exception("connection_failed")

    def perform(self, body: bytes) -> tuple[Answer, tuple[socket.socket, ...]]:
        """What the call in ``body`` gives, and the sockets that come with it; the caller closes them."""
        operation = "call"
        try:
            call = _understood(body)
            operation = call.operation
            result = self._perform(call)
        except NovaLiteError as error:
            _log.info("failed", operation=operation, code=error.code, error=error.message)
            return Answer(error=msgspec.Raw(calls.encode_error(error))), ()
        except Exception as error:  # noqa: BLE001 - nothing stands above that could tell the caller
            _log.exception("operation_failed", operation=operation)
            told = DriverError(operation, f"the privileged process failed: {error!r}")
            return Answer(error=msgspec.Raw(calls.encode_error(told))), ()
        if operation in SOCKETS:
            return Answer(), result
        return Answer(result=msgspec.Raw(calls.encode(result))), ()

    def _perform(self, call: Call) -> Any:
        method = METHODS.get(call.operation)
        if method is None:
            raise DriverError(call.operation[:40], "there is no such operation", code="driver.bad_call")
        try:
            given = method.decode_call(call.arguments)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DriverError(call.operation, f"the call makes no sense: {error}", code="driver.bad_call") from error
        arguments.check(call.operation, given)
        self._rules.permit(call.appliance, call.operation, given)
        return getattr(self._driver(call.appliance), call.operation)(**given)

    def _driver(self, appliance: str) -> NetworkDriver:
        with self._lock:
            if appliance not in self._drivers:
                if len(self._drivers) >= _APPLIANCES:
                    raise DriverError("call", f"more than {_APPLIANCES} appliances", code="driver.forbidden")
                self._drivers[appliance] = self._make_driver(appliance)
            return self._drivers[appliance]

    def close(self) -> None:
        self.server_close()
        with self._lock:
            drivers, self._drivers = self._drivers, {}
        for driver in drivers.values():
            driver.close()


def _understood(body: bytes) -> Call:
    try:
        call = msgspec.json.decode(body, type=Call)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DriverError("call", f"the call makes no sense: {error}", code="driver.bad_call") from error
    if call.version != VERSION:
        raise DriverError(
            "call", f"the privileged process is NovaLite {VERSION}, the caller {call.version[:40]}",
            code="driver.bad_call", hint="Restart novalite-privileged.service and novalite.service.",
        )  # fmt: skip
    with contextlib.suppress(ValueError):
        if str(UUID(call.appliance)) == call.appliance:
            return call
    raise DriverError("call", "the appliance's id is none", code="driver.bad_call")


class _Handler(BaseRequestHandler):
    """One call and its answer."""

    server: PrivilegedServer

    def handle(self) -> None:
        connection: socket.socket = self.request
        try:
            received = receive(connection, CALL_BYTES, seconds=_PATIENCE_SECONDS)
        except (Broken, OSError) as error:
            _log.warning("no_message", error=str(error))
            return
        if received is None:
            return
        answer, sockets = self.server.perform(received.body)
        try:
            connection.settimeout(_PATIENCE_SECONDS)
            send(connection, answer, sockets)
        except OSError as error:
            _log.info("caller_gone", error=str(error))
        finally:
            for one in sockets:
                one.close()
