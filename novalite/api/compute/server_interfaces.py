"""A server's network cards: listed, plugged in, pulled out."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import NUMBER_QUERY, ROOT, RULE, TAG, UUID
from novalite.api.kit.answers import TEXT, TEXT_OR_NULL, array, record
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, whole_number
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.compute import interfaces, servers
from novalite.cloud.network import ports
from novalite.cloud.network.networks import NetworkRequest
from novalite.cloud.network.records import Port
from novalite.cloud.tasks.tasks import State, Task
from novalite.errors import Busy, Conflict, Failed, Invalid, NotFound

_PLUG_SECONDS = 60.0
_GRACE_SECONDS = 30.0
"""How much longer than the plugging its undoing may take until the caller is told to ask again."""


def _addresses(port: Port, call: Call) -> list[dict[str, str]]:
    return [{"subnet_id": ip.subnet_id, "ip_address": ip.ip_address} for ip in port.fixed_ips]


CARD = View(
    Field("port_id", "id", schema=UUID),
    Field("net_id", "network_id", schema=UUID),
    Field("mac_addr", "mac_address", schema=TEXT),
    Field("port_state", lambda port, call: "ACTIVE" if port.host else "DOWN", schema=TEXT),
    Field("fixed_ips", _addresses, schema=array(record({"subnet_id": UUID, "ip_address": TEXT}))),
    Field("tag", lambda port, call: port.tag or None, since="2.70", schema=TEXT_OR_NULL),
)
OLD_CARD = View(
    Field("id", schema=UUID),
    Field("mac_address", schema=TEXT),
    Field("net_id", "network_id", since="2.12", schema=UUID),
)
_FIXED_IPS = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1,
    "items": {
        "type": "object",
        "properties": {"ip_address": {"type": "string", "format": "ip"}},
        "required": ["ip_address"],
        "additionalProperties": False,
    },
}


_PARTS: dict[str, Any] = {"net_id": UUID, "port_id": UUID, "fixed_ips": _FIXED_IPS}


def _new(parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": parts, "additionalProperties": False}


NEW_CARD = Body(
    "",
    Item("interfaceAttachment", _new(_PARTS), until="2.48"),
    Item("interfaceAttachment", _new({**_PARTS, "tag": TAG}), since="2.49"),
    optional=True,
)
"""Every part may be left out, the whole of it as well."""


def cards(call: Call) -> list[Port]:
    """The server's cards, in their order."""
    server = servers.get(call.w, call.path["server_id"])
    found = ports.list_visible(call.w, columns={"device_id": (server.id,)}, fixed_ips={})
    return sorted(found, key=lambda port: port.position)


def list_cards(call: Call) -> list[Port]:
    return cards(call)


def show_card(call: Call) -> Port:
    port_id = call.path["port_id"]
    for port in cards(call):
        if port.id == port_id:
            return port
    message = f"Instance {call.path['server_id']} does not have a port with id {port_id}"
    raise NotFound("port", port_id, message=message)


def list_old_cards(call: Call) -> list[Port]:
    """The simple kind of page: ``limit`` 0 is the maximum."""
    offset = whole_number(call, "offset") or 0
    return cards(call)[offset : offset + (limit(call) or 1000)]


def attach(call: Call) -> Port:
    """Answers when the card is plugged in, or when it is known that it cannot be."""
    wanted = _wanted(call)
    server_id, database = call.path["server_id"], call.parts.database
    endings = call.parts.endings
    with endings.turn():
        with database.write(call.ctx) as w:
            left = interfaces.attach(w, server_id, wanted, deadline_seconds=_PLUG_SECONDS)
        ended = endings.wait(database, call.ctx, left.id, _PLUG_SECONDS + _GRACE_SECONDS)
    _refuse_unless_done(server_id, ended)
    with database.read(call.ctx) as w:
        return ports.get(w, str(left.args["port_id"]))


def _wanted(call: Call) -> NetworkRequest:
    body = (call.body or {}).get("interfaceAttachment") or {}
    network_id, port_id = body.get("net_id"), body.get("port_id")
    addresses = body.get("fixed_ips") or [{}]
    if network_id and port_id:
        raise Invalid("Must not input both network_id and port_id", field="net_id")
    if addresses[0] and not network_id:
        raise Invalid("Must input network_id when request IP address", field="fixed_ips")
    return NetworkRequest(network_id, port_id, addresses[0].get("ip_address"), body.get("tag") or "")


def _refuse_unless_done(server_id: str, task: Task | None) -> None:
    if task is None:
        raise Busy(f"Instance {server_id} has not taken its new network card yet.", hint="List its interfaces later.")
    if task.state == State.CANCELLED:
        raise Conflict(f"Instance {server_id} was changed before it had its new network card.", code="server.state")
    if task.state != State.DONE:
        why = (task.error or {}).get("message", "")
        raise Failed(f"Failed to attach network adapter device to {server_id}: {why}", code="interface.not_attached")


def detach(call: Call) -> None:
    interfaces.detach(call.w, call.path["server_id"], call.path["port_id"])


_ONE = f"{ROOT}/servers/{{server_id}}"
_CARDS = f"{_ONE}/os-interface"
_SLICE = Query(Item("limit", NUMBER_QUERY), Item("offset", NUMBER_QUERY))
ROUTES = [
    Route("GET", _CARDS, list_cards, rule=RULE + "os-attach-interfaces:list", unit="read",
          view=CARD.many("interfaceAttachments")),
    Route("GET", f"{_CARDS}/{{port_id}}", show_card, rule=RULE + "os-attach-interfaces:show", unit="read",
          view=CARD.one("interfaceAttachment")),
    Route("POST", _CARDS, attach, rule=RULE + "os-attach-interfaces:create", body=NEW_CARD,
          view=CARD.one("interfaceAttachment")),
    Route("DELETE", f"{_CARDS}/{{port_id}}", detach, rule=RULE + "os-attach-interfaces:delete", success=202,
          unit="write"),
    Route("GET", f"{_ONE}/os-virtual-interfaces", list_old_cards, rule=RULE + "os-virtual-interfaces", unit="read",
          query=_SLICE, view=OLD_CARD.many("virtual_interfaces"), until="2.43"),
]  # fmt: skip
