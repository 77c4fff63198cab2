"""JSON patches of images (RFC 6902 as Glance takes it, and its older dialect) as changes of attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from novalite.api.image.attributes import WRITABLE, check_value, require_writable
from novalite.errors import Conflict, Forbidden, Invalid

TYPES = (
    "application/openstack-images-v2.1-json-patch",
    "application/openstack-images-v2.0-json-patch",
)
OPERATIONS = ("add", "replace", "remove")
SCHEMA: dict[str, Any] = {"type": "array", "items": {"type": "object"}, "maxItems": 1000}
_NULL_WHEN_REMOVED = ("name",)


@dataclass(frozen=True)
class Change:
    """One operation on one attribute; ``value`` is None for removals."""

    operation: str
    name: str
    value: Any = None


def parse(document: list[dict[str, Any]]) -> list[Change]:
    """Raises ``Invalid`` for what is no patch, ``Forbidden`` for attributes that clients never change."""
    return [_change(entry) for entry in document]


def _change(entry: Mapping[str, Any]) -> Change:
    operation, path = entry.get("op"), entry.get("path")
    if operation is None:
        # The older dialect names the operation by its key: {"replace": "/name", "value": "x"}.
        named = [key for key in entry if key in OPERATIONS]
        if len(named) == 1:
            operation, path = named[0], entry[named[0]]
    if operation not in OPERATIONS:
        raise Invalid(f"Operations must be one of {', '.join(OPERATIONS)}.", field="op")
    if not isinstance(path, str):
        raise Invalid("Unable to find 'path' in JSON Schema change", field="path")
    if operation != "remove" and "value" not in entry:
        raise Invalid(f'Operation "{operation}" requires a member named "value".', field="value")
    name = _name(path)
    require_writable(name)
    if name == "id":
        raise Forbidden("Attribute 'id' is read-only.")
    if operation != "remove":
        check_value(name, entry["value"])
    return Change(operation, name, entry.get("value"))


def _name(path: str) -> str:
    if not path.startswith("/"):
        raise Invalid(f'Pointer `{path[:64]}` does not start with "/".', field="path")
    name = path[1:]
    if "/" in name:
        raise Invalid(f"Pointer `{path[:64]}` goes below an attribute, which is not possible.", field="path")
    if "~" in name.replace("~0", "").replace("~1", ""):
        raise Invalid(f'Pointer `{path[:64]}` contains "~" not part of a recognized escape sequence.', field="path")
    return name.replace("~1", "/").replace("~0", "~")


def apply(changes: list[Change], properties: Mapping[str, str]) -> dict[str, Any]:
    """The attributes to set, ``properties`` as a whole among them when they change, and ``tags``.

    Raises ``Conflict`` when a property to replace or remove is absent, ``Forbidden`` when an attribute that
    every image has is removed.
    """
    values: dict[str, Any] = {}
    custom = dict(properties)
    for change in changes:
        if change.name in WRITABLE:
            if change.operation == "remove" and change.name not in _NULL_WHEN_REMOVED:
                raise Forbidden(f"Property {change.name} may not be removed.")
            values[change.name] = change.value
            continue
        if change.operation != "add" and change.name not in custom:
            raise Conflict(f"Property {change.name} does not exist.")
        if change.operation == "remove":
            del custom[change.name]
        else:
            custom[change.name] = change.value
    if custom != dict(properties):
        values["properties"] = custom
    return values
