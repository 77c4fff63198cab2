"""Looks at every value of a call before anything acts on it: ids, texts and numbers are what they say they are."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from novalite.drivers.network import checks, routing_checks
from novalite.drivers.network.base import GroupSpec, HostForwardSpec, NetworkSpec, PortSpec, RouterSpec
from novalite.errors import DriverError

_TEXT_LENGTH = 4096
_SECONDS = 600.0
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ID = re.compile(r"(^|_)id$")
_LINK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}")

_CHECKS: dict[type, Callable[[Any], object]] = {
    NetworkSpec: checks.network,
    PortSpec: checks.port,
    GroupSpec: checks.group,
    RouterSpec: routing_checks.router,
    HostForwardSpec: routing_checks.host_forward,
}


def check(operation: str, arguments: dict[str, Any]) -> None:
    """Raises ``DriverError`` ``network.invalid`` for what no driver should see."""
    for name, value in arguments.items():
        _look(operation, name, value)


def _look(operation: str, name: str, value: Any) -> None:
    if isinstance(value, str):
        _text(operation, name, value)
    elif isinstance(value, float) and not (math.isfinite(value) and 0 <= value <= _SECONDS):
        raise _refused(operation, name, str(value))
    elif isinstance(value, tuple):
        for item in value:
            _look(operation, name, item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _look(operation, field.name, getattr(value, field.name))
        _CHECKS.get(type(value), lambda known: None)(value)


def _text(operation: str, name: str, value: str) -> None:
    if len(value) > _TEXT_LENGTH or _UNPRINTABLE.search(value):
        raise _refused(operation, name, value)
    if name == "interface" and value and not _LINK.fullmatch(value):
        raise _refused(operation, name, value)
    if _ID.search(name) and name != "project_id" and not _is_id(value):
        raise _refused(operation, name, value)


def _is_id(value: str) -> bool:
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False


def _refused(operation: str, name: str, value: str) -> DriverError:
    return DriverError(operation, f"{name} {value[:80]!r} is not usable", code="network.invalid")
