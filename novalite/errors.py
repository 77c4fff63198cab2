"""Families of errors with stable codes. Fronts map a family to a status; the code never changes."""

from __future__ import annotations

from typing import Any, ClassVar


class NovaLiteError(Exception):
    """An error that can be told to a person.

    ``code`` is stable (``server.not_found``), ``message`` says what happened and why, ``hint`` what to do,
    ``facts`` carry the values behind the message.
    """

    default_code: ClassVar[str] = "failed"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Refused(NovaLiteError):
    """The caller asked for something that is not allowed or not possible; asking again changes nothing."""


class Invalid(Refused):
    """A value is wrong. ``field`` names it."""

    default_code = "request.invalid"

    def __init__(self, message: str, *, field: str = "", **more: Any) -> None:
        super().__init__(message, field=field, **more)
        self.field = field


class Unauthenticated(Refused):
    default_code = "auth.unauthenticated"


class Forbidden(Refused):
    default_code = "auth.forbidden"


class NotFound(Refused):
    """``kind`` and ``id`` name what is missing. An object of another project is missing too."""

    def __init__(self, kind: str, id: str, *, message: str = "", **more: Any) -> None:
        super().__init__(
            message or f"{kind.capitalize()} {id} could not be found.",
            code=f"{kind.replace(' ', '_')}.not_found",
            kind=kind,
            id=id,
            **more,
        )
        self.kind = kind
        self.id = id


class Conflict(Refused):
    default_code = "state.conflict"


class OverQuota(Refused):
    """``resource``, ``limit``, ``used`` and ``asked`` are integers in the resource's own unit."""

    default_code = "quota.exceeded"

    def __init__(self, resource: str, *, limit: int, used: int, asked: int, message: str = "") -> None:
        super().__init__(
            message
            or f"Quota exceeded for {resource}: Requested {asked}, but already used {used} of {limit} {resource}",
            resource=resource,
            limit=limit,
            used=used,
            asked=asked,
        )
        self.resource, self.limit, self.used, self.asked = resource, limit, used, asked


class TooLarge(Refused):
    default_code = "request.too_large"


class Unsupported(Refused):
    """The request is understood but the part that would serve it cannot."""

    default_code = "request.unsupported"


class Unavailable(NovaLiteError):
    """Worth repeating later."""

    default_code = "unavailable"


class Busy(Unavailable):
    default_code = "unavailable.busy"


class HostUnreachable(Unavailable):
    default_code = "unavailable.host"


class DependencyDown(Unavailable):
    default_code = "unavailable.dependency"


class Failed(NovaLiteError):
    """Something that should have worked did not."""


class DriverError(Failed):
    """An outside system refused an operation. ``op`` is the driver's method, ``retryable`` says whether
    the same call may succeed later."""

    default_code = "driver.failed"

    def __init__(
        self, op: str, detail: str, *, code: str = "driver.failed", retryable: bool = False, hint: str = ""
    ) -> None:
        super().__init__(f"{op}: {detail}", code=code, hint=hint, op=op, detail=detail, retryable=retryable)
        self.op, self.detail, self.retryable = op, detail, retryable


class NoValidHost(Failed):
    """No host can take the server. ``removed_by`` lists (filter, hosts removed, reason)."""

    default_code = "scheduler.no_valid_host"

    def __init__(self, message: str, *, removed_by: list[tuple[str, int, str]] | None = None) -> None:
        super().__init__(message, removed_by=removed_by or [])
        self.removed_by = removed_by or []
