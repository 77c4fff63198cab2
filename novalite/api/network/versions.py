"""Where a client finds the API, and which of Neutron's extensions it has."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.routes import PUBLIC, Route
from novalite.api.network.shapes import ROOT
from novalite.errors import NotFound

_RESOURCES = {
    "address_group": "address-groups",
    "address_scope": "address-scopes",
    "agent": "agents",
    "availability_zone": "availability_zones",
    "default_security_group_rule": "default-security-group-rules",
    "extension": "extensions",
    "floatingip": "floatingips",
    "network": "networks",
    "network_ip_availability": "network-ip-availabilities",
    "policy": "qos/policies",
    "port": "ports",
    "quota": "quotas",
    "rbac_policy": "rbac-policies",
    "router": "routers",
    "rule_type": "qos/rule-types",
    "security_group": "security-groups",
    "security_group_rule": "security-group-rules",
    "service_provider": "service-providers",
    "subnet": "subnets",
    "subnetpool": "subnetpools",
}
_EXTENSIONS = {
    "address-group": "Address group",
    "address-scope": "Address scope",
    "agent": "agent",
    "allowed-address-pairs": "Allowed Address Pairs",
    "auto-allocated-topology": "Auto Allocated Topology Services",
    "availability_zone": "Availability Zone",
    "binding": "Port Binding",
    "default-subnetpools": "Default Subnetpools",
    "dns-integration": "DNS Integration",
    "empty-string-filtering": "Empty String Filtering Extension",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "external-net": "Neutron external network",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "extraroute": "Neutron Extra Route",
    "extraroute-atomic": "Atomically add/remove extra routes",
    "fip-port-details": "Floating IP Port Details Extension",
    "floating-ip-port-forwarding": "Floating IP Port Forwarding",
    "floating-ip-port-forwarding-description": "Floating IP Port Forwarding new field description",
    "floating-ip-port-forwarding-port-ranges": "Floating IP Port Forwarding support for port ranges",
    "expose-port-forwarding-in-fip": "Expose Port Forwarding in FIP",
    "ip-substring-filtering": "IP address substring filtering",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network-ip-availability": "Network IP Availability",
    "network_availability_zone": "Network Availability Zone",
    "pagination": "Pagination support",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "qos": "Quality of Service",
    "qos-bw-limit-direction": "Direction for QoS bandwidth limit rule",
    "qos-default": "QoS default policy",
    "qos-rules-alias": "Alias extension for QoS rules",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "rbac-address-group": "Add address_group type to RBAC",
    "rbac-address-scope": "Add address_scope type to RBAC",
    "rbac-policies": "RBAC Policies",
    "rbac-security-groups": "Add security_group type to network RBAC",
    "rbac-subnetpool": "Add subnetpool type to RBAC",
    "revision-if-match": "If-Match constraints based on revision_number",
    "router": "Neutron L3 Router",
    "router_availability_zone": "Router Availability Zone",
    "security-group": "security-group",
    "security-groups-default-rules": "Default rules for security groups",
    "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
    "security-groups-remote-address-group": "Remote address group id field for security group rules",
    "security-groups-shared-filtering": "Security group filtering on the shared field",
    "service-type": "Neutron Service Type Management",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
    "stateful-security-group": "Stateful security group",
    "subnet-dns-publish-fixed-ip": "Subnet DNS publish fixed IP",
    "subnet-service-types": "Subnet service types",
    "subnet_allocation": "Subnet Allocation",
    "subnetpool-prefix-ops": "Subnet Pool Prefix Operations",
    "tag-creation": "Tag creation",
    "tag-ports-during-bulk-creation": "Tag Ports During Bulk Creation",
    "uplink-status-propagation": "Port's uplink status propagation",
}
"""Neutron's aliases of what works here, and no others."""


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
