"""Messages on the socket: a length and JSON, one call and one answer for each connection; an answer may carry open
sockets."""

from __future__ import annotations

import array
import contextlib
import hashlib
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from novalite import __version__
from novalite.drivers import calls
from novalite.drivers.network.base import NetworkDriver

CALL_BYTES = 16 << 20
"""Largest call: 10,000 rules have 2 MB."""
ANSWER_BYTES = 16 << 20
MOST_SOCKETS = 4
_LENGTH = struct.Struct(">I")
_CHUNK = 1 << 20


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``version`` is the caller's ``VERSION``."""

    version: str
    appliance: str
    operation: str
    arguments: msgspec.Raw


NONE = msgspec.Raw(b"null")


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``error`` when the call failed; the result of a call that opens sockets is none, they come beside it."""

    result: msgspec.Raw = NONE
    error: msgspec.Raw = NONE


class Broken(Exception):
    """What came is no message: cut off, too large, too slow or senseless."""


def _never(name: str, parameters: dict[str, Any], result: Any) -> bool:
    return False


METHODS: dict[str, calls.Method] = calls.methods_of(NetworkDriver, leave_out=_never)
"""Every operation there is."""
SOCKETS = frozenset(name for name, method in METHODS.items() if method.result == tuple[socket.socket, ...])
"""Those that answer with open sockets."""


def _version() -> str:
    """Tells whether both sides speak of the same types: a field that only one of them knows would get lost."""
    kinds = [method.arguments for method in METHODS.values()]
    kinds += [method.result for name, method in METHODS.items() if name not in SOCKETS]
    schemas = msgspec.json.schema_components(kinds)
    return f"{__version__}+{hashlib.sha256(repr(schemas).encode()).hexdigest()[:12]}"


VERSION = _version()


def send(connection: socket.socket, message: msgspec.Struct, sockets: tuple[socket.socket, ...] = ()) -> None:
    """Raises ``OSError``."""
    body = msgspec.json.encode(message)
    head = _LENGTH.pack(len(body))
    if sockets:
        socket.send_fds(connection, [head], [one.fileno() for one in sockets])
    else:
        connection.sendall(head)
    connection.sendall(body)


@dataclass(frozen=True)
class Received:
    body: bytes
    sockets: tuple[socket.socket, ...] = ()


def receive(connection: socket.socket, limit: int, *, seconds: float, sockets: bool = False) -> Received | None:
    """One message; None when the other side closed before it began. Raises ``Broken``, ``OSError``."""
    deadline = time.monotonic() + seconds
    head, opened = _head(connection, deadline, MOST_SOCKETS if sockets else 0)
    try:
        if not head:
            return None
        (length,) = _LENGTH.unpack(head)
        if length > limit:
            raise Broken(f"a message of {length} bytes; {limit} are allowed")
        return Received(_exactly(connection, length, deadline), opened)
    except BaseException:
        for one in opened:
            one.close()
        raise


def _head(connection: socket.socket, deadline: float, most: int) -> tuple[bytes, tuple[socket.socket, ...]]:
    _patience(connection, deadline)
    first, opened = _first(connection, most)
    with contextlib.ExitStack() as undo:
        for one in opened:
            undo.enter_context(contextlib.closing(one))
        if first:
            first += _exactly(connection, _LENGTH.size - len(first), deadline)
        undo.pop_all()
    return first, opened


def _first(connection: socket.socket, most: int) -> tuple[bytes, tuple[socket.socket, ...]]:
    """Some of the length, and the sockets that come with it (``socket.recv_fds`` would leave them to programs that
    are run)."""
    if not most:
        return connection.recv(_LENGTH.size), ()
    numbers = array.array("i")
    room = socket.CMSG_LEN(most * numbers.itemsize)
    first, extra, flags, _ = connection.recvmsg(_LENGTH.size, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    opened = tuple(socket.socket(fileno=number) for number in numbers)
    if flags & socket.MSG_CTRUNC:
        for one in opened:
            one.close()
        raise Broken("more sockets than are allowed")
    return first, opened


def _exactly(connection: socket.socket, length: int, deadline: float) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        _patience(connection, deadline)
        chunk = connection.recv(min(length - len(parts), _CHUNK))
        if not chunk:
            raise Broken(f"cut off after {len(parts)} of {length} bytes")
        parts += chunk
    return bytes(parts)


def _patience(connection: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Broken("too slow")
    connection.settimeout(left)
