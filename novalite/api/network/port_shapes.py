"""What a port looks like and what may be said of one."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.view import Field, View
from novalite.api.network.bulk import OneOrMany
from novalite.api.network.shapes import (
    ANY,
    BOOLEAN,
    DNS_DOMAIN,
    DNS_NAME,
    NAME,
    PROJECT,
    TAGS,
    UUID,
    common_fields,
)
from novalite.cloud.identity import policy
from novalite.cloud.network.port_views import DHCP, ROUTED
from novalite.cloud.network.records import Port


def _host_shown(call: Call) -> bool:
    return policy.allows("get_port:binding:host_id", call.ctx)


def _fixed_ips(port: Port, call: Call) -> list[dict[str, str]]:
    return [{"subnet_id": fixed.subnet_id, "ip_address": fixed.ip_address} for fixed in port.fixed_ips]


def _status(port: Port, call: Call) -> str:
    stands = port.host or port.device_owner == DHCP or port.device_owner in ROUTED
    return "ACTIVE" if port.admin_state_up and stands else "DOWN"


def _pairs(port: Port, call: Call) -> list[dict[str, str]]:
    return [
        {"ip_address": pair["ip_address"], "mac_address": pair.get("mac_address") or port.mac_address}
        for pair in port.address_pairs
    ]


def _names(port: Port, call: Call) -> list[dict[str, str]]:
    """The names of its addresses on its network."""
    domain = call.parts.settings.network.dns_domain.rstrip(".")
    found = []
    for fixed in port.fixed_ips:
        name = port.dns_name or "host-" + fixed.ip_address.replace(".", "-").replace(":", "-")
        whole = f"{name}.{domain}." if domain else f"{name}."
        found.append({"ip_address": fixed.ip_address, "hostname": name, "fqdn": whole})
    return found


def _details(port: Port, call: Call) -> dict[str, Any]:
    return {"port_filter": port.port_security, "connectivity": "l2"} if port.host else {}


PORT = View(
    *common_fields(),
    Field("network_id"),
    Field("mac_address"),
    Field("fixed_ips", _fixed_ips),
    Field("device_id"),
    Field("device_owner"),
    Field("admin_state_up"),
    Field("status", _status),
    Field("security_groups", lambda port, call: [group.id for group in port.groups]),
    Field("port_security_enabled", "port_security"),
    Field("allowed_address_pairs", _pairs),
    Field("extra_dhcp_opts", "dhcp_options"),
    Field("dns_name"),
    Field("dns_domain"),
    Field("dns_assignment", _names),
    Field("qos_policy_id"),
    Field("ip_allocation"),
    Field("propagate_uplink_status"),
    Field("resource_request", lambda port, call: None),
    Field("binding:vnic_type", "vnic_type"),
    Field("binding:host_id", "host", only=_host_shown),
    Field("binding:vif_type", lambda port, call: "bridge" if port.host else "unbound", only=_host_shown),
    Field("binding:vif_details", _details, only=_host_shown),
    Field("binding:profile", "binding_profile", only=_host_shown),
)
_ADDRESS = {"type": "string", "format": "ip"}
_MAC = {"type": "string", "format": "mac"}
_FIXED_IP = {
    "type": "object",
    "properties": {"subnet_id": UUID, "ip_address": _ADDRESS},
    "additionalProperties": False,
}
_PAIR = {
    "type": "object",
    "properties": {"ip_address": {"type": "string", "maxLength": 64}, "mac_address": _MAC},
    "required": ["ip_address"],
    "additionalProperties": False,
}
_OPTION = {
    "type": "object",
    "properties": {
        "opt_name": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9:_.-]{0,63}\Z"},
        "opt_value": {"type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": r"^[ -~]+\Z"},
        "ip_version": {"enum": [4, 6, "4", "6"]},
    },
    "required": ["opt_name", "opt_value"],
    "additionalProperties": False,
}
_SHARED = (
    Item("name", NAME),
    Item("description", NAME),
    Item("dns_name", DNS_NAME),
    Item("dns_domain", DNS_DOMAIN),
    Item("security_groups", {"type": "array", "items": {"type": "string", "maxLength": 255}}),
    Item("admin_state_up", BOOLEAN),
    Item("port_security_enabled", BOOLEAN),
    Item("allowed_address_pairs", {"type": ["array", "null"], "items": _PAIR, "maxItems": 10}),
    Item("extra_dhcp_opts", {"type": ["array", "null"], "items": _OPTION, "maxItems": 50}),
    Item("qos_policy_id", {"type": ["string", "null"], "format": "uuid"}),
    Item("binding:vnic_type", ANY),
    Item("binding:profile", {"type": ["object", "null"], "maxProperties": 100}),
    Item("binding:host_id", {"type": ["string", "null"], "maxLength": 255}),
    Item("device_id", {"type": "string", "maxLength": 255}),
    Item("device_owner", {"type": "string", "maxLength": 255}),
    Item("propagate_uplink_status", BOOLEAN),
    Item("mac_address", _MAC),
)
_FIXED_IPS = {"type": "array", "items": _FIXED_IP}
NEW = OneOrMany(
    "port",
    "ports",
    Item("network_id", UUID, required=True),
    Item("fixed_ips", _FIXED_IPS),
    Item("tags", TAGS),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    *_SHARED,
)
CHANGES = Body("port", Item("fixed_ips", _FIXED_IPS), *_SHARED)
