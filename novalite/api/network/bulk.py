"""Several objects made by one request, as Neutron takes them: ``{"ports": [...]}`` beside ``{"port": {...}}``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from novalite.api.kit.body import Body, Item, JsonSchema
from novalite.api.kit.call import Call
from novalite.api.kit.schema import Schema
from novalite.api.kit.versions import UNVERSIONED, Version
from novalite.api.kit.view import View
from novalite.errors import Invalid

MOST = 1000


class OneOrMany(Body):
    """A body with one object below ``key`` or a list of them below ``keys``; the handler gets either."""

    def __init__(self, key: str, keys: str, *items: Item) -> None:
        super().__init__(key, *items)
        self.keys = keys
        self._single, self._many = Schema(self._document(UNVERSIONED)), Schema(self._list(UNVERSIONED))
        self._both = Schema({"oneOf": [self._single.document, self._many.document]})

    def schema(self, version: Version) -> Schema:
        return self._both

    def _list(self, version: Version) -> JsonSchema:
        one = self._document(version)["properties"][self.key]
        return {
            "type": "object",
            "properties": {self.keys: {"type": "array", "items": one, "minItems": 1, "maxItems": MOST}},
            "required": [self.keys],
            "additionalProperties": False,
        }

    def check(self, document: Any, version: Version, *, lenient: bool = False) -> Any:
        if document is None:
            raise Invalid("Malformed request body", field="body")
        key, schema = (self.keys, self._many) if _has(document, self.keys) else (self.key, self._single)
        schema.check(document)
        return document[key]


def _has(document: Any, key: str) -> bool:
    return isinstance(document, dict) and key in document


def make(call: Call, key: str, keys: str, view: View, one: Callable[[Call], Any]) -> dict[str, Any]:
    """Call ``one`` for each object asked for, all or none within the unit, and show what it gives."""
    render = view.renderer(call)
    if not isinstance(call.body, list):
        return {key: render(one(call), call)}
    return {keys: [render(one(replace(call, body=item)), call) for item in call.body]}
