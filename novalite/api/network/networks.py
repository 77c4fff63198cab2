"""Networks. What changes reaches the machine within moments (``engine/network_changes.py``)."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import ABSENT, Field, View
from novalite.api.network import bulk, listing
from novalite.api.network.bulk import OneOrMany
from novalite.api.network.shapes import (
    BOOLEAN,
    DNS_DOMAIN,
    NAME,
    PROJECT,
    ROOT,
    TAGS,
    common_fields,
    given_tags,
    owner,
    refuse_unless,
    shared,
    whole_number,
)
from novalite.cloud.identity import policy
from novalite.cloud.network import address_scopes, external_networks, networks, qos
from novalite.errors import NotFound


def _admin(call: Call) -> bool:
    return policy.allows("get_network:provider", call.ctx)


NETWORK = View(
    *common_fields(),
    Field("admin_state_up"),
    Field("status"),
    Field("subnets", lambda network, call: [subnet.id for subnet in network.subnets]),
    Field("shared", shared),
    Field("router:external", "is_external"),
    Field("mtu"),
    Field("port_security_enabled", "port_security"),
    Field("is_default", lambda network, call: network.is_default if network.is_external else ABSENT),
    Field("dns_domain"),
    Field("qos_policy_id"),
    Field("l2_adjacency", lambda network, call: True),
    Field("vlan_transparent"),
    Field("availability_zones", lambda network, call: [call.parts.settings.compute.availability_zone]),
    Field("availability_zone_hints"),
    Field("ipv4_address_scope", lambda network, call: address_scopes.of_network(network, 4)),
    Field("ipv6_address_scope", lambda network, call: address_scopes.of_network(network, 6)),
    Field("provider:network_type", "network_type", only=_admin),
    Field("provider:physical_network", "physical_network", only=_admin),
    Field("provider:segmentation_id", "segmentation_id", only=_admin),
)
_POLICY = {"type": ["string", "null"], "format": "uuid"}
_MTU = {"type": "integer", "minimum": 576, "maximum": 65535}
NEW = OneOrMany(
    "network",
    "networks",
    Item("name", NAME),
    Item("description", NAME),
    Item("admin_state_up", BOOLEAN),
    Item("shared", BOOLEAN),
    Item("mtu", _MTU),
    Item("tags", TAGS),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    Item("port_security_enabled", BOOLEAN),
    Item("router:external", BOOLEAN),
    Item("provider:network_type", {"enum": ["local", "flat", "vlan", None]}),
    Item("provider:physical_network", {"type": ["string", "null"], "maxLength": 64}),
    Item("provider:segmentation_id", {"type": ["integer", "string", "null"], "pattern": "^[0-9]{1,5}$"}),
    Item("availability_zone_hints", {"type": "array", "items": NAME}),
    Item("dns_domain", DNS_DOMAIN),
    Item("qos_policy_id", _POLICY),
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
    Item("mtu", _MTU),
    Item("dns_domain", DNS_DOMAIN),
    Item("qos_policy_id", _POLICY),
)


_CHANGEABLE = {
    "name": "name",
    "description": "description",
    "admin_state_up": "admin_state_up",
    "shared": "is_shared",
    "router:external": "is_external",
    "port_security_enabled": "port_security",
    "mtu": "mtu",
    "dns_domain": "dns_domain",
    "is_default": "is_default",
}


def _refuse_what_is_not_offered(call: Call) -> None:
    refuse_unless(call, vlan_transparent=False)


def _require(call: Call, verb: str) -> None:
    """What only administrators may ask for."""
    for name in ("shared", "router:external", "is_default"):
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
    body = call.body
    made = networks.create(
        call.w,
        networks.NewNetwork(
            name=body.get("name", ""),
            description=body.get("description", ""),
            mtu=body.get("mtu", call.parts.settings.network.mtu),
            project_id=owner(call),
            shared=body.get("shared", False),
            external=body.get("router:external", False),
            admin_state_up=body.get("admin_state_up", True),
            port_security=body.get("port_security_enabled", True),
            provider=networks.Provider(
                body.get("provider:network_type") or networks.LOCAL,
                body.get("provider:physical_network"),
                whole_number(body.get("provider:segmentation_id")),
            ),
            dns_domain=body.get("dns_domain", ""),
            zone_hints=_zones(call),
            vlan_transparent=body.get("vlan_transparent"),
        ),
    )
    made.tags = given_tags(call)
    given = "qos_policy_id" in body
    made.qos_policy_id = qos.checked(call.w, body["qos_policy_id"]) if given else qos.default(call.w, made.project_id)
    if body.get("is_default"):
        external_networks.make_default(call.w, made)
    return made


def _zones(call: Call) -> tuple[str, ...]:
    """Raises ``NotFound`` for a zone that is none."""
    for zone in call.body.get("availability_zone_hints", ()):
        if zone != call.parts.settings.compute.availability_zone:
            raise NotFound("availability zone", zone, message=f"AvailabilityZone {zone} could not be found.")
    return tuple(call.body.get("availability_zone_hints", ()))


def update(call: Call) -> Any:
    _require(call, "update")
    changes = {column: call.body[name] for name, column in _CHANGEABLE.items() if name in call.body}
    if changes.get("is_default"):
        external_networks.make_default(call.w, networks.get_own(call.w, call.path["network_id"]))
    if "qos_policy_id" in call.body:
        network = networks.get_own(call.w, call.path["network_id"])
        qos.put_on_network(call.w, network.id, call.body["qos_policy_id"])
    return networks.update(call.w, call.path["network_id"], changes)


def delete(call: Call) -> None:
    networks.delete(call.w, call.path["network_id"])


_ONE = f"{ROOT}/networks/{{network_id}}"
ROUTES = [
    Route("GET", f"{ROOT}/networks", index, rule="get_network", unit="read"),
    Route("GET", _ONE, show, rule="get_network", unit="read"),
    Route("POST", f"{ROOT}/networks", create, rule="create_network", body=NEW, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_network", body=CHANGES, view=NETWORK.one("network"), unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_network", success=204, unit="write"),
]  # fmt: skip
