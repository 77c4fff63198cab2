"""How calls of a port cross to another process: arguments, results and errors as JSON of the port's own types.

Methods are found by walking the Protocols, so a new one crosses without being named here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

import msgspec

from novalite import errors
from novalite.errors import DriverError, Failed, NovaLiteError, Unavailable


@dataclass(frozen=True)
class Method:
    """One method of the port. ``arguments`` is a struct type with one field per parameter."""

    name: str
    parameters: tuple[str, ...]
    arguments: type[msgspec.Struct]
    result: Any

    def encode_call(self, values: tuple[Any, ...], named: dict[str, Any]) -> bytes:
        return msgspec.json.encode({**dict(zip(self.parameters, values, strict=False)), **named})

    def decode_call(self, body: bytes | msgspec.Raw) -> dict[str, Any]:
        """Raises ``msgspec.DecodeError`` or ``msgspec.ValidationError``."""
        call = msgspec.json.decode(body, type=self.arguments)
        return {name: getattr(call, name) for name in self.parameters}

    def decode_result(self, body: bytes | msgspec.Raw) -> Any:
        return msgspec.json.decode(body, type=self.result)


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def methods_of(*ports: type, leave_out: Callable[[str, dict[str, Any], Any], bool]) -> dict[str, Method]:
    """The methods of the ports but ``close``; ``leave_out`` is asked with name, parameters and result."""
    found = {}
    for name, function in (member for port in ports for member in inspect.getmembers(port, inspect.isfunction)):
        hints = get_type_hints(function)
        result = hints.pop("return", None)
        if name.startswith("_") or name == "close" or leave_out(name, hints, result):
            continue
        fields = [_field(name, kind, inspect.signature(function).parameters[name]) for name, kind in hints.items()]
        arguments = msgspec.defstruct(name, fields, forbid_unknown_fields=True, kw_only=True)
        found[name] = Method(name, tuple(hints), arguments, result)
    return found


def _field(name: str, kind: Any, parameter: inspect.Parameter) -> tuple[str, Any] | tuple[str, Any, Any]:
    return (name, kind) if parameter.default is parameter.empty else (name, kind, parameter.default)


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


def decode_error(op: str, body: bytes | msgspec.Raw, *, otherwise: str) -> NovaLiteError:
    """The error as it was raised on the other side; a ``DriverError`` with the hint ``otherwise`` when it makes no
    sense."""
    try:
        told = msgspec.json.decode(body, type=_Told)
    except msgspec.DecodeError:
        return DriverError(op, "the answer is something that is not an error of NovaLite", hint=otherwise)
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
