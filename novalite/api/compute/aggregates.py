"""Host aggregates: groups of hosts, with metadata for the scheduler and perhaps an availability zone."""

from __future__ import annotations

import re

from novalite.api.compute.shapes import NAME, ROOT, RULE
from novalite.api.kit.answers import (
    FLAG,
    MOMENT,
    MOMENT_OR_NULL,
    NULL,
    TEXT,
    TEXT_BY_NAME,
    TEXT_OR_NULL,
    TEXTS,
    UUID,
    WHOLE,
)
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View, utc_micros
from novalite.cloud.compute import image_cache, zones
from novalite.cloud.hosts import aggregates
from novalite.cloud.hosts.aggregates import Members
from novalite.errors import Invalid

_BARE = (
    Field("id", "aggregate.number", schema=WHOLE),
    Field("uuid", "aggregate.id", since="2.41", schema=UUID),
    Field("name", "aggregate.name", schema=TEXT),
    Field("availability_zone", "aggregate.zone", schema=TEXT_OR_NULL),
    Field("created_at", lambda one, call: utc_micros(one.aggregate.created_at), schema=MOMENT),
    Field("updated_at", lambda one, call: utc_micros(one.aggregate.updated_at), schema=MOMENT_OR_NULL),
    Field("deleted", lambda one, call: False, schema=FLAG),
    Field("deleted_at", lambda one, call: None, schema=NULL),
)
NEW = View(*_BARE)
AGGREGATE = View(
    *_BARE, Field("hosts", schema=TEXTS), Field("metadata", "aggregate.metadata_items", schema=TEXT_BY_NAME)
)

_ZONE_NAME = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name", "pattern": "^[^:]*$"}
_ZONE = {"oneOf": [_ZONE_NAME, {"type": "null"}]}
_LOOSE_NAME = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name_with_leading_trailing_spaces"}
_CREATE = Body("aggregate", Item("name", NAME, required=True), Item("availability_zone", _ZONE))
_UPDATE = Body("aggregate", whole={
    "type": "object", "properties": {"name": _LOOSE_NAME, "availability_zone": _ZONE},
    "anyOf": [{"required": ["name"]}, {"required": ["availability_zone"]}], "additionalProperties": False,
})  # fmt: skip
_HOST = {
    "type": "object",
    "properties": {"host": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9-._]*$"}},
    "required": ["host"],
    "additionalProperties": False,
}
_ITEMS = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": ["string", "null"], "maxLength": 255}},
    "additionalProperties": False,
}
_METADATA = {
    "type": "object", "properties": {"metadata": _ITEMS}, "required": ["metadata"], "additionalProperties": False,
}  # fmt: skip


def _number(call: Call) -> int:
    text = call.path["aggregate_id"]
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise Invalid(f"Invalid input received: id must be an integer, not {text[:100]}", field="id")
    return int(text)


def list_all(call: Call) -> list[Members]:
    return aggregates.everyone(call.w)


def show(call: Call) -> Members:
    return aggregates.get(call.w, _number(call))


def create(call: Call) -> Members:
    return aggregates.create(call.w, call.body["name"], call.body.get("availability_zone"))


def update(call: Call) -> Members:
    number = _number(call)
    if "name" in call.body:
        aggregates.rename(call.w, number, call.body["name"].strip())
    if "availability_zone" in call.body:
        aggregates.set_metadata(call.w, number, {aggregates.ZONE: call.body["availability_zone"]})
    return aggregates.get(call.w, number)


def delete(call: Call) -> None:
    aggregates.remove(call.w, _number(call))


def add_host(call: Call) -> Members:
    return zones.add_host(call.w, _number(call), call.body["host"])


def remove_host(call: Call) -> Members:
    return zones.remove_host(call.w, _number(call), call.body["host"])


def set_metadata(call: Call) -> Members:
    return aggregates.set_metadata(call.w, _number(call), call.body["metadata"])


def cache_images(call: Call) -> None:
    image_cache.request(call.w, _number(call), [one["id"] for one in call.body["cache"]])


_IMAGES = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "object", "properties": {"id": UUID}, "required": ["id"], "additionalProperties": False},
}
_ALL, _ONE = f"{ROOT}/os-aggregates", f"{ROOT}/os-aggregates/{{aggregate_id}}"
_RULE = RULE + "os-aggregates:"
_SHOWN = AGGREGATE.one("aggregate")
_DO = f"{_ONE}/action"
ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "index", view=AGGREGATE.many("aggregates"), unit="read"),
    Route("POST", _ALL, create, rule=_RULE + "create", body=_CREATE, view=NEW.one("aggregate"), unit="write"),
    Route("GET", _ONE, show, rule=_RULE + "show", view=_SHOWN, unit="read"),
    Route("PUT", _ONE, update, rule=_RULE + "update", body=_UPDATE, view=_SHOWN, unit="write"),
    Route("DELETE", _ONE, delete, rule=_RULE + "delete", unit="write"),
    Route("POST", _DO, add_host, rule=_RULE + "add_host", action="add_host", view=_SHOWN, unit="write",
          body=Body("add_host", whole=_HOST)),
    Route("POST", _DO, remove_host, rule=_RULE + "remove_host", action="remove_host", view=_SHOWN, unit="write",
          body=Body("remove_host", whole=_HOST)),
    Route("POST", _DO, set_metadata, rule=_RULE + "set_metadata", action="set_metadata", view=_SHOWN, unit="write",
          body=Body("set_metadata", whole=_METADATA)),
    Route("POST", f"{_ONE}/images", cache_images, rule="compute:aggregates:images", since="2.81", success=202,
          unit="write", body=Body("", Item("cache", _IMAGES, required=True))),
]  # fmt: skip
