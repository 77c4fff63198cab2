"""Subnets. Making one brings the network up on the machine; removing it takes the network down."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
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
    Field("gateway_ip"),
    Field("enable_dhcp"),
    Field("allocation_pools", _pools),
    Field("dns_nameservers", "dns_servers"),
    Field("host_routes", lambda subnet, call: []),
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
NEW = Body(
    "subnet",
    Item("network_id", UUID, required=True),
    Item("cidr", {"type": "string", "maxLength": 64}, required=True),
    Item("ip_version", {"type": ["integer", "string"]}),
    Item("name", NAME),
    Item("description", NAME),
    Item("gateway_ip", {"type": ["string", "null"]}),
    Item("enable_dhcp", BOOLEAN),
    Item("dns_nameservers", {"type": "array", "items": _ADDRESS, "maxItems": 5, "uniqueItems": True}),
    Item("allocation_pools", {"type": "array", "items": _POOL}),
    Item("host_routes", LIST),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    Item("subnetpool_id", ANY),
    Item("use_default_subnetpool", BOOLEAN),
    Item("service_types", LIST),
    Item("ipv6_ra_mode", ANY),
    Item("ipv6_address_mode", ANY),
    Item("segment_id", ANY),
)
CHANGES = Body(
    "subnet",
    Item("name", NAME),
    Item("description", NAME),
    Item("enable_dhcp", BOOLEAN),
    Item("gateway_ip", ANY),
    Item("dns_nameservers", LIST),
    Item("allocation_pools", LIST),
    Item("host_routes", LIST),
)


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "subnets", SUBNET, subnets.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "subnet", SUBNET, subnets.get(call.w, call.path["subnet_id"]))


def _asked(call: Call) -> subnets.NewSubnet:
    refuse_unless(call, host_routes=[], subnetpool_id=None, use_default_subnetpool=False, service_types=[],
                  ipv6_ra_mode=None, ipv6_address_mode=None, segment_id=None)  # fmt: skip
    pools = call.body.get("allocation_pools", [])
    if str(call.body.get("ip_version", 4)) != "4":
        raise Unsupported("Only IPv4 subnets are offered yet.", code="network.unsupported", field="ip_version")
    if len(pools) > 1 or ("gateway_ip" in call.body and call.body["gateway_ip"] is None):
        raise Unsupported("A subnet has a gateway and one allocation pool.", code="network.unsupported")
    return subnets.NewSubnet(
        cidr=call.body["cidr"],
        gateway_ip=call.body.get("gateway_ip", ""),
        pool=(pools[0]["start"], pools[0]["end"]) if pools else None,
        name=call.body.get("name", ""),
        description=call.body.get("description", ""),
        enable_dhcp=call.body.get("enable_dhcp", True),
        dns_servers=tuple(call.body.get("dns_nameservers", ())),
    )


def create(call: Call) -> dict[str, Any]:
    new, network_id = _asked(call), call.body["network_id"]
    with call.parts.database.write(call.ctx) as w:
        subnet = subnets.create(w, networks.get_own(w, network_id), new)
        spec = networks.spec(w, network_id)
    with ExitStack() as undo:
        undo.callback(_forget, call, subnet.id, network_id)
        call.parts.network_driver.ensure_network(spec, ())
        undo.pop_all()
    return listing.one(call, "subnet", SUBNET, subnet)


def _forget(call: Call, subnet_id: str, network_id: str) -> None:
    """The machine refused the network: take away what it made, and the record."""
    with call.parts.database.write(call.ctx) as w:
        subnets.remove(w, subnet_id)
    call.parts.network_driver.remove_network(network_id)


def update(call: Call) -> Any:
    subnet = subnets.get_own(call.w, call.path["subnet_id"])
    refuse_unless(call, enable_dhcp=subnet.enable_dhcp, gateway_ip=subnet.gateway_ip, host_routes=[],
                  dns_nameservers=subnet.dns_servers, allocation_pools=_pools(subnet, call))  # fmt: skip
    return subnets.rename(call.w, subnet.id, name=call.body.get("name"), description=call.body.get("description"))


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
    Route("PUT", _ONE, update, rule="update_subnet", body=CHANGES, view=SUBNET.one("subnet"), unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_subnet", success=204),
]
