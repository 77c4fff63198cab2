"""Schema documents."""

from __future__ import annotations

from typing import Any

from novalite.api.image.attributes import PROPERTY, READ_ONLY, WRITABLE
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Handler, Route
from novalite.cloud.image.members import STATUSES

_TEXT = {"type": "string"}
_IMAGE: dict[str, Any] = {
    "name": "image",
    "properties": {**WRITABLE, **{name: {**one, "readOnly": True} for name, one in READ_ONLY.items()}},
    "additionalProperties": PROPERTY,
    "links": [{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"},
              {"rel": "describedby", "href": "{schema}"}],
}  # fmt: skip
_MEMBER: dict[str, Any] = {
    "name": "member",
    "properties": {
        "created_at": _TEXT, "updated_at": _TEXT, "image_id": _TEXT, "member_id": _TEXT, "schema": _TEXT,
        "status": {"type": "string", "enum": list(STATUSES)},
    },
}  # fmt: skip
_TASK: dict[str, Any] = {
    "name": "task",
    "properties": dict.fromkeys(("id", "type", "status", "owner", "created_at", "updated_at"), _TEXT),
}


def _many(name: str, one: dict[str, Any]) -> dict[str, Any]:
    listing = {name: {"type": "array", "items": one}, "first": _TEXT, "next": _TEXT, "schema": _TEXT}
    links = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"},
             {"rel": "describedby", "href": "{schema}"}]  # fmt: skip
    return {"name": name, "properties": listing, "links": links}


DOCUMENTS = {
    "image": _IMAGE,
    "images": _many("images", _IMAGE),
    "member": _MEMBER,
    "members": _many("members", _MEMBER),
    "task": _TASK,
    "tasks": _many("tasks", _TASK),
}


def _document(name: str) -> Handler:
    def show(call: Call) -> dict[str, Any]:
        return DOCUMENTS[name]

    return show


ROUTES = [
    *(Route("GET", f"/v2/schemas/{name}", _document(name), rule="get_schemas") for name in DOCUMENTS),
]
