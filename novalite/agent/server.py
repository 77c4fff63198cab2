"""A small threaded HTTP server for the agent: plain requests, long polls, and connections that become
consoles."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from novalite import logs
from novalite.agent.app import Agent, Request
from novalite.drivers.compute import wire

_log = logs.get("agent")
_IDLE_SECONDS = 60.0
_CONNECTIONS = 256
_CHUNK = 16384
_DISCARD = 1 << 20


class AgentServer(ThreadingHTTPServer):
    """Listens at once; ``serve_forever`` answers until ``shutdown``. Port 0 takes a free one."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, agent: Agent, host: str, port: int) -> None:
        self.agent = agent
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

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
        del request
        _log.debug("connection_lost", client=str(client_address), error=repr(sys.exc_info()[1]))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "novalite-agent"
    sys_version = ""
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    server: AgentServer

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            self._send(HTTPStatus.LENGTH_REQUIRED, b"")
            return
        taken = 0

        def read(size: int) -> bytes:
            nonlocal taken
            data = self.rfile.read(size)
            taken += len(data)
            return data

        request = Request(
            self.command,
            self.path,
            self.headers.get("Authorization", ""),
            self.headers.get("Upgrade", ""),
            int(length),
            read,
        )
        answer = self.server.agent.answer(request)
        if answer.console is not None:
            self._become(answer.console)
            return
        if answer.status is HTTPStatus.UNAUTHORIZED:
            self.close_connection = True
        else:
            self._discard(int(length) - taken)
        self._send(answer.status, answer.body)

    do_GET = do_POST = do_PUT = _answer

    def _discard(self, left: int) -> None:
        """Read what nobody wanted: the caller looks for an answer only when it has sent all."""
        while left > 0 and (data := self.rfile.read(min(left, _DISCARD))):
            left -= len(data)

    def _send(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _become(self, console: socket.socket) -> None:
        """Copy both ways until either side ends."""
        self.close_connection = True
        with console:
            self.send_response(HTTPStatus.SWITCHING_PROTOCOLS)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", wire.CONSOLE_PROTOCOL)
            self.end_headers()
            self.wfile.flush()
            caller: socket.socket = self.connection
            caller.settimeout(None)
            threading.Thread(target=_copy, args=(console, caller), name="agent-console", daemon=True).start()
            _copy(caller, console)

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("request", line=format % args)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the end, then end both: half a console is none."""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
