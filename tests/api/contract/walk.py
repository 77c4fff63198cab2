"""Asks an operation in one version and says in what its answer is not as declared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from novalite.api.kit.formats import CHECKER
from novalite.api.kit.routes import Front, Route
from novalite.api.kit.versions import Version
from tests.api.contract.table import Row
from tests.api.contract.world import World


def problems(front: Front, route: Route, row: Row, world: World, version: Version) -> Iterator[str]:
    world.version = version
    asked = row.request(route, world, version)
    answer = world.call(front, version=version, **asked)
    said = f"{asked['method']} {asked['path']} at {version}"
    expected = row.expected(version)
    good = (expected,) if expected else (route.success, *route.also)
    if answer.status_code not in good:
        yield f"{said}: {answer.status_code}, not {' or '.join(map(str, good))}: {answer.text[:500]}"
        return
    yield from (f"{said}: {problem}" for problem in _headers(front, answer, version))
    if answer.status_code >= 400:
        schema: Mapping[str, Any] | None = front.faults.schema
    else:
        schema = route.view.schema(version) if route.view else None
    yield from (f"{said}: {problem}" for problem in _body(answer, route, schema))


def _headers(front: Front, answer: Any, version: Version) -> Iterator[str]:
    if "x-openstack-request-id" not in answer.headers:
        yield "no request id"
    if front.versions:
        told = answer.headers.get("OpenStack-API-Version")
        if told != f"{front.versions.service} {version}":
            yield f"OpenStack-API-Version is {told}"
        if "OpenStack-API-Version" not in answer.headers.get("Vary", ""):
            yield "Vary does not name the version"


def _body(answer: Any, route: Route, schema: Mapping[str, Any] | None) -> Iterator[str]:
    if not answer.data:
        if schema is not None and route.method != "HEAD" and answer.status_code != 204:
            yield "there is no body, but the route has a view"
        return
    if schema is None:
        yield f"a body that no view tells of: {answer.text[:200]}"
        return
    if answer.mimetype != "application/json":
        if route.view and route.view.content_type != answer.mimetype:
            yield f"it is {answer.mimetype}, not {route.view.content_type}"
        return
    yield from mismatches(json.loads(answer.data), schema)


def mismatches(value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    """In words, where ``value`` is not what ``schema`` says."""
    for error in Draft202012Validator(schema, format_checker=CHECKER).iter_errors(value):
        where = ".".join(str(step) for step in error.absolute_path)
        yield f"{where or 'the answer'}: {error.message[:300]}"
