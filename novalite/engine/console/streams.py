"""Live events to browsers: one thread writes Server-Sent Events to every handed-over connection."""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from novalite import logs

log = logs.get("streams")

MAX_UNSENT_BYTES = 64 << 10
_HEADERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
    b"X-Accel-Buffering: no\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
)
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_RETRY = b"retry: 2000\n: connected\n\n"
_HEARTBEAT = b": still here\n\n"


@dataclass(frozen=True)
class _Subscriber:
    session: str
    project_id: str
    is_admin: bool

    def hears(self, project_id: str) -> bool:
        return self.is_admin or (bool(project_id) and project_id == self.project_id)


@dataclass(eq=False)
class _Stream:
    sock: socket.socket
    subscriber: _Subscriber
    ends_at: float
    unsent: bytearray = field(default_factory=lambda: bytearray(_HEADERS + _RETRY))
    registered_for: int = 0


@dataclass(frozen=True)
class _Adopt:
    stream: _Stream


@dataclass(frozen=True)
class _Event:
    topic: str
    id: str
    project_id: str


@dataclass(frozen=True)
class _EndSession:
    session: str


class EventHub:
    """``max_streams`` bounds the connections; each ends after ``life_seconds`` and the browser, which
    reconnects by itself, is then authorised anew. A client that falls behind is dropped likewise."""

    def __init__(
        self, *, max_streams: int = 1000, heartbeat_seconds: float = 15.0, life_seconds: float = 300.0
    ) -> None:
        self._max_streams = max_streams
        self._heartbeat_seconds = heartbeat_seconds
        self._life_seconds = life_seconds
        self._selector = selectors.DefaultSelector()
        self._inbox: deque[_Adopt | _Event | _EndSession] = deque()
        self._streams: set[_Stream] = set()
        self._is_stopping = threading.Event()
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="event-streams", daemon=True)

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """End every stream; browsers reconnect to whoever serves the port next."""
        self._is_stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def adopt(
        self, sock: socket.socket, *, session: str, project_id: str, is_admin: bool, leftover: bytes = b""
    ) -> None:
        """Take over a client's connection and answer its request for events. ``session`` names the login it
        hangs on; admins hear every project's events, others those of ``project_id`` only. ``leftover`` is not
        looked at: such a client has nothing more to say."""
        if self._is_stopping.is_set() or len(self._streams) >= self._max_streams:
            with suppress(OSError), sock:
                sock.settimeout(1)
                sock.sendall(_FULL)
            return
        sock.setblocking(False)
        subscriber = _Subscriber(session, project_id, is_admin)
        self._put(_Adopt(_Stream(sock, subscriber, time.monotonic() + self._life_seconds)))

    def publish(self, topic: str, id: str, project_id: str) -> None:
        """Tell those who may know that ``id`` of ``topic`` has changed. Never blocks; from any thread."""
        if self._streams:
            self._put(_Event(topic, id, project_id))

    def end_session(self, session: str) -> None:
        """Close the streams that hang on a login."""
        self._put(_EndSession(session))

    def _put(self, item: _Adopt | _Event | _EndSession) -> None:
        self._inbox.append(item)
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError):  # a full pipe wakes just as well; a closed one has nobody to wake
            self._waker.send(b"\0")

    def _run(self) -> None:
        self._selector.register(self._wakened, selectors.EVENT_READ)
        try:
            while not self._is_stopping.is_set():
                try:
                    self._serve()
                except Exception:  # browsers come back by themselves; the hub has to be there for them
                    log.exception("live events failed; every stream is ended")
                    self._drop_all()
        finally:
            self._close()

    def _serve(self) -> None:
        beat_at = time.monotonic() + self._heartbeat_seconds
        while not self._is_stopping.is_set():
            for key, events in self._selector.select(max(0.0, beat_at - time.monotonic())):
                if key.data is None:
                    self._empty_pipe()
                else:
                    self._attend(key.data, events)
            self._read_inbox()
            if time.monotonic() >= beat_at:
                self._beat()
                beat_at = time.monotonic() + self._heartbeat_seconds

    def _empty_pipe(self) -> None:
        with suppress(BlockingIOError):
            while self._wakened.recv(4096):
                pass

    def _read_inbox(self) -> None:
        events: dict[_Event, None] = {}
        while self._inbox:
            item = self._inbox.popleft()
            if isinstance(item, _Event):
                events[item] = None  # the same change twice is told once
            elif isinstance(item, _Adopt):
                self._streams.add(item.stream)
                self._send(item.stream)
            else:
                for stream in [s for s in self._streams if s.subscriber.session == item.session]:
                    self._drop(stream)
        if events:
            self._tell(list(events))

    def _tell(self, events: list[_Event]) -> None:
        frames = [(event, _frame(event)) for event in events]
        for stream in list(self._streams):
            heard = b"".join(frame for event, frame in frames if stream.subscriber.hears(event.project_id))
            if heard:
                stream.unsent += heard
                self._send(stream)

    def _beat(self) -> None:
        now = time.monotonic()
        for stream in list(self._streams):
            if now >= stream.ends_at:
                self._drop(stream)
            elif not stream.unsent:
                stream.unsent += _HEARTBEAT
                self._send(stream)

    def _attend(self, stream: _Stream, events: int) -> None:
        if events & selectors.EVENT_READ and not self._is_there(stream):
            self._drop(stream)
        elif events & selectors.EVENT_WRITE:
            self._send(stream)

    def _is_there(self, stream: _Stream) -> bool:
        """A client of events has nothing more to say: bytes are ignored, the end of them is the end."""
        try:
            return bool(stream.sock.recv(4096))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _send(self, stream: _Stream) -> None:
        try:
            while stream.unsent:
                del stream.unsent[: stream.sock.send(stream.unsent)]
        except BlockingIOError:
            if len(stream.unsent) > MAX_UNSENT_BYTES:
                self._drop(stream)
                return
        except OSError:
            self._drop(stream)
            return
        self._want(stream, selectors.EVENT_READ | (selectors.EVENT_WRITE if stream.unsent else 0))

    def _want(self, stream: _Stream, events: int) -> None:
        if not stream.registered_for:
            self._selector.register(stream.sock, events, stream)
        elif stream.registered_for != events:
            self._selector.modify(stream.sock, events, stream)
        stream.registered_for = events

    def _drop(self, stream: _Stream) -> None:
        if stream in self._streams:
            self._streams.discard(stream)
            if stream.registered_for:
                self._selector.unregister(stream.sock)
            stream.sock.close()

    def _drop_all(self) -> None:
        for stream in list(self._streams):
            self._drop(stream)

    def _close(self) -> None:
        self._is_stopping.set()
        self._read_inbox()
        self._drop_all()
        self._selector.close()
        self._waker.close()
        self._wakened.close()


def _frame(event: _Event) -> bytes:
    data = json.dumps({"topic": event.topic, "id": event.id}, separators=(",", ":"))
    return f"event: change\ndata: {data}\n\n".encode()
