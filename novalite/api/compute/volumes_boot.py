"""os-volumes_boot: another name of servers, from the days when booting from a volume had an address of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from novalite.api.compute.shapes import ROOT
from novalite.api.kit.routes import Route
from novalite.api.kit.versions import Version

_LATEST = "2.102"
_SERVERS, _ALIAS = f"{ROOT}/servers", f"{ROOT}/os-volumes_boot"
_ALIASED = {_SERVERS + rest for rest in ("", "/detail", "/{server_id}", "/{server_id}/action")}


def aliases(routes: Iterable[Route]) -> list[Route]:
    """The same operations at the other address, up to the last version that had it."""
    latest = Version.parse(_LATEST)
    return [
        replace(
            route,
            path=_ALIAS + route.path.removeprefix(_SERVERS),
            until=_LATEST if not route.until or Version.parse(route.until) > latest else route.until,
        )
        for route in routes
        if route.path in _ALIASED and not (route.since and Version.parse(route.since) > latest)
    ]
