"""Images filled by a task: staging bytes, asking for the import, what can be imported and where it is kept."""

from __future__ import annotations

from typing import Any

from novalite.api.image import data
from novalite.api.kit.answers import TEXT, Told, array, mapping, record
from novalite.api.kit.body import Body
from novalite.api.kit.call import Call
from novalite.api.kit.faults import Gone
from novalite.api.kit.routes import Route
from novalite.cloud.identity import quotas
from novalite.cloud.image import images, imports, usage
from novalite.errors import Invalid, NotFound

_METHOD: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 64}, "uri": {"type": "string", "maxLength": 2048}},
    "required": ["name"],
}
IMPORT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "method": _METHOD,
        "stores": {"type": "array", "items": {"type": "string", "maxLength": 64}, "maxItems": 16},
        "all_stores": {"type": "boolean"},
        "all_stores_must_succeed": {"type": "boolean"},
    },
    "required": ["method"],
}


def stage(call: Call) -> None:
    with data.thread_for_long(call.parts.settings.http.threads), data.refusals_heard(call):
        _stage(call)


def _stage(call: Call) -> None:
    """queued -> uploading, where the image stays; whatever goes wrong puts it back to queued."""
    image_id, staging = call.path["image_id"], call.parts.image_store.staging
    announced = call.content_length is not None
    blocks = data.blocks_of(call)
    with call.parts.database.write(call.ctx) as w:
        imports.begin_stage(w, image_id, call.content_length)
        owner = images.get(w, image_id).owner
        blocks = data.within(blocks, usage.room(w, owner, usage.STAGE, announced=announced), usage.STAGE)
    finished = False
    try:
        with data.full_disk_told():
            size = staging.receive(image_id, blocks)
        with call.parts.database.write(call.ctx) as w:
            finished = imports.finish_stage(w, image_id, size, announced=announced)
    finally:
        if not finished:
            staging.drop(image_id)
            with call.parts.database.write(call.ctx) as w:
                imports.fail_stage(w, image_id)
    if not finished:
        raise Gone(f"Image {image_id} was deleted during the upload.")


def methods(call: Call) -> list[str]:
    """With one store there is nowhere to copy to: ``copy-image`` is understood, but not offered."""
    offered = {"glance-direct": True, "web-download": call.parts.settings.images.web_download}
    return [name for name, is_offered in offered.items() if is_offered]


def begin(call: Call) -> None:
    asked: dict[str, Any] = call.body
    name, uri = asked["method"]["name"], asked["method"].get("uri", "")
    images.get_own(call.w, call.path["image_id"])
    if name not in (*methods(call), "copy-image"):
        raise Invalid(f"Unknown import method name '{name}'.", field="name")
    _require_stores(asked)
    if name == "web-download":
        require_uri(call, uri)
    elif uri:
        raise Invalid(f"The method {name} takes no uri.", field="uri")
    imports.request(call.w, call.path["image_id"], name, uri=uri, asked=asked)


def require_uri(call: Call, uri: str) -> None:
    """Raises ``Invalid`` for an address that images may not be fetched from, as far as its text tells."""
    if not uri:
        raise Invalid("Missing required 'uri' field for web-download import method.", field="uri")
    call.parts.image_store.staging.require_uri(uri)


def _require_stores(asked: dict[str, Any]) -> None:
    stores = asked.get("stores")
    if stores and asked.get("all_stores"):
        raise Invalid("All_stores parameter can't be used with stores parameter", field="stores")
    unknown = [name for name in stores or [] if name != imports.STORE]
    if unknown:
        raise Invalid(f"Store for image_id could not be found: {unknown[0]}", field="stores")
    if stores is not None and not stores:
        raise Invalid("The list of stores is empty.", field="stores")


def import_methods(call: Call) -> dict[str, Any]:
    about = {"description": "Import methods available.", "type": "array", "value": methods(call)}
    return {"import-methods": about}


def use(call: Call) -> dict[str, Any]:
    project_id = call.ctx.project_id
    limits, used = quotas.limits(call.w, project_id), usage.used(call.w, project_id)
    return {"usage": {name: {"limit": limits[name], "usage": used[name]} for name in usage.RESOURCES}}


def stores(call: Call) -> dict[str, Any]:
    return {"stores": [{"id": imports.STORE, "description": "Files of the machine", "default": "true"}]}


def stores_in_detail(call: Call) -> dict[str, Any]:
    store = stores(call)["stores"][0]
    return {"stores": [{**store, "type": "file", "weight": 0, "properties": {}}]}


def require_store(call: Call) -> None:
    """Deleting from the only store would be deleting the image, which is another request."""
    images.get_own(call.w, call.path["image_id"])
    if call.path["store"] != imports.STORE:
        raise NotFound("store", call.path["store"])
    raise Invalid("Cannot delete image data from the only store containing it. Consider deleting the image instead.",
                  field="store")  # fmt: skip


_ONE = "/v2/images/{image_id}"
_USED = record({"limit": {"type": "integer"}, "usage": {"type": "integer"}})
_STORE = {"id": TEXT, "description": TEXT, "default": TEXT}
_DETAILED = {**_STORE, "type": TEXT, "weight": {"type": "integer"}, "properties": {"type": "object"}}

ROUTES = [
    Route("PUT", _ONE + "/stage", stage, rule="modify_image", success=204, stream=True),
    Route("POST", _ONE + "/import", begin, rule="import_image", body=Body(whole=IMPORT), success=202, unit="write"),
    Route("GET", "/v2/info/import", import_methods, rule="get_info"),
    Route("GET", "/v2/info/usage", use, rule="get_info", view=Told(whole=record({"usage": mapping(_USED)})),
          unit="read"),
    Route("GET", "/v2/info/stores", stores, rule="get_info",
          view=Told(whole=record({"stores": array(record(_STORE))}))),
    Route("GET", "/v2/info/stores/detail", stores_in_detail, rule="stores_info_detail",
          view=Told(whole=record({"stores": array(record(_DETAILED))}))),
    Route("DELETE", "/v2/stores/{store}/{image_id}", require_store, rule="delete_image_location", success=400,
          unit="write"),
]  # fmt: skip
