"""Answers that handlers make themselves, told by schemas like requests are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from novalite.api.kit.body import Body, Item, JsonSchema
from novalite.api.kit.call import Call
from novalite.api.kit.versions import Version

JSON = "application/json"


class Told:
    """A view that passes the handler's value on as it is. What the value may hold is declared as for a ``Body``:
    ``Told("limits", Item("rate", {...}), Item("tags", {...}, since="2.26"))``; ``whole`` is one schema for what
    stands below the key (or, without a key, for all of it), or a function of the version that gives it."""

    content_type = JSON

    def __init__(
        self,
        key: str = "",
        *items: Item,
        beside: Iterable[Item] = (),
        extra: bool = False,
        whole: JsonSchema | Callable[[Version], JsonSchema] | None = None,
    ) -> None:
        self._key, self._whole = key, whole
        told = None if callable(whole) else whole
        self._body = Body(key, *items, beside=beside, extra=extra, whole=told)

    def render(self, result: Any, call: Call) -> Any:
        return result

    def schema(self, version: Version) -> JsonSchema:
        """What an answer in this version looks like; nothing else is in it."""
        if not callable(self._whole):
            return self._body.schema(version).document
        told = self._whole(version)
        return record({self._key: told}) if self._key else told


class Bytes:
    """A view of answers that are no JSON: files and streams. Rendering passes problems of the handler on."""

    def __init__(self, content_type: str = "application/octet-stream") -> None:
        self.content_type = content_type

    def render(self, result: Any, call: Call) -> Any:
        return result

    def schema(self, version: Version) -> JsonSchema:
        return {"type": "string", "format": "binary"}


def record(properties: JsonSchema, *, optional: Iterable[str] = ()) -> JsonSchema:
    """An object with these properties and no others; all are there but the ``optional`` ones."""
    left_out = set(optional)
    schema: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [name for name in properties if name not in left_out]
    return {**schema, "required": required} if required else schema


def array(item: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": item}


def mapping(value: JsonSchema) -> JsonSchema:
    """An object whose names are data."""
    return {"type": "object", "additionalProperties": value}


def nullable(schema: JsonSchema) -> JsonSchema:
    kinds = schema.get("type")
    if isinstance(kinds, str) and "enum" not in schema:
        return {**schema, "type": [kinds, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: JsonSchema = {"type": "string"}
WHOLE: JsonSchema = {"type": "integer"}
NUMBER: JsonSchema = {"type": "number"}
FLAG: JsonSchema = {"type": "boolean"}
NULL: JsonSchema = {"type": "null"}
TEXT_OR_NULL = nullable(TEXT)
WHOLE_OR_NULL = nullable(WHOLE)
TEXTS = array(TEXT)
TEXT_BY_NAME = mapping(TEXT)
MOMENT: JsonSchema = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?(Z|\+00:00)?$",
}
MOMENT_OR_NULL = nullable(MOMENT)
UUID: JsonSchema = {"type": "string", "format": "uuid"}
LINKS = array(record({"rel": TEXT, "href": TEXT, "type": TEXT}, optional=["type"]))
ANY: JsonSchema = {}
