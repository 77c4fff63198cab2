"""Images as Compute showed them: the image service's own, in its older form, and by its rules."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.instance_actions import moment_of
from novalite.api.compute.shapes import ANY_QUERY, METADATA, NUMBER_QUERY, ROOT, item_links, truth
from novalite.api.kit.answers import (
    LINKS,
    MOMENT,
    TEXT,
    TEXT_BY_NAME,
    TEXT_OR_NULL,
    UUID,
    WHOLE,
    Told,
    record,
)
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, nova_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import ABSENT, Field, Page, View, utc_seconds
from novalite.cloud.compute import snapshots
from novalite.cloud.image import images
from novalite.cloud.image.filters import Filters
from novalite.cloud.image.records import Image
from novalite.db.paging import Page as Window
from novalite.errors import Invalid, NotFound

_STATUS = {"active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "importing": "SAVING", "killed": "ERROR"}
_PROGRESS = {"queued": 25, "saving": 50, "active": 100}
_STORED = {"ACTIVE": ("active",), "SAVING": ("queued", "saving"), "DELETED": ("deleted",), "ERROR": ("killed",)}


def _links(image: Image, call: Call) -> list[dict[str, str]]:
    other = {"rel": "alternate", "type": "application/vnd.openstack.image"}
    return [*item_links(call, "images", image.id), {**other, "href": f"{call.origin}/image/images/{image.id}"}]


def _server(image: Image, call: Call) -> Any:
    server_id = image.properties.get("instance_uuid")
    return {"id": server_id, "links": item_links(call, "servers", server_id)} if server_id else ABSENT


def _disk_config(image: Image, call: Call) -> Any:
    wish = image.properties.get("auto_disk_config")
    return ABSENT if wish is None else ("AUTO" if truth(wish) else "MANUAL")


BASIC = View(Field("id", schema=UUID), Field("name", schema=TEXT_OR_NULL), Field("links", _links, schema=LINKS))
DETAIL = BASIC.extended(
    Field("minRam", "min_ram", schema=WHOLE),
    Field("minDisk", "min_disk", schema=WHOLE),
    Field("metadata", "properties", schema=TEXT_BY_NAME),
    Field("created", lambda image, call: utc_seconds(image.created_at), schema=MOMENT),
    Field("updated", lambda image, call: utc_seconds(image.updated_at), schema=MOMENT),
    Field("status", lambda image, call: _STATUS.get(image.status, "UNKNOWN"), schema=TEXT),
    Field("progress", lambda image, call: _PROGRESS.get(image.status, 0), schema=WHOLE),
    Field("OS-EXT-IMG-SIZE:size", lambda image, call: image.size or 0, schema=WHOLE),
    Field("OS-DCF:diskConfig", _disk_config, schema=TEXT),
    Field("server", _server, schema=record({"id": TEXT, "links": LINKS})),
)


def _filters(call: Call) -> Filters:
    given = {name: call.query[name] for name in ("name", "status", "server") if call.query.get(name)}
    any_of: dict[str, tuple[Any, ...]] = {}
    if "name" in given:
        any_of["name"] = (given["name"],)
    if "status" in given:
        any_of["status"] = _STORED.get(given["status"].upper(), (given["status"],))
    for text, column in (("minRam", "min_ram"), ("minDisk", "min_disk")):
        if call.query.get(text):
            any_of[column] = (int(call.query[text]),)
    wanted = {name[9:]: value for name, value in call.query.items() if name.startswith("property-") and name[9:]}
    if "server" in given:
        wanted["instance_uuid"] = given["server"].rstrip("/").rpartition("/")[2]
    if call.query.get("type"):
        wanted["image_type"] = call.query["type"]
    return Filters(any_of=any_of, properties=wanted, times=_times(call))


def _times(call: Call) -> tuple[tuple[str, str, Any], ...]:
    moment = moment_of(call, "changes-since")
    return (("updated_at", "gte", moment),) if moment else ()


def list_all(call: Call) -> Page:
    most = limit(call)
    found = images.list_visible(call.w, _filters(call), Window(most, call.query.get("marker", ""))) if most else []
    return Page(found, found[-1].id if found and len(found) >= most else "")


def _get(call: Call) -> Image:
    image_id = call.path["image_id"]
    try:
        return images.get(call.w, image_id)
    except NotFound as error:
        raise NotFound("image", image_id, message=f"Image {image_id} could not be found.") from error


def show(call: Call) -> Image:
    return _get(call)


def delete(call: Call) -> None:
    """The bytes go once the record is gone."""
    image_id = call.path["image_id"]
    with call.parts.database.write(call.ctx) as w:
        images.delete(w, image_id)
    call.parts.image_store.delete(image_id)


def _limited(call: Call, items: dict[str, str]) -> dict[str, str]:
    snapshots.check_metadata(call.w, items)
    return items


def _set(call: Call, items: dict[str, str]) -> dict[str, Any]:
    return {"metadata": images.update(call.w, call.path["image_id"], {"properties": items}).properties}


def show_metadata(call: Call) -> dict[str, Any]:
    return {"metadata": _get(call).properties}


def merge_metadata(call: Call) -> dict[str, Any]:
    return _set(call, _limited(call, {**_get(call).properties, **call.body}))


def replace_metadata(call: Call) -> dict[str, Any]:
    _get(call)
    return _set(call, _limited(call, dict(call.body)))


def _value(call: Call) -> str:
    found, key = _get(call).properties, call.path["key"]
    if key not in found:
        raise NotFound("metadata item", key, message="Metadata item was not found")
    return str(found[key])


def show_item(call: Call) -> dict[str, Any]:
    return {"meta": {call.path["key"]: _value(call)}}


def put_item(call: Call) -> dict[str, Any]:
    if list(call.body) != [call.path["key"]]:
        raise Invalid("Request body and URI mismatch", field="meta")
    _set(call, _limited(call, {**_get(call).properties, **call.body}))
    return {"meta": call.body}


def remove_item(call: Call) -> None:
    _value(call)
    key = call.path["key"]
    _set(call, {name: value for name, value in _get(call).properties.items() if name != key})


_NUMBERS = ("limit", "minRam", "minDisk")
_TEXTS = ("marker", "name", "status", "server", "type", "changes-since")
_QUERY = Query(*(Item(name, NUMBER_QUERY) for name in _NUMBERS), *(Item(name, ANY_QUERY) for name in _TEXTS))
_ALL, _ONE = f"{ROOT}/images", f"{ROOT}/images/{{image_id}}"
_META, _KEY = f"{_ONE}/metadata", f"{_ONE}/metadata/{{key}}"
_TOLD, _ITEM_TOLD = Told("metadata", whole=TEXT_BY_NAME), Told("meta", whole=TEXT_BY_NAME)
_ITEMS, _ITEM = (
    Body("metadata", whole=METADATA),
    Body("meta", whole={**METADATA, "minProperties": 1, "maxProperties": 1}),
)


def _meta(method: str, path: str, handler: Any, body: Body | None = None, success: int = 200) -> Route:
    unit: Any = "read" if method == "GET" else "write"
    rule = "get_image" if method == "GET" else "modify_image"
    view = _TOLD if path == _META else _ITEM_TOLD
    return Route(method, path, handler, rule=rule, body=body, success=success, unit=unit, until="2.38",
                 view=None if method == "DELETE" else view)  # fmt: skip


ROUTES = [
    Route("GET", _ALL, list_all, rule="get_images", query=_QUERY, unit="read", view=BASIC.many("images", nova_links),
          until="2.35"),
    Route("GET", f"{_ALL}/detail", list_all, rule="get_images", query=_QUERY, unit="read",
          view=DETAIL.many("images", nova_links), until="2.35"),
    Route("GET", _ONE, show, rule="get_image", unit="read", view=DETAIL.one("image"), until="2.35"),
    Route("DELETE", _ONE, delete, rule="delete_image", success=204, until="2.35"),
    _meta("GET", _META, show_metadata),
    _meta("POST", _META, merge_metadata, _ITEMS),
    _meta("PUT", _META, replace_metadata, _ITEMS),
    _meta("GET", _KEY, show_item),
    _meta("PUT", _KEY, put_item, _ITEM),
    _meta("DELETE", _KEY, remove_item, success=204),
]  # fmt: skip
