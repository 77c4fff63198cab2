"""``If-Match: revision_number=N``: change an object only as it was when it was looked at."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import sqlalchemy as sa

from novalite.api.kit.call import Call
from novalite.api.kit.faults import HttpRefused
from novalite.api.kit.routes import Route
from novalite.db.work import Work
from novalite.errors import Invalid

_ASKED = re.compile(r"revision_number=(\d{1,18})")


class RevisionMismatch(HttpRefused):
    """It has been changed since."""

    default_code: ClassVar[str] = "revision_number.constraint_failed"
    status: ClassVar[int] = 412


def require(call: Call, w: Work, record: Any, id_: str) -> None:
    """Raises ``RevisionMismatch`` unless the object has the revision the caller asks for, if it asks for one. An
    object that is not there is the handler's to tell."""
    wanted = _wanted(call)
    if wanted is None:
        return
    current = w.session.scalar(sa.select(record.revision).where(record.id == id_))
    if current is not None and current != wanted:
        raise RevisionMismatch(f"Constrained to {wanted}, but current revision is {current}")


def _wanted(call: Call) -> int | None:
    text = call.headers.get("If-Match", "").strip()
    if not text.startswith("revision_number="):
        return None
    found = _ASKED.fullmatch(text)
    if found is None:
        raise Invalid(f"Revision number input should be an integer, not '{text[16:80]}'.", field="If-Match")
    return int(found[1])


def guarded(routes: Iterable[Route], records: Mapping[str, Any]) -> list[Route]:
    """The same routes; those that change one object (``records``: path -> its record) in the unit that is open for
    them look at its revision first. Handlers that open their own units call ``require`` themselves."""
    return [_guarded(route, records.get(route.path)) for route in routes]


def _guarded(route: Route, record: Any) -> Route:
    if record is None or route.method not in ("PUT", "DELETE") or route.unit != "write":
        return route
    inner = route.handler

    def handler(call: Call) -> Any:
        require(call, call.w, record, next(iter(call.path.values())))
        return inner(call)

    return dataclasses.replace(route, handler=handler)
