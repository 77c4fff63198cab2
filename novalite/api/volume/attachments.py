"""Attachments as resources of their own."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item, JsonSchema, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.paging import page_of as full_page
from novalite.api.kit.routes import Route
from novalite.api.kit.versions import Version
from novalite.api.kit.view import Field, Page, View, utc_micros
from novalite.api.volume import shapes
from novalite.api.volume.connections import CONNECTOR, INFORMATION, connection
from novalite.api.volume.shapes import ANY_QUERY, ANYTHING, ROOT, UUID, UUID_OR_NULL
from novalite.cloud.volume import attachments, listing
from novalite.cloud.volume.records import VolumeAttachment
from novalite.errors import Invalid


def _connection(item: VolumeAttachment, call: Call) -> dict[str, Any]:
    return connection(call, item.volume_id, item.mode) if item.connector or item.device else {}


SUMMARY = View(
    Field("id", schema=answers.UUID), Field("status", schema=answers.TEXT),
    Field("instance", "server_id", schema=answers.nullable(answers.UUID)), Field("volume_id", schema=answers.UUID),
)  # fmt: skip
LISTED = SUMMARY.extended(
    Field("attached_at", lambda item, call: utc_micros(item.attached_at), schema=answers.MOMENT_OR_NULL),
    Field("detached_at", lambda item, call: None, schema=answers.NULL),
    Field("attach_mode", "mode", schema=answers.TEXT),
)
DETAIL = LISTED.extended(Field("connection_info", _connection, schema={"anyOf": [INFORMATION, answers.record({})]}))

_NEW = Body(
    "attachment",
    Item("volume_uuid", UUID, required=True),
    Item("instance_uuid", UUID_OR_NULL),
    Item("connector", {**CONNECTOR, "type": ["object", "null"]}),
    Item("mode", {"enum": ["rw", "ro"]}, since="3.54"),
)
_CHANGE = Body("attachment", Item("connector", {**CONNECTOR, "minProperties": 1}, required=True))
_QUERY = Query(*(Item(name, ANY_QUERY) for name in sorted(shapes.PAGING_NAMES)))
_EQUAL = {"volume_id": "volume_id", "instance_id": "server_id", "instance_uuid": "server_id", "status": "status",
          "attach_status": "status", "id": "id", "-project_id": "project_id"}  # fmt: skip


def create(call: Call) -> VolumeAttachment:
    body = call.body
    connector = body.get("connector") or {}
    made = attachments.reserve(
        call.w, body["volume_uuid"], body.get("instance_uuid"), mode=body.get("mode") or connector.get("mode", "rw"),
        by_compute=False,
    )  # fmt: skip
    return _connected(call, made.id, connector) if connector else made


def _connected(call: Call, attachment_id: str, connector: dict[str, Any]) -> VolumeAttachment:
    attachments.attaching(call.w, attachment_id, host=str(connector.get("host") or ""), connector=connector)
    return attachments.get(call.w, attachment_id)


def update(call: Call) -> VolumeAttachment:
    found = attachments.get(call.w, call.path["id"])
    attachments.refuse_if_computes(call.w, found)
    if found.status not in (attachments.RESERVED, attachments.ATTACHING):
        raise Invalid(f"Attachment {found.id} is {found.status}; its connector is fixed.", field="connector")
    return _connected(call, found.id, call.body["connector"])


def complete(call: Call) -> None:
    found = attachments.get(call.w, call.path["id"])
    attachments.refuse_if_computes(call.w, found)
    if found.status == attachments.RESERVED:
        raise Invalid(f"Attachment {found.id} is reserved: it needs a connector first.", field="os-complete")
    device = str(found.connector.get("mountpoint") or found.device or "")
    attachments.attach(call.w, found.id, device=device)


def delete(call: Call) -> dict[str, Any]:
    found = attachments.get(call.w, call.path["id"])
    attachments.refuse_if_computes(call.w, found)
    attachments.detach(call.w, found.id)
    left = attachments.of_volumes(call.w, [found.volume_id])[found.volume_id]
    return {"attachments": [LISTED.renderer(call)(one, call) for one in left]}


def show(call: Call) -> VolumeAttachment:
    return attachments.get(call.w, call.path["id"])


def list_all(call: Call) -> Page:
    wanted = shapes.page(call)
    rows = listing.page_of(call.w, VolumeAttachment, shapes.filters(call, _EQUAL), wanted, offset=shapes.offset(call))
    return full_page(rows, wanted.limit)


def _left(version: Version) -> JsonSchema:
    return answers.array(LISTED.schema(version))


_ALL, _ONE = f"{ROOT}/attachments", f"{ROOT}/attachments/{{id}}"
_SINCE: dict[str, Any] = {"since": "3.27"}
ROUTES = [
    Route("GET", _ALL, list_all, rule="volume:get_all", query=_QUERY, view=SUMMARY.many("attachments", nova_links),
          unit="read", **_SINCE),
    Route("GET", f"{_ALL}/detail", list_all, rule="volume:get_all", query=_QUERY,
          view=LISTED.many("attachments", nova_links), unit="read", **_SINCE),
    Route("POST", _ALL, create, rule="volume:attachment_create", body=_NEW, view=DETAIL.one("attachment"),
          unit="write", **_SINCE),
    Route("GET", _ONE, show, rule="volume:get", view=DETAIL.one("attachment"), unit="read", **_SINCE),
    Route("PUT", _ONE, update, rule="volume:attachment_update", body=_CHANGE, view=DETAIL.one("attachment"),
          unit="write", **_SINCE),
    Route("DELETE", _ONE, delete, rule="volume:attachment_delete", unit="write", **_SINCE,
          view=Told("attachments", whole=_left)),
    Route("POST", f"{_ONE}/action", complete, rule="volume:attachment_complete", action="os-complete", success=204,
          body=Body("os-complete", whole=ANYTHING), unit="write", since="3.44"),
]  # fmt: skip
