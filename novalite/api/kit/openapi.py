"""An OpenAPI 3.1 document of a front, drawn from its routes: nothing in it is written twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from novalite.api.kit.faults import title
from novalite.api.kit.routes import PUBLIC, Front, Route
from novalite.api.kit.versions import UNVERSIONED, Version

_PLACEHOLDER = re.compile(r"\{(\w+)(?::\w+)?\}")
Json = dict[str, Any]
Declared = tuple[Route, Version]
"""A route and the version it is described at."""


def document(front: Front, version: Version | None = None) -> Json:
    """As ``_document`` tells, with expressions that every reader of JSON Schema knows."""
    shown = _document(front, version)
    return {**shown, "paths": _portable(shown["paths"])}


def _portable(value: Any) -> Any:
    """Patterns without Python's own: an end of text, and a hyphen between two ranges."""
    if isinstance(value, list):
        return [_portable(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _portable(item) for key, item in value.items()}
    if isinstance(found.get("pattern"), str):
        found["pattern"] = _expression(found["pattern"])
    if isinstance(found.get("patternProperties"), dict):
        found["patternProperties"] = {_expression(key): item for key, item in found["patternProperties"].items()}
    return found


def _expression(pattern: str) -> str:
    return pattern.replace("\\Z", "$").replace("0-9-_", "0-9\\-_").replace("0-9-.", "0-9\\-.")


def _document(front: Front, version: Version | None) -> Json:
    """The operations of one version; without one, each as its newest version declares it. The version that a
    description holds for is in its parameters, the windows stand beside as ``x-since`` and ``x-until``."""
    paths: dict[str, Json] = {}
    for (method, path), routes in _grouped(front.routes).items():
        chosen = _chosen(front, routes, version)
        if chosen:
            shown = _operation(front, chosen) | _windows(routes)
            paths.setdefault(_PLACEHOLDER.sub(r"{\1}", path), {})[method.lower()] = shown
    return {
        "openapi": "3.1.0",
        "info": {"title": f"NovaLite {front.name}", "version": str(version or _highest(front))},
        "servers": [{"url": front.prefix or "/"}],
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
            "schemas": {"Fault": dict(front.faults.schema)},
        },
        "paths": paths,
    }


def _grouped(routes: Iterable[Route]) -> dict[tuple[str, str], list[Route]]:
    found: dict[tuple[str, str], list[Route]] = {}
    for route in routes:
        found.setdefault((route.method, route.path), []).append(route)
    return found


def _highest(front: Front) -> Version | str:
    return front.versions.highest if front.versions else "1"


def _newest(front: Front, route: Route) -> Version:
    if front.versions is None:
        return UNVERSIONED
    return route.window.until or front.versions.highest


def _chosen(front: Front, routes: Sequence[Route], version: Version | None) -> list[Declared]:
    """The routes of ``version``; without one the newest of each action."""
    if version is not None:
        return [(route, version) for route in routes if route.window.holds(version)]
    newest: dict[str, Declared] = {}
    for route in routes:
        if route.action not in newest or _newest(front, route) > newest[route.action][1]:
            newest[route.action] = (route, _newest(front, route))
    return list(newest.values())


def _operation(front: Front, chosen: Sequence[Declared]) -> Json:
    routes = [route for route, _ in chosen]
    first, version = max(chosen, key=lambda one: one[1])
    shown: Json = {
        "operationId": f"{first.method.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', first.path).rstrip('_')}",
        "tags": [first.handler.__module__.rpartition(".")[2]],
        "parameters": list(_parameters(front, first, version)),
        "responses": _responses(chosen),
        "x-policy": sorted({route.rule for route in routes}),
    }
    if any(route.rule != PUBLIC for route in routes):
        shown["security"] = [{"token": []}]
    summary = next((route.summary for route in routes if route.summary), "")
    if summary:
        shown["summary"] = summary
    body = _body(chosen)
    return {**shown, "requestBody": body} if body else shown


def _parameters(front: Front, route: Route, version: Version) -> Iterable[Json]:
    for name in _PLACEHOLDER.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for item in route.query.items if route.query else ():
        if item.window.holds(version):
            yield {"name": item.name, "in": "query", "required": item.required, "schema": item.schema}
    if front.versions:
        asked = f"{front.versions.service} {version}"
        schema = {"type": "string", "enum": [asked]}
        yield {"name": "OpenStack-API-Version", "in": "header", "required": True, "schema": schema}


def _responses(chosen: Sequence[Declared]) -> Json:
    schemas: dict[int, list[Json]] = {}
    types: dict[int, str] = {}
    for route, version in chosen:
        for status in (route.success, *route.also):
            told = schemas.setdefault(status, [])
            if route.view is not None:
                types[status] = route.view.content_type
                told.append(route.view.schema(version))
    fault = {"application/json": {"schema": {"$ref": "#/components/schemas/Fault"}}}
    found: Json = {"default": {"description": "A fault", "content": fault}}
    for status, told in schemas.items():
        found[str(status)] = {"description": title(status)}
        if status >= HTTPStatus.BAD_REQUEST:
            found[str(status)]["content"] = fault
        elif told:
            schema = told[0] if len(told) == 1 else {"anyOf": told}
            found[str(status)]["content"] = {types[status]: {"schema": schema}}
    return found


def _windows(routes: Sequence[Route]) -> dict[str, str]:
    since = [route.window.since for route in routes]
    until = [route.window.until for route in routes]
    shown = {}
    if all(since):
        shown["x-since"] = str(min(version for version in since if version))
    if all(until):
        shown["x-until"] = str(max(version for version in until if version))
    return shown


def _body(chosen: Sequence[Declared]) -> Json:
    if any(route.stream for route, _ in chosen):
        return {"content": {"application/octet-stream": {}}, "required": True}
    with_body = [(route.body, version) for route, version in chosen if route.body]
    if not with_body:
        return {}
    schemas = [body.schema(version).document for body, version in with_body]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    required = not any(body.optional for body, _ in with_body)
    return {"content": {with_body[0][0].types[0]: {"schema": schema}}, "required": required}
