"""A server's consoles: the text so far, and addresses that open one."""

from __future__ import annotations

import re
from typing import Any

from novalite.api.compute.server_actions import action_route
from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import TEXT, TEXT_OR_NULL, UUID, WHOLE, Told, record
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import consoles, servers
from novalite.errors import Conflict, Invalid, NotFound

LONGEST_TEXT_BYTES = 102400
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f]")
_LENGTH = {
    "type": "object",
    "properties": {"length": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$", "minimum": -1,
                              "maximum": 2**31 - 1}},
    "additionalProperties": False,
}  # fmt: skip


def _type(*names: str) -> dict[str, Any]:
    return {
        "type": "object", "properties": {"type": {"enum": list(names)}}, "required": ["type"],
        "additionalProperties": False,
    }  # fmt: skip


def _host(call: Call) -> str:
    """The host that runs the server. Raises ``Conflict`` while there is none."""
    with call.parts.database.read(call.ctx) as w:
        server = servers.get(w, call.path["server_id"])
    if not server.host:
        raise Conflict(f"Instance {server.id} is not ready", code="server.state")
    return server.host


def show_text(call: Call) -> dict[str, str]:
    """The last lines of the serial console. The host is asked after the unit is closed."""
    length = call.body.get("length")
    lines = -1 if length in (None, "") else int(length)
    host = _host(call)
    data = call.parts.links.driver(host).console_text(call.path["server_id"], LONGEST_TEXT_BYTES)
    text = _UNPRINTABLE.sub("", data.decode("utf-8", "replace"))
    if lines == 0:
        return {"output": ""}
    return {"output": text if lines < 0 else "\n".join(text.splitlines()[-lines:])}


def _open(call: Call, console_type: str) -> str:
    """An address with a new token in it."""
    if console_type not in consoles.KIND_OF_TYPE:
        raise Invalid(f"Unavailable console type {console_type}.", field="type")
    server = servers.get(call.w, call.path["server_id"])
    if not server.host:
        raise Conflict(f"Instance {server.id} is not ready", code="server.state")
    seconds = call.parts.settings.console.token_seconds
    kind = consoles.kind_of(console_type)
    token = consoles.issue(call.w, server.id, kind, console_type, seconds=seconds)
    return consoles.url(call.origin, token, console_type)


def open_old(call: Call) -> dict[str, Any]:
    console_type = call.body["type"]
    return {"console": {"type": console_type, "url": _open(call, console_type)}}


def create(call: Call) -> dict[str, Any]:
    protocol, console_type = call.body["protocol"], call.body["type"]
    url = _open(call, console_type)
    return {"remote_console": {"protocol": protocol, "type": console_type, "url": url}}


def refuse_token(call: Call) -> None:
    """Once only the tokens of RDP's consoles were shown."""
    raise Invalid("Only tokens of RDP consoles are shown before 2.31, and there are none.", field="token")


def show_token(call: Call) -> dict[str, Any]:
    """What a token opens. Consoles have no port of their own: they are reached through this process's."""
    grant = consoles.check(call.w, call.path["token"])
    if grant is None:
        raise NotFound("console token", "", message="Token not found")
    port = call.parts.settings.http.port
    shown = {"instance_uuid": grant.server_id, "host": grant.host, "port": port, "internal_access_path": None}
    return {"console": shown}


_PROTOCOLS = {"vnc": ("novnc", "xvpvnc"), "spice": ("spice-html5",), "serial": ("serial",), "rdp": ("rdp-html5",)}

_WITH_MKS = {**_PROTOCOLS, "mks": ("webmks",)}


def _new(protocols: dict[str, tuple[str, ...]]) -> Body:
    types = [name for names in protocols.values() for name in names]
    return Body(
        "remote_console",
        Item("protocol", {"enum": list(protocols)}, required=True),
        Item("type", {"enum": types}, required=True),
    )


_CONSOLES = f"{ROOT}/servers/{{server_id}}/remote-consoles"
_RULE = "os-remote-consoles"
_TOKENS = f"{ROOT}/os-console-auth-tokens/{{token}}"
_SHOWN = Told("console", whole=record(
    {"instance_uuid": UUID, "host": TEXT, "port": WHOLE, "internal_access_path": TEXT_OR_NULL}
))  # fmt: skip
_OLD = Told("console", whole=record({"type": TEXT, "url": TEXT}))
_OPENED = Told("remote_console", whole=record({"protocol": TEXT, "type": TEXT, "url": TEXT}))
ROUTES = [
    Route("GET", _TOKENS, refuse_token, rule=RULE + "os-console-auth-tokens", success=400, until="2.30"),
    Route("GET", _TOKENS, show_token, rule=RULE + "os-console-auth-tokens", unit="read", path_is_secret=True,
          query=Query(strict_since="2.99"), view=_SHOWN, since="2.31"),
    action_route("os-getConsoleOutput", show_text, "os-console-output", _LENGTH, success=200, unit=None,
                 view=Told("output", whole=TEXT)),
    action_route("os-getVNCConsole", open_old, _RULE, _type("novnc", "xvpvnc"), success=200, view=_OLD,
                 until="2.5"),
    action_route("os-getSPICEConsole", open_old, _RULE, _type("spice-html5"), success=200, view=_OLD,
                 until="2.5"),
    action_route("os-getSerialConsole", open_old, _RULE, _type("serial"), success=200, view=_OLD,
                 until="2.5"),
    Route("POST", _CONSOLES, create, rule=RULE + _RULE, body=_new(_PROTOCOLS), view=_OPENED, unit="write", since="2.6",
          until="2.7"),
    Route("POST", _CONSOLES, create, rule=RULE + _RULE, body=_new(_WITH_MKS), view=_OPENED, unit="write", since="2.8",
          until="2.98"),
    Route("POST", _CONSOLES, create, rule=RULE + _RULE, view=_OPENED, unit="write", since="2.99",
          body=_new({**_WITH_MKS, "spice": ("spice-html5", "spice-direct")})),
]  # fmt: skip
