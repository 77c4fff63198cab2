"""Finds the operation that a method, a path, a version and a body mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter, Rule

from novalite.api.kit.faults import BadMethod, NoRoute, NotInVersion
from novalite.api.kit.routes import Front, Route
from novalite.api.kit.versions import Version
from novalite.errors import Invalid

_PLACEHOLDER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_PROJECT = re.compile(r"^/([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=/|\Z)")


@dataclass(frozen=True)
class Match:
    """The routes at a method and a path, and what the placeholders hold."""

    routes: tuple[Route, ...]
    path: Mapping[str, str]
    project_id: str = ""
    lenient: bool = False

    @property
    def public(self) -> bool:
        return all(route.rule == "public" for route in self.routes)

    def in_version(self, version: Version) -> tuple[Route, ...]:
        """The routes whose window holds ``version``. Raises ``NotInVersion`` when there are none."""
        found = tuple(route for route in self.routes if route.window.holds(version))
        if not found:
            raise NotInVersion
        return found


def pick_action(match: Match, document: Any, version: Version) -> Route:
    """The route whose action is the key of the body. Raises ``Invalid`` when there is none, and
    ``NotInVersion`` when other versions have it."""
    if not isinstance(document, dict):
        raise Invalid("Malformed request body", field="body")
    named = [route for route in match.routes if route.action in document]
    found = [route for route in named if route.window.holds(version)]
    if len(found) == 1 and len(document) == 1:
        return found[0]
    if named and not found:
        raise NotInVersion
    if not found:
        name = next(iter(document), "")
        raise Invalid(f"There is no such action: {name[:100]}", field=name[:100])
    raise Invalid("A request names exactly one action.", field=", ".join(document)[:200])


class RouteTable:
    """All operations of a front. Two that cannot be told apart fail here."""

    def __init__(self, front: Front) -> None:
        self._project_after = front.project_after
        self._lenient_alias = front.lenient_alias
        grouped: dict[tuple[str, str], list[Route]] = {}
        for route in front.routes:
            others = grouped.setdefault((route.method, route.path), [])
            if any(other.action == route.action and other.window.meets(route.window) for other in others):
                raise ValueError(f"{front.name}: {route.method} {route.path} {route.action} is declared twice")
            others.append(route)
        self.groups = {key: tuple(routes) for key, routes in grouped.items()}
        self._strict_slashes = front.strict_slashes

    @cached_property
    def _adapter(self) -> MapAdapter:
        """Made when the front is first asked for something: hundreds of rules take a while to compile."""
        rules = [
            Rule(
                _PLACEHOLDER.sub(_converter, path),
                methods=[method],
                endpoint=(method, path),
                strict_slashes=self._strict_slashes and path.count("/") > 1,
                merge_slashes=False,
            )
            for method, path in self.groups
        ]
        return Map(rules, strict_slashes=False, merge_slashes=False).bind("front")

    def match(self, method: str, path: str) -> Match:
        """Raises ``NoRoute``, or ``BadMethod`` when the path has other methods."""
        alias = self._lenient_alias
        lenient = bool(alias) and (path == alias or path.startswith(alias + "/"))
        if lenient:
            path = self._project_after + path[len(alias) :]
        path, project_id = self._without_project(path)
        if "\x00" in path:
            raise NoRoute
        found = self._find(method, path) or (self._find("GET", path) if method == "HEAD" else None)
        if found is None:
            raise (BadMethod("The method is not allowed for this resource.") if self._known(path) else NoRoute())
        key, values = found
        return Match(self.groups[key], values, project_id, lenient)

    def _find(self, method: str, path: str) -> tuple[tuple[str, str], Mapping[str, str]] | None:
        try:
            endpoint, values = self._adapter.match(path, method)
        except HTTPException:
            return None
        return endpoint, values

    def _known(self, path: str) -> bool:
        return bool(list(self._adapter.allowed_methods(path)))

    def _without_project(self, path: str) -> tuple[str, str]:
        if self._project_after and path.startswith(self._project_after):
            rest = path[len(self._project_after) :]
            found = _PROJECT.match(rest)
            if found:
                return self._project_after + rest[found.end() :], found[1]
        return path, ""


def _converter(found: re.Match[str]) -> str:
    return f"<{found[2]}:{found[1]}>" if found[2] else f"<{found[1]}>"
