"""What belongs to a project is not there for members of another: valid requests of Compute, with a stranger's token."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from novalite.api.compute.front import FRONT
from novalite.api.kit.routes import Route
from tests.api.conftest import running
from tests.api.contract.conftest import ROOMY
from tests.api.contract.table import operations
from tests.api.contract.test_compute import TABLE
from tests.api.contract.world import World

OWNED = {"server_id", "group_id", "id"}
"""Placeholders that stand for what a project owns; ``id`` is that of a volume or a snapshot."""
NOBODYS = ("os-fping", "/consoles", "/consoles/{console_id}")
"""What is gone is gone for everybody."""


def _cases() -> Iterator[object]:
    for name, routes in operations(FRONT.routes).items():
        route = routes[-1]
        placeholders = set(re.findall(r"\{(\w+)", route.path))
        gone = route.success >= 400 or any(route.path.endswith(part) for part in NOBODYS)
        if placeholders & OWNED and name in TABLE.rows and not gone and not TABLE.rows[name].status:
            yield pytest.param(route, id=name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("state"), **ROOMY) as appliance:
        yield World(appliance)


@pytest.mark.parametrize("route", list(_cases()))
def test_strangers_are_told_that_it_is_not_there(world: World, route: Route) -> None:
    row = TABLE.rows[f"{route.method} {route.path} {route.action}".rstrip()]
    assert FRONT.versions
    version = route.window.until or FRONT.versions.highest
    world.version = version
    asked = row.request(route, world, version)
    headers = {"X-Auth-Token": world.stranger(), "OpenStack-API-Version": f"compute {version}"}
    body = {} if asked["body"] is None else {"json": asked["body"]}
    answer = world.appliance.client.open(
        FRONT.prefix + asked["path"], method=route.method, headers={**asked["headers"], **headers}, **body
    )
    world.forget()
    assert answer.status_code == 404 or (answer.status_code == 403 and "Policy doesn't allow" in answer.text), (
        answer.text
    )
