"""How the compute port crosses HTTP: the one encoder that both the agent and the remote driver use."""

from __future__ import annotations

import socket
from typing import Any

from novalite.drivers import calls
from novalite.drivers.calls import Method, encode, encode_error
from novalite.drivers.compute.base import OPTIONAL_PORTS, ComputeDriver, ImageSource
from novalite.errors import NovaLiteError

__all__ = ["METHODS", "Method", "decode_error", "encode", "encode_error"]

CALLS = "/v1/calls/"
IMAGES = "/v1/images/"
CONSOLES = "/v1/consoles/"
CONSOLE_PROTOCOL = "novalite-console"
BODY_BYTES = 32 << 20
"""Largest call that is accepted; image bytes come another way."""


def _streams(name: str, parameters: dict[str, Any], result: Any) -> bool:
    return result is socket.socket or ImageSource in parameters.values()


METHODS: dict[str, Method] = calls.methods_of(ComputeDriver, *OPTIONAL_PORTS, leave_out=_streams)
"""Every method that is a plain question and answer; images, consoles and ``close`` are not."""


def decode_error(op: str, body: bytes) -> NovaLiteError:
    """The error as it was raised on the other side; a ``DriverError`` when it makes no sense."""
    return calls.decode_error(op, body, otherwise="Is the address that of 'novalite agent', and of the same version?")
