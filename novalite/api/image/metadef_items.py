"""Objects, properties and tags of a namespace of metadata definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from novalite.api.image import metadef_schemas as schemas
from novalite.api.image.metadef_views import kept, one_object, one_property, one_tag
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Handler, Route
from novalite.cloud.image import metadef_items as items
from novalite.cloud.image.metadef_records import MetadefItem

_SHOWN: dict[str, Callable[[MetadefItem, str], dict[str, Any]]] = {
    "object": one_object,
    "property": lambda one, _: one_property(one),
    "tag": lambda one, _: one_tag(one),
}


def _shown(call: Call, kind: str, one: MetadefItem) -> dict[str, Any]:
    return _SHOWN[kind](one, call.path["namespace"])


def _index(kind: str) -> Handler:
    def index(call: Call) -> dict[str, Any]:
        found = items.list_items(call.w, call.path["namespace"], kind)
        if kind == "property":
            return {"properties": {one.name: dict(one.body) for one in found}}
        return {
            f"{kind}s": [_shown(call, kind, one) for one in found],
            "first": f"/v2/metadefs/namespaces/{call.path['namespace']}/{kind}s",
            "schema": f"/v2/schemas/metadefs/{kind}s",
        }

    return index


def _create(kind: str) -> Handler:
    def create(call: Call) -> dict[str, Any]:
        [made] = items.add(call.w, call.path["namespace"], kind, {call.body["name"]: kept(call.body)})
        return _shown(call, kind, made)

    return create


def _show(kind: str) -> Handler:
    return lambda call: _shown(call, kind, items.get(call.w, call.path["namespace"], kind, call.path["name"]))


def _change(kind: str) -> Handler:
    def change(call: Call) -> dict[str, Any]:
        namespace, name = call.path["namespace"], call.path["name"]
        return _shown(
            call, kind, items.update(call.w, namespace, kind, name, call.body.get("name", name), kept(call.body))
        )

    return change


def _delete(kind: str) -> Handler:
    return lambda call: items.delete(call.w, call.path["namespace"], kind, call.path["name"])


def _delete_all(kind: str) -> Handler:
    return lambda call: items.delete_all(call.w, call.path["namespace"], kind)


def add_tag(call: Call) -> dict[str, Any]:
    schemas.require_name(call.path["name"])
    [made] = items.add(call.w, call.path["namespace"], "tag", {call.path["name"]: {}})
    return one_tag(made)


def set_tags(call: Call) -> dict[str, Any]:
    append = call.headers.get("X-Openstack-Append", "").lower() == "true"
    names = [tag["name"] for tag in call.body["tags"]]
    made = items.replace_tags(call.w, call.path["namespace"], names, append=append)
    return {"tags": [{"name": one.name} for one in made]}


_ANY = Told(whole={"type": "object"})
_PLURAL = {"object": "objects", "property": "properties", "tag": "tags"}
_RULES = {
    "object": ("get_metadef_objects", "get_metadef_object", "add_metadef_object", "modify_metadef_object",
               "delete_metadef_object", "delete_metadef_object"),
    "property": ("get_metadef_properties", "get_metadef_property", "add_metadef_property", "modify_metadef_property",
                 "remove_metadef_property", "remove_metadef_property"),
    "tag": ("get_metadef_tags", "get_metadef_tag", "add_metadef_tag", "modify_metadef_tag", "delete_metadef_tag",
            "delete_metadef_tags"),
}  # fmt: skip
_BODIES = {"object": schemas.NEW_OBJECT, "property": schemas.NEW_PROPERTY, "tag": schemas.CHANGED_TAG}


def _routes(kind: str) -> list[Route]:
    everything = "/v2/metadefs/namespaces/{namespace}/" + _PLURAL[kind]
    one, body = everything + "/{name}", Body(whole=_BODIES[kind])
    listing, showing, adding, changing, deleting, emptying = _RULES[kind]
    made = [
        Route("GET", everything, _index(kind), rule=listing, view=_ANY, unit="read"),
        Route("DELETE", everything, _delete_all(kind), rule=emptying, success=204, unit="write"),
        Route("GET", one, _show(kind), rule=showing, view=_ANY, unit="read"),
        Route("PUT", one, _change(kind), rule=changing, body=body, view=_ANY, unit="write"),
        Route("DELETE", one, _delete(kind), rule=deleting, success=204, unit="write"),
    ]
    if kind != "tag":
        made.append(
            Route("POST", everything, _create(kind), rule=adding, body=body, view=_ANY, success=201, unit="write")
        )
    return made


ROUTES = [
    *(route for kind in items.KINDS for route in _routes(kind)),
    Route("POST", "/v2/metadefs/namespaces/{namespace}/tags", set_tags, rule="add_metadef_tags",
          body=Body(whole=schemas.NEW_TAGS), view=_ANY, success=201, unit="write"),
    Route("POST", "/v2/metadefs/namespaces/{namespace}/tags/{name}", add_tag, rule="add_metadef_tag", view=_ANY,
          success=201, unit="write"),
]  # fmt: skip
