"""A server's tags."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT, RULE, TAG
from novalite.api.kit.answers import TEXTS, Told
from novalite.api.kit.body import Body
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.routes import Route
from novalite.api.kit.schema import Schema
from novalite.cloud.compute import servers, states
from novalite.cloud.compute.servers import Server
from novalite.errors import Conflict, Invalid, NotFound

MOST = 50
_ALL = Body("tags", whole={"type": "array", "items": TAG, "maxItems": MOST})
_TOLD = Told("tags", whole=TEXTS)
_ONE_TAG = Schema({"type": "object", "properties": {"tag": TAG}})
_WRITABLE = (states.ACTIVE, states.PAUSED, states.SUSPENDED, states.STOPPED)


def _server(call: Call) -> Server:
    return servers.get(call.w, call.path["server_id"])


def _write(call: Call, server: Server, tags: list[str]) -> None:
    if server.vm_state not in _WRITABLE:
        raise Conflict(
            f"Cannot 'update tags' instance {server.id} while it is in vm_state {server.vm_state}",
            code="server.state",
        )
    servers.rename(call.w, server.id, {"tags": sorted(set(tags))})


def list_all(call: Call) -> dict[str, Any]:
    return {"tags": _server(call).tags}


def replace(call: Call) -> dict[str, Any]:
    _write(call, _server(call), call.body)
    return {"tags": sorted(set(call.body))}


def remove_all(call: Call) -> None:
    _write(call, _server(call), [])


def check(call: Call) -> None:
    _require(_server(call), call.path["tag"])


def _require(server: Server, tag: str) -> None:
    if tag not in server.tags:
        raise NotFound("tag", tag, message=f"Instance {server.id} has no tag '{tag}'")


def add(call: Call) -> Answer:
    server, tag = _server(call), call.path["tag"]
    if tag in server.tags:
        return Answer(status=204)
    _ONE_TAG.check({"tag": tag})
    if len(server.tags) >= MOST:
        raise Invalid(f"The number of tags exceeded the per-server limit {MOST}", field="tag")
    _write(call, server, [*server.tags, tag])
    return Answer(status=201, headers={"Location": call.link(f"{ROOT}/servers/{server.id}/tags/{tag}")})


def remove(call: Call) -> None:
    server, tag = _server(call), call.path["tag"]
    _require(server, tag)
    _write(call, server, [one for one in server.tags if one != tag])


_PATH = f"{ROOT}/servers/{{server_id}}/tags"
_TAG = _PATH + "/{tag}"
_RULE = RULE + "os-server-tags:"
ROUTES = [
    Route("GET", _PATH, list_all, rule=_RULE + "index", view=_TOLD, unit="read", since="2.26"),
    Route("PUT", _PATH, replace, rule=_RULE + "update_all", body=_ALL, view=_TOLD, unit="write", since="2.26"),
    Route("DELETE", _PATH, remove_all, rule=_RULE + "delete_all", success=204, unit="write", since="2.26"),
    Route("GET", _TAG, check, rule=_RULE + "show", success=204, unit="read", since="2.26"),
    Route("PUT", _TAG, add, rule=_RULE + "update", success=201, also=(204,), unit="write", since="2.26"),
    Route("DELETE", _TAG, remove, rule=_RULE + "delete", success=204, unit="write", since="2.26"),
]
