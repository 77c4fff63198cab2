"""How a view gives its connection away: its response carries a callback for the worker to call."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flask import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SLOT = "novalite.handoff"

Callback = Callable[[socket.socket, bytes], None]


class HandoffSlot:
    """The worker's offer, found in the WSGI environment under ``SLOT``; ``callback`` is the answer."""

    def __init__(self) -> None:
        self.callback: Callback | None = None


class HandoffResponse(Response):
    """Sends nothing itself. Where the server made no offer it is a plain 501."""

    def __init__(self, callback: Callback, status: int) -> None:
        super().__init__(status=status)
        self.callback = callback

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        slot = environ.get(SLOT)
        if not isinstance(slot, HandoffSlot):
            refusal = Response(
                "This server cannot give connections away; NovaLite's own worker can ('novalite serve').\n",
                status=501,
                mimetype="text/plain",
            )
            return refusal(environ, start_response)
        slot.callback = self.callback
        return super().__call__(environ, start_response)


def handoff(callback: Callback, *, status: int = 101) -> Response:
    """A response for a view that takes the connection over.

    Once the request is finished, ``callback(socket, leftover)`` is called in the request's thread with the
    blocking client socket and the bytes the client sent after its request. From then on the socket belongs to
    the callback, which writes the status line and headers too, and must return soon. ``status`` is for the
    log only. When the callback raises, the connection is closed.
    """
    return HandoffResponse(callback, status)
