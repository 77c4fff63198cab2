"""What metadata definitions may hold: behind requests, answers and the schema documents."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.schema import Schema

_NAME = {"type": "string", "minLength": 1, "maxLength": 80}
_TEXT = {"type": "string"}
_LONG = {"type": ["string", "null"], "maxLength": 500}
_FLAG = {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 0}
_ANY: dict[str, Any] = {}
_READ_ONLY = {
    name: {**_TEXT, "readOnly": True} for name in ("created_at", "updated_at", "self", "schema", "first", "next")
}

PROPERTY: dict[str, Any] = {
    "title": {"type": "string", "maxLength": 255},
    "description": _LONG,
    "type": {"enum": ["array", "boolean", "integer", "number", "object", "string", None]},
    "operators": {"type": "array", "items": _TEXT},
    "required": {"type": "array", "items": _TEXT},
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": _COUNT,
    "minLength": _COUNT,
    "pattern": _TEXT,
    "enum": {"type": "array"},
    "readonly": _FLAG,
    "default": _ANY,
    "items": {"type": "object"},
    "maxItems": _COUNT,
    "minItems": _COUNT,
    "uniqueItems": _FLAG,
    "additionalItems": _FLAG,
}
_PROPERTIES = {
    "type": "object", "maxProperties": 1000, "propertyNames": {"maxLength": 80},
    "additionalProperties": {"type": "object", "properties": PROPERTY},
}  # fmt: skip
OBJECT: dict[str, Any] = {
    "name": _NAME, "description": _LONG, "required": {"type": "array", "items": _TEXT}, "properties": _PROPERTIES
}  # fmt: skip
TAG: dict[str, Any] = {"name": _NAME}
ASSOCIATION: dict[str, Any] = {
    "name": _NAME,
    "prefix": {"type": "string", "maxLength": 80},
    "properties_target": {"type": "string", "maxLength": 80},
}  # fmt: skip
NAMESPACE: dict[str, Any] = {
    "namespace": _NAME,
    "display_name": {"type": ["string", "null"], "maxLength": 80},
    "description": _LONG,
    "visibility": {"enum": ["public", "private"]},
    "protected": _FLAG,
    "owner": {"type": "string", "maxLength": 64},
}


def _open(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    """A request: what clients send back of an answer (``self``, times) is let pass."""
    passing = dict.fromkeys(_READ_ONLY, _ANY)
    return {"type": "object", "properties": {**properties, **passing}, "additionalProperties": False,
            "required": list(required), **more}  # fmt: skip


NEW_OBJECT = _open(OBJECT, "name")
NEW_PROPERTY = _open({"name": _NAME, **PROPERTY}, "name", "title", "type")
NEW_TAGS = _open({"tags": {"type": "array", "maxItems": 1000, "items": _open(TAG, "name")}}, "tags")
CHANGED_TAG = _open(TAG, "name")
NEW_ASSOCIATION = _open(ASSOCIATION, "name")
_CHILDREN = {
    "resource_type_associations": {"type": "array", "maxItems": 1000, "items": NEW_ASSOCIATION},
    "properties": {**_PROPERTIES, "additionalProperties": _open({"name": _NAME, **PROPERTY}, "title", "type")},
    "objects": {"type": "array", "maxItems": 1000, "items": NEW_OBJECT},
    "tags": {"type": "array", "maxItems": 1000, "items": _open(TAG, "name")},
}
NEW_NAMESPACE = _open({**NAMESPACE, **_CHILDREN}, "namespace")
CHANGED_NAMESPACE = _open({**NAMESPACE, **dict.fromkeys(_CHILDREN, _ANY)}, "namespace")


def _one(name: str, properties: dict[str, Any], *required: str) -> dict[str, Any]:
    shown = {**properties, **{key: _READ_ONLY[key] for key in ("created_at", "updated_at")}}
    return {"name": name, "properties": shown, "required": list(required), "additionalProperties": False}


def _many(name: str, one: dict[str, Any], *, of: str = "array") -> dict[str, Any]:
    inside = {"type": of, "items" if of == "array" else "additionalProperties": one}
    properties = {name: inside, "first": _TEXT, "next": _TEXT, "schema": _TEXT}
    return {"name": name, "properties": properties}


_NAMESPACE = _one("namespace", {**NAMESPACE, **_CHILDREN, "self": _TEXT, "schema": _TEXT}, "namespace")
_ASSOCIATION = _one("resource_type_association", ASSOCIATION, "name")
_OBJECT = _one("object", {**OBJECT, "self": _TEXT, "schema": _TEXT}, "name")
_PROPERTY = {"name": "property", "properties": {"name": _NAME, **PROPERTY}, "required": ["name", "title", "type"]}
_TAG = _one("tag", TAG, "name")
DOCUMENTS = {
    "namespace": _NAMESPACE,
    "namespaces": _many("namespaces", _NAMESPACE),
    "resource_type": _ASSOCIATION,
    "resource_types": _many("resource_type_associations", _ASSOCIATION),
    "object": _OBJECT,
    "objects": _many("objects", _OBJECT),
    "property": _PROPERTY,
    "properties": _many("properties", _PROPERTY, of="object"),
    "tag": _TAG,
    "tags": _many("tags", _TAG),
}

_ONE_NAME = Schema(CHANGED_TAG)


def require_name(name: str) -> None:
    """Raises ``Invalid`` for a name that is too long."""
    _ONE_NAME.check({"name": name})
