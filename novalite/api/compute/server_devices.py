"""What a server has plugged in, to read: network cards, volumes, and the security groups of its cards."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.security_groups import GROUP
from novalite.api.compute.shapes import NUMBER_QUERY, ROOT, RULE
from novalite.api.kit.body import Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, whole_number
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.compute import servers
from novalite.cloud.network import ports, security_groups
from novalite.cloud.network.records import Port, SecurityGroup
from novalite.errors import NotFound


def _addresses(port: Port, call: Call) -> list[dict[str, str]]:
    return [{"subnet_id": ip.subnet_id, "ip_address": ip.ip_address} for ip in port.fixed_ips]


CARD = View(
    Field("port_id", "id"),
    Field("net_id", "network_id"),
    Field("mac_addr", "mac_address"),
    Field("port_state", lambda port, call: "ACTIVE" if port.host else "DOWN"),
    Field("fixed_ips", _addresses),
    Field("tag", lambda port, call: port.tag or None, since="2.70"),
)
OLD_CARD = View(Field("id"), Field("mac_address"), Field("net_id", "network_id", since="2.12"))


def _ports(call: Call) -> list[Port]:
    """The server's cards, in their order."""
    server = servers.get(call.w, call.path["server_id"])
    found = ports.list_visible(call.w, columns={"device_id": (server.id,)}, fixed_ips={})
    return sorted(found, key=lambda port: port.position)


def list_cards(call: Call) -> list[Port]:
    return _ports(call)


def show_card(call: Call) -> Port:
    port_id = call.path["port_id"]
    for port in _ports(call):
        if port.id == port_id:
            return port
    message = f"Instance {call.path['server_id']} does not have a port with id {port_id}"
    raise NotFound("port", port_id, message=message)


def _slice(call: Call, found: list[Any]) -> list[Any]:
    """The simple kind of page: ``limit`` 0 is the maximum."""
    offset = whole_number(call, "offset") or 0
    return found[offset : offset + (limit(call) or 1000)]


def list_old_cards(call: Call) -> list[Port]:
    found: list[Port] = _slice(call, _ports(call))
    return found


def list_volumes(call: Call) -> dict[str, Any]:
    """No server has a volume: the appliance's volume service says that there are none."""
    servers.get(call.w, call.path["server_id"])
    return {"volumeAttachments": _slice(call, [])}


def show_volume(call: Call) -> None:
    server, volume_id = servers.get(call.w, call.path["server_id"]), call.path["volume_id"]
    message = f"Instance {server.id} is not attached to volume {volume_id}"
    raise NotFound("volume attachment", volume_id, message=message)


def list_groups(call: Call) -> list[SecurityGroup]:
    names = {group.id for port in _ports(call) for group in port.groups}
    return [group for group in security_groups.list_visible(call.w) if group.id in names]


_ONE = f"{ROOT}/servers/{{server_id}}"
_CARDS, _VOLUMES = f"{_ONE}/os-interface", f"{_ONE}/os-volume_attachments"
_SLICE = Query(Item("limit", NUMBER_QUERY), Item("offset", NUMBER_QUERY), strict_since="2.75")
_OLD_SLICE = Query(Item("limit", NUMBER_QUERY), Item("offset", NUMBER_QUERY))
ROUTES = [
    Route("GET", _CARDS, list_cards, rule=RULE + "os-attach-interfaces:list", unit="read",
          view=CARD.many("interfaceAttachments")),
    Route("GET", f"{_CARDS}/{{port_id}}", show_card, rule=RULE + "os-attach-interfaces:show", unit="read",
          view=CARD.one("interfaceAttachment")),
    Route("GET", f"{_ONE}/os-virtual-interfaces", list_old_cards, rule=RULE + "os-virtual-interfaces", unit="read",
          query=_OLD_SLICE, view=OLD_CARD.many("virtual_interfaces"), until="2.43"),
    Route("GET", _VOLUMES, list_volumes, rule=RULE + "os-volumes-attachments:index", query=_SLICE, unit="read"),
    Route("GET", f"{_VOLUMES}/{{volume_id}}", show_volume, rule=RULE + "os-volumes-attachments:show", unit="read"),
    Route("GET", f"{_ONE}/os-security-groups", list_groups, rule=RULE + "os-security-groups:list", unit="read",
          view=GROUP.many("security_groups")),
]  # fmt: skip
