"""Subnets. Making one brings the network up on the machine; removing it takes the network down."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.bulk import OneOrMany
from novalite.api.network.shapes import ANY, BOOLEAN, LIST, NAME, PROJECT, ROOT, UUID, common_fields, refuse_unless
from novalite.cloud.network import networks, subnets
from novalite.cloud.network.records import Subnet
from novalite.errors import Unsupported


def _pools(subnet: Subnet, call: Call) -> list[dict[str, str]]:
    start, end = subnets.pool(subnet)
    return [{"start": start, "end": end}]


SUBNET = View(
    *common_fields(),
    Field("network_id"),
    Field("ip_version", lambda subnet, call: 4),
    Field("cidr"),
    Field("gateway_ip", lambda subnet, call: subnet.gateway_ip if subnet.tells_gateway else None),
    Field("enable_dhcp"),
    Field("allocation_pools", _pools),
    Field("dns_nameservers", "dns_servers"),
    Field("host_routes"),
    Field("dns_publish_fixed_ip", lambda subnet, call: False),
    Field("segment_id", lambda subnet, call: None),
    Field("ipv6_ra_mode", lambda subnet, call: None),
    Field("ipv6_address_mode", lambda subnet, call: None),
    Field("subnetpool_id", lambda subnet, call: None),
    Field("service_types", lambda subnet, call: []),
)
_ADDRESS = {"type": "string", "format": "ipv4"}
_POOL = {
    "type": "object",
    "properties": {"start": _ADDRESS, "end": _ADDRESS},
    "required": ["start", "end"],
    "additionalProperties": False,
}
_ROUTE = {
    "type": "object",
    "properties": {"destination": {"type": "string", "maxLength": 64}, "nexthop": _ADDRESS},
    "required": ["destination", "nexthop"],
    "additionalProperties": False,
}
_CHANGEABLE = (
    Item("name", NAME),
    Item("description", NAME),
    Item("enable_dhcp", BOOLEAN),
    Item("gateway_ip", {"type": ["string", "null"], "format": "ipv4"}),
    Item("dns_nameservers", {"type": "array", "items": _ADDRESS, "maxItems": 5, "uniqueItems": True}),
    Item("allocation_pools", {"type": "array", "items": _POOL}),
    Item("host_routes", {"type": "array", "items": _ROUTE, "maxItems": 20}),
    Item("service_types", LIST),
)
NEW = OneOrMany(
    "subnet",
    "subnets",
    Item("network_id", UUID, required=True),
    Item("cidr", {"type": "string", "maxLength": 64}, required=True),
    Item("ip_version", {"type": ["integer", "string"]}),
    *_CHANGEABLE,
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    Item("subnetpool_id", ANY),
    Item("use_default_subnetpool", BOOLEAN),
    Item("prefixlen", ANY),
    Item("ipv6_ra_mode", ANY),
    Item("ipv6_address_mode", ANY),
    Item("segment_id", ANY),
)
CHANGES = Body("subnet", *_CHANGEABLE, Item("segment_id", ANY))


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "subnets", SUBNET, subnets.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "subnet", SUBNET, subnets.get(call.w, call.path["subnet_id"]))


def _asked(call: Call) -> subnets.NewSubnet:
    refuse_unless(call, subnetpool_id=None, use_default_subnetpool=False, service_types=[],
                  ipv6_ra_mode=None, ipv6_address_mode=None, segment_id=None)  # fmt: skip
    pools = call.body.get("allocation_pools", [])
    if str(call.body.get("ip_version", 4)) != "4":
        raise Unsupported("Only IPv4 subnets are offered yet.", code="network.unsupported", field="ip_version")
    if len(pools) > 1:
        raise Unsupported("A subnet has one allocation pool.", code="network.unsupported", field="allocation_pools")
    return subnets.NewSubnet(
        cidr=call.body["cidr"],
        gateway_ip=call.body.get("gateway_ip", ""),
        pool=(pools[0]["start"], pools[0]["end"]) if pools else None,
        name=call.body.get("name", ""),
        description=call.body.get("description", ""),
        enable_dhcp=call.body.get("enable_dhcp", True),
        dns_servers=tuple(call.body.get("dns_nameservers", ())),
        host_routes=tuple(call.body.get("host_routes", ())),
    )


def create(call: Call) -> dict[str, Any]:
    """Each is made on the machine when its record stands; when one cannot be, those before it go too."""
    many = isinstance(call.body, list)
    asked = [replace(call, body=item) for item in (call.body if many else [call.body])]
    with ExitStack() as undo:
        made = [_create(one, undo) for one in asked]
        undo.pop_all()
    if many:
        return {"subnets": [SUBNET.renderer(call)(subnet, call) for subnet in made]}
    return listing.one(call, "subnet", SUBNET, made[0])


def _create(call: Call, undo: ExitStack) -> Subnet:
    new, network_id = _asked(call), call.body["network_id"]
    with call.parts.database.write(call.ctx) as w:
        subnet = subnets.create(w, networks.get_own(w, network_id), new)
        spec = networks.spec(w, network_id)
    undo.callback(_forget, call, subnet.id, network_id)
    call.parts.network_driver.ensure_network(spec, ())
    return subnet


def _forget(call: Call, subnet_id: str, network_id: str) -> None:
    """The machine refused the network: take away what it made, and the record."""
    with call.parts.database.write(call.ctx) as w:
        subnets.remove(w, subnet_id)
    call.parts.network_driver.remove_network(network_id)


def update(call: Call) -> dict[str, Any]:
    """The network follows on the machine: its DHCP server tells what is new."""
    refuse_unless(call, service_types=[], segment_id=None)
    named = {"dns_nameservers": "dns_servers", "allocation_pools": "pool"}
    changes = {named.get(item.name, item.name): call.body[item.name] for item in _CHANGEABLE if item.name in call.body}
    changes.pop("service_types", None)
    if "pool" in changes:
        if len(changes["pool"]) != 1:
            raise Unsupported("A subnet has one allocation pool.", code="network.unsupported", field="allocation_pools")
        changes["pool"] = (changes["pool"][0]["start"], changes["pool"][0]["end"])
    with call.parts.database.write(call.ctx) as w:
        subnet = subnets.update(w, call.path["subnet_id"], changes)
        spec = networks.spec(w, subnet.network_id)
    if changes.keys() - {"name", "description", "pool"}:
        call.parts.network_driver.ensure_network(spec)
    return listing.one(call, "subnet", SUBNET, subnet)


def delete(call: Call) -> None:
    with call.parts.database.write(call.ctx) as w:
        subnet = subnets.get_own(w, call.path["subnet_id"])
        subnets.remove(w, subnet.id)
    call.parts.network_driver.remove_network(subnet.network_id)


_ONE = f"{ROOT}/subnets/{{subnet_id}}"
ROUTES = [
    Route("GET", f"{ROOT}/subnets", index, rule="get_subnet", unit="read"),
    Route("GET", _ONE, show, rule="get_subnet", unit="read"),
    Route("POST", f"{ROOT}/subnets", create, rule="create_subnet", body=NEW, success=201),
    Route("PUT", _ONE, update, rule="update_subnet", body=CHANGES),
    Route("DELETE", _ONE, delete, rule="delete_subnet", success=204),
]
