"""What other services tell about servers: each event is answered with a code of its own."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT, RULE, UUID
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import progress

_NEEDS_TAG = ("volume-extended", "volume-reimaged", "accelerator-request-bound")
_POWER_TAGS = ("POWER_ON", "POWER_OFF")
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


def _bad_tag(event: dict[str, Any]) -> bool:
    name, tag = event["name"], event.get("tag")
    return (name in _NEEDS_TAG and tag is None) or (name == "power-update" and tag not in _POWER_TAGS)


def _code(event: dict[str, Any], placed: dict[str, str]) -> int:
    if event["server_uuid"] not in placed:
        return 404
    if _bad_tag(event):
        return 400
    return 200 if placed[event["server_uuid"]] else 422


def create(call: Call) -> Answer:
    """Nothing is kept of what is accepted: addresses, cards and power are read where they are."""
    placed = progress.hosts_of(call.w, {event["server_uuid"] for event in call.body["events"]})
    told = []
    for event in call.body["events"]:
        code = _code(event, placed)
        status = event.get("status", "completed") if code == 200 else "failed"
        told.append({**event, "status": status, "code": code})
    all_well = all(event["code"] == 200 for event in told)
    return Answer({"events": told}, status=200 if all_well else 207)


ROUTES = [
    Route("POST", f"{ROOT}/os-server-external-events", create, body=_BODY, unit="read",
          rule=RULE + "os-server-external-events:create"),
]  # fmt: skip
