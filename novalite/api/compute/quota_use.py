"""Quotas with their names in each microversion, and what of them is used."""

from __future__ import annotations

from novalite.api.kit.answers import record
from novalite.api.kit.body import JsonSchema
from novalite.api.kit.call import Call
from novalite.api.kit.versions import Version, Window
from novalite.cloud.compute import group_members, server_quota
from novalite.cloud.network import usage
from novalite.db.work import Work

OF_NETWORKS = {
    "fixed_ips": "port",
    "floating_ips": "floatingip",
    "security_groups": "security_group",
    "security_group_rules": "security_group_rule",
}
"""What Compute called quotas of networks before 2.36 -> the quota that the network service counts."""

_NAMES = {
    "instances": Window.of(),
    "cores": Window.of(),
    "ram": Window.of(),
    "metadata_items": Window.of(),
    "key_pairs": Window.of(),
    "server_groups": Window.of(),
    "server_group_members": Window.of(),
    "injected_files": Window.of(until="2.56"),
    "injected_file_content_bytes": Window.of(until="2.56"),
    "injected_file_path_bytes": Window.of(until="2.56"),
    **dict.fromkeys(OF_NETWORKS, Window.of(until="2.35")),
}


def schema(version: Version, number: JsonSchema) -> JsonSchema:
    """What ``shown`` gives in this version; each name has a ``number``."""
    return record({name: number for name, window in _NAMES.items() if window.holds(version)})


def resource(name: str) -> str:
    """The resource behind one of Compute's names."""
    return OF_NETWORKS.get(name, name)


def own(call: Call) -> tuple[str, ...]:
    """The resources whose limits are Compute's to forget in this version."""
    return tuple(resource(name) for name, window in _NAMES.items()
                 if name not in OF_NETWORKS or window.holds(call.version))  # fmt: skip


def shown(call: Call, limits: dict[str, int]) -> dict[str, int]:
    """The quotas this version knows, with their limits."""
    return {name: limits[resource(name)] for name, window in _NAMES.items() if window.holds(call.version)}


def used(w: Work, project_id: str, user_id: str = "") -> dict[str, int]:
    """Counted from the resources themselves, of one user's where one is named; quotas that are per object have
    no use."""
    groups = group_members.groups_of(w, project_id, user_id)
    networks = {} if user_id else usage.of_project(w, project_id)
    counted = {name: networks.get(behind, 0) for name, behind in OF_NETWORKS.items()}
    return {**server_quota.usage(w, project_id, user_id), "server_groups": groups, **counted}
