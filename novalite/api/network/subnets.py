"""Subnets. What changes reaches the machine, and guests by DHCP, within moments (``engine/network_changes.py``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.bulk import OneOrMany
from novalite.api.network.shapes import (
    ANY,
    BOOLEAN,
    NAME,
    PROJECT,
    ROOT,
    TAGS,
    UUID,
    common_fields,
    given_tags,
    refuse_unless,
    whole_number,
)
from novalite.cloud.network import networks, pool_subnets, ranges, subnets
from novalite.cloud.network.records import Subnet
from novalite.db.work import Work


def _pools(subnet: Subnet, call: Call) -> list[dict[str, str]]:
    return [{"start": str(first), "end": str(last)} for first, last in subnets.pools(subnet)]


SUBNET = View(
    *common_fields(),
    Field("network_id"),
    Field("ip_version"),
    Field("cidr"),
    Field("gateway_ip"),
    Field("enable_dhcp"),
    Field("allocation_pools", _pools),
    Field("dns_nameservers", "dns_servers"),
    Field("host_routes"),
    Field("dns_publish_fixed_ip"),
    Field("segment_id", lambda subnet, call: None),
    Field("ipv6_ra_mode"),
    Field("ipv6_address_mode"),
    Field("subnetpool_id"),
    Field("service_types"),
)
_ADDRESS = {"type": "string", "format": "ip"}
_MODE = {"enum": [*ranges.MODES, None]}
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
    Item("gateway_ip", {"type": ["string", "null"], "format": "ip"}),
    Item("dns_nameservers", {"type": "array", "items": _ADDRESS, "maxItems": 5, "uniqueItems": True}),
    Item("allocation_pools", {"type": "array", "items": _POOL}),
    Item("host_routes", {"type": "array", "items": _ROUTE, "maxItems": 20}),
    Item("service_types", {"type": "array", "items": {"type": "string", "pattern": "^(network|compute):.{1,240}$"}}),
    Item("dns_publish_fixed_ip", BOOLEAN),
)
NEW = OneOrMany(
    "subnet",
    "subnets",
    Item("network_id", UUID, required=True),
    Item("cidr", {"type": ["string", "null"], "maxLength": 64}),
    Item("ip_version", {"enum": [4, 6, "4", "6"]}),
    *_CHANGEABLE,
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    Item("tags", TAGS),
    Item("subnetpool_id", {"type": ["string", "null"], "format": "uuid"}),
    Item("use_default_subnetpool", BOOLEAN),
    Item("prefixlen", {"type": ["integer", "string", "null"], "pattern": "^[0-9]{1,3}$", "minimum": 0, "maximum": 128}),
    Item("ipv6_ra_mode", _MODE),
    Item("ipv6_address_mode", _MODE),
    Item("segment_id", ANY),
)
CHANGES = Body("subnet", *_CHANGEABLE, Item("segment_id", ANY))


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "subnets", SUBNET, subnets.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "subnet", SUBNET, subnets.get(call.w, call.path["subnet_id"]))


def _asked(call: Call, cidr: str) -> subnets.NewSubnet:
    pools = call.body.get("allocation_pools")
    version = call.body.get("ip_version")
    if version is not None and str(version) != str(ranges.parse(cidr).version):
        raise ranges.refused(f"cidr '{cidr}' does not match the ip_version '{version}'", "ip_version")
    return subnets.NewSubnet(
        cidr=cidr,
        gateway_ip=call.body.get("gateway_ip", ""),
        pools=None if pools is None else _ends(pools),
        name=call.body.get("name", ""),
        description=call.body.get("description", ""),
        enable_dhcp=call.body.get("enable_dhcp", True),
        dns_servers=tuple(call.body.get("dns_nameservers", ())),
        host_routes=tuple(call.body.get("host_routes", ())),
        ra_mode=call.body.get("ipv6_ra_mode"),
        address_mode=call.body.get("ipv6_address_mode"),
        service_types=tuple(call.body.get("service_types", ())),
        dns_publish_fixed_ip=call.body.get("dns_publish_fixed_ip", False),
    )


def _ends(pools: list[dict[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((pool["start"], pool["end"]) for pool in pools)


def create(call: Call) -> dict[str, Any]:
    """One or many, all or none. The machine is asked which ranges it uses when it is on the network itself."""
    many = isinstance(call.body, list)
    bodies = call.body if many else [call.body]
    with call.parts.database.read(call.ctx) as w:
        on_machine = any(networks.get_own(w, body["network_id"]).nat for body in bodies)
    used = call.parts.network_driver.used_ranges() if on_machine else ()
    with call.parts.database.write(call.ctx) as w:
        made = [_create(replace(call, body=body), w, used) for body in bodies]
    if many:
        return {"subnets": [SUBNET.renderer(call)(subnet, call) for subnet in made]}
    return listing.one(call, "subnet", SUBNET, made[0])


def _create(call: Call, w: Work, used: Iterable[str]) -> Subnet:
    refuse_unless(call, segment_id=None)
    body, network = call.body, networks.get_own(w, call.body["network_id"])
    cidr, pool_id = pool_subnets.choose(
        w,
        network,
        cidr=body.get("cidr"),
        pool_id=body.get("subnetpool_id"),
        use_default=body.get("use_default_subnetpool", False),
        prefixlen=whole_number(body.get("prefixlen")),
        ip_version=whole_number(body.get("ip_version")),
    )
    made = subnets.create(w, network, _asked(call, cidr), machine_uses=used)
    made.subnetpool_id, made.tags = pool_id, given_tags(call)
    w.session.flush()
    return made


def update(call: Call) -> Any:
    refuse_unless(call, segment_id=None)
    named = {"dns_nameservers": "dns_servers", "allocation_pools": "pools"}
    changes = {named.get(item.name, item.name): call.body[item.name] for item in _CHANGEABLE if item.name in call.body}
    if "pools" in changes:
        changes["pools"] = _ends(changes["pools"])
    return subnets.update(call.w, call.path["subnet_id"], changes)


def delete(call: Call) -> None:
    subnets.remove(call.w, subnets.get_own(call.w, call.path["subnet_id"]).id)


_ONE = f"{ROOT}/subnets/{{subnet_id}}"
ROUTES = [
    Route("GET", f"{ROOT}/subnets", index, rule="get_subnet", unit="read"),
    Route("GET", _ONE, show, rule="get_subnet", unit="read"),
    Route("POST", f"{ROOT}/subnets", create, rule="create_subnet", body=NEW, success=201),
    Route("PUT", _ONE, update, rule="update_subnet", body=CHANGES, view=SUBNET.one("subnet"), unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_subnet", success=204, unit="write"),
]
