"""How the compute port crosses HTTP: the one encoder that both the agent and the remote driver use.

Methods are found by walking the Protocols, so a new one crosses without being named here.
"""

from __future__ import annotations

import inspect
import socket
from dataclasses import dataclass
from typing import Any, get_type_hints

import msgspec

from novalite import errors
from novalite.drivers.compute.base import OPTIONAL_PORTS, ComputeDriver, ImageSource
from novalite.errors import DriverError, Failed, NovaLiteError, Unavailable

CALLS = "/v1/calls/"
IMAGES = "/v1/images/"
CONSOLES = "/v1/consoles/"
CONSOLE_PROTOCOL = "novalite-console"
BODY_BYTES = 32 << 20
"""Largest call that is accepted; image bytes come another way."""


@dataclass(frozen=True)
class Method:
    """One method of the port. ``arguments`` is a struct type with one field per parameter."""

    name: str
    parameters: tuple[str, ...]
    arguments: type[msgspec.Struct]
    result: Any

    def encode_call(self, values: tuple[Any, ...], named: dict[str, Any]) -> bytes:
        return msgspec.json.encode({**dict(zip(self.parameters, values, strict=False)), **named})

    def decode_call(self, body: bytes) -> dict[str, Any]:
        """Raises ``msgspec.DecodeError`` or ``msgspec.ValidationError``."""
        call = msgspec.json.decode(body, type=self.arguments)
        return {name: getattr(call, name) for name in self.parameters}

    def decode_result(self, body: bytes) -> Any:
        return msgspec.json.decode(body, type=self.result)


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _methods() -> dict[str, Method]:
    found = {}
    ports: tuple[type, ...] = (ComputeDriver, *OPTIONAL_PORTS)
    for name, function in (member for port in ports for member in inspect.getmembers(port, inspect.isfunction)):
        hints = get_type_hints(function)
        result = hints.pop("return", None)
        streams = result is socket.socket or ImageSource in hints.values()
        if name.startswith("_") or name == "close" or streams:
            continue
        arguments = msgspec.defstruct(name, list(hints.items()), forbid_unknown_fields=True)
        found[name] = Method(name, tuple(hints), arguments, result)
    return found


METHODS: dict[str, Method] = _methods()
"""Every method that is a plain question and answer; images, consoles and ``close`` are not."""


class _Told(msgspec.Struct):
    """An error on its way. ``family`` is a class name of ``novalite.errors``."""

    family: str
    message: str
    code: str
    hint: str = ""
    op: str = ""
    detail: str = ""
    retryable: bool = False


def encode_error(error: NovaLiteError) -> bytes:
    if isinstance(error, DriverError):
        told = _Told("DriverError", error.message, error.code, error.hint, error.op, error.detail, error.retryable)
    else:
        told = _Told(type(error).__name__, error.message, error.code, error.hint)
    return msgspec.json.encode(told)


def decode_error(op: str, body: bytes) -> NovaLiteError:
    """The error as it was raised on the other side; a ``DriverError`` when it makes no sense."""
    try:
        told = msgspec.json.decode(body, type=_Told)
    except msgspec.DecodeError:
        return DriverError(
            op,
            "the agent answered with something that is not an error of NovaLite",
            hint="Is the address that of 'novalite agent', and of the same version?",
        )
    if told.family == "DriverError":
        return DriverError(told.op, told.detail, code=told.code, retryable=told.retryable, hint=told.hint)
    family = getattr(errors, told.family, None)
    if (
        isinstance(family, type)
        and issubclass(family, Unavailable | Failed)
        and family.__init__ is NovaLiteError.__init__
    ):
        return family(told.message, code=told.code, hint=told.hint)
    return DriverError(op, told.message, code=told.code, hint=told.hint)
