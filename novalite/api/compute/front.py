"""The Compute API v2.1, below /compute."""

from __future__ import annotations

from novalite.api.compute import (
    aggregates,
    availability_zones,
    consoles,
    flavors,
    hypervisors,
    instance_actions,
    ips,
    keypairs,
    limits,
    quota_sets,
    server_actions,
    server_groups,
    server_metadata,
    server_tags,
    servers,
    services,
    tenant_usage,
    versions,
)
from novalite.api.kit import faults
from novalite.api.kit.routes import Front

_NOUNS = (
    versions, servers, server_actions, consoles, server_metadata, server_tags, ips, instance_actions, flavors,
    keypairs, limits, quota_sets, hypervisors, services, availability_zones, server_groups,
    aggregates, tenant_usage,
)  # fmt: skip
FRONT = Front(
    "compute",
    "/compute",
    [route for noun in _NOUNS for route in noun.ROUTES],
    faults.NOVA,
    versions.VERSIONS,
    project_after="/v2.1",
    unauthenticated=faults.KEYSTONE,
)
