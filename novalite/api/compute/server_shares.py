"""Shares of a server. There is no service for shared file systems, so none is found and none is attached."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT, RULE, UUID
from novalite.api.kit.answers import Told, array
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import servers, states
from novalite.errors import Conflict, NotFound

_TAG = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9-]*$"}
_NEW = Body("share", Item("share_id", UUID, required=True), Item("tag", _TAG))


def list_all(call: Call) -> dict[str, Any]:
    servers.get(call.w, call.path["server_id"])
    return {"shares": []}


def _unknown(share_id: str) -> NotFound:
    return NotFound("share", share_id, message=f"Share {share_id} could not be found.")


def attach(call: Call) -> None:
    """Raises ``Conflict`` unless the server is stopped, and then ``NotFound``."""
    server = servers.get(call.w, call.path["server_id"])
    if server.vm_state != states.STOPPED:
        raise Conflict(f"Cannot 'attach_share' instance {server.id} while it is in vm_state {server.vm_state}",
                       code="server.state")  # fmt: skip
    raise _unknown(call.body["share_id"])


def show(call: Call) -> None:
    servers.get(call.w, call.path["server_id"])
    raise _unknown(call.path["share_id"])


_ALL = f"{ROOT}/servers/{{server_id}}/shares"
_ONE, _RULE, _NOTHING = f"{_ALL}/{{share_id}}", RULE + "os-server-shares:", Query(strict=True)
ROUTES = [
    Route(
        "GET",
        _ALL,
        list_all,
        rule=_RULE + "index",
        unit="read",
        query=_NOTHING,
        since="2.97",
        view=Told("shares", whole=array({})),
    ),
    Route("POST", _ALL, attach, rule=_RULE + "create", unit="write", body=_NEW, success=404, since="2.97"),
    Route("GET", _ONE, show, rule=_RULE + "show", unit="read", query=_NOTHING, success=404, since="2.97"),
    Route("DELETE", _ONE, show, rule=_RULE + "delete", unit="write", success=404, since="2.97"),
]
