"""Consoles: a socket to QEMU's own VNC or SPICE server, and a serial line that several may share."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from pathlib import Path
from typing import IO

from novalite.errors import DriverError

_CONNECT_SECONDS = 5.0
_CHUNK = 16384
_OUTBOX_BYTES = 1 << 18
LOG_BYTES = 8 << 20
"""A console log is cut to this once it has twice as much."""


def connect(path: Path) -> socket.socket:
    """A blocking connection to QEMU's socket. Raises ``DriverError`` with code ``console.unavailable``."""
    if path.is_symlink():
        raise DriverError("console", "the guest's console is not a socket", code="console.unavailable")
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end.settimeout(_CONNECT_SECONDS)
    try:
        end.connect(str(path))
    except OSError as error:
        end.close()
        raise DriverError(
            "console", f"the guest's console does not answer: {error}", code="console.unavailable", retryable=True
        ) from error
    end.settimeout(None)
    return end


class SerialLines:
    """Shared serial lines by path: QEMU serves one client at a time, people want to watch together."""

    def __init__(self) -> None:
        self._lines: dict[Path, _Line] = {}
        self._lock = threading.Lock()

    def open(self, path: Path) -> socket.socket:
        """One more end of the line at ``path``; what was printed before is in the log."""
        with self._lock:
            line = self._lines.get(path)
            client = line.join() if line else None
            if client is None:
                line = self._lines[path] = _Line(connect(path))
                client = line.join()
            if client is None:
                raise DriverError(
                    "console", "the serial line was just closed", code="console.unavailable", retryable=True
                )
            return client

    def close(self) -> None:
        with self._lock:
            for line in self._lines.values():
                line.close()
            self._lines.clear()


class _Line:
    """One connection to QEMU, copied to every client; what any client types goes to the guest. It ends with
    the guest or with its last client. A client that does not read is dropped."""

    def __init__(self, upstream: socket.socket) -> None:
        self._upstream = upstream
        self._outboxes: dict[socket.socket, bytearray] = {upstream: bytearray()}
        self._waker, self._wakes = socket.socketpair()
        self._joining: list[socket.socket] = []
        self._lock = threading.Lock()
        self._ended = False
        threading.Thread(target=self._run, name="serial-line", daemon=True).start()

    def join(self) -> socket.socket | None:
        """A new client's end; None when the line has ended."""
        with self._lock:
            if self._ended:
                return None
            ours, theirs = socket.socketpair()
            self._joining.append(ours)
            self._waker.send(b"j")
            return theirs

    def close(self) -> None:
        with self._lock:
            if not self._ended:
                self._ended = True
                self._waker.send(b"c")

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            self._upstream.setblocking(False)
            selector.register(self._upstream, selectors.EVENT_READ)
            selector.register(self._wakes, selectors.EVENT_READ)
            joined = False
            while not self._ended and self._upstream in self._outboxes:
                for key, mask in selector.select():
                    end = key.fileobj
                    if end is self._wakes:
                        joined |= self._admit(selector)
                    elif isinstance(end, socket.socket) and end in self._outboxes:
                        self._serve(selector, end, mask)
                if joined and self._outboxes.keys() == {self._upstream} and not self._outboxes[self._upstream]:
                    with self._lock:
                        self._ended = not self._joining
        self._finish()

    def _admit(self, selector: selectors.BaseSelector) -> bool:
        self._wakes.recv(64)
        with self._lock:
            fresh, self._joining = self._joining, []
        for client in fresh:
            client.setblocking(False)
            self._outboxes[client] = bytearray()
            selector.register(client, selectors.EVENT_READ)
        return bool(fresh)

    def _serve(self, selector: selectors.BaseSelector, end: socket.socket, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                outbox = self._outboxes[end]
                del outbox[: end.send(outbox)]
                self._arm(selector, end)
            if mask & selectors.EVENT_READ:
                self._take(selector, end, end.recv(_CHUNK))
        except BlockingIOError:
            return
        except OSError:
            self._leave(selector, end)

    def _take(self, selector: selectors.BaseSelector, end: socket.socket, data: bytes) -> None:
        if not data:
            self._leave(selector, end)
            return
        receivers = [e for e in self._outboxes if e is not end] if end is self._upstream else [self._upstream]
        for receiver in receivers:
            self._outboxes[receiver] += data
            if len(self._outboxes[receiver]) > _OUTBOX_BYTES:
                self._leave(selector, end if receiver is self._upstream else receiver)
            else:
                self._arm(selector, receiver)

    def _arm(self, selector: selectors.BaseSelector, end: socket.socket) -> None:
        pending = selectors.EVENT_WRITE if self._outboxes[end] else 0
        selector.modify(end, selectors.EVENT_READ | pending)

    def _leave(self, selector: selectors.BaseSelector, end: socket.socket) -> None:
        if end in self._outboxes:
            del self._outboxes[end]
            selector.unregister(end)
            end.close()

    def _finish(self) -> None:
        with self._lock:
            self._ended = True
            for end in (*self._outboxes, *self._joining, self._waker, self._wakes, self._upstream):
                end.close()


def tail(log: Path, max_bytes: int) -> bytes:
    """The last ``max_bytes`` of the log, reaching back into the part that was cut off last."""
    found = b""
    for part in (log, _older(log)):
        wanted = max_bytes - len(found)
        if wanted <= 0:
            break
        with contextlib.suppress(FileNotFoundError), _own(part, os.O_RDONLY, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - wanted))
            found = file.read(wanted) + found
    return found


def _older(log: Path) -> Path:
    return log.with_suffix(log.suffix + ".0")


def cut(log: Path, keep: int = LOG_BYTES) -> None:
    """Bound the log: QEMU holds it open for appending, so its content moves, not its name."""
    with contextlib.suppress(FileNotFoundError):
        size = log.stat().st_size
        if size < 2 * keep:
            return
        fresh = _older(log).with_suffix(".new")
        fresh.write_bytes(tail(log, keep))
        os.replace(fresh, _older(log))
        with _own(log, os.O_WRONLY, "wb") as file:
            file.truncate(0)


def _own(path: Path, flags: int, mode: str) -> IO[bytes]:
    """QEMU owns the directory: a link it might leave there must not lead to other files."""
    return os.fdopen(os.open(path, flags | os.O_NOFOLLOW), mode)
