"""A server's volumes: listed, attached, changed, detached."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import BOOLEAN, NUMBER_QUERY, ROOT, RULE, TAG, UUID, truth
from novalite.api.kit.answers import FLAG, TEXT_OR_NULL
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.paging import limit, whole_number
from novalite.api.kit.routes import Route
from novalite.api.kit.view import ABSENT, Field, View
from novalite.cloud.compute import block_devices, servers, volume_attachments, volume_swaps
from novalite.cloud.compute.block_devices import BlockDevice
from novalite.cloud.compute.volume_attachments import NewAttachment
from novalite.cloud.identity import policy
from novalite.errors import Invalid


def _device(row: BlockDevice, call: Call) -> Any:
    return row.device_name or ABSENT


_COMMON = (
    Field("volumeId", "volume_id", schema=UUID),
    Field("serverId", "server_id", schema=UUID),
    Field("device", _device, schema=TEXT_OR_NULL),
    Field("tag", lambda row, call: row.tag or None, since="2.70", schema=TEXT_OR_NULL),
    Field("delete_on_termination", since="2.79", schema=FLAG),
)
ATTACHMENT = View(
    Field("id", "volume_id", until="2.88", schema=UUID),
    *_COMMON,
    Field("attachment_id", since="2.89", schema=TEXT_OR_NULL),
    Field("bdm_uuid", "id", since="2.89", schema=UUID),
)
MADE = View(
    Field("id", "volume_id", schema=UUID),
    Field("volumeId", "volume_id", schema=UUID),
    Field("serverId", "server_id", schema=UUID),
    Field("device", "device_name", schema=TEXT_OR_NULL),
    Field("tag", lambda row, call: row.tag or None, since="2.70", schema=TEXT_OR_NULL),
    Field("delete_on_termination", since="2.79", schema=FLAG),
)
_DEVICE = {"type": ["string", "null"], "pattern": "(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$", "maxLength": 255}
NEW = Body(
    "volumeAttachment",
    Item("volumeId", UUID, required=True),
    Item("device", _DEVICE),
    Item("tag", TAG, since="2.49"),
    Item("delete_on_termination", BOOLEAN, since="2.79"),
)
CHANGES = Body(
    "volumeAttachment",
    Item("volumeId", UUID, required=True),
    Item("device", _DEVICE, since="2.85"),
    Item("tag", TAG, since="2.85"),
    Item("delete_on_termination", BOOLEAN, since="2.85"),
    Item("serverId", UUID, since="2.85"),
    Item("id", UUID, since="2.85"),
)


def list_all(call: Call) -> list[BlockDevice]:
    """``limit`` 0 is the maximum."""
    server = servers.get(call.w, call.path["server_id"])
    offset = whole_number(call, "offset") or 0
    rows = block_devices.of_server(call.w, server.id)[offset : offset + (limit(call) or 1000)]
    return [row for row in rows if row.volume_id and (row.attachment_id or not call.since("2.89"))]


def show(call: Call) -> BlockDevice:
    server = servers.get(call.w, call.path["server_id"])
    return volume_attachments.require(call.w, server.id, call.path["volume_id"])


def attach(call: Call) -> Any:
    body = call.body
    new = NewAttachment(
        body["volumeId"], body.get("device"), body.get("tag") or "", truth(body.get("delete_on_termination", False)),
        call.since("2.60"),
    )  # fmt: skip
    row = volume_attachments.attach(call.w, call.path["server_id"], new, shelved_too=call.since("2.20"))
    return Answer(status=202) if call.since("2.101") else row


def detach(call: Call) -> None:
    volume_attachments.detach(call.w, call.path["server_id"], call.path["volume_id"], shelved_too=call.since("2.20"))


def update(call: Call) -> None:
    """To 2.84 always a swap; later the attachment's own values first, and a swap when another volume is named."""
    server_id, volume_id, wanted = call.path["server_id"], call.path["volume_id"], call.body["volumeId"]
    swaps = wanted != volume_id or not call.since("2.85")
    rule = f"{RULE}os-volumes-attachments:" + ("swap" if swaps else "update")
    policy.require(rule, call.ctx)
    server = servers.get(call.w, server_id)
    if call.since("2.85"):
        _update_values(call, server.id, volume_id)
    if swaps:
        directly = call.parts.settings.volumes.swap_directly
        volume_swaps.swap(call.w, server.id, volume_id, wanted, directly=directly)


def _update_values(call: Call, server_id: str, volume_id: str) -> None:
    row, body = volume_attachments.require(call.w, server_id, volume_id), call.body
    now = {"id": volume_id, "serverId": server_id, "device": row.device_name, "tag": row.tag}
    for name, value in now.items():
        if name in body and body[name] != value:
            raise Invalid(f"The {name} property is not mutable", field=name)
    if "delete_on_termination" in body:
        ends = truth(body["delete_on_termination"])
        volume_attachments.keep_or_end(call.w, server_id, volume_id, delete_on_termination=ends)


_ALL = f"{ROOT}/servers/{{server_id}}/os-volume_attachments"
_ONE = f"{_ALL}/{{volume_id}}"
_QUERY = Query(Item("limit", NUMBER_QUERY), Item("offset", NUMBER_QUERY), strict_since="2.75")
_RULE = RULE + "os-volumes-attachments:"
ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "index", query=_QUERY, unit="read",
          view=ATTACHMENT.many("volumeAttachments")),
    Route("GET", _ONE, show, rule=_RULE + "show", unit="read", view=ATTACHMENT.one("volumeAttachment")),
    Route("POST", _ALL, attach, rule=_RULE + "create", body=NEW, unit="write", view=MADE.one("volumeAttachment"),
          until="2.100"),
    Route("POST", _ALL, attach, rule=_RULE + "create", body=NEW, unit="write", success=202, since="2.101"),
    Route("PUT", _ONE, update, rule=_RULE + "update", policy_in_handler=True, body=CHANGES, unit="write", success=202),
    Route("DELETE", _ONE, detach, rule=_RULE + "delete", unit="write", success=202),
]  # fmt: skip
