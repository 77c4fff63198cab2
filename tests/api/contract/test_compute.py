"""Every operation of Compute, at its first, its last and each changing microversion, answers as it declares."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from novalite.api.compute.front import FRONT
from tests.api.contract import rows_catalogues, rows_hosts, rows_proxies, rows_servers
from tests.api.contract.table import Table, operations, same, versions
from tests.api.contract.walk import problems
from tests.api.contract.world import World

TABLE = Table.of(FRONT, rows_servers.ROWS, rows_catalogues.ROWS, rows_hosts.ROWS, rows_proxies.ROWS)
ROUTES = operations(FRONT.routes)


def test_every_operation_has_a_row_and_every_row_an_operation() -> None:
    assert TABLE.missing() == [], "give each a Row in tests/api/contract/rows_*.py"
    assert TABLE.strange() == []


def test_aliases_are_the_operations_they_stand_for() -> None:
    known = {(route.method, route.path, route.action, route.since): route for route in FRONT.routes}
    for route in FRONT.routes:
        if same(route) != route.path:
            other = known[route.method, same(route), route.action, route.since]
            assert dataclasses.replace(route, path=other.path, until=other.until) == other


@pytest.fixture
def tidy(world: World) -> Iterator[World]:
    yield world
    world.forget()


@pytest.mark.parametrize("operation", sorted(set(TABLE.rows) & set(ROUTES)))
def test_it_answers_as_it_declares(tidy: World, operation: str) -> None:
    row = TABLE.rows[operation]
    found = [
        problem
        for route in ROUTES[operation]
        for version in versions(FRONT, route)
        for problem in problems(FRONT, route, row, tidy, version)
    ]
    if found:
        pytest.fail("\n".join(found), pytrace=False)
