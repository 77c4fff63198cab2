"""Consoles of fake guests: a greeting, then (serial only) an echo."""

from __future__ import annotations

import socket
import threading

from novalite.drivers.compute.base import ConsoleKind

GREETINGS = {
    ConsoleKind.SERIAL: b"fake console\n",
    ConsoleKind.VNC: b"RFB 003.008\n",
    ConsoleKind.SPICE: b"REDQ",
}


def open_console(kind: ConsoleKind) -> tuple[socket.socket, socket.socket]:
    """The guest's end (shut it down to end the console) and the caller's end."""
    ours, theirs = socket.socketpair()
    ours.sendall(GREETINGS[kind])
    threading.Thread(
        target=_answer, args=(ours, kind is ConsoleKind.SERIAL), daemon=True, name=f"fake-{kind}-console"
    ).start()
    return ours, theirs


def _answer(end: socket.socket, echo: bool) -> None:
    with end:
        try:
            while data := end.recv(4096):
                if echo:
                    end.sendall(data)
        except OSError:
            return  # either side hung up: a console ends like that
