"""Lists as Neutron gives them: exact filters on any field shown, tags, fields, sorting, pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, urlencode

from novalite.api.kit import paging
from novalite.api.kit.call import Call
from novalite.api.kit.view import View
from novalite.errors import Invalid

_RESERVED = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})
_TAGS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda has, asked: asked <= has,
    "tags-any": lambda has, asked: bool(asked & has),
    "not-tags": lambda has, asked: not asked <= has,
    "not-tags-any": lambda has, asked: not asked & has,
}
_WORDS = {"true": True, "1": True, "false": False, "0": False}


def listing(call: Call, key: str, view: View, records: Iterable[Any], *, done: Iterable[str] = ()) -> dict[str, Any]:
    """The answer to a list request. ``done`` names filters that the query behind ``records`` has applied."""
    render = view.renderer(call)
    shown = [render(record, call) for record in records]
    for name, values in call.query.lists():
        if name in _TAGS:
            asked = {tag for text in values for tag in text.split(",")}
            shown = [item for item in shown if _TAGS[name](set(item.get("tags", ())), asked)]
        elif name not in _RESERVED and name not in done:
            shown = [item for item in shown if name not in item or _fits(item[name], values, name)]
    shown = _sorted(call, shown)
    page, before, after = _page(call, shown)
    return {key: [_cut(call, item) for item in page], **_links(call, key, page, before, after)}


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
        shown = sorted(shown, key=lambda item: _order(item[key]), reverse=direction == "desc")
    return shown


def _order(value: Any) -> tuple[bool, Any, str]:
    """Numbers by size, everything else by its text, what is not there last."""
    return (value is None, value if isinstance(value, int) else 0, "" if isinstance(value, int) else str(value))


def _page(call: Call, shown: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool, bool]:
    """The page asked for, and whether there is something before and after it."""
    start, end = 0, len(shown)
    backwards = _truth(call.query.get("page_reverse") or "false", "page_reverse")
    marker = call.query.get("marker", "")
    if marker:
        places = [place for place, item in enumerate(shown) if item["id"] == marker]
        if not places:
            raise Invalid(f"Marker {marker[:100]} could not be found.", field="marker")
        start, end = (0, places[0]) if backwards else (places[0] + 1, end)
    if not paging.whole_number(call, "limit"):
        return shown[start:end], False, False
    limit = paging.limit(call)
    if backwards:
        start = max(start, end - limit)
    else:
        end = min(end, start + limit)
    return shown[start:end], start > 0, end < len(shown)


def _links(call: Call, key: str, page: list[dict[str, Any]], before: bool, after: bool) -> dict[str, Any]:
    links = []
    if page and after:
        links.append({"rel": "next", "href": _link(call, page[-1]["id"])})
    if page and before:
        links.append({"rel": "previous", "href": _link(call, page[0]["id"], page_reverse="True")})
    return {f"{key}_links": links} if links else {}


def _link(call: Call, marker: str, **more: str) -> str:
    """This request's own URL, for another page."""
    kept = [(name, value) for name, values in call.query.lists() for value in values]
    pairs = [pair for pair in kept if pair[0] not in ("marker", "page_reverse")]
    return f"{call.origin}{quote(call.full_path)}?{urlencode(sorted([*pairs, ('marker', marker), *more.items()]))}"


def _cut(call: Call, item: dict[str, Any]) -> dict[str, Any]:
    wanted = set(call.query.getlist("fields"))
    return {name: value for name, value in item.items() if name in wanted} if wanted else item
