"""Ports. A port that a server has is wired when the server boots; deleting one takes its reservation away."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import bulk, listing
from novalite.api.network.bulk import OneOrMany
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
from novalite.cloud.compute.servers import Server
from novalite.cloud.identity import policy
from novalite.cloud.network import networks, port_addresses, ports, subnets
from novalite.cloud.network.port_views import ROUTED
from novalite.cloud.network.records import Network, Port
from novalite.errors import Forbidden, Invalid, Unsupported


def _host_shown(call: Call) -> bool:
    return policy.allows("get_port:binding:host_id", call.ctx)


def _fixed_ips(port: Port, call: Call) -> list[dict[str, str]]:
    return [{"subnet_id": fixed.subnet_id, "ip_address": fixed.ip_address} for fixed in port.fixed_ips]


def _status(port: Port, call: Call) -> str:
    return "ACTIVE" if port.admin_state_up and (port.host or port.device_owner in ROUTED) else "DOWN"


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
    Field("allowed_address_pairs", lambda port, call: []),
    Field("extra_dhcp_opts", lambda port, call: []),
    Field("dns_name"),
    Field("dns_assignment", lambda port, call: []),
    Field("qos_policy_id", lambda port, call: None),
    Field("ip_allocation", lambda port, call: "immediate"),
    Field("propagate_uplink_status", lambda port, call: True),
    Field("resource_request", lambda port, call: None),
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
    Item("binding:host_id", {"type": ["string", "null"], "maxLength": 255}),
    Item("device_id", {"type": "string", "maxLength": 255}),
    Item("device_owner", {"type": "string", "maxLength": 255}),
)
NEW = OneOrMany(
    "port",
    "ports",
    Item("network_id", UUID, required=True),
    Item("fixed_ips", {"type": "array", "items": _FIXED_IP}),
    Item("mac_address", {"type": "string", "format": "mac"}),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    *_SHARED,
)
CHANGES = Body("port", Item("fixed_ips", {"type": "array", "items": _FIXED_IP}), *_SHARED)


def _refuse_what_is_not_offered(call: Call) -> None:
    refuse_unless(call, allowed_address_pairs=[],
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


def create(call: Call) -> dict[str, Any]:
    return bulk.make(call, "port", "ports", PORT, _create)


def _create(call: Call) -> Port:
    _refuse_what_is_not_offered(call)
    if call.body.get("binding:host_id"):
        policy.require("create_port:binding:host_id", call.ctx)
    network = networks.get(call.w, call.body["network_id"])
    _refuse_others_network(call, network)
    _refuse_others_server(call)
    groups = call.body.get("security_groups")
    security = call.body.get("port_security_enabled", network.port_security)
    if not security:
        _require_network_owner(call, network)
    if groups and not security:
        raise Invalid("Port has security group associated. Cannot disable port security or IP address until security "
                      "group is removed.", code="port_security.port_has_security_group",
                      field="port_security_enabled")  # fmt: skip
    addresses = _addresses_asked_for(call, network)
    made = ports.create(
        call.w,
        ports.NewPort(
            network_id=network.id,
            fixed_ip=addresses[0] if addresses else "",
            mac_address=call.body.get("mac_address"),
            name=call.body.get("name", ""),
            description=call.body.get("description", ""),
            device_id=call.body.get("device_id", ""),
            device_owner=_device_owner(call),
            security_groups=None if groups is None else tuple(groups),
            dns_name=call.body.get("dns_name", ""),
            project_id=owner(call),
            port_security=security,
            admin_state_up=call.body.get("admin_state_up", True),
            host=call.body.get("binding:host_id") or "",
        ),
    )
    if len(addresses) > 1:
        port_addresses.change(call.w, made, addresses)
        return ports.get(call.w, made.id)
    return made


def _refuse_others_network(call: Call, network: Network) -> None:
    """A network that others only see leads them outside, by routers; ports on it are its owner's."""
    own = call.ctx.is_admin or network.project_id == call.ctx.project_id or network.is_shared
    if not own:
        raise Forbidden(f"It is not allowed to create a port on external network {network.id}",
                        code="policy.other_project")  # fmt: skip


def _refuse_others_server(call: Call) -> None:
    """The ports that name a server are its cards from its next boot on."""
    server = call.w.session.get(Server, call.body.get("device_id", ""))
    if server is not None and server.project_id != call.ctx.project_id and not call.ctx.is_admin:
        raise Forbidden("The device is of another project.", code="policy.other_project")


def _require_network_owner(call: Call, network: Network) -> None:
    """Who switches port security off may speak for all others on the network."""
    if not call.ctx.is_admin and network.project_id != call.ctx.project_id:
        raise Forbidden("Policy doesn't allow create_port:port_security_enabled to be performed.",
                        rule="create_port:port_security_enabled")  # fmt: skip


def _device_owner(call: Call) -> str:
    wanted = str(call.body.get("device_owner", ""))
    if wanted in ROUTED:
        raise Unsupported(f"Ports with the owner {wanted} are made by routers and floating addresses.",
                          code="network.unsupported", field="device_owner")  # fmt: skip
    return wanted


def _addresses_asked_for(call: Call, network: Network) -> list[str | None]:
    """The addresses wanted, None for any. Raises ``Invalid`` for another network's subnet."""
    asked = call.body.get("fixed_ips")
    if asked is None:
        return [None]
    known = {subnet.id for subnet in network.subnets}
    for wanted in asked:
        if "subnet_id" in wanted and wanted["subnet_id"] not in known:
            subnets.get(call.w, wanted["subnet_id"])
            raise Invalid(f"Invalid input for operation: Failed to create port on network {network.id}, because "
                          f"fixed_ips included invalid subnet {wanted['subnet_id']}.", field="fixed_ips")  # fmt: skip
    found = [wanted.get("ip_address") for wanted in asked]
    if len(found) != len(set(found) - {None}) + found.count(None):
        raise Invalid("Invalid input for fixed_ips. Reason: an address stands there twice.", field="fixed_ips")
    return found


def update(call: Call) -> Any:
    _refuse_what_is_not_offered(call)
    port = ports.get(call.w, call.path["port_id"])
    if call.body.get("binding:host_id", port.host) != port.host:
        policy.require("update_port:binding:host_id", call.ctx)
        if port.device_id:
            refuse_unless(call, binding__host_id=port.host)
    if "fixed_ips" in call.body:
        network = networks.get(call.w, port.network_id)
        port_addresses.change(call.w, port, _addresses_asked_for(call, network))
    names = ("name", "description", "dns_name", "admin_state_up")
    changes = {name: call.body[name] for name in names if name in call.body}
    if "binding:host_id" in call.body:
        changes["host"] = call.body["binding:host_id"] or ""
    for name in ("device_id", "device_owner"):
        if call.body.get(name) == "" and not port.host and port.device_owner not in ROUTED:
            changes[name] = ""
        else:
            refuse_unless(call, **{name: getattr(port, name)})
    if "port_security_enabled" in call.body:
        _require_network_owner(call, networks.get(call.w, port.network_id))
        changes["port_security"] = call.body["port_security_enabled"]
    return ports.update(call.w, port.id, changes, groups=call.body.get("security_groups"))


def delete(call: Call) -> None:
    with call.parts.database.write(call.ctx) as w:
        port = ports.delete(w, call.path["port_id"])
    call.parts.network_driver.remove_port(port.network_id, port.id)


_ONE = f"{ROOT}/ports/{{port_id}}"
ROUTES = [
    Route("GET", f"{ROOT}/ports", index, rule="get_port", unit="read"),
    Route("GET", _ONE, show, rule="get_port", unit="read"),
    Route("POST", f"{ROOT}/ports", create, rule="create_port", body=NEW, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_port", body=CHANGES, view=PORT.one("port"), unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_port", success=204),
]  # fmt: skip
