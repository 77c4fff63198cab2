"""The documents that describe each API are OpenAPI 3.1, whole and for single microversions, and tell every answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31

from novalite.api.admin import front as admin
from novalite.api.compute.front import FRONT as COMPUTE
from novalite.api.identity.front import FRONT as IDENTITY
from novalite.api.image.front import FRONT as IMAGE
from novalite.api.kit.openapi import document
from novalite.api.kit.routes import Front, Route
from novalite.api.kit.versions import Version
from novalite.api.network.front import FRONT as NETWORK
from novalite.api.volume.front import FRONT as VOLUME
from tests.api.conftest import running

FRONTS = (IDENTITY, COMPUTE, IMAGE, NETWORK, VOLUME, admin.front(dict, dict))
by_name = pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)


def _documents(front: Front) -> Iterator[dict[str, Any]]:
    yield document(front)
    if front.versions:
        lowest, highest = front.versions.lowest, front.versions.highest
        for minor in {lowest.minor, (lowest.minor + highest.minor) // 2, highest.minor}:
            yield document(front, Version(lowest.major, minor))


def _operations(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in described["paths"].values():
        yield from path.values()


def _schemas(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "schema":
                yield inner
            else:
                yield from _schemas(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _schemas(inner)


@by_name
def test_it_is_openapi(front: Front) -> None:
    seen: set[str] = set()  # versions differ in few of their operations, and operations share most of their schemas
    for described in _documents(front):
        unseen = {path: told for path, told in described["paths"].items() if _is_new((path, told), seen)}
        Draft202012Validator(OPENAPI_31).validate({**described, "paths": unseen})
        for schema in _schemas(unseen):
            if _is_new(schema, seen):
                Draft202012Validator.check_schema(schema)


def _is_new(value: Any, seen: set[str]) -> bool:
    text = json.dumps(value, sort_keys=True)
    is_new = text not in seen
    seen.add(text)
    return is_new


@by_name
def test_operations_have_names_of_their_own_and_paths_are_told_apart(front: Front) -> None:
    for described in _documents(front):
        names = [operation["operationId"] for operation in _operations(described)]
        assert len(names) == len(set(names))
        shapes = [re.sub(r"\{\w+\}", "{}", path) for path in described["paths"]]
        assert sorted({shape for shape in shapes if shapes.count(shape) > 1}) == []


@by_name
def test_every_route_is_in_it(front: Front) -> None:
    described = document(front)["paths"]
    told = {(method.upper(), path) for path, operations in described.items() for method in operations}
    assert {(route.method, re.sub(r":\w+}", "}", route.path)) for route in front.routes} == told


def _silent(route: Route) -> bool:
    """Whether nothing tells what a good answer holds, though it could hold something."""
    return route.view is None and route.success in (200, 201, 203, 207, 300) and route.action != "evacuate"


EMPTY = {
    "DELETE /v2.1/flavors/{flavor_id}/os-extra_specs/{key}", "DELETE /v2.1/os-aggregates/{aggregate_id}",
    "PUT /v2.1/servers/{server_id}/tags/{tag}", "DELETE /v2.0/ports/{port_id}",
}  # fmt: skip
"""Good answers without a body."""


@pytest.mark.parametrize("front", [COMPUTE], ids=lambda front: front.name)
def test_every_answer_is_told(front: Front) -> None:
    silent = {f"{route.method} {route.path}" for route in front.routes if _silent(route)}
    assert silent <= EMPTY


@pytest.mark.parametrize("front", [COMPUTE], ids=lambda front: front.name)
def test_every_field_has_a_schema(front: Front) -> None:
    nameless = {
        f"{route.method} {route.path}: {field.name}"
        for route in front.routes
        for field in getattr(getattr(route.view, "view", None), "fields", ())
        if field.schema is None
    }
    assert nameless == set()


def test_they_are_served(tmp_path: Path) -> None:
    with running(tmp_path) as appliance:

        def described(path: str) -> Any:
            return appliance.client.get(path).get_json()

        for front in FRONTS:
            assert described(f"{front.prefix}/openapi.json")["openapi"] == "3.1.0", front.name
        old = described("/compute/openapi.json?version=2.35")
        assert old["info"]["version"] == "2.35"
        assert "/v2.1/os-networks" in old["paths"]
        assert "/v2.1/os-networks" not in described("/compute/openapi.json?version=2.36")["paths"]
        for bad in ("2.9999", "9.1", "x"):
            assert appliance.client.get(f"/compute/openapi.json?version={bad}").status_code == 400
