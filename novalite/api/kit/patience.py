"""gunicorn's threaded worker, where clients that are slow cost a place in a table, not a thread.

A request gets its thread when its head and a body of usual size have arrived; until then, and while a connection
is being closed, the loop alone looks after it. Larger bodies (image uploads) are read by the thread, but not from
clients that send next to nothing.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import ThreadWorker

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

ARRIVAL_SECONDS = 30.0
LINGER_SECONDS = 2.0
SILENCE_SECONDS = 20.0
LEAST_BYTES_PER_SECOND = 4096
LONGEST_HEAD_BYTES = 64 << 10
LONGEST_BODY_BYTES = 256 << 10
_DRAIN_SECONDS = 0.2
_DRAIN_BYTES = LONGEST_BODY_BYTES + (64 << 10)
_BLOCK_BYTES = 64 << 10
_LONGEST_TRAILER_BYTES = 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*(?:\r\n|\Z)")
_LAST_CHUNK = re.compile(rb"\r\n0+(?:;[^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n\Z")


class _Unreader(SocketUnreader):  # type: ignore[misc]  # gunicorn has no types
    """Raises ``TimeoutError`` when the client falls silent, or sends less than a modem would for long."""

    def begin(self, arrived: bytes) -> None:
        """A new request, of which ``arrived`` is here."""
        self.unread(arrived)
        self._begun, self._read = time.monotonic(), 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        took = time.monotonic() - self._begun
        if took > ARRIVAL_SECONDS and self._read < took * LEAST_BYTES_PER_SECOND:
            raise TimeoutError("the client sends too slowly")
        if self.sock.gettimeout() is None:
            self.sock.settimeout(SILENCE_SECONDS)
        data: bytes = super().chunk(size_hint)
        self._read += len(data)
        return data


def is_whole(data: bytes | bytearray) -> bool:
    """Whether a thread can begin with a request of which ``data`` has arrived without waiting for its client."""
    head_bytes = data.find(_END)
    if head_bytes < 0:
        return len(data) > LONGEST_HEAD_BYTES
    head, body_bytes = bytes(data[:head_bytes]).lower(), len(data) - head_bytes - len(_END)
    if b"\r\ntransfer-encoding:" in head:
        last = max(head_bytes + 2, len(data) - _LONGEST_TRAILER_BYTES)
        return body_bytes > LONGEST_BODY_BYTES or bool(_LAST_CHUNK.search(data, last))
    found = _LENGTH.search(head)
    announced = int(found[1]) if found else 0
    return announced > LONGEST_BODY_BYTES or body_bytes >= announced


def waits_for_us(data: bytes | bytearray) -> bool:
    """Whether the client sends its body only when it is told to (RFC 9110, 10.1.1)."""
    head_bytes = data.find(_END)
    return len(data) == head_bytes + len(_END) and b"\r\nexpect:" in bytes(data[:head_bytes]).lower()


def _ends_body(conn: Any) -> bool:
    """Whether the rest of a body that nobody read is here, and gone now: it is not waited for."""
    try:
        return bool(conn.parser.finish_body(deadline=time.monotonic() + _DRAIN_SECONDS, max_bytes=_DRAIN_BYTES))
    except (OSError, ParseException):  # where the next request begins is not to be known
        return False


def _telling(application: Wsgi, serving: threading.local) -> Wsgi:
    """The application, whose answers say that the connection ends when the rest of the body stands before the next
    request: a client that is not told would lose that one."""

    def telling(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response: Any = getattr(start_response, "__self__")  # noqa: B009  # gunicorn's; only it knows

        def start(*arguments: Any) -> Any:
            write = start_response(*arguments)
            if not (response.should_close() or _ends_body(serving.conn)):
                response.force_close()
            return write

        return application(environ, start)

    return telling


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """All but ``handle`` and what it calls runs in the loop's own thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._serving = threading.local()
        # in the order of their deadlines: a connection that arrives, what of it is here; one that lingers
        self._arriving: dict[Any, tuple[float, bytearray]] = {}
        self._lingering: dict[Any, float] = {}

    def enqueue_req(self, conn: Any) -> None:
        """A connection with something to say: let it arrive first."""
        arrived = bytearray(conn.parser.unreader.take_buffered() if conn.parser else b"")
        self._arriving[conn] = (time.monotonic() + ARRIVAL_SECONDS, arrived)
        try:
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._arrive, conn))
        except (OSError, ValueError, KeyError):
            del self._arriving[conn]
            self._drop(conn)
            return
        self._arrive(conn, conn.sock)

    def _arrive(self, conn: Any, client: Any) -> None:
        arrived, ended = self._arriving[conn][1], False
        try:
            while not (ended or is_whole(arrived)):
                data = client.recv(_BLOCK_BYTES)
                arrived += data
                ended = not data
                if waits_for_us(arrived) and not is_whole(arrived):
                    client.send(_CONTINUE)
        except BlockingIOError:
            return
        except OSError:
            arrived.clear()
        del self._arriving[conn]
        self.poller.unregister(client)
        if not arrived:
            self._drop(conn)
            return
        conn.arrived, conn.data_ready = bytes(arrived), True
        super().enqueue_req(conn)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        application: Wsgi = vars(self)["wsgi"]
        self.wsgi: Wsgi = _telling(application, self._serving)

    def handle(self, conn: Any) -> object:
        self._serving.conn = conn
        conn.init()
        if not isinstance(conn.parser.unreader, _Unreader):
            conn.parser.unreader = _Unreader(conn.sock)
        conn.parser.unreader.begin(conn.arrived)
        conn.arrived = b""
        return super().handle(conn)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        return keepalive and _ends_body(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def _linger(self, conn: Any) -> None:
        """Close a connection so that its client can read the answer: our side first, the rest soon (RFC 9112, 9.6)."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, EVENT_READ, partial(self._drain, conn))
        except (OSError, ValueError, KeyError):
            self._drop(conn)
            return
        self._lingering[conn] = time.monotonic() + LINGER_SECONDS

    def _drain(self, conn: Any, client: Any) -> None:
        try:
            if client.recv(_BLOCK_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # gone, which is as good as an end
        del self._lingering[conn]
        self.poller.unregister(client)
        self._drop(conn)

    def murder_pending(self) -> None:
        """Close what took too long; when the worker ends, also what has not begun to ask."""
        super().murder_pending()
        now = time.monotonic()
        for conn, (deadline, arrived) in list(self._arriving.items()):
            if deadline <= now or not (self.alive or arrived):
                del self._arriving[conn]
                self.poller.unregister(conn.sock)
                self._drop(conn)
            elif self.alive:
                break
        for conn, deadline in list(self._lingering.items()):
            if deadline > now:
                break
            del self._lingering[conn]
            self.poller.unregister(conn.sock)
            self._drop(conn)

    def _drop(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()
