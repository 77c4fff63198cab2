"""Rows: for each operation of a front one valid request, from which it is walked through its microversions.

A row names its operation as ``METHOD PATH [ACTION]``. Placeholders of the path come from ``World`` by their names
(``{server_id}``: ``world.server_id()``) unless the row gives them; ``body`` and placeholders may be functions of the
world (and, for bodies, the version), called anew for each request. ``status`` is what is expected instead of the
route's own success (a number, or a function of the version): only for what can have no other answer here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novalite.api.kit.routes import Front, Route
from novalite.api.kit.versions import UNVERSIONED, Version
from tests.api.contract.world import World

Given = Any | Callable[[World], Any]
_PLACEHOLDER = re.compile(r"\{(\w+)(?::\w+)?\}")


class Row:
    """One operation's valid request."""

    def __init__(
        self,
        operation: str,
        body: Any = None,
        *,
        query: str = "",
        status: int | Callable[[Version], int] = 0,
        headers: dict[str, Any] | None = None,
        data: bytes | None = None,
        **path: Given,
    ) -> None:
        self.operation, self.body, self.query, self.status = operation, body, query, status
        self.headers, self.data, self.path = headers or {}, data, path

    def request(self, route: Route, world: World, version: Version) -> dict[str, Any]:
        """Arguments for ``World.call``."""
        path = _PLACEHOLDER.sub(lambda found: str(self._value(found[1], world)), route.path)
        body = self.body(world, version) if callable(self.body) else self.body
        query = self.query(world) if callable(self.query) else self.query
        headers = {name: value(world) if callable(value) else value for name, value in self.headers.items()}
        return {
            "method": route.method, "path": path + (f"?{query}" if query else ""), "body": body, "data": self.data,
            "headers": headers,
        }  # fmt: skip

    def expected(self, version: Version) -> int:
        """The status that the row expects; 0 for what the route declares."""
        return self.status(version) if callable(self.status) else self.status

    def _value(self, name: str, world: World) -> Any:
        given = self.path.get(name)
        if given is None:
            return getattr(world, name)()
        return given(world) if callable(given) else given


ALIASES = {"/v2.1/os-volumes_boot": "/v2.1/servers"}
"""Paths at which the operations of others answer too."""


def same(route: Route) -> str:
    """The path of a route, or the one that it is an alias of."""
    for alias, path in ALIASES.items():
        if route.path == alias or route.path.startswith(f"{alias}/"):
            return path + route.path[len(alias) :]
    return route.path


def operation(route: Route) -> str:
    return f"{route.method} {route.path} {route.action}".rstrip()


def operations(routes: Iterable[Route]) -> dict[str, list[Route]]:
    """The routes of each operation, without aliases."""
    found: dict[str, list[Route]] = {}
    for route in routes:
        if same(route) == route.path:
            found.setdefault(operation(route), []).append(route)
    return found


def versions(front: Front, route: Route) -> Iterator[Version]:
    """The first and the last version of a route, and each in which something of it differs from the one before."""
    if front.versions is None:
        yield UNVERSIONED
        return
    lowest, highest = front.versions.lowest, front.versions.highest
    first = max(lowest, route.window.since or lowest)
    last = min(highest, route.window.until or highest)
    before: Any = None
    for minor in range(first.minor, last.minor + 1):
        version = Version(first.major, minor)
        now = _declared(route, version)
        if now != before or version == last:
            yield version
        before = now


def _declared(route: Route, version: Version) -> Any:
    body = route.body.schema(version).document if route.body else None
    query = {item.name: item.schema for item in route.query.items if item.window.holds(version)} if route.query else {}
    return body, query, route.view.schema(version) if route.view else None


@dataclass(frozen=True)
class Table:
    """The rows of one front. ``missing`` and ``strange`` are what keeps it complete."""

    front: Front
    rows: dict[str, Row]

    @classmethod
    def of(cls, front: Front, *groups: Iterable[Row]) -> Table:
        rows: dict[str, Row] = {}
        for row in (row for group in groups for row in group):
            assert row.operation not in rows, f"{row.operation} has two rows"
            rows[row.operation] = row
        return cls(front, rows)

    def missing(self) -> list[str]:
        return sorted(set(operations(self.front.routes)) - set(self.rows))

    def strange(self) -> list[str]:
        return sorted(set(self.rows) - set(operations(self.front.routes)))
