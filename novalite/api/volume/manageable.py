"""Volumes and snapshots that were made elsewhere: listed, taken over, given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from novalite.api.kit.answers import FLAG, NULL, TEXT, TEXT_OR_NULL, WHOLE, Told, array, mapping, record
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit
from novalite.api.kit.routes import Route
from novalite.api.volume import services, shapes
from novalite.api.volume.shapes import ANY_QUERY, ANYTHING, BOOLEAN, EXTENSION, METADATA, NAME, ROOT, UUID, truth
from novalite.api.volume.snapshots import SUMMARY as SNAPSHOT
from novalite.api.volume.volume_view import ANSWERED, Shown, one
from novalite.cloud.volume import managing, volumes
from novalite.cloud.volume.records import Snapshot
from novalite.cloud.volume.services import backend_host
from novalite.drivers.storage.base import FoundData, TakesOver
from novalite.errors import Invalid, NotFound

_GIB = 1 << 30
_SOURCE = "source-name"


def _host(call: Call, given: str) -> str:
    """HOST@BACKEND of a backend that there is, which may be named with its pool. Raises ``Invalid``."""
    wanted = backend_host(given)
    if wanted not in services.backend_hosts(call):
        raise Invalid(f"Invalid host: No available service named {wanted[:255]}", field="host")
    return wanted


def _driver(call: Call, host: str) -> TakesOver:
    return cast(TakesOver, call.parts.volume_driver.of(host.partition("@")[2]))


def _reference(call: Call) -> str:
    found = call.body["ref"].get(_SOURCE)
    if not isinstance(found, str) or not found:
        raise Invalid(f"Manage existing volume failed due to invalid backend reference: Reference must contain "
                      f"{_SOURCE} element.", field="ref")  # fmt: skip
    return found


def list_volumes(call: Call, detail: bool) -> dict[str, Any]:
    found = _driver(call, _host(call, call.query["host"])).found_volumes()
    return {"manageable-volumes": [_told(each, detail) for each in _page(call, found)]}


def list_snapshots(call: Call, detail: bool) -> dict[str, Any]:
    """Whose they were is not written on them."""
    found = _driver(call, _host(call, call.query["host"])).found_snapshots()
    rows = [{**_told(each, detail), "source_reference": {_SOURCE: ""}} for each in _page(call, found)]
    return {"manageable-snapshots": rows}


def _told(found: FoundData, detail: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"reference": {_SOURCE: found.reference}, "size": max(1, -(-found.size // _GIB)),
                            "safe_to_manage": not found.refusal}  # fmt: skip
    if detail:
        told |= {"reason_not_safe": found.refusal or None, "cinder_id": None, "extra_info": None}
    return told


def _page(call: Call, found: Sequence[FoundData]) -> list[FoundData]:
    (key, direction), *more = shapes.page(call).sort or (("reference", "desc"),)
    if more or key not in _KEYS:
        raise Invalid(f"Invalid sort keys passed: {key[:50]}", field="sort")
    if call.query.get("marker"):
        raise Invalid("Pages of manageable resources begin at an offset, not at a marker.", field="marker")
    rows = sorted(found, key=_KEYS[key], reverse=direction == "desc")
    first = shapes.offset(call)
    return rows[first : first + (limit(call) or 1000)]


_KEYS: dict[str, Callable[[FoundData], Any]] = {"reference": lambda one: one.reference, "size": lambda one: one.size}


def manage_volume(call: Call) -> Shown:
    body = call.body
    if body.get("cluster"):
        raise Invalid("Invalid input received: There are no clusters here; name a host.", field="cluster")
    host = _host(call, body.get("host") or "")
    new = managing.Managed(
        host.partition("@")[2], host, _reference(call), body.get("name"), body.get("description"),
        body.get("volume_type") or "", body.get("availability_zone") or "", body.get("metadata") or {},
        truth(body.get("bootable", False)),
    )  # fmt: skip
    return one(call.w, managing.manage(call.w, new))


def manage_snapshot(call: Call) -> Snapshot:
    body = call.body
    try:
        volumes.get(call.w, body["volume_id"])
    except NotFound as error:
        raise Invalid(f"Volume: {body['volume_id']} could not be found.", field="volume_id") from error
    return managing.manage_snapshot(
        call.w, body["volume_id"], _reference(call), name=body.get("name"), description=body.get("description"),
        metadata=body.get("metadata") or {},
    )  # fmt: skip


def unmanage_volume(call: Call) -> None:
    managing.unmanage(call.w, call.path["id"])


def unmanage_snapshot(call: Call) -> None:
    managing.unmanage_snapshot(call.w, call.path["id"])


_TEXT = {"type": ["string", "null"], "maxLength": 255}
_REF = {"type": "object", "minProperties": 1, "maxProperties": 5, "additionalProperties": _TEXT}
_ITEMS = {**METADATA, "type": ["object", "null"]}
_VOLUME = Body(
    "volume",
    Item("host", _TEXT),
    Item("cluster", _TEXT, since="3.16"),
    Item("ref", _REF, required=True),
    Item("name", NAME),
    Item("description", NAME),
    Item("volume_type", _TEXT),
    Item("availability_zone", _TEXT),
    Item("metadata", _ITEMS),
    Item("bootable", BOOLEAN),
)
_SNAPSHOT = Body(
    "snapshot",
    Item("volume_id", UUID, required=True),
    Item("ref", _REF, required=True),
    Item("name", NAME),
    Item("description", NAME),
    Item("metadata", _ITEMS),
)
_QUERY = Query(Item("host", {"type": "string", "minLength": 1, "maxLength": 255}, required=True),
               *(Item(name, ANY_QUERY) for name in sorted(shapes.PAGING_NAMES)))  # fmt: skip
_REFERENCE = mapping(TEXT)
_BRIEF = {"reference": _REFERENCE, "size": WHOLE, "safe_to_manage": FLAG}
_FULL = {**_BRIEF, "reason_not_safe": TEXT_OR_NULL, "cinder_id": NULL, "extra_info": NULL}
_OF_SNAPSHOT = {"source_reference": _REFERENCE}


def _listing(
    what: str, handler: Callable[[Call, bool], Any], fields: dict[str, Any], *, detail: bool, rule: str
) -> Route:
    def act(call: Call) -> Any:
        return handler(call, detail)

    path = f"{ROOT}/manageable_{what}" + ("/detail" if detail else "")
    view = Told(f"manageable-{what}", whole=array(record(fields)))
    return Route("GET", path, act, rule=rule, query=_QUERY, view=view, since="3.8")


_LIST_VOLUMES, _LIST_SNAPSHOTS = EXTENSION + "list_manageable", "snapshot_extension:list_manageable"
_VOLUMES: dict[str, Any] = {"rule": EXTENSION + "volume_manage", "body": _VOLUME, "success": 202, "unit": "write",
                            "view": ANSWERED.one("volume")}  # fmt: skip
_SNAPSHOTS: dict[str, Any] = {"rule": "snapshot_extension:snapshot_manage", "body": _SNAPSHOT, "success": 202,
                              "unit": "write", "view": SNAPSHOT.one("snapshot")}  # fmt: skip
_UNMANAGED: dict[str, Any] = {"action": "os-unmanage", "success": 202, "unit": "write",
                              "body": Body("os-unmanage", whole=ANYTHING)}  # fmt: skip
ROUTES = [
    _listing("volumes", list_volumes, _BRIEF, detail=False, rule=_LIST_VOLUMES),
    _listing("volumes", list_volumes, _FULL, detail=True, rule=_LIST_VOLUMES),
    _listing("snapshots", list_snapshots, {**_BRIEF, **_OF_SNAPSHOT}, detail=False, rule=_LIST_SNAPSHOTS),
    _listing("snapshots", list_snapshots, {**_FULL, **_OF_SNAPSHOT}, detail=True, rule=_LIST_SNAPSHOTS),
    Route("POST", f"{ROOT}/manageable_volumes", manage_volume, since="3.8", **_VOLUMES),
    Route("POST", f"{ROOT}/os-volume-manage", manage_volume, **_VOLUMES),
    Route("POST", f"{ROOT}/manageable_snapshots", manage_snapshot, since="3.8", **_SNAPSHOTS),
    Route("POST", f"{ROOT}/os-snapshot-manage", manage_snapshot, **_SNAPSHOTS),
    Route("POST", f"{ROOT}/volumes/{{id}}/action", unmanage_volume, rule=EXTENSION + "volume_unmanage", **_UNMANAGED),
    Route("POST", f"{ROOT}/snapshots/{{id}}/action", unmanage_snapshot, rule="snapshot_extension:snapshot_unmanage",
          **_UNMANAGED),
]  # fmt: skip
