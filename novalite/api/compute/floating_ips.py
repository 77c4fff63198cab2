"""Floating addresses as Compute showed them, and those of servers: the network service's own."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.gone import tell
from novalite.api.compute.server_actions import action_route
from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import TEXT, TEXT_OR_NULL, Told, array, record
from novalite.api.kit.answers import UUID as IDENTIFIER
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.compute import floating_ips
from novalite.cloud.compute.floating_ips import Led
from novalite.errors import NotFound

_LATEST, _LATEST_ACTION = "2.35", "2.43"
FLOATING = View(
    Field("id", "floating.id", schema=IDENTIFIER),
    Field("ip", "floating.ip_address", schema=TEXT),
    Field("pool", schema=TEXT),
    Field("fixed_ip", "floating.fixed_ip_address", schema=TEXT_OR_NULL),
    Field("instance_id", lambda one, call: one.server_id or None, schema=TEXT_OR_NULL),
)
IN_BULK = View(
    Field("address", "floating.ip_address", schema=TEXT),
    Field("pool", schema=TEXT),
    Field("interface", lambda one, call: None, schema=TEXT_OR_NULL),
    Field("project_id", "floating.project_id", schema=TEXT),
    Field("instance_uuid", lambda one, call: one.server_id or None, schema=TEXT_OR_NULL),
    Field("fixed_ip", "floating.fixed_ip_address", schema=TEXT_OR_NULL),
)
_ADDRESS = {"type": "string", "format": "ip"}
_NEW = Body("", Item("pool", {"type": ["string", "null"], "maxLength": 255}), extra=True, optional=True)


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def list_own(call: Call) -> list[Led]:
    return floating_ips.list_own(call.w)


def show(call: Call) -> Led:
    return floating_ips.show(call.w, call.path["floating_id"])


def allocate(call: Call) -> Led:
    return floating_ips.allocate(call.w, (call.body or {}).get("pool"))


def release(call: Call) -> None:
    floating_ips.release(call.w, call.path["floating_id"])


def list_pools(call: Call) -> dict[str, Any]:
    return {"floating_ip_pools": [{"name": name} for name in floating_ips.pools(call.w)]}


def list_in_bulk(call: Call) -> list[Led]:
    return floating_ips.list_all(call.w)


def list_of_host(call: Call) -> list[Led]:
    host = call.path["host"]
    found = [one for one in floating_ips.list_all(call.w) if one.host == host]
    if not found:
        raise NotFound("host", host, message=f"Floating IP not found for host {host}.")
    return found


def associate(call: Call) -> None:
    body = call.body
    floating_ips.associate(call.w, call.path["server_id"], body["address"], body.get("fixed_address"))


def disassociate(call: Call) -> None:
    floating_ips.disassociate(call.w, call.path["server_id"], call.body["address"])


_ALL, _BULK = f"{ROOT}/os-floating-ips", f"{ROOT}/os-floating-ips-bulk"
_RULE = RULE + "os-floating-ips:"
_POOLS = Told("floating_ip_pools", whole=array(record({"name": TEXT})))
ROUTES = [
    Route("GET", f"{ROOT}/os-floating-ip-pools", list_pools, rule=RULE + "os-floating-ip-pools", unit="read",
          view=_POOLS, until=_LATEST),
    Route("GET", _ALL, list_own, rule=_RULE + "list", unit="read", view=FLOATING.many("floating_ips"), until=_LATEST),
    Route("POST", _ALL, allocate, rule=_RULE + "create", unit="write", body=_NEW, view=FLOATING.one("floating_ip"),
          until=_LATEST),
    Route("GET", f"{_ALL}/{{floating_id}}", show, rule=_RULE + "show", unit="read", view=FLOATING.one("floating_ip"),
          until=_LATEST),
    Route("DELETE", f"{_ALL}/{{floating_id}}", release, rule=_RULE + "delete", unit="write", success=202,
          until=_LATEST),
    Route("GET", _BULK, list_in_bulk, rule=RULE + "os-floating-ips-bulk", unit="read",
          view=IN_BULK.many("floating_ip_info"), until=_LATEST),
    Route("GET", f"{_BULK}/{{host}}", list_of_host, rule=RULE + "os-floating-ips-bulk", unit="read",
          view=IN_BULK.many("floating_ip_info"), until=_LATEST),
    Route("POST", _BULK, tell, rule=RULE + "os-floating-ips-bulk", success=410, until=_LATEST),
    Route("PUT", f"{_BULK}/delete", tell, rule=RULE + "os-floating-ips-bulk", success=410, until=_LATEST),
    action_route("addFloatingIp", associate, "os-floating-ips:add",
                 _object("address", address=_ADDRESS, fixed_address=_ADDRESS), until=_LATEST_ACTION),
    action_route("removeFloatingIp", disassociate, "os-floating-ips:remove", _object("address", address=_ADDRESS),
                 until=_LATEST_ACTION),
]  # fmt: skip
