"""Servers leave as files: their disks become hidden images, which their owner fetches as any image."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import utc_seconds
from novalite.cloud.compute import server_exports
from novalite.cloud.compute.server_exports import FORMATS, QCOW2, READY, ServerExport

_RULE = "novalite:admin:exports"
_ALL, _ONE = "/exports", "/exports/{export_id}"
_FACTS = {
    "id": answers.UUID, "server_id": answers.UUID, "project_id": answers.TEXT, "format": answers.TEXT,
    "status": answers.TEXT, "problem": answers.TEXT, "created_at": answers.MOMENT, "expires_at": answers.MOMENT,
}  # fmt: skip
_SHORT = answers.record(_FACTS)
_WHOLE = answers.record({
    **_FACTS, "image_ids": answers.array(answers.UUID), "manifest": answers.nullable({"type": "object"}),
})  # fmt: skip
_NEW = Body("export", Item("server_id", {"type": "string", "format": "uuid"}, required=True),
            Item("format", {"enum": list(FORMATS)}))  # fmt: skip


def _short(export: ServerExport) -> dict[str, Any]:
    return {
        "id": export.id, "server_id": export.server_id, "project_id": export.project_id, "format": export.format,
        "status": export.status, "problem": export.problem, "created_at": utc_seconds(export.created_at),
        "expires_at": utc_seconds(export.expires_at),
    }  # fmt: skip


def _told(export: ServerExport) -> dict[str, Any]:
    """``image_ids`` in the order of the manifest's disks."""
    manifest = export.manifest if export.status == READY else None
    return {"export": {**_short(export), "image_ids": export.image_ids, "manifest": manifest}}


def index(call: Call) -> Any:
    return {"exports": [_short(each) for each in server_exports.list_visible(call.w)]}


def create(call: Call) -> Any:
    return _told(server_exports.begin(call.w, call.body["server_id"], call.body.get("format", QCOW2)))


def show(call: Call) -> Any:
    return _told(server_exports.get(call.w, call.path["export_id"]))


def end(call: Call) -> None:
    with call.parts.database.write(call.ctx) as w:
        gone = server_exports.end(w, server_exports.get(w, call.path["export_id"]))
    for image_id in gone:
        call.parts.image_store.delete(image_id)


ROUTES = [
    Route("GET", _ALL, index, rule=_RULE, unit="read", view=Told("exports", whole=answers.array(_SHORT)),
          summary="Exports of servers"),
    Route("POST", _ALL, create, rule=_RULE, body=_NEW, success=202, unit="write", view=Told("export", whole=_WHOLE),
          summary="Copy a server's disks and definition to take away"),
    Route("GET", _ONE, show, rule=_RULE, unit="read", view=Told("export", whole=_WHOLE),
          summary="How far an export is, and its manifest"),
    Route("DELETE", _ONE, end, rule=_RULE, success=204, summary="Forget an export and its copies"),
]  # fmt: skip
