"""What a server has plugged in, to read: volumes, and the security groups of its cards."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.security_groups import GROUP
from novalite.api.compute.server_interfaces import cards
from novalite.api.compute.shapes import NUMBER_QUERY, ROOT, RULE
from novalite.api.kit.body import Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, whole_number
from novalite.api.kit.routes import Route
from novalite.cloud.compute import servers
from novalite.cloud.network import security_groups
from novalite.cloud.network.records import SecurityGroup
from novalite.errors import NotFound


def _slice(call: Call, found: list[Any]) -> list[Any]:
    """The simple kind of page: ``limit`` 0 is the maximum."""
    offset = whole_number(call, "offset") or 0
    return found[offset : offset + (limit(call) or 1000)]


def list_volumes(call: Call) -> dict[str, Any]:
    """No server has a volume: the appliance's volume service says that there are none."""
    servers.get(call.w, call.path["server_id"])
    return {"volumeAttachments": _slice(call, [])}


def show_volume(call: Call) -> None:
    server, volume_id = servers.get(call.w, call.path["server_id"]), call.path["volume_id"]
    message = f"Instance {server.id} is not attached to volume {volume_id}"
    raise NotFound("volume attachment", volume_id, message=message)


def list_groups(call: Call) -> list[SecurityGroup]:
    names = {group.id for port in cards(call) for group in port.groups}
    return [group for group in security_groups.list_visible(call.w) if group.id in names]


_ONE = f"{ROOT}/servers/{{server_id}}"
_VOLUMES = f"{_ONE}/os-volume_attachments"
_SLICE = Query(Item("limit", NUMBER_QUERY), Item("offset", NUMBER_QUERY), strict_since="2.75")
ROUTES = [
    Route("GET", _VOLUMES, list_volumes, rule=RULE + "os-volumes-attachments:index", query=_SLICE, unit="read"),
    Route("GET", f"{_VOLUMES}/{{volume_id}}", show_volume, rule=RULE + "os-volumes-attachments:show", unit="read"),
    Route("GET", f"{_ONE}/os-security-groups", list_groups, rule=RULE + "os-security-groups:list", unit="read",
          view=GROUP.many("security_groups")),
]  # fmt: skip
