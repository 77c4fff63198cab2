"""Where a client finds the API, and which of Neutron's extensions it has."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.routes import PUBLIC, Route
from novalite.api.network.shapes import ROOT
from novalite.errors import NotFound

_RESOURCES = {
    "network": "networks",
    "subnet": "subnets",
    "port": "ports",
    "security_group": "security-groups",
    "security_group_rule": "security-group-rules",
    "floatingip": "floatingips",
    "router": "routers",
    "quota": "quotas",
    "agent": "agents",
    "availability_zone": "availability_zones",
    "extension": "extensions",
}
_EXTENSIONS = {
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "fip-port-details": "Floating IP Port Details Extension",
    "port-security": "Port Security",
    "router": "Neutron L3 Router",
    "router_availability_zone": "Router Availability Zone",
    "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
    "agent": "agent",
    "availability_zone": "Availability Zone",
    "binding": "Port Binding",
    "external-net": "Neutron external network",
    "net-mtu": "Network MTU",
    "network_availability_zone": "Network Availability Zone",
    "pagination": "Pagination support",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "security-group": "security-group",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-timestamp": "Resource timestamps",
}


def _version(call: Call) -> dict[str, Any]:
    links = [{"rel": "self", "href": call.link(f"{ROOT}/")}]
    return {"id": "v2.0", "status": "CURRENT", "links": links}


def list_versions(call: Call) -> dict[str, Any]:
    return {"versions": [_version(call)]}


def show_version(call: Call) -> dict[str, Any]:
    resources = [
        {"name": name, "collection": path, "links": [{"rel": "self", "href": call.link(f"{ROOT}/{path}")}]}
        for name, path in _RESOURCES.items()
    ]
    return {"resources": resources}


def _extension(alias: str) -> dict[str, Any]:
    name = _EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": name, "updated": "2015-01-01T00:00:00-00:00", "links": []}


def list_extensions(call: Call) -> dict[str, Any]:
    return {"extensions": [_extension(alias) for alias in _EXTENSIONS]}


def show_extension(call: Call) -> dict[str, Any]:
    alias = call.path["alias"]
    if alias not in _EXTENSIONS:
        raise NotFound("extension", alias, message=f"Extension with alias {alias} does not exist")
    return {"extension": _extension(alias)}


ROUTES = [
    Route("GET", "/", list_versions, rule=PUBLIC),
    Route("GET", ROOT, show_version, rule="get_extension"),
    Route("GET", f"{ROOT}/extensions", list_extensions, rule="get_extension"),
    Route("GET", f"{ROOT}/extensions/{{alias}}", show_extension, rule="get_extension"),
]
