"""Ports. A port that a server has is wired when the server boots; deleting one takes its reservation away."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.shapes import (
    ANY,
    BOOLEAN,
    LIST,
    NAME,
    PROJECT,
    ROOT,
    UUID,
    common_fields,
    owner,
    refuse_unless,
)
from novalite.cloud.identity import policy
from novalite.cloud.network import ports
from novalite.cloud.network.records import Port
from novalite.errors import Unsupported


def _host_shown(call: Call) -> bool:
    return policy.allows("get_port:binding:host_id", call.ctx)


def _fixed_ips(port: Port, call: Call) -> list[dict[str, str]]:
    return [{"subnet_id": fixed.subnet_id, "ip_address": fixed.ip_address} for fixed in port.fixed_ips]


PORT = View(
    *common_fields(),
    Field("network_id"),
    Field("mac_address"),
    Field("fixed_ips", _fixed_ips),
    Field("device_id"),
    Field("device_owner"),
    Field("admin_state_up", lambda port, call: True),
    Field("status", lambda port, call: "ACTIVE" if port.host else "DOWN"),
    Field("security_groups", lambda port, call: [group.id for group in port.groups]),
    Field("port_security_enabled", lambda port, call: True),
    Field("allowed_address_pairs", lambda port, call: []),
    Field("extra_dhcp_opts", lambda port, call: []),
    Field("dns_name"),
    Field("binding:vnic_type", lambda port, call: "normal"),
    Field("binding:host_id", "host", only=_host_shown),
    Field("binding:vif_type", lambda port, call: "bridge" if port.host else "unbound", only=_host_shown),
    Field("binding:vif_details", lambda port, call: {}, only=_host_shown),
    Field("binding:profile", lambda port, call: {}, only=_host_shown),
)
_FIXED_IP = {
    "type": "object",
    "properties": {"subnet_id": UUID, "ip_address": {"type": "string", "format": "ipv4"}},
    "additionalProperties": False,
}
_SHARED = (
    Item("name", NAME),
    Item("description", NAME),
    Item("dns_name", {"type": "string", "maxLength": 63}),
    Item("security_groups", {"type": "array", "items": {"type": "string", "maxLength": 255}}),
    Item("admin_state_up", BOOLEAN),
    Item("port_security_enabled", BOOLEAN),
    Item("allowed_address_pairs", LIST),
    Item("extra_dhcp_opts", LIST),
    Item("qos_policy_id", ANY),
    Item("binding:vnic_type", ANY),
    Item("binding:profile", ANY),
    Item("binding:host_id", ANY),
    Item("device_id", {"type": "string", "maxLength": 255}),
    Item("device_owner", {"type": "string", "maxLength": 255}),
)
NEW = Body(
    "port",
    Item("network_id", UUID, required=True),
    Item("fixed_ips", {"type": "array", "items": _FIXED_IP}),
    Item("mac_address", {"type": "string", "format": "mac"}),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    *_SHARED,
)
CHANGES = Body("port", Item("fixed_ips", LIST), *_SHARED)


def _refuse_what_is_not_offered(call: Call) -> None:
    refuse_unless(call, admin_state_up=True, port_security_enabled=True, allowed_address_pairs=[],
                  extra_dhcp_opts=[], qos_policy_id=None, binding__vnic_type="normal", binding__profile={})  # fmt: skip


def index(call: Call) -> dict[str, Any]:
    found = ports.list_visible(call.w, columns=_columns(call), fixed_ips=_addresses(call))
    done = {*_columns(call), "tenant_id", "fixed_ips"}
    return listing.listing(call, "ports", PORT, found, done=done)


def _columns(call: Call) -> dict[str, list[str]]:
    names = {name: name for name in ("id", "name", "network_id", "mac_address", "device_id", "device_owner")}
    names |= {"project_id": "project_id", "tenant_id": "project_id"}
    return {column: call.query.getlist(name) for name, column in names.items() if name in call.query}


def _addresses(call: Call) -> dict[str, list[str]]:
    """``fixed_ips=ip_address=A&fixed_ips=subnet_id=S``."""
    found: dict[str, list[str]] = {}
    for text in call.query.getlist("fixed_ips"):
        name, _, value = text.partition("=")
        if name not in ("ip_address", "subnet_id"):
            raise Unsupported(f"Ports are not filtered by '{name[:100]}' of their addresses.", field="fixed_ips")
        found.setdefault(name, []).append(value)
    return found


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "port", PORT, ports.get(call.w, call.path["port_id"]))


def create(call: Call) -> Any:
    _refuse_what_is_not_offered(call)
    refuse_unless(call, binding__host_id="")
    asked = call.body.get("fixed_ips") or [{}]
    if len(asked) > 1:
        raise Unsupported("A port has one address.", code="network.unsupported", field="fixed_ips")
    groups = call.body.get("security_groups")
    return ports.create(
        call.w,
        ports.NewPort(
            network_id=call.body["network_id"],
            fixed_ip=asked[0].get("ip_address"),
            mac_address=call.body.get("mac_address"),
            name=call.body.get("name", ""),
            description=call.body.get("description", ""),
            device_id=call.body.get("device_id", ""),
            device_owner=call.body.get("device_owner", ""),
            security_groups=None if groups is None else tuple(groups),
            dns_name=call.body.get("dns_name", ""),
            project_id=owner(call),
        ),
    )


def update(call: Call) -> Any:
    _refuse_what_is_not_offered(call)
    port = ports.get(call.w, call.path["port_id"])
    refuse_unless(call, fixed_ips=_fixed_ips(port, call), device_id=port.device_id, device_owner=port.device_owner,
                  binding__host_id=port.host)  # fmt: skip
    return ports.update(
        call.w,
        port.id,
        name=call.body.get("name"),
        description=call.body.get("description"),
        dns_name=call.body.get("dns_name"),
        groups=call.body.get("security_groups"),
    )


def delete(call: Call) -> None:
    with call.parts.database.write(call.ctx) as w:
        port = ports.delete(w, call.path["port_id"])
    call.parts.network_driver.remove_port(port.network_id, port.id)


_ONE = f"{ROOT}/ports/{{port_id}}"
ROUTES = [
    Route("GET", f"{ROOT}/ports", index, rule="get_port", unit="read"),
    Route("GET", _ONE, show, rule="get_port", unit="read"),
    Route("POST", f"{ROOT}/ports", create, rule="create_port", body=NEW, view=PORT.one("port"), success=201,
          unit="write"),
    Route("PUT", _ONE, update, rule="update_port", body=CHANGES, view=PORT.one("port"), unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_port", success=204),
]  # fmt: skip
