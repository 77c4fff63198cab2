"""A server's metadata: all of it, or one item."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import METADATA, ROOT, RULE
from novalite.api.kit.answers import TEXT_BY_NAME, Told
from novalite.api.kit.body import Body
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import servers, states
from novalite.cloud.compute.servers import Server
from novalite.errors import Conflict, Invalid, NotFound

_ALL = Body("metadata", whole=METADATA)
_ONE_ITEM = Body("meta", whole={**METADATA, "minProperties": 1, "maxProperties": 1})
_ALL_TOLD, _ONE_TOLD = Told("metadata", whole=TEXT_BY_NAME), Told("meta", whole=TEXT_BY_NAME)
_WRITABLE = (states.ACTIVE, states.PAUSED, states.SUSPENDED, states.STOPPED)


def _server(call: Call) -> Server:
    return servers.get(call.w, call.path["server_id"])


def _write(call: Call, server: Server, items: dict[str, str]) -> None:
    if server.vm_state not in _WRITABLE:
        raise Conflict(
            f"Cannot 'update metadata' instance {server.id} while it is in vm_state {server.vm_state}",
            code="server.state",
        )
    servers.set_metadata(call.w, server.id, items)


def show_all(call: Call) -> dict[str, Any]:
    return {"metadata": _server(call).metadata_items}


def merge(call: Call) -> dict[str, Any]:
    server = _server(call)
    items = {**server.metadata_items, **call.body}
    _write(call, server, items)
    return {"metadata": items}


def replace(call: Call) -> dict[str, Any]:
    _write(call, _server(call), dict(call.body))
    return {"metadata": call.body}


def show(call: Call) -> dict[str, Any]:
    key = call.path["key"]
    return {"meta": {key: _value(_server(call), key)}}


def _value(server: Server, key: str) -> str:
    if key not in server.metadata_items:
        raise NotFound("metadata item", key, message="Metadata item was not found")
    return server.metadata_items[key]


def put(call: Call) -> dict[str, Any]:
    if list(call.body) != [call.path["key"]]:
        raise Invalid("Request body and URI mismatch", field="meta")
    server = _server(call)
    _write(call, server, {**server.metadata_items, **call.body})
    return {"meta": call.body}


def remove(call: Call) -> None:
    server, key = _server(call), call.path["key"]
    _value(server, key)
    _write(call, server, {name: value for name, value in server.metadata_items.items() if name != key})


_PATH = f"{ROOT}/servers/{{server_id}}/metadata"
_KEY = _PATH + "/{key}"
_RULE = RULE + "server-metadata:"
ROUTES = [
    Route("GET", _PATH, show_all, rule=_RULE + "index", view=_ALL_TOLD, unit="read"),
    Route("POST", _PATH, merge, rule=_RULE + "create", body=_ALL, view=_ALL_TOLD, unit="write"),
    Route("PUT", _PATH, replace, rule=_RULE + "update_all", body=_ALL, view=_ALL_TOLD, unit="write"),
    Route("GET", _KEY, show, rule=_RULE + "show", view=_ONE_TOLD, unit="read"),
    Route("PUT", _KEY, put, rule=_RULE + "update", body=_ONE_ITEM, view=_ONE_TOLD, unit="write"),
    Route("DELETE", _KEY, remove, rule=_RULE + "delete", success=204, unit="write"),
]
