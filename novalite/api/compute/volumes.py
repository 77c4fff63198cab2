"""Volumes and their snapshots as Compute showed them up to 2.35."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from novalite.api.compute.shapes import BOOLEAN, NUMBER_QUERY, POSITIVE, ROOT, RULE, truth
from novalite.api.kit.answers import MOMENT, TEXT, TEXT_BY_NAME, TEXT_OR_NULL, UUID, WHOLE, array, record
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.paging import limit, whole_number
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View, utc_micros
from novalite.cloud.volume import attachments, listing, new_volumes, snapshots, types, volumes
from novalite.cloud.volume.records import Snapshot, Volume, VolumeAttachment
from novalite.db.paging import Page

_MOST = 1000


class _Shown:
    """A volume with its attachments and the name of its type."""

    def __init__(self, volume: Volume, of_it: list[VolumeAttachment], type_name: str | None) -> None:
        self.volume, self.attachments, self.type_name = volume, of_it, type_name


def _attachments(item: _Shown, call: Call) -> list[dict[str, Any]]:
    """One at most, and an empty one where there is none: so the shape was."""
    for one in item.attachments:
        if one.status == attachments.ATTACHED:
            there = {"id": item.volume.id, "volumeId": item.volume.id, "serverId": one.server_id}
            return [there | ({"device": one.device} if one.device else {})]
    return [{}]


_ATTACHMENT = record(
    {"id": UUID, "volumeId": UUID, "serverId": UUID, "device": TEXT}, optional=["id", "volumeId", "serverId", "device"]
)
VOLUME = View(
    Field("id", "volume.id", schema=UUID),
    Field("status", "volume.status", schema=TEXT),
    Field("size", "volume.size_gib", schema=WHOLE),
    Field("availabilityZone", "volume.availability_zone", schema=TEXT_OR_NULL),
    Field("createdAt", lambda item, call: utc_micros(item.volume.created_at), schema=MOMENT),
    Field("attachments", _attachments, schema=array(_ATTACHMENT)),
    Field("displayName", "volume.name", schema=TEXT_OR_NULL),
    Field("displayDescription", "volume.description", schema=TEXT_OR_NULL),
    Field("volumeType", "type_name", schema=TEXT_OR_NULL),
    Field("snapshotId", "volume.snapshot_id", schema=TEXT_OR_NULL),
    Field("metadata", "volume.metadata_items", schema=TEXT_BY_NAME),
)
SNAPSHOT = View(
    Field("id", schema=UUID),
    Field("volumeId", "volume_id", schema=UUID),
    Field("status", schema=TEXT),
    Field("size", "size_gib", schema=WHOLE),
    Field("createdAt", lambda item, call: utc_micros(item.created_at), schema=MOMENT),
    Field("displayName", "name", schema=TEXT_OR_NULL),
    Field("displayDescription", "description", schema=TEXT_OR_NULL),
)
_TEXT = {"type": "string"}
_NEW = Body(
    "volume",
    Item("volume_type", _TEXT),
    Item("metadata", {"type": ["object", "null"], "additionalProperties": {"type": "string", "maxLength": 255}}),
    Item("snapshot_id", _TEXT),
    Item("size", POSITIVE, required=True),
    Item("availability_zone", _TEXT),
    Item("display_name", {**_TEXT, "maxLength": 255}),
    Item("display_description", {**_TEXT, "maxLength": 255}),
)
_NEW_SNAPSHOT = Body(
    "snapshot",
    Item("volume_id", _TEXT, required=True),
    Item("force", BOOLEAN),
    Item("display_name", {**_TEXT, "maxLength": 255}),
    Item("display_description", {**_TEXT, "maxLength": 255}),
)
_QUERY = Query(Item("limit", NUMBER_QUERY), Item("offset", NUMBER_QUERY))


def _shown(call: Call, rows: list[Volume]) -> list[_Shown]:
    of_them = attachments.of_volumes(call.w, [volume.id for volume in rows])
    names = types.names(call.w)
    return [_Shown(volume, of_them[volume.id], names.get(volume.type_id or "")) for volume in rows]


def _rows(call: Call, record: Any) -> list[Any]:
    start = min(whole_number(call, "offset") or 0, 2**31)
    return listing.page_of(call.w, record, listing.Filters(), Page(limit(call, _MOST)), offset=start)


def list_volumes(call: Call) -> list[_Shown]:
    return _shown(call, _rows(call, Volume))


def show_volume(call: Call) -> _Shown:
    return _shown(call, [volumes.get(call.w, call.path["id"])])[0]


def create_volume(call: Call) -> Answer:
    body = call.body
    made = new_volumes.create(
        call.w,
        new_volumes.NewVolume(
            size_gib=int(body["size"]), name=body.get("display_name"), description=body.get("display_description"),
            metadata=body.get("metadata") or {}, type=body.get("volume_type", ""),
            availability_zone=body.get("availability_zone", ""), snapshot_id=body.get("snapshot_id", ""),
        ),
    )  # fmt: skip
    return Answer(_shown(call, [made])[0], headers={"Location": call.link(f"{ROOT}/os-volumes/{made.id}")})


def delete_volume(call: Call) -> None:
    volumes.delete(call.w, call.path["id"])


def list_snapshots(call: Call) -> list[Snapshot]:
    return _rows(call, Snapshot)


def show_snapshot(call: Call) -> Snapshot:
    return snapshots.get(call.w, call.path["id"])


def create_snapshot(call: Call) -> Snapshot:
    body = call.body
    return snapshots.create(
        call.w, body["volume_id"], name=body.get("display_name"), description=body.get("display_description"),
        force=truth(body.get("force", False)),
    )  # fmt: skip


def delete_snapshot(call: Call) -> None:
    snapshots.delete(call.w, call.path["id"])


def _collection(
    noun: str, rule: str, view: View, key: str, new: Body, on: tuple[Callable[[Call], Any], ...]
) -> list[Route]:
    listed, shown, created, deleted = on
    path, until = f"{ROOT}/{noun}", "2.35"
    many, one = view.many(f"{key}s"), view.one(key)
    return [
        Route("GET", path, listed, rule=rule + "list", query=_QUERY, view=many, unit="read", until=until),
        Route("GET", f"{path}/detail", listed, rule=rule + "detail", query=_QUERY, view=many, unit="read",
              until=until),
        Route("POST", path, created, rule=rule + "create", body=new, view=one, unit="write", until=until),
        Route("GET", f"{path}/{{id}}", shown, rule=rule + "show", view=one, unit="read", until=until),
        Route("DELETE", f"{path}/{{id}}", deleted, rule=rule + "delete", success=202, unit="write", until=until),
    ]  # fmt: skip


_RULE = RULE + "os-volumes:"
ROUTES = [
    *_collection("os-volumes", _RULE, VOLUME, "volume", _NEW,
                 (list_volumes, show_volume, create_volume, delete_volume)),
    *_collection("os-snapshots", _RULE + "snapshots:", SNAPSHOT, "snapshot", _NEW_SNAPSHOT,
                 (list_snapshots, show_snapshot, create_snapshot, delete_snapshot)),
]  # fmt: skip
