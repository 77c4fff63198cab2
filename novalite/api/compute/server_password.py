"""The password a guest has told, encrypted by itself for the owner of the key."""

from __future__ import annotations

from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import TEXT, Told
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import servers


def show(call: Call) -> dict[str, str]:
    return {"password": servers.get(call.w, call.path["server_id"]).guest_password}


def clear(call: Call) -> None:
    server = servers.get(call.w, call.path["server_id"])
    servers.change(call.w, server.id, {"guest_password": ""})


_PATH = f"{ROOT}/servers/{{server_id}}/os-server-password"
ROUTES = [
    Route("GET", _PATH, show, rule=RULE + "os-server-password:show", unit="read", view=Told("password", whole=TEXT)),
    Route("DELETE", _PATH, clear, rule=RULE + "os-server-password:clear", success=204, unit="write"),
]
