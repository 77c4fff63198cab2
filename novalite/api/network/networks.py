"""Networks. A change on the machine happens between two short units, so that none is open meanwhile."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import ABSENT, Field, View
from novalite.api.network import bulk, listing
from novalite.api.network.bulk import OneOrMany
from novalite.api.network.shapes import ANY, BOOLEAN, LIST, NAME, PROJECT, ROOT, common_fields, owner, refuse_unless
from novalite.cloud.identity import policy
from novalite.cloud.network import networks


def _admin(call: Call) -> bool:
    return policy.allows("get_network:provider", call.ctx)


NETWORK = View(
    *common_fields(),
    Field("admin_state_up"),
    Field("status"),
    Field("subnets", lambda network, call: [subnet.id for subnet in network.subnets]),
    Field("shared", "is_shared"),
    Field("router:external", "is_external"),
    Field("mtu"),
    Field("port_security_enabled", "port_security"),
    Field("is_default", lambda network, call: False if network.is_external else ABSENT),
    Field("dns_domain", lambda network, call: ""),
    Field("qos_policy_id", lambda network, call: None),
    Field("l2_adjacency", lambda network, call: True),
    Field("vlan_transparent", lambda network, call: None),
    Field("availability_zones", lambda network, call: [call.parts.settings.compute.availability_zone]),
    Field("availability_zone_hints", lambda network, call: []),
    Field("ipv4_address_scope", lambda network, call: None),
    Field("ipv6_address_scope", lambda network, call: None),
    Field("provider:network_type", lambda network, call: "local", only=_admin),
    Field("provider:physical_network", lambda network, call: None, only=_admin),
    Field("provider:segmentation_id", lambda network, call: None, only=_admin),
)
NEW = OneOrMany(
    "network",
    "networks",
    Item("name", NAME),
    Item("description", NAME),
    Item("admin_state_up", BOOLEAN),
    Item("shared", BOOLEAN),
    Item("mtu", {"type": "integer", "minimum": 576, "maximum": 65535}),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    Item("port_security_enabled", BOOLEAN),
    Item("router:external", BOOLEAN),
    Item("provider:network_type", ANY),
    Item("provider:physical_network", ANY),
    Item("provider:segmentation_id", ANY),
    Item("availability_zone_hints", LIST),
    Item("dns_domain", NAME),
    Item("qos_policy_id", ANY),
    Item("is_default", BOOLEAN),
    Item("vlan_transparent", BOOLEAN),
)
CHANGES = Body(
    "network",
    Item("name", NAME),
    Item("description", NAME),
    Item("admin_state_up", BOOLEAN),
    Item("shared", BOOLEAN),
    Item("router:external", BOOLEAN),
    Item("port_security_enabled", BOOLEAN),
    Item("is_default", BOOLEAN),
    Item("mtu", ANY),
)


_CHANGEABLE = {
    "name": "name",
    "description": "description",
    "admin_state_up": "admin_state_up",
    "shared": "is_shared",
    "router:external": "is_external",
    "port_security_enabled": "port_security",
}


def _refuse_what_is_not_offered(call: Call) -> None:
    refuse_unless(call, is_default=False, provider__network_type="local", provider__physical_network=None,
                  dns_domain="", provider__segmentation_id=None, availability_zone_hints=[], qos_policy_id=None,
                  vlan_transparent=False)  # fmt: skip


def _require(call: Call, verb: str) -> None:
    """What only administrators may ask for."""
    for name in ("shared", "router:external"):
        if call.body.get(name):
            policy.require(f"{verb}_network:{name}", call.ctx)
    if any(name.startswith("provider:") for name in call.body):
        policy.require("create_network:provider", call.ctx)


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "networks", NETWORK, networks.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "network", NETWORK, networks.get(call.w, call.path["network_id"]))


def create(call: Call) -> dict[str, Any]:
    return bulk.make(call, "network", "networks", NETWORK, _create)


def _create(call: Call) -> Any:
    _require(call, "create")
    _refuse_what_is_not_offered(call)
    return networks.create(
        call.w,
        name=call.body.get("name", ""),
        description=call.body.get("description", ""),
        mtu=call.body.get("mtu", call.parts.settings.network.mtu),
        project_id=owner(call),
        shared=call.body.get("shared", False),
        external=call.body.get("router:external", False),
        admin_state_up=call.body.get("admin_state_up", True),
        port_security=call.body.get("port_security_enabled", True),
    )


def update(call: Call) -> dict[str, Any]:
    """A network that becomes external, or ceases to be, is made anew on the machine."""
    network_id = call.path["network_id"]
    _require(call, "update")
    with call.parts.database.write(call.ctx) as w:
        network = networks.get_own(w, network_id)
        refuse_unless(call, is_default=False, mtu=network.mtu)
        changes = {column: call.body[name] for name, column in _CHANGEABLE.items() if name in call.body}
        network = networks.update(w, network_id, changes)
        spec = networks.spec(w, network_id) if network.subnets else None
    if spec is not None and "router:external" in call.body:
        call.parts.network_driver.ensure_network(spec)
    return listing.one(call, "network", NETWORK, network)


def delete(call: Call) -> None:
    network_id = call.path["network_id"]
    with call.parts.database.write(call.ctx) as w:
        networks.begin_removal(w, network_id)
    call.parts.network_driver.remove_network(network_id)
    with call.parts.database.write(call.ctx) as w:
        networks.remove(w, network_id)


_ONE = f"{ROOT}/networks/{{network_id}}"
ROUTES = [
    Route("GET", f"{ROOT}/networks", index, rule="get_network", unit="read"),
    Route("GET", _ONE, show, rule="get_network", unit="read"),
    Route("POST", f"{ROOT}/networks", create, rule="create_network", body=NEW, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_network", body=CHANGES),
    Route("DELETE", _ONE, delete, rule="delete_network", success=204),
]  # fmt: skip
