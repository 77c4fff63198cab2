"""What several of Block Storage's requests and answers share."""

from __future__ import annotations

import ast
from datetime import datetime
from typing import Any

from novalite.api.kit import answers, moments
from novalite.api.kit.body import Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, whole_number
from novalite.api.kit.view import Field, utc_micros
from novalite.cloud.volume.listing import Filters
from novalite.db.paging import Page
from novalite.errors import Invalid

ROOT = "/v3"
EXTENSION = "volume_extension:"

TRUE = (True, 1, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "t", "T", "y", "Y")
FALSE = (False, 0, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "f", "F", "n", "N")
BOOLEAN: dict[str, Any] = {
    "type": ["boolean", "string"],
    "enum": [one for one in (*TRUE, *FALSE) if isinstance(one, bool | str)],
}
NAME = {"type": ["string", "null"], "maxLength": 255}
REQUIRED_NAME = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name_with_leading_trailing_spaces"}
UUID = {"type": "string", "format": "uuid"}
UUID_OR_NULL = {"type": ["string", "null"], "format": "uuid"}
NULL = {"type": "null"}
ANYTHING: dict[str, Any] = {}
SIZE = {"type": ["integer", "string"], "pattern": "^[0-9]{1,18}$", "minimum": 1}
SIZE_OR_NULL = {**SIZE, "type": ["integer", "string", "null"]}
METADATA: dict[str, Any] = {
    "type": "object",
    "patternProperties": {r"^[a-zA-Z0-9-_:. ]{1,255}\Z": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
NAMES = (Item("name", NAME), Item("display_name", NAME), Item("description", NAME), Item("display_description", NAME))
ANY_QUERY = {"type": "string", "maxLength": 4096}

COUNTED = {"count": answers.WHOLE}
"""What a page has beside its items where the number of all is asked for."""
CREATED = (
    Field("created_at", lambda item, call: utc_micros(item.created_at), schema=answers.MOMENT),
    Field("updated_at", lambda item, call: utc_micros(item.updated_at), schema=answers.MOMENT_OR_NULL),
)


def truth(value: Any) -> bool:
    """The value of a ``BOOLEAN``."""
    return value in TRUE


def is_admin(call: Call) -> bool:
    return call.ctx.is_admin


def named(body: dict[str, Any]) -> dict[str, Any]:
    """Name and description of a body, by whichever of their two names they are given."""
    found: dict[str, Any] = {}
    for name, other in (("name", "display_name"), ("description", "display_description")):
        if name in body or other in body:
            found[name] = body[name] if body.get(name) is not None else body.get(other)
    if found.get("name"):
        found["name"] = found["name"].strip()
    return found


def links(collection: str) -> Field:
    """``self`` and ``bookmark``."""

    def both(item: Any, call: Call) -> list[dict[str, str]]:
        own = f"/{call.ctx.project_id}/{collection}/{item.id}"
        return [
            {"rel": "self", "href": call.link(f"{ROOT}{own}")},
            {"rel": "bookmark", "href": call.link(own)},
        ]

    return Field("links", both, schema=answers.LINKS)


def page(call: Call) -> Page:
    """The page asked for: ``sort=key:dir,…``, or ``sort_key`` and ``sort_dir``."""
    pairs = []
    if call.query.get("sort"):
        for part in call.query["sort"].split(","):
            key, _, direction = part.strip().partition(":")
            pairs.append((key, direction or "desc"))
    elif call.query.get("sort_key"):
        pairs.append((call.query["sort_key"], call.query.get("sort_dir", "desc")))
    for _, direction in pairs:
        if direction not in ("asc", "desc"):
            raise Invalid(f"Unknown sort direction, must be 'desc' or 'asc': {direction[:50]}", field="sort_dir")
    return Page(limit(call), call.query.get("marker", ""), tuple(pairs))


def offset(call: Call) -> int:
    return min(whole_number(call, "offset") or 0, 2**31)


def flag(call: Call, name: str) -> bool:
    """A yes or no in the query. Raises ``Invalid`` for anything else."""
    text = call.query.get(name, "")
    if text in ("", *FALSE):
        return False
    if text in TRUE:
        return True
    raise Invalid(f"Invalid input for query parameters {name}. Value: {text[:100]}. It is not a boolean.", field=name)


PAGING_NAMES = frozenset({"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "with_count"})
_TIMES = ("created_at", "updated_at")


def filters(call: Call, equal: dict[str, str], *, also: tuple[str, ...] = (), times: bool = False) -> Filters:
    """Filters of a listing. ``equal`` maps parameters to attributes of texts; those that follow ``-`` are the
    admin's. Unknown parameters are ignored, from 3.31 on refused."""
    allowed = {name.lstrip("-"): at for name, at in equal.items() if is_admin(call) or not name.startswith("-")}
    known = {*allowed, *also, *PAGING_NAMES, *(name.lstrip("-") for name in equal), *(_TIMES if times else ())}
    plain, like = {}, {}
    for name, value in call.query.items():
        bare = name.removesuffix("~")
        if name in allowed:
            plain[allowed[name]] = value
        elif name != bare and bare in allowed and call.since("3.34"):
            like[allowed[bare]] = value
        elif name not in known and call.since("3.31"):
            raise Invalid(f"Invalid filters {name[:100]} are found in query options.", field=name[:100])
    return Filters(
        all_projects=flag(call, "all_tenants") and is_admin(call), equal=plain, like=like,
        metadata=items(call, "metadata") if "metadata" in also else {},
        times=_times(call) if times and call.since("3.60") else (),
    )  # fmt: skip


def items(call: Call, name: str) -> dict[str, str]:
    """``metadata={'key': 'value'}``, as text of either JSON or Python."""
    text = call.query.get(name)
    if not text:
        return {}
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, dict):
        raise Invalid(f"Invalid input for query parameters {name}. It is not a dictionary.", field=name)
    return {str(key): str(value) for key, value in found.items()}


def _times(call: Call) -> list[tuple[str, str, datetime]]:
    found = []
    for name in _TIMES:
        for part in call.query.get(name, "").split(","):
            how, _, text = part.partition(":")
            if how not in _HOW:
                how, text = "eq", part
            if part:
                found.append((name, how, _moment(name, text)))
    return found


_HOW = ("gt", "gte", "eq", "neq", "lt", "lte")


def _moment(name: str, text: str) -> datetime:
    try:
        return moments.parse(text)
    except ValueError:
        raise Invalid(f"Invalid value for {name}: '{text[:100]}' is no time.", field=name) from None
