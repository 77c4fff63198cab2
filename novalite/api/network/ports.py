"""Ports. What changes of one that a server has reaches the machine within moments."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.network import bulk, listing
from novalite.api.network.port_shapes import CHANGES, NEW, PORT
from novalite.api.network.shapes import ROOT, given_tags, owner, refuse_unless
from novalite.cloud.compute.servers import Server
from novalite.cloud.identity import policy
from novalite.cloud.network import grants, networks, port_addresses, port_options, ports, qos, subnets
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.port_views import DHCP, ROUTED
from novalite.cloud.network.records import Network, Port
from novalite.errors import Forbidden, Invalid, Unsupported

_OURS = (*ROUTED, DHCP)


def _refuse_what_is_not_offered(call: Call) -> None:
    refuse_unless(call, binding__vnic_type="normal")


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
        if name not in ("ip_address", "subnet_id", "ip_address_substr"):
            raise Invalid(f"Ports are not filtered by '{name[:100]}' of their addresses.", field="fixed_ips")
        found.setdefault(name, []).append(value)
    return found


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "port", PORT, ports.get(call.w, call.path["port_id"]))


def create(call: Call) -> dict[str, Any]:
    return bulk.make(call, "port", "ports", PORT, _create)


def _create(call: Call) -> Port:
    _refuse_what_is_not_offered(call)
    body = call.body
    for name in ("binding:host_id", "binding:profile"):
        if body.get(name):
            policy.require(f"create_port:{name}", call.ctx)
    network = networks.get(call.w, body["network_id"])
    _refuse_others_network(call, network)
    _refuse_others_server(call)
    groups = body.get("security_groups")
    security = body.get("port_security_enabled", network.port_security)
    if not security or body.get("allowed_address_pairs"):
        _require_network_owner(call, network, "port_security_enabled" if not security else "allowed_address_pairs")
    if body.get("mac_address"):
        _require_network_owner(call, network, "mac_address")
    if groups and not security:
        raise Invalid("Port has security group associated. Cannot disable port security or IP address until security "
                      "group is removed.", code="port_security.port_has_security_group",
                      field="port_security_enabled")  # fmt: skip
    made = ports.create(
        call.w,
        ports.NewPort(
            network_id=network.id,
            fixed_ips=_asked(call),
            mac_address=body.get("mac_address"),
            name=body.get("name", ""),
            description=body.get("description", ""),
            device_id=body.get("device_id", ""),
            device_owner=_device_owner(call),
            security_groups=None if groups is None else tuple(groups),
            dns_name=body.get("dns_name", ""),
            dns_domain=body.get("dns_domain", ""),
            project_id=owner(call),
            port_security=security,
            admin_state_up=body.get("admin_state_up", True),
            host=body.get("binding:host_id") or "",
            binding_profile=body.get("binding:profile") or {},
            address_pairs=port_options.pairs(body.get("allowed_address_pairs") or (), port_security=security),
            dhcp_options=port_options.dhcp((), body.get("extra_dhcp_opts") or ()),
            propagate_uplink_status=body.get("propagate_uplink_status", True),
        ),
    )
    made.tags, made.qos_policy_id = given_tags(call), qos.checked(call.w, body.get("qos_policy_id"))
    return made


def _refuse_others_network(call: Call, network: Network) -> None:
    """A network that others only see leads them outside, by routers; ports on it are its owner's."""
    own = call.ctx.is_admin or network.project_id == call.ctx.project_id
    if not own and not grants.is_shared(network.grants, call.ctx):
        raise Forbidden(f"It is not allowed to create a port on external network {network.id}",
                        code="policy.other_project")  # fmt: skip


def _refuse_others_server(call: Call) -> None:
    """The ports that name a server are its cards from its next boot on."""
    server = call.w.session.get(Server, call.body.get("device_id", ""))
    if server is not None and server.project_id != call.ctx.project_id and not call.ctx.is_admin:
        raise Forbidden("The device is of another project.", code="policy.other_project")


def _require_network_owner(call: Call, network: Network, what: str) -> None:
    """Who switches port security off, opens it for more addresses or chooses a card's own may speak for others on the
    network."""
    if not call.ctx.is_admin and network.project_id != call.ctx.project_id:
        raise Forbidden(f"Policy doesn't allow create_port:{what} to be performed.", rule=f"create_port:{what}")


def _device_owner(call: Call) -> str:
    wanted = str(call.body.get("device_owner", ""))
    if wanted in _OURS:
        raise Unsupported(f"Ports with the owner {wanted} are made by networks, routers and floating addresses.",
                          code="network.unsupported", field="device_owner")  # fmt: skip
    if wanted.startswith("network:") and not call.ctx.is_admin:
        raise Forbidden("Policy doesn't allow create_port:device_owner to be performed.",
                        rule="create_port:device_owner")  # fmt: skip
    return wanted


def _asked(call: Call) -> tuple[Asked, ...] | None:
    """The addresses wanted. Raises ``NotFound`` for a subnet that the caller does not see."""
    asked = call.body.get("fixed_ips")
    if asked is None:
        return None
    for wanted in asked:
        if "subnet_id" in wanted:
            subnets.get(call.w, wanted["subnet_id"])
    return tuple(Asked(wanted.get("ip_address"), wanted.get("subnet_id")) for wanted in asked)


_PLAIN = {
    "name": "name",
    "description": "description",
    "dns_name": "dns_name",
    "dns_domain": "dns_domain",
    "admin_state_up": "admin_state_up",
    "propagate_uplink_status": "propagate_uplink_status",
}


def update(call: Call) -> Any:
    _refuse_what_is_not_offered(call)
    body = call.body
    port = ports.get(call.w, call.path["port_id"])
    changes = {column: body[name] for name, column in _PLAIN.items() if name in body}
    changes |= _device(call, port) | _binding(call, port) | _guarded(call, port)
    if "qos_policy_id" in body:
        changes["qos_policy_id"] = qos.checked(call.w, body["qos_policy_id"])
    if "extra_dhcp_opts" in body:
        changes["dhcp_options"] = list(port_options.dhcp(port.dhcp_options, body["extra_dhcp_opts"] or ()))
    if body.get("mac_address", port.mac_address) != port.mac_address:
        policy.require("update_port:mac_address", call.ctx)
        port_addresses.change_mac(call.w, port, body["mac_address"])
    asked = _asked(call)
    if asked is not None:
        port_addresses.change(call.w, port, asked)
    return ports.update(call.w, port.id, changes, groups=body.get("security_groups"))


def _device(call: Call, port: Port) -> dict[str, str]:
    """Who has the port. One that is plugged in, or is a router's, keeps its device."""
    wanted = {name: call.body[name] for name in ("device_id", "device_owner") if name in call.body}
    if all(getattr(port, name) == value for name, value in wanted.items()):
        return {}
    if port.host or port.device_owner in _OURS:
        for name in wanted:
            refuse_unless(call, **{name: getattr(port, name)})
    _refuse_others_server(call)
    _device_owner(call)
    return wanted


def _binding(call: Call, port: Port) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if call.body.get("binding:host_id", port.host) != port.host:
        policy.require("update_port:binding:host_id", call.ctx)
        if port.device_id:
            refuse_unless(call, binding__host_id=port.host)
        changes["host"] = call.body["binding:host_id"] or ""
    if "binding:profile" in call.body and (call.body["binding:profile"] or {}) != port.binding_profile:
        policy.require("update_port:binding:profile", call.ctx)
        changes["binding_profile"] = call.body["binding:profile"] or {}
    return changes


def _guarded(call: Call, port: Port) -> dict[str, Any]:
    """Port security, and what it lets through beside the port's own addresses."""
    changes: dict[str, Any] = {}
    network = networks.get(call.w, port.network_id)
    security = port.port_security
    if "port_security_enabled" in call.body:
        _require_network_owner(call, network, "port_security_enabled")
        security = changes["port_security"] = call.body["port_security_enabled"]
    if "allowed_address_pairs" in call.body:
        _require_network_owner(call, network, "allowed_address_pairs")
        wanted = call.body["allowed_address_pairs"] or ()
        changes["address_pairs"] = list(port_options.pairs(wanted, port_security=security))
    elif port.address_pairs:
        port_options.pairs(port.address_pairs, port_security=security)
    return changes


def delete(call: Call) -> None:
    ports.delete(call.w, call.path["port_id"])


_ONE = f"{ROOT}/ports/{{port_id}}"
ROUTES = [
    Route("GET", f"{ROOT}/ports", index, rule="get_port", unit="read"),
    Route("GET", _ONE, show, rule="get_port", unit="read"),
    Route("POST", f"{ROOT}/ports", create, rule="create_port", body=NEW, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_port", body=CHANGES, view=PORT.one("port"), unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_port", success=204, unit="write"),
]  # fmt: skip
