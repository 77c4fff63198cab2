"""Groups of volumes."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.paging import page_of as full_page
from novalite.api.kit.routes import Route
from novalite.api.kit.view import ABSENT, Field, Page, View, utc_micros
from novalite.api.volume import shapes
from novalite.api.volume.shapes import ANY_QUERY, BOOLEAN, NAME, REQUIRED_NAME, ROOT, flag, named, truth
from novalite.cloud.volume import group_members, groups
from novalite.cloud.volume.records import VolumeGroup
from novalite.errors import Invalid


class Shown:
    """A group with its volumes, where they are asked for."""

    def __init__(self, group: VolumeGroup, volume_ids: list[str] | None) -> None:
        self._group, self.volumes = group, volume_ids

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)


def _volumes(item: Any, call: Call) -> Any:
    return ABSENT if getattr(item, "volumes", None) is None else item.volumes


SUMMARY = View(Field("id", schema=answers.UUID), Field("name", schema=answers.TEXT_OR_NULL))
_SOURCE = answers.nullable(answers.UUID)
DETAIL = SUMMARY.extended(
    Field("status", schema=answers.TEXT),
    Field("availability_zone", schema=answers.TEXT),
    Field("created_at", lambda item, call: utc_micros(item.created_at), schema=answers.MOMENT),
    Field("description", schema=answers.TEXT_OR_NULL),
    Field("group_type", "group_type_id", schema=answers.UUID),
    Field("volume_types", schema=answers.array(answers.UUID)),
    Field("group_snapshot_id", since="3.14", schema=_SOURCE),
    Field("source_group_id", since="3.14", schema=_SOURCE),
    Field("volumes", _volumes, since="3.25", schema=answers.array(answers.UUID)),
    Field("replication_status", lambda item, call: "disabled", since="3.38", schema=answers.TEXT),
    Field("project_id", since="3.58", schema=answers.TEXT),
)
_TYPES = {"type": "array", "items": REQUIRED_NAME, "minItems": 1, "maxItems": 64, "uniqueItems": True}
_NEW = Body("group", Item("name", NAME), Item("description", NAME), Item("group_type", REQUIRED_NAME, required=True),
            Item("volume_types", _TYPES, required=True), Item("availability_zone", NAME))  # fmt: skip
_IDS = {"type": ["string", "null"], "maxLength": 8192}
_CHANGE = Body("group", Item("name", NAME), Item("description", NAME), Item("add_volumes", _IDS),
               Item("remove_volumes", _IDS))  # fmt: skip
_FROM = Body(
    "create-from-src", Item("name", NAME), Item("description", NAME),
    Item("group_snapshot_id", shapes.UUID_OR_NULL), Item("source_group_id", shapes.UUID_OR_NULL),
)  # fmt: skip
_QUERY = Query(*(Item(name, ANY_QUERY) for name in (*sorted(shapes.PAGING_NAMES), "list_volume")))
_EQUAL = {name: name for name in ("id", "name", "status")} | {"group_type": "group_type_id"}


def _page(call: Call) -> Page:
    wanted = shapes.page(call)
    which = shapes.filters(call, _EQUAL, also=("list_volume",))
    rows = groups.list_all(call.w, VolumeGroup, wanted, equal=which.equal, all_projects=which.all_projects,
                           offset=shapes.offset(call))  # fmt: skip
    page = full_page(rows, wanted.limit)
    return Page(_shown(call, rows), page.next_marker)


def _shown(call: Call, rows: list[VolumeGroup]) -> list[Shown]:
    if not flag(call, "list_volume"):
        return [Shown(row, None) for row in rows]
    found = groups.volumes_of(call.w, [row.id for row in rows])
    return [Shown(row, [volume.id for volume in found[row.id]]) for row in rows]


def show(call: Call) -> Shown:
    return _shown(call, [group_members.get(call.w, call.path["id"])])[0]


def create(call: Call) -> VolumeGroup:
    body = call.body
    return groups.create(
        call.w, group_type=body["group_type"], volume_types=body["volume_types"],
        zone=body.get("availability_zone") or "", **_named(call),
    )  # fmt: skip


def _named(call: Call) -> dict[str, Any]:
    return {"name": None, "description": None, **named(call.body)}


def create_from(call: Call) -> VolumeGroup:
    sources = [name for name in ("group_snapshot_id", "source_group_id") if call.body.get(name)]
    if len(sources) != 1:
        raise Invalid("Either 'group_snapshot_id' or 'source_group_id' must be provided to create a group from source.",
                      field="group_snapshot_id")  # fmt: skip
    return groups.create_from(call.w, **{sources[0]: call.body[sources[0]]}, **_named(call))


def update(call: Call) -> None:
    values, add, remove = named(call.body), _ids(call, "add_volumes"), _ids(call, "remove_volumes")
    if not values and not add and not remove:
        raise Invalid("At least one of the following keys must be in request body: name, description, add_volumes, "
                      "remove_volumes.", field="group")  # fmt: skip
    groups.update(call.w, call.path["id"], values, add=add, remove=remove)


def _ids(call: Call, name: str) -> list[str]:
    return [part.strip() for part in (call.body.get(name) or "").split(",") if part.strip()]


def delete(call: Call) -> None:
    groups.delete(call.w, call.path["id"], with_volumes=truth(call.body.get("delete-volumes", False)))


def reset_status(call: Call) -> None:
    groups.reset_status(call.w, call.path["id"], call.body["status"])


_STATUS = {"enum": ["available", "creating", "deleting", "error", "error_deleting", "updating"]}
_ALL, _ONE = f"{ROOT}/groups", f"{ROOT}/groups/{{id}}"
ROUTES = [
    Route("GET", _ALL, _page, rule="group:get_all", query=_QUERY, view=SUMMARY.many("groups", nova_links),
          unit="read", since="3.13"),
    Route("GET", f"{_ALL}/detail", _page, rule="group:get_all", query=_QUERY, view=DETAIL.many("groups", nova_links),
          unit="read", since="3.13"),
    Route("POST", _ALL, create, rule="group:create", body=_NEW, view=SUMMARY.one("group"), success=202, unit="write",
          since="3.13"),
    Route("POST", f"{_ALL}/action", create_from, rule="group:create", action="create-from-src", body=_FROM,
          view=SUMMARY.one("group"), success=202, unit="write", since="3.14"),
    Route("GET", _ONE, show, rule="group:get", query=_QUERY, view=DETAIL.one("group"), unit="read", since="3.13"),
    Route("PUT", _ONE, update, rule="group:update", body=_CHANGE, success=202, unit="write", since="3.13"),
    Route("POST", f"{_ONE}/action", delete, rule="group:delete", action="delete", success=202, unit="write",
          body=Body("delete", Item("delete-volumes", BOOLEAN)), since="3.13"),
    Route("POST", f"{_ONE}/action", reset_status, rule="group:reset_status", action="reset_status", success=202,
          unit="write", body=Body("reset_status", Item("status", _STATUS, required=True)), since="3.20"),
]  # fmt: skip
