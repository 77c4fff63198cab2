"""Host aggregates, to read: there are none yet, and none can be made."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.errors import NotFound


def list_all(call: Call) -> dict[str, Any]:
    return {"aggregates": []}


def show(call: Call) -> None:
    aggregate_id = call.path["aggregate_id"]
    raise NotFound("aggregate", aggregate_id, message=f"Aggregate {aggregate_id} could not be found.")


_ALL = f"{ROOT}/os-aggregates"
ROUTES = [
    Route("GET", _ALL, list_all, rule=RULE + "os-aggregates:index"),
    Route("GET", f"{_ALL}/{{aggregate_id}}", show, rule=RULE + "os-aggregates:show"),
]
