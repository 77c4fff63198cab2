"""What clients ask for on their way and NovaLite has none of yet: lists that are empty, because nothing exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.network.shapes import ROOT
from novalite.errors import NotFound


def _none(key: str) -> Callable[[Call], dict[str, Any]]:
    return lambda call: {key: []}


def _no_such(kind: str) -> Callable[[Call], Any]:
    def show(call: Call) -> Any:
        raise NotFound(kind, call.path["id"])

    return show


def list_zones(call: Call) -> dict[str, Any]:
    """Networks and routers are wherever the hosts are: one zone."""
    name = call.parts.settings.compute.availability_zone
    return {"availability_zones": [{"name": name, "resource": "network", "state": "available"}]}


ROUTES = [
    Route("GET", f"{ROOT}/agents", _none("agents"), rule="get_extension"),  # whoever may see none sees no refusal
    Route("GET", f"{ROOT}/agents/{{id}}", _no_such("agent"), rule="get_agent"),
    Route("GET", f"{ROOT}/availability_zones", list_zones, rule="get_availability_zone"),
]
