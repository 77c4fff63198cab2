"""Regions, services and endpoints: what the catalogue says, and what operators add to it."""

from __future__ import annotations

from typing import Any

from novalite.api.identity.shapes import FLAG, ID, ROOT, TEXT, values
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Page
from novalite.cloud.identity import registered
from novalite.cloud.identity.catalogue import INTERFACES, SERVICES, Catalogue
from novalite.db.work import Work
from novalite.errors import NotFound

Shown = dict[str, dict[str, Any]]
"""Objects of a kind as they are shown, by id."""


def catalogue_of(call: Call) -> Catalogue:
    """The services whose fronts are mounted."""
    there = tuple(one for one in SERVICES if "/" + one.path.split("/")[1] in call.parts.mounted)
    return Catalogue(there, call.parts.settings.identity.region)


def _own_regions(call: Call) -> Shown:
    region = catalogue_of(call).region
    return {region: {"id": region, "description": "", "parent_region_id": None}}


def _own_services(call: Call) -> Shown:
    return {
        one.id: {"id": one.id, "type": one.type, "name": one.name, "description": one.description, "enabled": True}
        for one in catalogue_of(call).services
    }


def _own_endpoints(call: Call) -> Shown:
    return {
        one.id: {"id": one.id, "interface": one.interface, "region": one.region, "region_id": one.region,
                 "service_id": one.service.id, "url": one.url, "enabled": True}
        for one in catalogue_of(call).endpoints(call.origin)
    }  # fmt: skip


_OWN = {"region": _own_regions, "service": _own_services, "endpoint": _own_endpoints}
_FIELDS = {
    "region": "id description parent_region_id",
    "service": "id type name enabled",
    "endpoint": "id interface region_id service_id url enabled",
}


def _shown(kind: str, record: Any) -> dict[str, Any]:
    found = {name: getattr(record, name) for name in _FIELDS[kind].split()}
    if kind == "endpoint":
        found["region"] = record.region_id
    if kind == "service" and record.description is not None:
        found["description"] = record.description
    return found


def _all(call: Call, w: Work, kind: str) -> Shown:
    """The appliance's own first."""
    return _OWN[kind](call) | {each.id: _shown(kind, each) for each in registered.everything(w, kind)}


def everything(call: Call, kind: str) -> Shown:
    """All regions, services or endpoints, the appliance's own first."""
    return _all(call, call.w, kind)


def entries(call: Call, w: Work) -> list[dict[str, Any]]:
    """The catalogue as tokens hold it: services that are enabled, each with its endpoints."""
    services = {key: one for key, one in _all(call, w, "service").items() if one["enabled"]}
    found: dict[str, dict[str, Any]] = {}
    for one in _all(call, w, "endpoint").values():
        service = services.get(one["service_id"])
        if service is None or not one["enabled"]:
            continue
        entry = found.setdefault(
            service["id"], {"id": service["id"], "type": service["type"], "name": service["name"], "endpoints": []}
        )
        entry["endpoints"].append({name: one[name] for name in ("id", "interface", "region", "region_id", "url")})
    return list(found.values())


def _linked(call: Call, kind: str, one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "links": {"self": call.link(f"{ROOT}/{kind}s/{one['id']}")}}


def _list(kind: str, filters: str) -> Any:
    def list_all(call: Call) -> dict[str, Any]:
        wanted = {name: call.query[name] for name in filters.split() if name in call.query}
        everything = _all(call, call.w, kind).values()
        fit = [one for one in everything if all(one[name] == value for name, value in wanted.items())]
        return {f"{kind}s": [_linked(call, kind, one) for one in fit], **keystone_links(call, f"{kind}s", Page(fit))}

    return list_all


def _show(kind: str) -> Any:
    def show(call: Call) -> dict[str, Any]:
        item_id = call.path["id"]
        found = _all(call, call.w, kind).get(item_id)
        if found is None:
            raise NotFound(kind, item_id, message=f"Could not find {kind}: {item_id}.")
        return {kind: _linked(call, kind, found)}

    return show


def _wanted(call: Call, kind: str) -> dict[str, Any]:
    """What the body sets, checked against what is there."""
    body = dict(call.body)
    if kind == "endpoint":
        if "region" in body and "region_id" not in body:
            body["region_id"] = body["region"]
            if body["region"] is not None:
                registered.ensure_region(call.w, body["region"], frozenset(_own_regions(call)))
        registered.refuse_unknown(_all(call, call.w, "service"), body.get("service_id"), "service_id")
        registered.refuse_unknown(_all(call, call.w, "region"), body.get("region_id"), "region_id")
    if kind == "region":
        body["description"] = body.get("description") or ""
        registered.refuse_unknown(_all(call, call.w, "region"), body.get("parent_region_id"), "parent_region_id")
    names = {"region": "id description parent_region_id", "service": "type name description enabled"}
    wanted = names.get(kind, "interface region_id service_id url enabled").split()
    return {name: body[name] for name in wanted if name in body}


def _create(kind: str) -> Any:
    def create(call: Call) -> dict[str, Any]:
        new = _wanted(call, kind)
        if "id" in call.path:
            new["id"] = call.path["id"]
        made = registered.create(call.w, kind, new, frozenset(_OWN[kind](call)))
        return {kind: _linked(call, kind, _shown(kind, made))}

    return create


def _change(kind: str) -> Any:
    def change(call: Call) -> dict[str, Any]:
        new = _wanted(call, kind)
        new.pop("id", None)
        if "description" not in values(call, "description"):
            new.pop("description", None)
        made = registered.change(call.w, kind, call.path["id"], new, frozenset(_OWN[kind](call)))
        return {kind: _linked(call, kind, _shown(kind, made))}

    return change


def _remove(kind: str) -> Any:
    def remove(call: Call) -> None:
        registered.remove(call.w, kind, call.path["id"], frozenset(_OWN[kind](call)))

    return remove


_REGION_ID = {"type": "string", "minLength": 1, "maxLength": 255}
_REGION = (Item("description", TEXT), Item("parent_region_id", {**_REGION_ID, "type": ["string", "null"]}))
_TYPE = {"type": "string", "minLength": 1, "maxLength": 255}
_SERVICE = (Item("name", {"type": "string", "maxLength": 255}), Item("description", TEXT), Item("enabled", FLAG))
_INTERFACE = {"enum": list(INTERFACES)}
_URL = {"type": "string", "minLength": 1, "maxLength": 2048, "format": "uri"}
_PLACE = {**_REGION_ID, "type": ["string", "null"]}
_ENDPOINT = (Item("region_id", _PLACE), Item("region", _PLACE), Item("enabled", FLAG))
_NEW = {
    "region": Body("region", Item("id", _REGION_ID), *_REGION, extra=True),
    "service": Body("service", Item("type", _TYPE, required=True), *_SERVICE, extra=True),
    "endpoint": Body("endpoint", Item("service_id", ID, required=True), Item("interface", _INTERFACE, required=True),
                     Item("url", _URL, required=True), *_ENDPOINT, extra=True),
}  # fmt: skip
_CHANGED = {
    "region": Body("region", *_REGION, extra=True),
    "service": Body("service", Item("type", _TYPE), *_SERVICE, extra=True),
    "endpoint": Body("endpoint", Item("service_id", ID), Item("interface", _INTERFACE), Item("url", _URL),
                     *_ENDPOINT, extra=True),
}  # fmt: skip


def _routes(kind: str, filters: str) -> list[Route]:
    every, one = f"{ROOT}/{kind}s", f"{ROOT}/{kind}s/{{id}}"
    return [
        Route("GET", every, _list(kind, filters), rule=f"identity:list_{kind}s", unit="read"),
        Route("GET", one, _show(kind), rule=f"identity:get_{kind}", unit="read"),
        Route("POST", every, _create(kind), rule=f"identity:create_{kind}", body=_NEW[kind], success=201,
              unit="write"),
        Route("PATCH", one, _change(kind), rule=f"identity:update_{kind}", body=_CHANGED[kind], unit="write"),
        Route("DELETE", one, _remove(kind), rule=f"identity:delete_{kind}", success=204, unit="write"),
    ]  # fmt: skip


ROUTES = [
    *_routes("region", "parent_region_id"),
    Route("PUT", f"{ROOT}/regions/{{id}}", _create("region"), rule="identity:create_region",
          body=_NEW["region"], success=201, unit="write"),
    *_routes("service", "type name"),
    *_routes("endpoint", "interface service_id region_id"),
]  # fmt: skip
