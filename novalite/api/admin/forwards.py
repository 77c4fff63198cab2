"""Ports of the machine that lead to servers. Nova and Neutron have nothing like it."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.answers import TEXT
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.compute import servers
from novalite.cloud.network import host_forwards
from novalite.cloud.network.host_forwards import NewForward

_SSH = 22
_NUMBER = {"type": "integer"}
FORWARD = View(
    Field("id", "forward.id", schema=TEXT),
    Field("project_id", "forward.project_id", schema=TEXT),
    Field("protocol", "forward.protocol", schema=TEXT),
    Field("host_port", "forward.host_port", schema=_NUMBER),
    Field("server_id", schema=TEXT),
    Field("address", "forward.fixed_ip_address", schema=TEXT),
    Field("guest_port", "forward.guest_port", schema=_NUMBER),
    Field("let_in", schema={"type": "boolean"}),
)
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
NEW = Body(
    "forward",
    Item("server_id", {"type": "string", "format": "uuid"}, required=True),
    Item("host_port", _PORT, required=True),
    Item("guest_port", _PORT, required=True),
    Item("protocol", {"enum": list(host_forwards.PROTOCOLS)}),
)


def index(call: Call) -> Any:
    return host_forwards.told(call.w, host_forwards.list_visible(call.w))


def create(call: Call) -> Any:
    """``let_in`` tells whether the security groups of the server's port let the packets in."""
    server = servers.get(call.w, call.body["server_id"])
    protocol = call.body.get("protocol", "tcp")
    new = NewForward(server.id, call.body["host_port"], call.body["guest_port"], protocol)
    made = host_forwards.create(call.w, new, refused_ports=(_SSH, call.parts.settings.http.port))
    return host_forwards.told(call.w, [made])[0]


def delete(call: Call) -> None:
    host_forwards.delete(call.w, call.path["forward_id"])


ROUTES = [
    Route("GET", "/forwards", index, rule="novalite:admin:forwards", view=FORWARD.many("forwards"), unit="read",
          summary="Ports of the machine that lead to servers"),
    Route("POST", "/forwards", create, rule="novalite:admin:forwards", body=NEW, view=FORWARD.one("forward"),
          success=201, unit="write", summary="Let a port of the machine lead to a server"),
    Route("DELETE", "/forwards/{forward_id}", delete, rule="novalite:admin:forwards", success=204, unit="write",
          summary="Let it lead nowhere"),
]  # fmt: skip
