"""Snapshots of volumes, and what admins do to them."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.paging import page_of as full_page
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, Page, View
from novalite.api.volume import shapes
from novalite.api.volume.shapes import ANY_QUERY, ANYTHING, BOOLEAN, CREATED, EXTENSION, METADATA, NAMES, ROOT, named
from novalite.cloud.volume import listing, snapshots
from novalite.cloud.volume.records import Snapshot
from novalite.errors import Invalid


def _progress(item: Snapshot, call: Call) -> str:
    return item.progress or ("100%" if item.status == "available" else "0%")


SUMMARY = View(
    Field("id", schema=answers.UUID), Field("name", schema=answers.TEXT_OR_NULL),
    Field("description", schema=answers.TEXT_OR_NULL), Field("volume_id", schema=answers.UUID),
    Field("status", schema=answers.TEXT), Field("size", "size_gib", schema=answers.WHOLE),
    Field("metadata", "metadata_items", schema=answers.TEXT_BY_NAME), *CREATED,
    Field("user_id", since="3.41", schema=answers.TEXT),
)  # fmt: skip
DETAIL = SUMMARY.extended(
    Field("os-extended-snapshot-attributes:progress", _progress, schema=answers.TEXT),
    Field("os-extended-snapshot-attributes:project_id", "project_id", schema=answers.TEXT),
    Field("group_snapshot_id", since="3.14", schema=answers.nullable(answers.UUID)),
    Field("consumes_quota", lambda item, call: True, since="3.65", schema=answers.FLAG),
)
_NEW = Body(
    "snapshot",
    *NAMES,
    Item("volume_id", shapes.UUID_OR_NULL, required=True),
    Item("force", {**BOOLEAN, "type": ["boolean", "string", "null"], "enum": [*BOOLEAN["enum"], None]}),
    Item("metadata", {**METADATA, "type": ["object", "null"]}),
)
_CHANGE = Body("snapshot", *NAMES)
_QUERY = Query(*(Item(name, ANY_QUERY) for name in sorted(shapes.PAGING_NAMES)))
_EQUAL = {"id": "id", "name": "name", "display_name": "name", "status": "status", "volume_id": "volume_id",
          "user_id": "user_id", "-project_id": "project_id"}  # fmt: skip


def create(call: Call) -> Snapshot:
    body = call.body
    force = shapes.truth(body.get("force"))
    if call.since("3.66"):  # what is in use may be copied without saying so; asking not to is refused
        if body.get("force") is not None and not force:
            raise Invalid("Invalid input for field/attribute force. Since 3.66 it can only be true.", field="force")
        force = True
    return snapshots.create(
        call.w, body["volume_id"] or "", metadata=body.get("metadata") or {}, force=force,
        **{"name": None, "description": None, **named(body)},
    )  # fmt: skip


def _page(call: Call) -> Page:
    wanted = shapes.page(call)
    which = shapes.filters(call, _EQUAL, also=("metadata", "consumes_quota"), times=True)
    page = full_page(listing.page_of(call.w, Snapshot, which, wanted, offset=shapes.offset(call)), wanted.limit)
    if call.since("3.45") and shapes.flag(call, "with_count"):
        page.extra["count"] = listing.count(call.w, Snapshot, which)
    return page


def show(call: Call) -> Snapshot:
    return snapshots.get(call.w, call.path["id"])


def update(call: Call) -> Snapshot:
    values = named(call.body)
    if not values:
        raise Invalid("Invalid input for field/attribute snapshot. There is nothing to change.", field="snapshot")
    return snapshots.update(call.w, call.path["id"], values)


def delete(call: Call) -> None:
    snapshots.delete(call.w, call.path["id"])


def force_delete(call: Call) -> None:
    snapshots.delete(call.w, call.path["id"], force=True)


def reset_status(call: Call) -> None:
    found = snapshots.get(call.w, call.path["id"])
    snapshots.change(call.w, found.id, {"status": call.body["status"].lower()})


def report_status(call: Call) -> None:
    """Who makes snapshots elsewhere tells how far they are; here they end by themselves."""
    found = snapshots.get(call.w, call.path["id"])
    allowed = {"creating": ("creating", "available", "error"), "deleting": ("deleting", "error_deleting")}
    status = call.body["status"].lower()
    if status not in allowed.get(found.status, ()):
        raise Invalid(f"Snapshot {found.id} cannot go from {found.status} to {status}.", field="status")
    said = {"progress": call.body["progress"]} if call.body.get("progress") else {}
    snapshots.change(call.w, found.id, {"status": status, **said})


_STATUSES = ("available", "creating", "deleting", "error", "error_deleting")
_STATUS = Item(
    "status", {"type": "string", "enum": [*_STATUSES, *(one.upper() for one in _STATUSES)]}, required=True
)  # fmt: skip


def _action(name: str, handler: Any, rule: str, body: Body) -> Route:
    return Route("POST", f"{_ONE}/action", handler, rule=rule, action=name, success=202, unit="write", body=body)


_ALL, _ONE = f"{ROOT}/snapshots", f"{ROOT}/snapshots/{{id}}"
_ADMIN = EXTENSION + "snapshot_admin_actions:"
ROUTES = [
    Route("GET", _ALL, _page, rule="volume:get_all_snapshots", query=_QUERY,
          view=SUMMARY.many("snapshots", nova_links, shapes.COUNTED), unit="read"),
    Route("GET", f"{_ALL}/detail", _page, rule="volume:get_all_snapshots", query=_QUERY,
          view=DETAIL.many("snapshots", nova_links, shapes.COUNTED), unit="read"),
    Route("POST", _ALL, create, rule="volume:create_snapshot", body=_NEW, view=SUMMARY.one("snapshot"), success=202,
          unit="write"),
    Route("GET", _ONE, show, rule="volume:get_snapshot", view=DETAIL.one("snapshot"), unit="read"),
    Route("PUT", _ONE, update, rule="volume:update_snapshot", body=_CHANGE, view=SUMMARY.one("snapshot"),
          unit="write"),
    Route("DELETE", _ONE, delete, rule="volume:delete_snapshot", success=202, unit="write"),
    _action("os-reset_status", reset_status, _ADMIN + "reset_status", Body("os-reset_status", _STATUS)),
    _action("os-force_delete", force_delete, _ADMIN + "force_delete", Body("os-force_delete", whole=ANYTHING)),
    _action("os-update_snapshot_status", report_status,
            "snapshot_extension:snapshot_actions:update_snapshot_status",
            Body("os-update_snapshot_status", _STATUS,
                 Item("progress", {"type": ["string", "null"], "maxLength": 255}))),
]  # fmt: skip
