"""Consoles of fake guests: a screen that greets as RFB does and stays black; a serial line that echoes."""

from __future__ import annotations

import socket
import struct
import threading

from novalite.drivers.compute.base import ConsoleKind

GREETINGS = {
    ConsoleKind.SERIAL: b"fake console\n",
    ConsoleKind.VNC: b"RFB 003.008\n",
    ConsoleKind.SPICE: b"REDQ",
}
_NAME = b"fake screen"
_PIXELS = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
_SCREEN = struct.pack(">HH", 640, 480) + _PIXELS + struct.pack(">L", len(_NAME)) + _NAME
_NO_SECURITY = 1
_HANDSHAKE = ((12, bytes((1, _NO_SECURITY))), (1, bytes(4)), (1, _SCREEN))
"""Bytes that the viewer says in each step, and the answer to them."""


def open_console(kind: ConsoleKind) -> tuple[socket.socket, socket.socket]:
    """The guest's end (shut it down to end the console) and the caller's end."""
    ours, theirs = socket.socketpair()
    ours.sendall(GREETINGS[kind])
    threading.Thread(target=_answer, args=(ours, kind), daemon=True, name=f"fake-{kind}-console").start()
    return ours, theirs


def _answer(end: socket.socket, kind: ConsoleKind) -> None:
    with end:
        try:
            if kind is ConsoleKind.VNC and not _shake_hands(end):
                return
            while data := end.recv(4096):
                if kind is ConsoleKind.SERIAL:
                    end.sendall(data)
        except OSError:
            return  # either side hung up: a console ends like that


def _shake_hands(end: socket.socket) -> bool:
    """False when the viewer leaves meanwhile."""
    for length, answer in _HANDSHAKE:
        if len(end.recv(length, socket.MSG_WAITALL)) < length:
            return False
        end.sendall(answer)
    return True
