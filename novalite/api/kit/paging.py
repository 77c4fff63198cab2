"""Limits, markers and the links that lead to the next page, as each API shows them."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.answers import LINKS, TEXT, TEXT_OR_NULL, record
from novalite.api.kit.body import JsonSchema
from novalite.api.kit.call import Call
from novalite.api.kit.view import Page
from novalite.errors import Invalid

MAX_LIMIT = 1000


def whole_number(call: Call, name: str) -> int | None:
    """A query parameter that must be a number of at least 0; None when absent or empty."""
    text = call.query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Invalid(
            f"Invalid input for query parameters {name}. Value: {text[:100]}. '{text[:100]}' does not match '^[0-9]*$'",
            field=name,
        )
    return int(text)


def limit(call: Call, maximum: int = MAX_LIMIT, default: int | None = None) -> int:
    """How many items the caller wants at most; ``maximum`` when more is asked, or nothing."""
    asked = whole_number(call, "limit")
    return min(asked, maximum) if asked is not None else (default or maximum)


def page_of(items: list[Any], limit: int, marker: str = "id") -> Page:
    """A page from a query that was asked for ``limit`` items: full pages link to a next one."""
    full = limit > 0 and len(items) >= limit
    return Page(items[:limit], str(getattr(items[limit - 1], marker)) if full else "")


class _NovaLinks:
    """``servers_links`` with rel next; Neutron and Cinder alike."""

    def __call__(self, call: Call, key: str, page: Page) -> dict[str, Any]:
        if not page.next_marker:
            return {}
        return {f"{key}_links": [{"rel": "next", "href": call.next_link(page.next_marker)}]}

    def properties(self, key: str) -> JsonSchema:
        return {f"{key}_links": LINKS}


class _KeystoneLinks:
    """``links`` with self, previous and next."""

    def __call__(self, call: Call, key: str, page: Page) -> dict[str, Any]:
        following = call.next_link(page.next_marker) if page.next_marker else None
        return {"links": {"self": call.origin + call.full_path, "previous": None, "next": following}}

    def properties(self, key: str) -> JsonSchema:
        return {"links": record({"self": TEXT, "previous": TEXT_OR_NULL, "next": TEXT_OR_NULL})}


nova_links = _NovaLinks()
keystone_links = _KeystoneLinks()
