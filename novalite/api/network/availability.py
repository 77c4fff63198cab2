"""How many addresses networks have and use, and who serves what."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.shapes import ROOT
from novalite.cloud.network import availability
from novalite.cloud.network.availability import NetworkUse


def _subnets(use: NetworkUse, call: Call) -> list[dict[str, Any]]:
    return [
        {
            "subnet_id": each.subnet.id,
            "subnet_name": each.subnet.name,
            "cidr": each.subnet.cidr,
            "ip_version": each.subnet.ip_version,
            "total_ips": each.total,
            "used_ips": each.used,
        }
        for each in use.subnets
    ]


USE = View(
    Field("id", "network.id"),
    Field("network_id", "network.id"),
    Field("network_name", "network.name"),
    Field("project_id", "network.project_id"),
    Field("tenant_id", "network.project_id"),
    Field("total_ips", "total"),
    Field("used_ips", "used"),
    Field("subnet_ip_availability", _subnets),
)


def index(call: Call) -> dict[str, Any]:
    found = availability.of_networks(call.w)
    versions = call.query.getlist("ip_version")
    if versions:
        found = [
            NetworkUse(use.network, tuple(one for one in use.subnets if str(one.subnet.ip_version) in versions))
            for use in found
        ]
    return listing.listing(call, "network_ip_availabilities", USE, found)


def show(call: Call) -> dict[str, Any]:
    (found,) = availability.of_networks(call.w, call.path["network_id"])
    return listing.one(call, "network_ip_availability", USE, found)


def list_providers(call: Call) -> dict[str, Any]:
    """Routers are the only service that could have others."""
    return {"service_providers": [{"service_type": "L3_ROUTER_NAT", "name": "single_node", "default": True}]}


def list_zones(call: Call) -> dict[str, Any]:
    """Networks and routers are wherever the hosts are: one zone."""
    name = call.parts.settings.compute.availability_zone
    return {"availability_zones": [{"name": name, "resource": "network", "state": "available"}]}


_ALL = f"{ROOT}/network-ip-availabilities"
ROUTES = [
    Route("GET", _ALL, index, rule="get_network_ip_availability", unit="read"),
    Route("GET", f"{_ALL}/{{network_id}}", show, rule="get_network_ip_availability", unit="read"),
    Route("GET", f"{ROOT}/service-providers", list_providers, rule="get_service_provider"),
    Route("GET", f"{ROOT}/availability_zones", list_zones, rule="get_availability_zone"),
]
