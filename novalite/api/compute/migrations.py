"""Moves of servers between hosts. None can be asked for yet, so none is listed."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ANY_QUERY, NUMBER_QUERY, ROOT, RULE
from novalite.api.kit.body import Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit
from novalite.api.kit.routes import Route
from novalite.cloud.compute import servers
from novalite.cloud.identity import policy
from novalite.errors import Invalid, NotFound


def list_all(call: Call) -> dict[str, Any]:
    """Filters have nothing to leave out, but what they say must make sense."""
    if call.since("2.59"):
        limit(call)
        marker = call.query.get("marker")
        if marker:
            raise Invalid(f"Marker {marker[:100]} could not be found.", field="marker")
    if call.since("2.80"):
        _check_whose(call)
    return {"migrations": []}


def _check_whose(call: Call) -> None:
    project_id = call.query.get("project_id", "")
    if project_id and project_id != call.ctx.project_id:
        policy.require(RULE + "os-migrations:index:all_projects", call.ctx)


def list_of_server(call: Call) -> dict[str, Any]:
    servers.get(call.w, call.path["server_id"])
    return {"migrations": []}


def show_of_server(call: Call) -> None:
    server, migration_id = servers.get(call.w, call.path["server_id"]), call.path["migration_id"]
    message = f"In-progress live migration {migration_id} is not found for server {server.id}."
    raise NotFound("migration", migration_id, message=message)


_MOMENT = {"type": "string", "format": "date-time"}
_OLD = ("hidden", "host", "instance_uuid", "source_compute", "status", "migration_type")
_QUERY = Query(
    *(Item(name, ANY_QUERY) for name in _OLD),
    Item("limit", NUMBER_QUERY, since="2.59"),
    Item("marker", ANY_QUERY, since="2.59"),
    Item("changes-since", _MOMENT, since="2.59"),
    Item("changes-before", _MOMENT, since="2.66"),
    Item("user_id", ANY_QUERY, since="2.80"),
    Item("project_id", ANY_QUERY, since="2.80"),
    strict_since="2.59",
)
_OF_SERVER = f"{ROOT}/servers/{{server_id}}/migrations"
ROUTES = [
    Route("GET", f"{ROOT}/os-migrations", list_all, rule=RULE + "os-migrations:index", query=_QUERY),
    Route("GET", _OF_SERVER, list_of_server, rule=RULE + "servers:migrations:index", unit="read", since="2.23"),
    Route("GET", f"{_OF_SERVER}/{{migration_id}}", show_of_server, rule=RULE + "servers:migrations:show",
          unit="read", since="2.23"),
]  # fmt: skip
