"""The server's end of one WebSocket, over websockify's protocol code: bounded, and never blocking to send."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from email.message import Message
from typing import Any

from websockify.websocket import WebSocket

MAX_MESSAGE_BYTES = 1 << 20

_BINARY, _CLOSE, _PING, _PONG = 0x2, 0x8, 0x9, 0xA


class MessageTooBig(Exception):
    """The client's message grew past ``MAX_MESSAGE_BYTES``."""


class ServerSocket(WebSocket):  # type: ignore[misc]  # websockify has no types
    """Sending only queues; ``flush`` moves what the network takes. Reading raises ``WantRead`` when dry."""

    def __init__(self, leftover: bytes = b"") -> None:
        super().__init__()
        self._sent_close: bool = False
        self._leftover = leftover
        self.heard_at = time.monotonic()

    def select_subprotocol(self, protocols: list[str]) -> str:
        """``binary`` is the one that consoles speak; it is chosen when offered."""
        return next((name for name in protocols if name.strip() == "binary"), "")

    def queue(self, data: bytes, opcode: int = _BINARY) -> None:
        self._send_buffer += self._encode_hybi(opcode, data)

    def queue_ping(self) -> None:
        self.queue(b"", _PING)

    def queue_close(self, code: int, reason: str) -> None:
        """A close frame; ``reason`` is cut to the 123 bytes the protocol has for it (RFC 6455, 5.5)."""
        if not self._sent_close:
            self._sent_close = True
            text = reason.encode()[:123].decode(errors="ignore").encode()
            self.queue(code.to_bytes(2, "big") + text, _CLOSE)

    def handle_ping(self, data: bytes) -> None:
        self.queue(data, _PONG)

    @property
    def unsent_bytes(self) -> int:
        return len(self._send_buffer)

    def flush(self) -> None:
        """Send what can be sent now; the rest stays queued."""
        try:
            self._flush()
        except ssl.SSLWantWriteError:  # websockify's own "later" is one of these
            return

    def messages(self) -> list[bytes] | None:
        """What has arrived, possibly nothing; None once the client has closed or broken the protocol."""
        got: list[bytes] = []
        first = True
        while first or self.pending():
            first = False
            try:
                message = self.recvmsg()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            if message is None:
                return None
            got.append(message)
        return None if self._sent_close else got

    def _recv(self) -> bool:
        if self._leftover:
            self._recv_buffer, self._leftover = self._leftover, b""
            return True
        alive = bool(super()._recv())
        self.heard_at = time.monotonic()
        if len(self._recv_buffer) + len(self._partial_msg) > MAX_MESSAGE_BYTES:
            raise MessageTooBig
        return alive

    def _unmask(self, buf: bytes, mask: bytes) -> bytes:
        """XOR in one big-integer step: quicker here than loading arrays for a few key presses."""
        repeated = (mask * (len(buf) // 4 + 1))[: len(buf)]
        return (int.from_bytes(buf) ^ int.from_bytes(repeated)).to_bytes(len(buf))


def handshake(sock: socket.socket, headers: Mapping[str, str], leftover: bytes) -> ServerSocket:
    """Answer the upgrade request on a blocking socket. Raises ``OSError`` when the client has gone."""
    message: Any = Message()
    for name, value in headers.items():
        message[name] = value
    websocket = ServerSocket(leftover)
    websocket.accept(sock, message)
    return websocket
