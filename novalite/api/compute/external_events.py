"""What other services tell about servers: each event is answered with a code of its own."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT, RULE, UUID
from novalite.api.kit.answers import TEXT, WHOLE, Told, array, record
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import external_events, progress
from novalite.cloud.compute.external_events import Event

_NEEDS_TAG = ("volume-extended", "power-update", "accelerator-request-bound")
_OLD = ("network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted")


def _events(*names: str, since: str = "", until: str = "") -> Item:
    event = {
        "type": "object",
        "properties": {
            "server_uuid": UUID,
            "name": {"type": "string", "enum": list(names)},
            "status": {"type": "string", "enum": ["failed", "completed", "in-progress"]},
            "tag": {"type": "string", "maxLength": 255},
        },
        "required": ["server_uuid", "name"],
        "additionalProperties": False,
    }
    schema = {"type": "array", "minItems": 1, "items": event}
    return Item("events", schema, required=True, since=since, until=until)


_251 = (*_OLD, "volume-extended")
_276 = (*_251, "power-update")
_282 = (*_276, "accelerator-request-bound")
_293 = (*_282, "volume-reimaged")
_BODY = Body(
    "",
    _events(*_OLD, until="2.50"),
    _events(*_251, since="2.51", until="2.75"),
    _events(*_276, since="2.76", until="2.81"),
    _events(*_282, since="2.82", until="2.92"),
    _events(*_293, since="2.93"),
)


def _code(event: dict[str, Any], placed: dict[str, str]) -> int:
    if event["server_uuid"] not in placed:
        return 404
    if event["name"] in _NEEDS_TAG and event.get("tag") is None:
        return 400
    return 200 if placed[event["server_uuid"]] else 422


def create(call: Call) -> Answer:
    """An event that is accepted takes effect later; all others are told why not."""
    given = call.body["events"]
    placed = progress.hosts_of(call.w, {event["server_uuid"] for event in given})
    codes = [_code(event, placed) for event in given]
    accepted = (event for event, code in zip(given, codes, strict=True) if code == 200)
    for event in dict.fromkeys(Event(one["server_uuid"], one["name"], one.get("tag", "")) for one in accepted):
        external_events.happened(call.w, event)
    told = [
        {**event, "status": "completed" if code == 200 else "failed", "code": code}
        for event, code in zip(given, codes, strict=True)
    ]
    return Answer({"events": told}, status=200 if set(codes) == {200} else 207)


_TOLD = record({"server_uuid": UUID, "name": TEXT, "status": TEXT, "tag": TEXT, "code": WHOLE}, optional=["tag"])

ROUTES = [
    Route("POST", f"{ROOT}/os-server-external-events", create, body=_BODY, unit="write", also=(207,),
          rule=RULE + "os-server-external-events:create", view=Told("", Item("events", array(_TOLD), required=True))),
]  # fmt: skip
