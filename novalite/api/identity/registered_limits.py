"""Registered limits: the defaults of unified limits."""

from __future__ import annotations

from typing import Any

from novalite.api.identity import services
from novalite.api.identity.shapes import ID, NAME, ROOT, TEXT, filters, links
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.identity import quotas, registered_limits
from novalite.cloud.identity.registered_limits import Default, Known, NewRegisteredLimit

NUMBER = {"type": "integer", "minimum": -1, "maximum": quotas.LARGEST}
REGION = {"type": ["string", "null"], "maxLength": 255}
VIEW = View(
    Field("id"), Field("service_id"), Field("region_id"), Field("resource_name"), Field("default_limit"),
    Field("description"), links("registered_limits"),
)  # fmt: skip
_PROPERTIES = {
    "service_id": ID, "region_id": REGION, "resource_name": NAME, "default_limit": NUMBER, "description": TEXT,
}  # fmt: skip


def several(key: str, properties: dict[str, Any], **more: Any) -> Body:
    """A body that makes at least one of something, each with these properties and no others."""
    one = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return Body(key, whole={"type": "array", "items": one, "minItems": 1})


_NEW = several("registered_limits", _PROPERTIES, required=["service_id", "resource_name", "default_limit"])
_CHANGE = Body("registered_limit", *(Item(name, schema) for name, schema in _PROPERTIES.items()))


def known(call: Call) -> Known:
    """What limits may be about."""
    return Known(
        services.everything(call, "service").keys(), services.everything(call, "region").keys(),
        services.catalogue_of(call).region,
    )  # fmt: skip


def list_all(call: Call) -> list[Default]:
    return registered_limits.find(call.w, **filters(call, "service_id region_id resource_name"))


def show(call: Call) -> Default:
    return registered_limits.get(call.w, call.path["id"])


def create(call: Call) -> list[Default]:
    return registered_limits.create(call.w, [NewRegisteredLimit(**one) for one in call.body], known(call))


def change(call: Call) -> Default:
    return registered_limits.update(call.w, call.path["id"], call.body, known(call))


def remove(call: Call) -> None:
    registered_limits.remove(call.w, call.path["id"])


_ALL, _ONE = f"{ROOT}/registered_limits", f"{ROOT}/registered_limits/{{id}}"
ROUTES = [
    Route("GET", _ALL, list_all, rule="identity:list_registered_limits", unit="read",
          view=VIEW.many("registered_limits", keystone_links)),
    Route("POST", _ALL, create, rule="identity:create_registered_limits", body=_NEW, success=201, unit="write",
          view=VIEW.many("registered_limits")),
    Route("GET", _ONE, show, rule="identity:get_registered_limit", unit="read", view=VIEW.one("registered_limit")),
    Route("PATCH", _ONE, change, rule="identity:update_registered_limit", body=_CHANGE, unit="write",
          view=VIEW.one("registered_limit")),
    Route("DELETE", _ONE, remove, rule="identity:delete_registered_limit", success=204, unit="write"),
]  # fmt: skip
