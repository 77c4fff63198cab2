"""The disks of a new server as a request may ask for them: the older and the newer form."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import BOOLEAN, RULE, TAG, UUID
from novalite.api.kit.body import Item
from novalite.api.kit.call import Call
from novalite.cloud.compute.boot_devices import Asked
from novalite.cloud.identity import policy
from novalite.errors import Invalid

_TEXT = {"type": "string", "maxLength": 255}
_SIZE = {"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 1, "maximum": 2**31 - 1, "minLength": 1}
_OLD = {
    "virtual_name": _TEXT,
    "volume_id": UUID,
    "snapshot_id": UUID,
    "volume_size": _SIZE,
    "device_name": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9._/-]*$"},
    "delete_on_termination": BOOLEAN,
    "no_device": {},
    "connection_info": {"type": "string", "maxLength": 16777215},
}
_NEW = {
    **_OLD,
    "source_type": {"type": "string", "enum": ["volume", "image", "snapshot", "blank"]},
    "uuid": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9._-]*$"},
    "image_id": UUID,
    "destination_type": {"type": "string", "enum": ["local", "volume"]},
    "guest_format": _TEXT,
    "device_type": _TEXT,
    "disk_bus": _TEXT,
    "boot_index": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$", "minimum": -(2**31),
                   "maximum": 2**31 - 1, "maxLength": 10},
}  # fmt: skip
_TYPE = {"volume_type": {"type": ["string", "null"], "minLength": 0, "maxLength": 255}}


def _list(properties: dict[str, Any]) -> dict[str, Any]:
    item = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"type": "array", "maxItems": 255, "items": item}


def block_device_items() -> tuple[Item, ...]:
    """Both forms in their versions: tags came with 2.32, were lost with 2.33, and came back with 2.42."""
    name = "block_device_mapping_v2"
    return (
        Item("block_device_mapping", _list(_OLD)),
        Item(name, _list(_NEW), until="2.31"),
        Item(name, _list({**_NEW, "tag": TAG}), since="2.32", until="2.32"),
        Item(name, _list(_NEW), since="2.33", until="2.41"),
        Item(name, _list({**_NEW, "tag": TAG}), since="2.42", until="2.66"),
        Item(name, _list({**_NEW, "tag": TAG, **_TYPE}), since="2.67"),
    )


def devices_of(call: Call) -> Asked:
    """Raises ``Invalid`` when both forms are used, ``Forbidden`` for callers that may not have volumes."""
    older, newer = call.body.get("block_device_mapping") or [], call.body.get("block_device_mapping_v2") or []
    if older and newer:
        message = "Using different block_device_mapping syntaxes is not allowed in the same request."
        raise Invalid(message, field="block_device_mapping")
    if older or newer:
        policy.require(RULE + "servers:create:attach_volume", call.ctx)
    return Asked(tuple(newer), tuple(older), call.since("2.60"))
