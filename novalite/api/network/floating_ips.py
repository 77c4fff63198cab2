"""Floating addresses. Where one leads reaches the machine within moments (``engine/network_changes.py``)."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.shapes import (
    ANY,
    NAME,
    PROJECT,
    ROOT,
    TAGS,
    UUID,
    common_fields,
    given_tags,
    owner,
    refuse_unless,
)
from novalite.cloud.identity import policy
from novalite.cloud.network import floating_forwards, floating_ips
from novalite.cloud.network.records import FloatingIp


def _details(floating: FloatingIp, call: Call) -> dict[str, Any] | None:
    port = floating.port
    if port is None:
        return None
    return {
        "name": port.name,
        "network_id": port.network_id,
        "mac_address": port.mac_address,
        "admin_state_up": port.admin_state_up,
        "status": "ACTIVE" if port.host else "DOWN",
        "device_id": port.device_id,
        "device_owner": port.device_owner,
    }


def _forwardings(floating: FloatingIp, call: Call) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id, "protocol": one.protocol, "internal_ip_address": one.fixed_ip_address,
            "external_port": one.external_first if one.external_first == one.external_last else None,
            "internal_port": one.internal_first if one.external_first == one.external_last else None,
            "external_port_range": f"{one.external_first}:{one.external_last}",
            "internal_port_range": "{}:{}".format(*floating_forwards.internal(one)),
        }
        for one in floating.forwards
    ]  # fmt: skip


FLOATING_IP = View(
    *(field for field in common_fields() if field.name != "name"),
    Field("floating_network_id", "network_id"),
    Field("floating_ip_address", "ip_address"),
    Field("fixed_ip_address"),
    Field("port_id"),
    Field("router_id"),
    Field("status", lambda floating, call: "ACTIVE" if floating.port_id else "DOWN"),
    Field("port_details", _details),
    Field("port_forwardings", _forwardings),
    Field("dns_name", lambda floating, call: ""),
    Field("dns_domain", lambda floating, call: ""),
    Field("qos_policy_id", lambda floating, call: None),
)
_ADDRESS = {"type": ["string", "null"], "format": "ipv4"}
_PORT = {"type": ["string", "null"], "format": "uuid"}
NEW = Body(
    "floatingip",
    Item("floating_network_id", UUID, required=True),
    Item("floating_ip_address", _ADDRESS),
    Item("port_id", _PORT),
    Item("fixed_ip_address", _ADDRESS),
    Item("subnet_id", _PORT),
    Item("description", NAME),
    Item("tags", TAGS),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    Item("dns_name", ANY),
    Item("dns_domain", ANY),
    Item("qos_policy_id", ANY),
)
CHANGES = Body(
    "floatingip",
    Item("port_id", _PORT),
    Item("fixed_ip_address", _ADDRESS),
    Item("description", NAME),
    Item("qos_policy_id", ANY),
)


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "floatingips", FLOATING_IP, floating_ips.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "floatingip", FLOATING_IP, floating_ips.get(call.w, call.path["floating_id"]))


def create(call: Call) -> Any:
    refuse_unless(call, dns_name="", dns_domain="", qos_policy_id=None)
    if call.body.get("floating_ip_address"):
        policy.require("create_floatingip:floating_ip_address", call.ctx)
    made = floating_ips.create(
        call.w,
        floating_ips.NewFloating(
            network_id=call.body["floating_network_id"],
            ip_address=call.body.get("floating_ip_address"),
            port_id=call.body.get("port_id"),
            fixed_ip_address=call.body.get("fixed_ip_address"),
            subnet_id=call.body.get("subnet_id"),
            description=call.body.get("description", ""),
            project_id=owner(call),
        ),
    )
    made.tags = given_tags(call)
    return made


def update(call: Call) -> Any:
    refuse_unless(call, qos_policy_id=None)
    found = floating_ips.get(call.w, call.path["floating_id"])
    if "description" in call.body:
        found = floating_ips.describe(call.w, found, call.body["description"])
    if call.body.get("port_id"):
        return floating_ips.lead(call.w, found, call.body["port_id"], call.body.get("fixed_ip_address"))
    if "port_id" in call.body:
        return floating_ips.unlead(call.w, found)
    return found


def delete(call: Call) -> None:
    floating_ips.release(call.w, call.path["floating_id"])


_ALL, _ONE = f"{ROOT}/floatingips", f"{ROOT}/floatingips/{{floating_id}}"
_SHOWN = FLOATING_IP.one("floatingip")
ROUTES = [
    Route("GET", _ALL, index, rule="get_floatingip", unit="read"),
    Route("GET", _ONE, show, rule="get_floatingip", unit="read"),
    Route("POST", _ALL, create, rule="create_floatingip", body=NEW, view=_SHOWN, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_floatingip", body=CHANGES, view=_SHOWN, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_floatingip", success=204, unit="write"),
]
