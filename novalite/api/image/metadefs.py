"""Namespaces of metadata definitions, and the types of resource they are meant for."""

from __future__ import annotations

from typing import Any

from novalite.api.image import metadef_schemas as schemas
from novalite.api.image.metadef_views import association, kept, namespace
from novalite.api.kit import paging
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.routes import Handler, Route
from novalite.api.kit.view import utc_seconds
from novalite.cloud.image import metadef_items, metadefs
from novalite.db.paging import Page
from novalite.errors import Invalid

_DEFAULT_LIMIT = 25


def index(call: Call) -> dict[str, Any]:
    visibility = call.query.get("visibility", "")
    if visibility not in ("", "public", "private"):
        raise Invalid(f"Invalid visibility value: {visibility[:64]}.", field="visibility")
    key, direction = call.query.get("sort_key", "created_at"), call.query.get("sort_dir", "desc")
    if direction not in ("asc", "desc"):
        raise Invalid(f"Invalid sort direction: {direction[:64]}", field="sort_dir")
    page = Page(
        limit=paging.limit(call, default=_DEFAULT_LIMIT), marker=call.query.get("marker", ""), sort=((key, direction),)
    )
    types = [text for text in call.query.get("resource_types", "").split(",") if text]
    found = metadefs.list_visible(call.w, page, visibility=visibility, resource_types=types)
    meant = metadefs.associations(call.w, found)
    told: dict[str, Any] = {
        "namespaces": [namespace(metadefs.Whole(one, meant[one.number], {})) for one in found],
        "first": "/v2/metadefs/namespaces", "schema": "/v2/schemas/metadefs/namespaces",
    }  # fmt: skip
    if 0 < page.limit <= len(found):
        told["next"] = f"/v2/metadefs/namespaces?marker={found[-1].namespace}&limit={page.limit}"
    return told


def show(call: Call) -> dict[str, Any]:
    return namespace(metadefs.whole(call.w, metadefs.get(call.w, call.path["namespace"])))


def create(call: Call) -> Answer:
    given: dict[str, Any] = call.body
    name = given["namespace"]
    made = metadefs.create(call.w, name, given)
    for each in given.get("resource_type_associations", ()):
        metadefs.associate(call.w, name, **_association(each))
    if given.get("properties"):
        bodies = {key: kept(body) for key, body in given["properties"].items()}
        metadef_items.add(call.w, name, "property", bodies)
    for kind in ("object", "tag"):
        bodies = {one["name"]: kept(one) for one in given.get(f"{kind}s", ())}
        if len(bodies) != len(given.get(f"{kind}s", ())):
            raise Invalid(f"Two {kind}s have one name.", field=f"{kind}s")
        metadef_items.add(call.w, name, kind, bodies)
    told = namespace(metadefs.whole(call.w, made))
    return Answer(told, headers={"Location": call.link(f"/v2/metadefs/namespaces/{name}")})


def change(call: Call) -> dict[str, Any]:
    return namespace(metadefs.whole(call.w, metadefs.update(call.w, call.path["namespace"], call.body)))


def delete(call: Call) -> None:
    metadefs.delete(call.w, call.path["namespace"])


def resource_types(call: Call) -> dict[str, Any]:
    moment = utc_seconds(call.w.now)
    names = metadefs.resource_types(call.w)
    return {"resource_types": [{"name": name, "created_at": moment, "updated_at": moment} for name in names]}


def associations(call: Call) -> dict[str, Any]:
    found = metadefs.get(call.w, call.path["namespace"])
    held = metadefs.associations(call.w, [found])[found.number]
    return {"resource_type_associations": [association(one) for one in held]}


def associate(call: Call) -> Answer:
    made = metadefs.associate(call.w, call.path["namespace"], **_association(call.body))
    return Answer(association(made))


def dissociate(call: Call) -> None:
    metadefs.dissociate(call.w, call.path["namespace"], call.path["resource_type"])


def _association(given: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"resource_type": given["name"]}
    return told | {key: given[key] for key in ("prefix", "properties_target") if key in given}


def _document(name: str) -> Handler:
    def show_document(call: Call) -> dict[str, Any]:
        return schemas.DOCUMENTS[name]

    return show_document


_ALL = "/v2/metadefs/namespaces"
_ONE = _ALL + "/{namespace}"
_TYPES = _ONE + "/resource_types"
_ANY = Told(whole={"type": "object"})

ROUTES = [
    Route("GET", _ALL, index, rule="get_metadef_namespaces", view=_ANY, unit="read"),
    Route("POST", _ALL, create, rule="add_metadef_namespace", body=Body(whole=schemas.NEW_NAMESPACE), view=_ANY,
          success=201, unit="write"),
    Route("GET", _ONE, show, rule="get_metadef_namespace", view=_ANY, unit="read"),
    Route("PUT", _ONE, change, rule="modify_metadef_namespace", body=Body(whole=schemas.CHANGED_NAMESPACE), view=_ANY,
          unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_metadef_namespace", success=204, unit="write"),
    Route("GET", "/v2/metadefs/resource_types", resource_types, rule="list_metadef_resource_types", view=_ANY,
          unit="read"),
    Route("GET", _TYPES, associations, rule="get_metadef_resource_type", view=_ANY, unit="read"),
    Route("POST", _TYPES, associate, rule="add_metadef_resource_type_association",
          body=Body(whole=schemas.NEW_ASSOCIATION), view=_ANY, success=201, unit="write"),
    Route("DELETE", _TYPES + "/{resource_type}", dissociate, rule="remove_metadef_resource_type_association",
          success=204, unit="write"),
    *(Route("GET", f"/v2/schemas/metadefs/{name}", _document(name), rule="get_schemas")
      for name in schemas.DOCUMENTS),
]  # fmt: skip
