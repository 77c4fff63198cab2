"""An OpenAPI 3.1 document of a front, drawn from its routes: nothing in it is written twice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from novalite.api.kit.faults import title
from novalite.api.kit.routes import PUBLIC, Front, Route
from novalite.api.kit.versions import UNVERSIONED, Version

_PLACEHOLDER = re.compile(r"\{(\w+)(?::\w+)?\}")


def document(front: Front) -> dict[str, Any]:
    """Each operation as its newest version declares it; the windows stand beside, as ``x-since`` and ``x-until``."""
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), routes in _grouped(front.routes).items():
        paths.setdefault(_PLACEHOLDER.sub(r"{\1}", path), {})[method.lower()] = _operation(front, routes)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"NovaLite {front.name}", "version": front.versions.maximum if front.versions else "1"},
        "servers": [{"url": front.prefix}],
        "components": {"securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}}},
        "paths": paths,
    }


def _grouped(routes: Iterable[Route]) -> dict[tuple[str, str], list[Route]]:
    found: dict[tuple[str, str], list[Route]] = {}
    for route in routes:
        found.setdefault((route.method, route.path), []).append(route)
    return found


def _newest(front: Front, route: Route) -> Version:
    if front.versions is None:
        return UNVERSIONED
    return route.window.until or front.versions.highest


def _operation(front: Front, routes: list[Route]) -> dict[str, Any]:
    last = max(routes, key=lambda route: _newest(front, route))
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PLACEHOLDER.findall(last.path)
    ]
    version = _newest(front, last)
    for item in last.query.items if last.query else ():
        if item.window.holds(version):
            parameters.append({"name": item.name, "in": "query", "required": item.required, "schema": item.schema})
    shown: dict[str, Any] = {
        "operationId": f"{last.method.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', last.path).rstrip('_')}",
        "tags": [last.handler.__module__.rpartition(".")[2]],
        "parameters": parameters,
        "responses": {str(code): {"description": title(code)} for code in sorted({one.success for one in routes})},
        "x-policy": sorted({route.rule for route in routes}),
    }
    shown["responses"]["default"] = {"description": "A fault"}
    if last.rule != PUBLIC:
        shown["security"] = [{"token": []}]
    if last.summary:
        shown["summary"] = last.summary
    body = _body(front, routes)
    if body:
        shown["requestBody"] = body
    return shown | _windows(routes)


def _windows(routes: list[Route]) -> dict[str, str]:
    since = [route.window.since for route in routes]
    until = [route.window.until for route in routes]
    shown = {}
    if all(since):
        shown["x-since"] = str(min(version for version in since if version))
    if all(until):
        shown["x-until"] = str(max(version for version in until if version))
    return shown


def _body(front: Front, routes: list[Route]) -> dict[str, Any]:
    if any(route.stream for route in routes):
        return {"content": {"application/octet-stream": {}}, "required": True}
    schemas = [route.body.schema(_newest(front, route)).document for route in routes if route.body]
    if not schemas:
        return {}
    actions = any(route.action for route in routes)
    schema = {"oneOf": schemas} if actions else schemas[-1]
    types = next(route.body.types for route in routes if route.body)
    return {"content": {types[0]: {"schema": schema}}, "required": not any(r.body and r.body.optional for r in routes)}
