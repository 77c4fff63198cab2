"""One open console: a thread that carries bytes between a browser's WebSocket and a guest's console."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from novalite import logs
from novalite.errors import NovaLiteError, Refused

if TYPE_CHECKING:
    from novalite.engine.console.websocket import ServerSocket

log = logs.get("console")

CHUNK_BYTES = 64 << 10
PENDING_BYTES = 256 << 10
HANDSHAKE_SECONDS = 10.0
GOODBYE_SECONDS = 2.0

NORMAL, GOING_AWAY, TOO_BIG = 1000, 1001, 1009
REVOKED, UNREACHABLE = 4403, 4502
"""Close codes of our own (RFC 6455 leaves 4000-4999 to applications); the console page explains them."""

Target = Callable[[], socket.socket]


class _Ended(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(eq=False)
class ConsoleSession:
    """``run`` returns when either side, or ``end``, has closed it. Both sockets are closed then."""

    client: socket.socket
    headers: Mapping[str, str]
    target: Target
    server_id: str
    leftover: bytes
    ping_seconds: float
    silence_seconds: float
    _verdict: _Ended | None = None
    _to_guest: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._waker, self._wakened = socket.socketpair()
        self._closing = threading.Lock()
        self._is_over = False

    def end(self, code: int, reason: str) -> None:
        """Ask the session to close, from any thread."""
        with self._closing:
            if not self._is_over:
                self._verdict = _Ended(code, reason)
                self._waker.send(b"\0")

    def refuse(self) -> None:
        """Answer 503 instead of running."""
        with suppress(OSError):
            self.client.settimeout(GOODBYE_SECONDS)
            self.client.sendall(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\r\n")
        self._close()

    def run(self) -> None:
        # websockify drags in an array library: nobody pays for it before the first console is opened.
        from novalite.engine.console.websocket import handshake

        try:
            self.client.settimeout(HANDSHAKE_SECONDS)
            websocket = handshake(self.client, self.headers, self.leftover)
            try:
                self._serve(websocket)
            except _Ended as ended:
                log.info("console closed", server_id=self.server_id, code=ended.code, reason=ended.reason)
                self._say_goodbye(websocket, ended)
        except OSError as error:
            log.info("console lost", server_id=self.server_id, reason=str(error))
        finally:
            self._close()

    def _close(self) -> None:
        with self._closing:
            self._is_over = True
            for sock in (self.client, self._waker, self._wakened):
                sock.close()

    def _serve(self, websocket: ServerSocket) -> None:
        try:
            guest = self.target()
        except Refused as error:
            raise _Ended(REVOKED, str(error)) from error
        except NovaLiteError as error:
            raise _Ended(UNREACHABLE, str(error)) from error
        log.info("console opened", server_id=self.server_id)
        with guest, selectors.DefaultSelector() as selector:
            self.client.setblocking(False)
            guest.setblocking(False)
            selector.register(self._wakened, selectors.EVENT_READ)
            self._pump(websocket, guest, selector)

    def _pump(self, websocket: ServerSocket, guest: socket.socket, selector: selectors.BaseSelector) -> None:
        pinged_at = time.monotonic()
        ready: set[Any] = {self.client}  # bytes may have come behind the request
        while True:
            if self._verdict:
                raise self._verdict
            if self.client in ready:
                self._from_client(websocket, guest)
            if guest in ready:
                self._from_guest(websocket, guest)
            now = time.monotonic()
            if now - websocket.heard_at > self.silence_seconds:
                raise _Ended(NORMAL, "The browser has not answered for too long.")
            if now - pinged_at >= self.ping_seconds:
                websocket.queue_ping()
                pinged_at = now
            websocket.flush()
            # who does not take what is meant for him is not listened to either
            can_take = max(len(self._to_guest), websocket.unsent_bytes) < PENDING_BYTES
            _want(selector, self.client, can_take, bool(websocket.unsent_bytes))
            _want(selector, guest, not websocket.unsent_bytes, bool(self._to_guest))
            ready = {key.fileobj for key, _ in selector.select(self.ping_seconds)}

    def _from_client(self, websocket: ServerSocket, guest: socket.socket) -> None:
        from novalite.engine.console.websocket import MessageTooBig

        try:
            messages = websocket.messages()
        except MessageTooBig:
            raise _Ended(TOO_BIG, "A message was larger than consoles have use for.") from None
        if messages is None:
            raise _Ended(NORMAL, "The browser closed the console.")
        for message in messages:
            self._to_guest += message
        self._send_to_guest(guest)

    def _from_guest(self, websocket: ServerSocket, guest: socket.socket) -> None:
        self._send_to_guest(guest)
        if websocket.unsent_bytes:
            return
        try:
            data = guest.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except ConnectionError as error:
            raise _Ended(NORMAL, f"The guest's console broke off: {error}") from error
        if not data:
            raise _Ended(NORMAL, "The guest closed its console: it was stopped, or another client took over.")
        websocket.queue(data)

    def _send_to_guest(self, guest: socket.socket) -> None:
        try:
            while self._to_guest:
                del self._to_guest[: guest.send(self._to_guest)]
        except BlockingIOError:
            return
        except ConnectionError as error:
            raise _Ended(NORMAL, f"The guest's console broke off: {error}") from error

    def _say_goodbye(self, websocket: ServerSocket, ended: _Ended) -> None:
        """Send the close frame and wait for the client's: a reset would lose the reason on its way."""
        if websocket.socket is None:
            return
        self.client.settimeout(GOODBYE_SECONDS)
        websocket.queue_close(ended.code, ended.reason)
        deadline = time.monotonic() + GOODBYE_SECONDS
        with suppress(OSError):
            while websocket.unsent_bytes and time.monotonic() < deadline:
                websocket.flush()
            self.client.shutdown(socket.SHUT_WR)
            while time.monotonic() < deadline and self.client.recv(CHUNK_BYTES):
                pass


def _want(selector: selectors.BaseSelector, sock: socket.socket, read: bool, write: bool) -> None:
    events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
    known = selector.get_map().get(sock)
    if known is None:
        if events:
            selector.register(sock, events)
    elif not events:
        selector.unregister(sock)
    elif known.events != events:
        selector.modify(sock, events)
