"""Backups of volumes, and their records on the way to other clouds."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.paging import page_of as full_page
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, Page, View, utc_micros
from novalite.api.volume import shapes
from novalite.api.volume.shapes import (
    ANY_QUERY,
    ANYTHING,
    BOOLEAN,
    CREATED,
    EXTENSION,
    METADATA,
    NAME,
    ROOT,
    UUID,
    UUID_OR_NULL,
    flag,
    is_admin,
    links,
    truth,
)
from novalite.cloud.volume import backup_import, backups
from novalite.cloud.volume.records import Backup
from novalite.errors import Invalid

SUMMARY = View(Field("id", schema=answers.UUID), Field("name", schema=answers.TEXT_OR_NULL), links("backups"))


def _key_id(item: Backup, call: Call) -> str | None:
    found = backups.sealed(item)
    return found.key_id if found else None


DETAIL = SUMMARY.extended(
    Field("status", schema=answers.TEXT),
    Field("size", "size_gib", schema=answers.WHOLE),
    Field("object_count", schema=answers.WHOLE),
    Field("availability_zone", schema=answers.TEXT_OR_NULL),
    Field("container", lambda item, call: item.container or None, schema=answers.TEXT_OR_NULL),
    *CREATED,
    Field("description", schema=answers.TEXT_OR_NULL),
    Field("fail_reason", lambda item, call: item.problem or None, schema=answers.TEXT_OR_NULL),
    Field("volume_id", schema=answers.UUID),
    Field("is_incremental", lambda item, call: item.parent_id is not None, schema=answers.FLAG),
    Field("has_dependent_backups", lambda item, call: False, schema=answers.FLAG),
    Field("snapshot_id", schema=answers.nullable(answers.UUID)),
    Field("data_timestamp", lambda item, call: utc_micros(item.data_at), schema=answers.MOMENT),
    Field("os-backup-project-attr:project_id", "project_id", since="3.18", only=is_admin, schema=answers.TEXT),
    Field("metadata", "metadata_items", since="3.43", schema=answers.TEXT_BY_NAME),
    Field("user_id", since="3.56", schema=answers.TEXT),
    Field("encryption_key_id", _key_id, since="3.64", schema=answers.nullable(answers.UUID)),
)
_ZONE = {"type": ["string", "null"], "minLength": 1, "maxLength": 255}
_NEW = Body(
    "backup",
    Item("volume_id", UUID, required=True),
    Item("container", NAME),
    Item("description", NAME),
    Item("incremental", BOOLEAN),
    Item("force", BOOLEAN),
    Item("name", NAME),
    Item("snapshot_id", UUID_OR_NULL),
    Item("metadata", {**METADATA, "type": ["object", "null"]}, since="3.43"),
    Item("availability_zone", _ZONE, since="3.51"),
)
_CHANGE = Body("backup", Item("name", NAME), Item("description", NAME),
               Item("metadata", METADATA, since="3.43"))  # fmt: skip
_RESTORE = Body("restore", whole={"type": ["object", "null"], "additionalProperties": False,
                                  "properties": {"name": NAME, "volume_id": UUID_OR_NULL}})  # fmt: skip
_RECORD = Body("backup-record", Item("backup_service", {"type": "string", "minLength": 1, "maxLength": 255},
                                     required=True),
               Item("backup_url", {"type": "string", "minLength": 1, "maxLength": 1 << 16}, required=True))  # fmt: skip
_QUERY = Query(*(Item(name, ANY_QUERY) for name in sorted(shapes.PAGING_NAMES)))
_EQUAL = {name: name for name in backups.FILTERS}


def _page(call: Call) -> Page:
    wanted = shapes.page(call)
    which = shapes.filters(call, _EQUAL)
    rows = backups.list_all(
        call.w, wanted, equal=which.equal, all_projects=flag(call, "all_tenants"), offset=shapes.offset(call)
    )  # fmt: skip
    return full_page(rows, wanted.limit)


def show(call: Call) -> Backup:
    return backups.get(call.w, call.path["id"])


def create(call: Call) -> Backup:
    body = call.body
    return backups.create(
        call.w, body["volume_id"], name=_stripped(body.get("name")), description=_stripped(body.get("description")),
        container=(body.get("container") or "").strip(), snapshot_id=body.get("snapshot_id") or "",
        incremental=truth(body.get("incremental", False)), force=truth(body.get("force", False)),
        metadata=body.get("metadata") or {}, zone=body.get("availability_zone") or "",
    )  # fmt: skip


def _stripped(text: str | None) -> str | None:
    return text.strip() if text else text


def update(call: Call) -> Backup:
    values = {name: _stripped(call.body[name]) for name in ("name", "description") if name in call.body}
    if "metadata" in call.body:
        values["metadata_items"] = call.body["metadata"]
    if not values:
        raise Invalid("Invalid input for field/attribute backup. There is nothing to change.", field="backup")
    return backups.update(call.w, call.path["id"], values)


def delete(call: Call) -> None:
    backups.delete(call.w, call.path["id"])


def force_delete(call: Call) -> None:
    backups.delete(call.w, call.path["id"], force=True)


def reset_status(call: Call) -> None:
    found = backups.get(call.w, call.path["id"])
    backups.change(call.w, found.id, {"status": call.body["status"].lower()})


def restore(call: Call) -> dict[str, Any]:
    body = call.body or {}
    backup, volume = backups.restore(
        call.w, call.path["id"], volume_id=body.get("volume_id") or "", name=_stripped(body.get("name"))
    )
    return {"restore": {"backup_id": backup.id, "volume_id": volume.id, "volume_name": volume.name}}


def export(call: Call) -> dict[str, Any]:
    place = call.parts.backups.place()
    with call.parts.database.read(call.ctx) as w:
        return {"backup-record": backup_import.export(w, call.path["id"], place)}


def take_over(call: Call) -> Backup:
    return backup_import.take_over(call.w, call.body["backup_service"], call.body["backup_url"])


_RESTORED = answers.record(
    {"backup_id": answers.UUID, "volume_id": answers.UUID, "volume_name": answers.TEXT_OR_NULL}
)  # fmt: skip
_STATUSES = ("available", "error")
_STATUS = {"type": "string", "enum": [*_STATUSES, *(one.upper() for one in _STATUSES)]}
_ALL, _ONE = f"{ROOT}/backups", f"{ROOT}/backups/{{id}}"
_ADMIN = EXTENSION + "backup_admin_actions:"
ROUTES = [
    Route("GET", _ALL, _page, rule="backup:get_all", query=_QUERY, view=SUMMARY.many("backups", nova_links),
          unit="read"),
    Route("GET", f"{_ALL}/detail", _page, rule="backup:get_all", query=_QUERY,
          view=DETAIL.many("backups", nova_links), unit="read"),
    Route("POST", _ALL, create, rule="backup:create", body=_NEW, view=SUMMARY.one("backup"), success=202,
          unit="write"),
    Route("POST", f"{_ALL}/import_record", take_over, rule="backup:backup-import", body=_RECORD,
          view=SUMMARY.one("backup"), success=201, unit="write"),
    Route("GET", _ONE, show, rule="backup:get", view=DETAIL.one("backup"), unit="read"),
    Route("PUT", _ONE, update, rule="backup:update", body=_CHANGE, view=SUMMARY.one("backup"), unit="write",
          since="3.9"),
    Route("DELETE", _ONE, delete, rule="backup:delete", success=202, unit="write"),
    Route("POST", f"{_ONE}/restore", restore, rule="backup:restore", body=_RESTORE, success=202, unit="write",
          view=Told("restore", whole=_RESTORED)),
    Route("GET", f"{_ONE}/export_record", export, rule="backup:backup-export",
          view=Told("backup-record", whole=answers.record(dict.fromkeys(("backup_service", "backup_url"),
                                                                        answers.TEXT)))),
    Route("POST", f"{_ONE}/action", reset_status, rule=_ADMIN + "reset_status", action="os-reset_status", success=202,
          unit="write", body=Body("os-reset_status", Item("status", _STATUS, required=True))),
    Route("POST", f"{_ONE}/action", force_delete, rule=_ADMIN + "force_delete", action="os-force_delete", success=202,
          unit="write", body=Body("os-force_delete", whole=ANYTHING)),
]  # fmt: skip
