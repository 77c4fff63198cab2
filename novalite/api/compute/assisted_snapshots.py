"""Snapshots of volumes that the hypervisor makes for the volume service."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import Told, record
from novalite.api.kit.body import Body, Item, Query, parse_json
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import assisted_snapshots
from novalite.errors import Invalid

_TEXT = {"type": "string", "minLength": 1}
_CREATE_INFO = {
    "type": "object",
    "properties": {
        "snapshot_id": _TEXT,
        "type": {"type": "string", "enum": ["qcow2"]},
        "new_file": _TEXT,
        "id": _TEXT,
    },
    "required": ["snapshot_id", "type", "new_file"],
    "additionalProperties": False,
}


def create(call: Call) -> Any:
    """Accepted is all that the answer says: what comes of it is told elsewhere."""
    info, volume_id = call.body["create_info"], call.body["volume_id"]
    assisted_snapshots.request(call.w, volume_id, info["snapshot_id"])
    return {"snapshot": {"id": info.get("id"), "volumeId": volume_id}}


def delete(call: Call) -> None:
    """No hypervisor here has ever made one, so that there is none left."""
    info = parse_json(call.query.get("delete_info", "").encode())
    volume_id = info.get("volume_id") if isinstance(info, dict) else None
    if not isinstance(volume_id, str):
        raise Invalid("delete_info must be a JSON object that names the volume_id.", field="delete_info")
    assisted_snapshots.require_attached(call.w, volume_id)


_ALL = f"{ROOT}/os-assisted-volume-snapshots"
_RULE = RULE + "os-assisted-volume-snapshots:"
_BODY = Body("snapshot", Item("volume_id", _TEXT, required=True), Item("create_info", _CREATE_INFO, required=True))
_TOLD = Told("snapshot", whole=record({"id": {"type": ["string", "null"]}, "volumeId": {"type": "string"}}))
ROUTES = [
    Route("POST", _ALL, create, rule=_RULE + "create", body=_BODY, unit="write", view=_TOLD),
    Route("DELETE", f"{_ALL}/{{snapshot_id}}", delete, rule=_RULE + "delete", unit="read", success=204,
          query=Query(Item("delete_info", {"type": "string"}), strict_since="2.75")),
]  # fmt: skip
