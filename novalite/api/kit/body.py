"""Requests as data: what a body or a query may hold, by version, compiled once for each range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from novalite.api.kit.schema import Schema, without_unknown
from novalite.api.kit.versions import Version, Window
from novalite.errors import Invalid

DEEPEST = 32
LARGEST_NUMBER = 2**63 - 1
JSON_TYPES = ("application/json", "application/vnd.openstack.compute+json")
JsonSchema = dict[str, Any]


class Item:
    """One property of a body, or one query parameter, with its JSON Schema and its window of versions."""

    __slots__ = ("name", "required", "schema", "window")

    def __init__(
        self, name: str, schema: JsonSchema, *, required: bool = False, since: str = "", until: str = ""
    ) -> None:
        self.name, self.schema, self.required = name, schema, required
        self.window = Window.of(since, until)


def _refuse_doubles(items: Iterable[Item]) -> None:
    seen: dict[str, list[Window]] = {}
    for item in items:
        if any(item.window.meets(other) for other in seen.get(item.name, [])):
            raise ValueError(f"{item.name} is declared twice for one version")
        seen.setdefault(item.name, []).append(item.window)


class Body:
    """``Body("server", Item(...), ...)`` expects ``{"server": {...}}``; without a key the items are at the top.

    ``beside`` are items next to the key; ``extra=True`` lets unknown properties pass; ``whole`` replaces the
    items by one schema for the value below the key. ``types`` are the content types that are read as JSON.
    ``optional`` lets the request come without a body (the handler then sees None).
    """

    def __init__(
        self,
        key: str = "",
        *items: Item,
        beside: Iterable[Item] = (),
        extra: bool = False,
        whole: JsonSchema | None = None,
        types: tuple[str, ...] = JSON_TYPES,
        optional: bool = False,
    ) -> None:
        self.key, self.items, self.beside = key, items, tuple(beside)
        self.extra, self.whole, self.types, self.optional = extra, whole, types, optional
        _refuse_doubles(items)
        _refuse_doubles(self.beside)
        self._compiled: dict[tuple[bool, ...], Schema] = {}

    def schema(self, version: Version) -> Schema:
        mask = tuple(item.window.holds(version) for item in (*self.items, *self.beside))
        found = self._compiled.get(mask)
        if found is None:
            found = self._compiled[mask] = Schema(self._document(version))
        return found

    def check(self, document: Any, version: Version, *, lenient: bool = False) -> Any:
        """The value below the key; ``lenient`` drops unknown properties first. Raises ``Invalid`` naming the
        field."""
        if document is None and self.optional:
            return None
        if document is None:
            raise Invalid("Malformed request body", field="body")
        schema = self.schema(version)
        if lenient:
            document = without_unknown(document, schema.document)
        schema.check(document)
        return document.get(self.key) if self.key else document

    def _document(self, version: Version) -> JsonSchema:
        value = self.whole
        if value is None:
            value = _object([one for one in self.items if one.window.holds(version)], self.extra)
        if not self.key:
            return value
        around = [
            Item(self.key, value, required=True),
            *(one for one in self.beside if one.window.holds(version)),
        ]
        return _object(around, self.extra)


class Query:
    """What the query string may hold. Each value of a parameter is checked alone, as text.

    Unknown names pass silently, except from version ``strict_since`` on (or always, with ``strict``)."""

    def __init__(self, *items: Item, strict: bool = False, strict_since: str = "") -> None:
        _refuse_doubles(items)
        self.items, self._strict = items, strict
        self._strict_since = Window.of(strict_since) if strict_since else None
        self._schemas = {id(item): Schema(_object([item], False), place="query parameters") for item in items}

    def check(self, query: Any, version: Version, *, strict: bool = False) -> None:
        """Raises ``Invalid`` naming the parameter. ``query`` is a multi dict."""
        known = {item.name: item for item in self.items if item.window.holds(version)}
        strict = strict or self._strict or (self._strict_since is not None and self._strict_since.holds(version))
        for name, values in query.lists():
            if name in known:
                for value in values:
                    self._schemas[id(known[name])].check({name: value})
            elif strict:
                raise Invalid(
                    f"Additional properties are not allowed ('{name[:100]}' was unexpected)", field=name[:100]
                )


def _object(items: list[Item], extra: bool) -> JsonSchema:
    document: JsonSchema = {
        "type": "object",
        "properties": {one.name: one.schema for one in items},
        "additionalProperties": extra,
    }
    required = [one.name for one in items if one.required]
    if required:
        document["required"] = required
    return document


def parse_json(data: bytes) -> Any:
    """The document in ``data``; None when empty. Raises ``Invalid`` for anything that is not sane JSON."""
    if not data.strip():
        return None
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Invalid(f"Malformed request body: {_first_line(error)}", field="body") from error
    _refuse_insane(document, 0, "body")
    return document


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _refuse_insane(value: Any, depth: int, name: str) -> None:
    """No database can hold a NUL in a text or a number beyond 64 bits, and no request nests deeply."""
    if isinstance(value, str):
        if "\x00" in value:
            raise Invalid(f"Invalid input for field/attribute {name}. It must not hold NUL characters.", field=name)
    elif isinstance(value, int):
        if abs(value) > LARGEST_NUMBER:
            raise Invalid(f"Invalid input for field/attribute {name}. The number is too large.", field=name)
    elif isinstance(value, dict | list):
        if depth >= DEEPEST:
            raise Invalid("Malformed request body: it is nested too deeply.", field=name)
        pairs = value.items() if isinstance(value, dict) else ((name, item) for item in value)
        for key, item in pairs:
            if "\x00" in key:
                raise Invalid("Malformed request body: a name must not hold NUL characters.", field=name)
            _refuse_insane(item, depth + 1, key)
