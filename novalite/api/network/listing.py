"""Lists as Neutron gives them: exact filters on any field shown, fields, sorting, pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from novalite.api.kit import paging
from novalite.api.kit.call import Call
from novalite.api.kit.view import Page, View
from novalite.errors import Invalid

_RESERVED = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})
_WORDS = {"true": True, "1": True, "false": False, "0": False}


def listing(call: Call, key: str, view: View, records: Iterable[Any], *, done: Iterable[str] = ()) -> dict[str, Any]:
    """The answer to a list request. ``done`` names filters that the query behind ``records`` has applied."""
    render = view.renderer(call)
    shown = [render(record, call) for record in records]
    for name, values in call.query.lists():
        if name not in _RESERVED and name not in done:
            shown = [item for item in shown if name not in item or _fits(item[name], values, name)]
    shown = _sorted(call, shown)
    page, more = _page(call, shown)
    links = paging.nova_links(call, key, Page(page, page[-1]["id"] if more else "")) if page else {}
    return {key: [_cut(call, item) for item in page], **links}


def one(call: Call, key: str, view: View, record: Any) -> dict[str, Any]:
    """The answer that shows one object, with the fields asked for."""
    return {key: _cut(call, view.renderer(call)(record, call))}


def _fits(shown: Any, wanted: list[str], name: str) -> bool:
    if isinstance(shown, bool):
        return any(_truth(text, name) == shown for text in wanted)
    if isinstance(shown, list):
        return any(text in shown for text in wanted)
    return ("" if shown is None else str(shown)) in wanted


def _truth(text: str, name: str) -> bool:
    found = _WORDS.get(text.lower())
    if found is None:
        raise Invalid(f"Invalid input for {name}. Reason: '{text[:100]}' cannot be converted to boolean.", field=name)
    return found


def _sorted(call: Call, shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys, directions = call.query.getlist("sort_key"), call.query.getlist("sort_dir")
    directions += ["asc"] * (len(keys) - len(directions))
    for key, direction in reversed(list(zip(keys, directions, strict=False))):
        if shown and key not in shown[0]:
            raise Invalid(f"{key[:100]} is an invalid attribute for sort keys", field="sort_key")
        shown = sorted(shown, key=lambda item: str(item[key]), reverse=direction == "desc")
    return shown


def _page(call: Call, shown: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    marker = call.query.get("marker", "")
    if marker:
        places = [place for place, item in enumerate(shown) if item["id"] == marker]
        if not places:
            raise Invalid(f"Marker {marker[:100]} could not be found.", field="marker")
        shown = shown[places[0] + 1 :]
    if not paging.whole_number(call, "limit"):
        return shown, False
    limit = paging.limit(call)
    return shown[:limit], len(shown) > limit


def _cut(call: Call, item: dict[str, Any]) -> dict[str, Any]:
    wanted = set(call.query.getlist("fields"))
    return {name: value for name, value in item.items() if name in wanted} if wanted else item
