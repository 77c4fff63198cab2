"""What several of Compute's requests and answers share."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from novalite.api.kit.answers import LINKS
from novalite.api.kit.body import Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit
from novalite.api.kit.view import Field
from novalite.db.paging import Page as Window
from novalite.errors import Invalid

ROOT = "/v2.1"
RULE = "os_compute_api:"

TRUE = (True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "t", "T", "y", "Y")
FALSE = (False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "f", "F", "n", "N")
_LETTERS = ("t", "T", "y", "Y", "f", "F", "n", "N")
WORDS = [word for word in (*TRUE, *FALSE) if word not in _LETTERS]
BOOLEAN = {"type": ["boolean", "string"], "enum": WORDS}
"""In bodies single letters are no answer, as they are in queries."""
NAME = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}
TEXT_OR_NULL = {"type": ["string", "null"], "maxLength": 255, "format": "printable"}
HOST_NAME = {"type": "string", "pattern": "^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$", "minLength": 2, "maxLength": 63}
FQDN = {"type": "string", "pattern": "^[a-zA-Z0-9-._]*$", "minLength": 1, "maxLength": 255}
UUID = {"type": "string", "format": "uuid"}
POSITIVE = {"type": ["integer", "string"], "pattern": "^[0-9]*$", "minLength": 1, "minimum": 1, "maximum": 2**31 - 1}
NOT_NEGATIVE = {**POSITIVE, "minimum": 0}
TAG = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]*$"}
METADATA = {
    "type": "object",
    "patternProperties": {r"^[a-zA-Z0-9-_:. ]{1,255}\Z": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
CERTIFICATES = {
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": 50,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1},
}
ANYTHING: dict[str, Any] = {}
NUMBER_QUERY = {"type": "string", "pattern": "^[0-9]*$", "maxLength": 18}
ANY_QUERY = {"type": "string", "maxLength": 1024}
PAGING = (Item("limit", NUMBER_QUERY), Item("marker", ANY_QUERY))


def plain_address(text: str | None) -> str:
    """A checked IP address in its one short form; nothing for nothing."""
    return str(ip_address(text)) if text else ""


def truth(value: Any) -> bool:
    """The value of a ``BOOLEAN``."""
    return value in TRUE


def item_links(call: Call, collection: str, item_id: str) -> list[dict[str, str]]:
    """``self`` with the version, ``bookmark`` without."""
    return [
        {"rel": "self", "href": call.link(f"{ROOT}/{collection}/{item_id}")},
        *bookmark(call, collection, item_id),
    ]


def bookmark(call: Call, collection: str, item_id: str) -> list[dict[str, str]]:
    return [{"rel": "bookmark", "href": call.link(f"{call.project_path}/{collection}/{item_id}")}]


def links(collection: str, attribute: str = "id") -> Field:
    return Field("links", lambda item, call: item_links(call, collection, getattr(item, attribute)), schema=LINKS)


def window(call: Call, *, sortable: bool = True, most: int = 1000) -> Window:
    """The page asked for. Sort keys and directions are paired by position."""
    pairs: list[tuple[str, str]] = []
    if sortable:
        keys, directions = call.query.getlist("sort_key"), call.query.getlist("sort_dir")
        for position, key in enumerate(keys):
            direction = directions[position] if position < len(directions) else (directions or ["desc"])[-1]
            if direction not in ("asc", "desc"):
                raise Invalid(f"Unknown sort direction, must be 'desc' or 'asc': {direction[:50]}", field="sort_dir")
            pairs.append((key, direction))
    return Window(limit(call, most), call.query.get("marker", ""), tuple(pairs))


def flag(call: Call, name: str) -> bool:
    """A yes or no in the query; the bare name is yes. Raises ``Invalid`` for anything else."""
    text = call.query.get(name)
    if text is None:
        return False
    if text == "" or text in TRUE:
        return True
    if text in FALSE:
        return False
    raise Invalid(f"Invalid input for query parameters {name}. Value: {text[:100]}. It is not a boolean.", field=name)
