"""Snapshots of groups of volumes."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.paging import page_of as full_page
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, Page, View, utc_micros
from novalite.api.volume import shapes
from novalite.api.volume.shapes import ANY_QUERY, NAME, ROOT, UUID, named
from novalite.cloud.compute import group_snapshots
from novalite.cloud.volume import groups
from novalite.cloud.volume.records import GroupSnapshot
from novalite.errors import Invalid

SUMMARY = View(Field("id", schema=answers.UUID), Field("name", schema=answers.TEXT_OR_NULL))
MADE = SUMMARY.extended(Field("group_type_id", schema=answers.UUID))
DETAIL = MADE.extended(
    Field("group_id", schema=answers.UUID),
    Field("status", schema=answers.TEXT),
    Field("created_at", lambda item, call: utc_micros(item.created_at), schema=answers.MOMENT),
    Field("description", schema=answers.TEXT_OR_NULL),
    Field("project_id", since="3.58", schema=answers.TEXT),
)
_NEW = Body("group_snapshot", Item("group_id", UUID, required=True), Item("name", NAME), Item("description", NAME))
_CHANGE = Body("group_snapshot", Item("name", NAME), Item("description", NAME))
_QUERY = Query(*(Item(name, ANY_QUERY) for name in sorted(shapes.PAGING_NAMES)))
_EQUAL = {name: name for name in ("id", "name", "status", "group_id")}


def _page(call: Call) -> Page:
    wanted = shapes.page(call)
    which = shapes.filters(call, _EQUAL)
    rows = groups.list_all(call.w, GroupSnapshot, wanted, equal=which.equal, all_projects=which.all_projects,
                           offset=shapes.offset(call))  # fmt: skip
    return full_page(rows, wanted.limit)


def show(call: Call) -> GroupSnapshot:
    return groups.get_snapshot(call.w, call.path["id"])


def create(call: Call) -> GroupSnapshot:
    names: dict[str, Any] = {"name": None, "description": None, **named(call.body)}
    return group_snapshots.create(call.w, call.body["group_id"], **names)


def update(call: Call) -> GroupSnapshot:
    found, values = groups.get_snapshot(call.w, call.path["id"]), named(call.body)
    if not values:
        raise Invalid("Invalid input for field/attribute group_snapshot. There is nothing to change.",
                      field="group_snapshot")  # fmt: skip
    return groups.rename_snapshot(call.w, found.id, values)


def delete(call: Call) -> None:
    groups.delete_snapshot(call.w, call.path["id"])


def reset_status(call: Call) -> None:
    groups.reset_snapshot_status(call.w, call.path["id"], call.body["status"])


_STATUS = {"enum": ["available", "creating", "deleting", "error", "error_deleting"]}
_ALL, _ONE = f"{ROOT}/group_snapshots", f"{ROOT}/group_snapshots/{{id}}"
_SINCE: dict[str, Any] = {"since": "3.14"}
ROUTES = [
    Route("GET", _ALL, _page, rule="group:get_all_group_snapshots", query=_QUERY,
          view=SUMMARY.many("group_snapshots", nova_links), unit="read", **_SINCE),
    Route("GET", f"{_ALL}/detail", _page, rule="group:get_all_group_snapshots", query=_QUERY,
          view=DETAIL.many("group_snapshots", nova_links), unit="read", **_SINCE),
    Route("POST", _ALL, create, rule="group:create_group_snapshot", body=_NEW, view=MADE.one("group_snapshot"),
          success=202, unit="write", **_SINCE),
    Route("GET", _ONE, show, rule="group:get_group_snapshot", view=DETAIL.one("group_snapshot"), unit="read", **_SINCE),
    Route("PUT", _ONE, update, rule="group:update_group_snapshot", body=_CHANGE, view=MADE.one("group_snapshot"),
          unit="write", **_SINCE),
    Route("DELETE", _ONE, delete, rule="group:delete_group_snapshot", success=202, unit="write", **_SINCE),
    Route("POST", f"{_ONE}/action", reset_status, rule="group:reset_group_snapshot_status", action="reset_status",
          success=202, unit="write", body=Body("reset_status", Item("status", _STATUS, required=True)), since="3.19"),
]  # fmt: skip
