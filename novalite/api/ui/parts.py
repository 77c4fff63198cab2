"""What the UI needs beside the kit's parts: who holds consoles and live streams open."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import flask

from novalite.api.kit.parts import Parts
from novalite.api.ui.static import StaticFiles
from novalite.cloud.identity.login import Logins

Target = Callable[[], socket.socket]


class Consoles(Protocol):
    """Holds consoles open (``novalite.engine.console.proxy.ConsoleProxy``)."""

    def adopt(
        self,
        sock: socket.socket,
        headers: Mapping[str, str],
        target: Target,
        *,
        server_id: str = "",
        leftover: bytes = b"",
    ) -> None: ...


class Streams(Protocol):
    """Holds streams of live events open (``novalite.engine.console.streams.EventHub``)."""

    def adopt(
        self, sock: socket.socket, *, session: str, project_id: str, is_admin: bool, leftover: bytes = b""
    ) -> None: ...

    def end_session(self, session: str) -> None: ...


@dataclass(frozen=True)
class UiParts:
    """Everything the UI's views reach, found from any of them by ``of_app``."""

    kit: Parts
    logins: Logins
    consoles: Consoles
    streams: Streams
    files: StaticFiles

    @property
    def public_url(self) -> str:
        return self.kit.settings.public_url


_KEY = "novalite_ui"


def keep(app: flask.Flask, parts: UiParts) -> None:
    app.extensions[_KEY] = parts


def of_app() -> UiParts:
    """The parts of the application that serves the current request."""
    found: Any = flask.current_app.extensions[_KEY]
    assert isinstance(found, UiParts)
    return found
