"""The Compute API v2.1, below /compute."""

from __future__ import annotations

from novalite.api.compute import (
    aggregates,
    availability_zones,
    consoles,
    extensions,
    external_events,
    flavors,
    gone,
    hypervisors,
    images,
    instance_actions,
    ips,
    keypairs,
    limits,
    migrations,
    networks,
    os_hosts,
    quota_classes,
    quota_sets,
    security_groups,
    server_actions,
    server_devices,
    server_diagnostics,
    server_groups,
    server_interfaces,
    server_metadata,
    server_password,
    server_password_change,
    server_rebuild,
    server_rescue,
    server_shares,
    server_tags,
    server_topology,
    server_volumes,
    servers,
    services,
    tenant_usage,
    usage_audit_log,
    versions,
)
from novalite.api.kit import faults
from novalite.api.kit.routes import Front

_NOUNS = (
    versions, servers, server_actions, server_rebuild, server_rescue,
    server_password_change, consoles, server_metadata, server_tags, ips, instance_actions, flavors,
    keypairs, limits, quota_sets, hypervisors, services, availability_zones, server_groups,
    aggregates, tenant_usage, server_devices, server_interfaces, server_volumes, server_password, server_diagnostics, server_topology,
    migrations, security_groups,
    extensions, quota_classes, usage_audit_log, external_events,
    server_shares, os_hosts, images, networks, gone,
)  # fmt: skip
FRONT = Front(
    "compute",
    "/compute",
    [route for noun in _NOUNS for route in noun.ROUTES],
    faults.NOVA,
    versions.VERSIONS,
    project_after="/v2.1",
    lenient_alias=versions.OLD_ROOT,
    strict_queries_since="2.102",
    unauthenticated=faults.KEYSTONE,
)
