"""From Glance's query string to the questions a listing asks."""

from __future__ import annotations

import csv
from datetime import datetime
from typing import Any

from novalite.api.kit import moments, paging
from novalite.api.kit.call import Call
from novalite.cloud.image.filters import OPERATORS, Filters
from novalite.cloud.image.images import SORT_KEYS, VISIBILITIES
from novalite.cloud.image.members import STATUSES
from novalite.db.paging import Page
from novalite.errors import Invalid

DEFAULT_LIMIT = 25
_LISTS = ("name", "id", "status", "disk_format", "container_format")
_PLAIN = ("owner", "checksum", "os_hash_value")
_NUMBERS = ("min_disk", "min_ram", "size")
_TIMES = ("created_at", "updated_at")
_OTHERS = (
    "limit", "marker", "sort", "sort_key", "sort_dir", "tag", "visibility", "member_status", "os_hidden",
    "protected", "size_min", "size_max", "os_hash_algo",
)  # fmt: skip
_KNOWN = {*_LISTS, *_PLAIN, *_NUMBERS, *_TIMES, *_OTHERS}


def page(call: Call) -> Page:
    """Limit, marker and order. Raises ``Invalid``."""
    return Page(limit=paging.limit(call, default=DEFAULT_LIMIT), marker=call.query.get("marker", ""), sort=_sort(call))


def _sort(call: Call) -> tuple[tuple[str, str], ...]:
    together = call.query.get("sort", "")
    keys, directions = call.query.getlist("sort_key"), call.query.getlist("sort_dir")
    if together:
        if keys or directions:
            raise Invalid("Old and new sorting syntax cannot be combined", field="sort")
        parts = [part.strip().partition(":") for part in together.split(",")]
        wanted = [(key, direction or "desc") for key, _, direction in parts]
    else:
        keys = keys or (["created_at"] if directions else [])
        if len(directions) > 1 and len(directions) != len(keys):
            raise Invalid("Number of sort dirs does not match the number of sort keys", field="sort_dir")
        if len(directions) <= 1:
            directions = (directions or ["desc"]) * len(keys)
        wanted = list(zip(keys, directions, strict=True))
    if len(wanted) > len(SORT_KEYS):
        raise Invalid("There are more sort keys than images have.", field="sort_key")
    for key, direction in wanted:
        if key not in SORT_KEYS:
            raise Invalid(f"Unknown sort key: {key[:64]}", field="sort_key")
        if direction not in ("asc", "desc"):
            raise Invalid(f"Invalid sort direction: {direction[:64]}", field="sort_dir")
    return tuple(wanted)


def filters(call: Call) -> Filters:
    """Every other parameter; names that Glance does not know are custom properties. Raises ``Invalid``."""
    query = call.query
    any_of: dict[str, tuple[Any, ...]] = {name: _values(query[name]) for name in _LISTS if query.get(name) is not None}
    any_of |= {name: (query[name],) for name in _PLAIN if query.get(name) is not None}
    for name in _NUMBERS:
        number = paging.whole_number(call, name)
        if number is not None:
            any_of[name] = (number,)
    if query.get("protected"):
        any_of["protected"] = (_truth("protected", query["protected"]),)
    return Filters(
        any_of=any_of,
        properties={name: query[name] for name in query if name not in _KNOWN},
        tags=tuple(query.getlist("tag")),
        times=tuple(_time(name, value) for name in _TIMES for value in query.getlist(name)),
        size_min=paging.whole_number(call, "size_min"),
        size_max=paging.whole_number(call, "size_max"),
        visibility=_choice("visibility", query.get("visibility", ""), (*VISIBILITIES, "all")),
        member_status=_choice("member_status", query.get("member_status", ""), (*STATUSES, "all")) or "accepted",
        os_hidden=_truth("os_hidden", query.get("os_hidden", "false")),
    )


def _values(text: str) -> tuple[str, ...]:
    """``in:a,"b,c"`` is a list; anything else is one value."""
    if not text.startswith("in:"):
        return (text,)
    try:
        return tuple(next(csv.reader([text[3:]], strict=True)))
    except (csv.Error, StopIteration) as error:
        raise Invalid(f"Invalid filter value {text[:64]}.", field="in") from error


def _truth(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise Invalid(f"Invalid value '{text[:64]}' for '{name}' filter. Valid values are case sensitive "
                      "'true' or 'false'.", field=name)  # fmt: skip
    return text.lower() == "true"


def _choice(name: str, text: str, allowed: tuple[str, ...]) -> str:
    if text and text not in allowed:
        raise Invalid(f"Invalid {name} value: {text[:64]}. It is one of {', '.join(allowed)}.", field=name)
    return text


def _time(name: str, text: str) -> tuple[str, str, datetime]:
    operator, _, rest = text.partition(":")
    if operator not in OPERATORS:
        operator, rest = "eq", text
    try:
        return name, operator, moments.parse(rest.strip())
    except ValueError as error:
        raise Invalid(f"Invalid time '{text[:64]}' for {name}.", field=name) from error
