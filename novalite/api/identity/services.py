"""Regions, services and endpoints: what the catalogue says, to read."""

from __future__ import annotations

from typing import Any

from novalite.api.identity.shapes import ROOT
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Page
from novalite.cloud.identity.catalogue import SERVICES, Catalogue
from novalite.errors import NotFound


def catalogue_of(call: Call) -> Catalogue:
    """The services whose fronts are mounted."""
    there = tuple(one for one in SERVICES if "/" + one.path.split("/")[1] in call.parts.mounted)
    return Catalogue(there, call.parts.settings.identity.region)


def _regions(call: Call) -> list[dict[str, Any]]:
    region = catalogue_of(call).region
    return [{"id": region, "description": "", "parent_region_id": None, **_links(call, "regions", region)}]


def _services(call: Call) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "type": one.type, "name": one.name, "description": one.description, "enabled": True,
         **_links(call, "services", one.id)}
        for one in catalogue_of(call).services
    ]  # fmt: skip


def _endpoints(call: Call) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "interface": one.interface, "region": one.region, "region_id": one.region,
         "service_id": one.service.id, "url": one.url, "enabled": True, **_links(call, "endpoints", one.id)}
        for one in catalogue_of(call).endpoints(call.origin)
    ]  # fmt: skip


def list_regions(call: Call) -> dict[str, Any]:
    return _many(call, "regions", _regions(call), "parent_region_id")


def list_services(call: Call) -> dict[str, Any]:
    return _many(call, "services", _services(call), "type name")


def list_endpoints(call: Call) -> dict[str, Any]:
    return _many(call, "endpoints", _endpoints(call), "interface service_id region_id")


def show_region(call: Call) -> dict[str, Any]:
    return _one("region", _regions(call), call.path["id"])


def show_service(call: Call) -> dict[str, Any]:
    return _one("service", _services(call), call.path["id"])


def show_endpoint(call: Call) -> dict[str, Any]:
    return _one("endpoint", _endpoints(call), call.path["id"])


def _links(call: Call, collection: str, item_id: str) -> dict[str, Any]:
    return {"links": {"self": call.link(f"{ROOT}/{collection}/{item_id}")}}


def _many(call: Call, key: str, items: list[dict[str, Any]], filters: str) -> dict[str, Any]:
    wanted = {name: call.query[name] for name in filters.split() if name in call.query}
    fit = [item for item in items if all(item[name] == value for name, value in wanted.items())]
    return {key: fit, **keystone_links(call, key, Page(fit))}


def _one(kind: str, items: list[dict[str, Any]], item_id: str) -> dict[str, Any]:
    for item in items:
        if item["id"] == item_id:
            return {kind: item}
    raise NotFound(kind, item_id, message=f"Could not find {kind}: {item_id}.")


ROUTES = [
    Route("GET", f"{ROOT}/regions", list_regions, rule="identity:list_regions"),
    Route("GET", f"{ROOT}/regions/{{id}}", show_region, rule="identity:get_region"),
    Route("GET", f"{ROOT}/services", list_services, rule="identity:list_services"),
    Route("GET", f"{ROOT}/services/{{id}}", show_service, rule="identity:get_service"),
    Route("GET", f"{ROOT}/endpoints", list_endpoints, rule="identity:list_endpoints"),
    Route("GET", f"{ROOT}/endpoints/{{id}}", show_endpoint, rule="identity:get_endpoint"),
]
