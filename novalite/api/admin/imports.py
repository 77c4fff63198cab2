"""Servers arrive as files: the manifest is checked first, then each disk is uploaded as any image is."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import utc_seconds
from novalite.cloud.compute import server_imports
from novalite.cloud.compute.server_imports import Asked, ServerImport
from novalite.cloud.compute.server_manifest import SCHEMA
from novalite.cloud.identity import policy

_RULE = "novalite:admin:imports"
_ALL, _ONE = "/imports", "/imports/{import_id}"
_REFERENCE = {"type": "string", "minLength": 1, "maxLength": 255}
_REFERENCES = {"type": "array", "items": _REFERENCE, "maxItems": 32}
_NEW = Body(
    "import",
    Item("manifest", SCHEMA, required=True),
    Item("name", {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^\S(.*\S)?\Z"}),
    Item("flavor", _REFERENCE),
    Item("networks", _REFERENCES),
    Item("security_groups", _REFERENCES),
)
_DISK = answers.record({"file": answers.TEXT, "image_id": answers.UUID})
_SHOWN = answers.record({
    "id": answers.UUID, "project_id": answers.TEXT, "name": answers.TEXT, "status": answers.TEXT,
    "problem": answers.TEXT, "server_id": answers.nullable(answers.UUID), "disks": answers.array(_DISK),
    "created_at": answers.MOMENT, "expires_at": answers.MOMENT,
})  # fmt: skip


def _told(found: ServerImport) -> dict[str, Any]:
    pairs = zip(found.manifest["disks"], found.disks, strict=True)
    return {
        "id": found.id, "project_id": found.project_id, "name": found.wishes["name"], "status": found.status,
        "problem": found.problem, "server_id": found.server_id,
        "disks": [{"file": told["file"], "image_id": disk["image_id"]} for told, disk in pairs],
        "created_at": utc_seconds(found.created_at), "expires_at": utc_seconds(found.expires_at),
    }  # fmt: skip


def index(call: Call) -> Any:
    return {"imports": [_told(each) for each in server_imports.list_visible(call.w)]}


def create(call: Call) -> Any:
    policy.require("os_compute_api:servers:create", call.ctx)
    asked = call.body
    named = {what: tuple(asked[what]) if what in asked else None for what in ("networks", "security_groups")}
    wanted = Asked(asked["manifest"], asked.get("name", ""), asked.get("flavor", ""), **named)
    return {"import": _told(server_imports.request(call.w, wanted))}


def show(call: Call) -> Any:
    return {"import": _told(server_imports.get(call.w, call.path["import_id"]))}


def begin(call: Call) -> Any:
    policy.require("os_compute_api:servers:create", call.ctx)
    return {"import": _told(server_imports.begin(call.w, call.path["import_id"]))}


def end(call: Call) -> None:
    with call.parts.database.write(call.ctx) as w:
        gone = server_imports.end(w, server_imports.get(w, call.path["import_id"]))
    for image_id in gone:
        call.parts.image_store.delete(image_id)


ROUTES = [
    Route("GET", _ALL, index, rule=_RULE, unit="read", view=Told("imports", whole=answers.array(_SHOWN)),
          summary="Imports of servers"),
    Route("POST", _ALL, create, rule=_RULE, body=_NEW, success=201, unit="write", view=Told("import", whole=_SHOWN),
          summary="Tell what server is to come; its disks are uploaded to the images named"),
    Route("GET", _ONE, show, rule=_RULE, unit="read", view=Told("import", whole=_SHOWN),
          summary="How far an import is"),
    Route("POST", f"{_ONE}/begin", begin, rule=_RULE, success=202, unit="write", view=Told("import", whole=_SHOWN),
          summary="All disks have come: make the server"),
    Route("DELETE", _ONE, end, rule=_RULE, success=204, summary="Forget an import, and what came unless it is done"),
]  # fmt: skip
