"""Volumes: create, list, show, change, delete, and a summary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.paging import page_of as full_page
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Page
from novalite.api.volume import shapes
from novalite.api.volume.shapes import ANY_QUERY, BOOLEAN, METADATA, NAME, NAMES, NULL, ROOT, flag, named
from novalite.api.volume.volume_view import ANSWERED, DETAIL, SUMMARY, Shown, one, shown
from novalite.cloud.identity import policy
from novalite.cloud.volume import listing, new_volumes, volumes
from novalite.cloud.volume.records import Volume
from novalite.errors import Invalid

_NEW = Body(
    "volume",
    *NAMES,
    Item("size", shapes.SIZE_OR_NULL),
    Item("volume_type", NAME),
    Item("metadata", {**METADATA, "type": ["object", "null"]}),
    Item("availability_zone", NAME),
    Item("snapshot_id", shapes.UUID_OR_NULL),
    Item("source_volid", shapes.UUID_OR_NULL),
    Item("imageRef", {"type": ["string", "null"], "maxLength": 255}),
    Item("image_id", {"type": ["string", "null"], "maxLength": 255}),
    Item("multiattach", {**BOOLEAN, "type": ["boolean", "string", "null"], "enum": [*BOOLEAN["enum"], None]}),
    # Parts that are not offered may be named as absent, as old clients do; so may what nobody can choose.
    Item("consistencygroup_id", NULL),
    Item("group_id", NULL, until="3.12"),
    Item("group_id", shapes.UUID_OR_NULL, since="3.13"),
    Item("backup_id", NULL, until="3.46"),
    Item("backup_id", shapes.UUID_OR_NULL, since="3.47"),
    Item("source_replica", NULL),
    Item("user_id", NULL),
    Item("project_id", NULL),
    Item("status", {"enum": ["creating", None]}),
    Item("attach_status", {"enum": ["detached", None]}),
    beside=(Item("OS-SCH-HNT:scheduler_hints", {"type": ["object", "null"], "maxProperties": 0}),),
)
_CHANGE = Body("volume", *NAMES, Item("metadata", METADATA))
_SUMMED = Told(
    "volume-summary",
    Item("total_size", answers.WHOLE, required=True),
    Item("total_count", answers.WHOLE, required=True),
    Item("metadata", answers.mapping(answers.TEXTS), required=True, since="3.36"),
)
_QUERY = Query(*(Item(name, ANY_QUERY) for name in sorted(shapes.PAGING_NAMES)))
_EQUAL = {
    "id": "id", "name": "name", "display_name": "name", "status": "status", "availability_zone": "availability_zone",
    "snapshot_id": "snapshot_id", "source_volid": "source_volume_id", "image_id": "image_id",
    "volume_type_id": "type_id", "user_id": "user_id", "-project_id": "project_id", "-host": "host",
    "group_id": "group_id",
}  # fmt: skip
_ALSO = ("metadata", "glance_metadata", "bootable", "size", "multiattach", "volume_type", "consumes_quota")


def create(call: Call) -> Shown:
    body = call.body
    image_id = _image_ref(body.get("imageRef") or body.get("image_id") or "")
    if image_id:
        policy.require("volume:create_from_image", call.ctx)
    if shapes.truth(body.get("multiattach")):
        policy.require("volume:multiattach", call.ctx)
    snapshot_id = body.get("snapshot_id") or ""
    if image_id and not snapshot_id and call.since("3.46"):
        snapshot_id = new_volumes.snapshot_of_image(call.w, image_id)
        image_id = "" if snapshot_id else image_id
    new = new_volumes.NewVolume(
        size_gib=_size(body.get("size")), metadata=body.get("metadata") or {}, type=body.get("volume_type") or "",
        availability_zone=body.get("availability_zone") or "", image_id=image_id, snapshot_id=snapshot_id,
        source_volume_id=body.get("source_volid") or "",
        backup_id=body.get("backup_id") or "", group_id=body.get("group_id") or "",
        multiattach=shapes.truth(body.get("multiattach")), **named(body),
    )  # fmt: skip
    return one(call.w, new_volumes.create(call.w, new))


def _size(given: Any) -> int:
    size = int(given) if given is not None else 0
    if given is not None and size < 1:
        raise Invalid(f"Invalid input for field/attribute size. Value: {size}. It must be at least 1.", field="size")
    return size


def _image_ref(text: str) -> str:
    """The id in a reference, which may be a whole URL."""
    return text.rstrip("/").rpartition("/")[2]


def _filters(call: Call) -> listing.Filters:
    found = shapes.filters(call, _EQUAL, also=_ALSO, times=True)
    equal = dict(found.equal)
    for name in ("bootable", "multiattach"):
        if name in call.query:
            equal[name] = flag(call, name)
    if "size" in call.query:
        text = call.query["size"]
        equal["size_gib"] = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    facts = shapes.items(call, "glance_metadata") if call.since("3.4") else {}
    return replace(found, equal=equal, image_metadata=facts, type=call.query.get("volume_type", ""))


def _page(call: Call, *, detailed: bool) -> Page:
    wanted, which = shapes.page(call), _filters(call)
    rows = listing.page_of(call.w, Volume, which, wanted, offset=shapes.offset(call))
    whole = full_page(rows, wanted.limit)
    page = Page(shown(call.w, rows) if detailed else rows, whole.next_marker)
    if call.since("3.45") and flag(call, "with_count"):
        page.extra["count"] = listing.count(call.w, Volume, which)
    return page


def list_short(call: Call) -> Page:
    return _page(call, detailed=False)


def list_detail(call: Call) -> Page:
    return _page(call, detailed=True)


def show(call: Call) -> Shown:
    return one(call.w, volumes.get(call.w, call.path["volume_id"]))


def update(call: Call) -> Shown:
    values = named(call.body)
    if "metadata" in call.body:
        values["metadata_items"] = call.body["metadata"]
    if not values:
        raise Invalid("Invalid input for field/attribute volume. There is nothing to change.", field="volume")
    volumes.update(call.w, call.path["volume_id"], values)
    return show(call)


def delete(call: Call) -> None:
    forced = call.since("3.23") and flag(call, "force")
    if forced:
        policy.require("volume:force_delete", call.ctx)
    volumes.delete(call.w, call.path["volume_id"], cascade=flag(call, "cascade"), force=forced)


def summary(call: Call) -> dict[str, Any]:
    found = listing.summary(call.w, _filters(call))
    told: dict[str, Any] = {"total_size": found.size_gib, "total_count": found.count}
    if call.since("3.36"):
        told["metadata"] = found.metadata
    return {"volume-summary": told}


_ALL, _ONE = f"{ROOT}/volumes", f"{ROOT}/volumes/{{volume_id}}"
ROUTES = [
    Route("GET", _ALL, list_short, rule="volume:get_all", query=_QUERY,
          view=SUMMARY.many("volumes", nova_links, shapes.COUNTED), unit="read"),
    Route("GET", f"{_ALL}/detail", list_detail, rule="volume:get_all", query=_QUERY,
          view=DETAIL.many("volumes", nova_links, shapes.COUNTED), unit="read"),
    Route("GET", f"{_ALL}/summary", summary, rule="volume:get_all", query=_QUERY, view=_SUMMED, unit="read",
          since="3.12"),
    Route("POST", _ALL, create, rule="volume:create", body=_NEW, view=ANSWERED.one("volume"), success=202,
          unit="write"),
    Route("GET", _ONE, show, rule="volume:get", view=DETAIL.one("volume"), unit="read"),
    Route("PUT", _ONE, update, rule="volume:update", body=_CHANGE, view=ANSWERED.one("volume"), unit="write"),
    Route("DELETE", _ONE, delete, rule="volume:delete", success=202, unit="write"),
]  # fmt: skip
