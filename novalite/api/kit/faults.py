"""Errors as clients of each API expect them: one table family -> status and one shape per front."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar

from novalite import errors

Shape = Callable[[int, errors.NovaLiteError], Any]


class HttpRefused(errors.Refused):
    """A refusal that only HTTP knows. ``status`` is the same in every front."""

    status: ClassVar[int] = 400


class BadVersion(HttpRefused):
    default_code = "request.bad_version"


class VersionNotAcceptable(HttpRefused):
    default_code = "request.version_not_acceptable"
    status = 406


class BadMediaType(HttpRefused):
    default_code = "request.bad_media_type"
    status = 415


class BadRange(HttpRefused):
    default_code = "request.bad_range"
    status = 416


class Gone(HttpRefused):
    default_code = "request.gone"
    status = 410


class NoRoute(HttpRefused):
    """No operation at this method and path."""

    default_code = "request.no_route"
    status = 404

    def __init__(self) -> None:
        super().__init__("The resource could not be found.")


class NotInVersion(NoRoute):
    """The operation exists, but not in the microversion asked for."""


class BadMethod(HttpRefused):
    default_code = "request.bad_method"
    status = 405


class Unforeseen(errors.Failed):
    """What the kit tells about an exception nobody expected; the trace is in the log only."""

    default_code = "failed.unforeseen"


STATUSES: Mapping[type[errors.NovaLiteError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.OverQuota: 403,
    errors.TooLarge: 413,
    errors.Unsupported: 501,
    errors.Refused: 400,
    errors.Unavailable: 503,
    errors.NoValidHost: 400,
    errors.NovaLiteError: 500,
}


def title(status: int) -> str:
    """``Not Found`` for 404."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


@dataclass(frozen=True)
class Faults:
    """How one front tells errors. ``statuses`` overrides rows of the common table, ``schema`` is that of a body."""

    shape: Shape
    statuses: Mapping[type[errors.NovaLiteError], int] = field(default_factory=dict)
    schema: Mapping[str, Any] = field(default_factory=dict)

    def status(self, error: errors.NovaLiteError) -> int:
        if isinstance(error, HttpRefused):
            return error.status
        for family in type(error).__mro__:
            found = self.statuses.get(family) or STATUSES.get(family)
            if found:
                return found
        return 500

    def body(self, error: errors.NovaLiteError) -> Any:
        return self.shape(self.status(error), error)


_NOVA_KEYS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def keystone_shape(status: int, error: errors.NovaLiteError) -> Any:
    return {"error": {"code": status, "message": str(error), "title": title(status)}}


def plain_shape(status: int, error: errors.NovaLiteError) -> Any:
    """The shape of routing errors in Nova, and of every error in Glance."""
    return {"message": str(error), "code": f"{status} {title(status)}", "title": title(status)}


def nova_shape(status: int, error: errors.NovaLiteError) -> Any:
    if isinstance(error, NoRoute) and not isinstance(error, NotInVersion):
        return plain_shape(status, error)
    fault: dict[str, Any] = {"code": status, "message": str(error)}
    if status == 413 and "retry_after_seconds" in error.facts:
        fault["retryAfter"] = str(error.facts["retry_after_seconds"])
    return {_NOVA_KEYS.get(status, "computeFault"): fault}


def glance_shape(status: int, error: errors.NovaLiteError) -> Any:
    return {
        "message": f"{error}<br /><br />\n\n\n",
        "code": f"{status} {title(status)}",
        "title": title(status),
    }


_NEUTRON_TYPES = {
    "request.invalid": "HTTPBadRequest",
    "quota.exceeded": "OverQuota",
    "auth.forbidden": "PolicyNotAuthorized",
    "network.no_addresses": "IpAddressGenerationFailure",
    "network.contention": "IpAddressGenerationFailure",
    "allowed_address_pairs.port_security_required": "AddressPairAndPortSecurityRequired",
    "allowed_address_pairs.duplicate": "DuplicateAddressPairInRequest",
}
"""What Neutron calls otherwise."""


def neutron_type(error: errors.NovaLiteError) -> str:
    """``NetworkInUse`` from ``network.in_use``."""
    return _NEUTRON_TYPES.get(error.code) or "".join(
        word.capitalize() for word in error.code.replace(".", "_").split("_")
    )


def neutron_shape(status: int, error: errors.NovaLiteError) -> Any:
    return {"NeutronError": {"type": neutron_type(error), "message": str(error), "detail": ""}}


def placement_shape(status: int, error: errors.NovaLiteError) -> Any:
    return {"errors": [{"status": status, "title": title(status), "detail": str(error), "code": error.code}]}


def _told(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_TEXT = {"type": "string"}
_CODE = {"type": "integer"}
_PLAIN = _told({"message": _TEXT, "code": _TEXT, "title": _TEXT})
_KEYSTONE = _told({"error": _told({"code": _CODE, "message": _TEXT, "title": _TEXT})})
_FAULT = _told({"code": _CODE, "message": _TEXT, "retryAfter": _TEXT}, "retryAfter")
_NOVA = {
    "type": "object", "additionalProperties": False, "minProperties": 1, "maxProperties": 1,
    "properties": dict.fromkeys((*_NOVA_KEYS.values(), "computeFault"), _FAULT),
}  # fmt: skip
_NEUTRON = _told({"NeutronError": _told({"type": _TEXT, "message": _TEXT, "detail": _TEXT})})
_PLACEMENT = _told(
    {"errors": {"type": "array", "items": _told({"status": _CODE, "title": _TEXT, "detail": _TEXT, "code": _TEXT})}}
)

NOVA = Faults(nova_shape, schema={"anyOf": [_NOVA, _PLAIN, _KEYSTONE]})
KEYSTONE = Faults(keystone_shape, schema=_KEYSTONE)
GLANCE = Faults(glance_shape, {errors.OverQuota: 413}, schema=_PLAIN)
NEUTRON = Faults(neutron_shape, {errors.OverQuota: 409}, schema=_NEUTRON)
CINDER = Faults(nova_shape, {errors.OverQuota: 413}, schema={"anyOf": [_NOVA, _PLAIN]})
PLACEMENT = Faults(placement_shape, schema=_PLACEMENT)
