"""What the caller's project may have, and has."""

from __future__ import annotations

from typing import Any

from novalite.api.compute import quota_use
from novalite.api.compute.shapes import ANY_QUERY, ROOT, RULE
from novalite.api.kit.body import Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.identity import policy, quotas

ABSOLUTE = View(
    Field("maxTotalInstances", "instances"),
    Field("maxTotalCores", "cores"),
    Field("maxTotalRAMSize", "ram"),
    Field("maxServerMeta", "metadata_items"),
    Field("maxImageMeta", "metadata_items", until="2.38"),
    Field("maxTotalKeypairs", "key_pairs"),
    Field("maxServerGroups", "server_groups"),
    Field("maxServerGroupMembers", "server_group_members"),
    Field("maxPersonality", "injected_files", until="2.56"),
    Field("maxPersonalitySize", "injected_file_content_bytes", until="2.56"),
    Field("maxTotalFloatingIps", lambda numbers, call: -1, until="2.35"),
    Field("maxSecurityGroups", lambda numbers, call: -1, until="2.35"),
    Field("maxSecurityGroupRules", lambda numbers, call: -1, until="2.35"),
    Field("totalInstancesUsed", "instances_used"),
    Field("totalCoresUsed", "cores_used"),
    Field("totalRAMUsed", "ram_used"),
    Field("totalServerGroupsUsed", "server_groups_used"),
    Field("totalFloatingIpsUsed", lambda numbers, call: 0, until="2.35"),
    Field("totalSecurityGroupsUsed", lambda numbers, call: 0, until="2.35"),
)


class Numbers:
    """Limits by their names, and ``NAME_used``."""

    def __init__(self, limits: dict[str, int], used: dict[str, int]) -> None:
        self.__dict__.update(limits)
        self.__dict__.update({f"{name}_used": number for name, number in used.items()})


def show(call: Call) -> dict[str, Any]:
    project_id = call.query.get("tenant_id") or call.ctx.project_id
    if project_id != call.ctx.project_id:
        policy.require(RULE + "limits:other_project", call.ctx)
    numbers = Numbers(quotas.limits(call.w, project_id), quota_use.used(call.w, project_id))
    return {"limits": {"rate": [], "absolute": ABSOLUTE.renderer(call)(numbers, call)}}


_QUERY = Query(Item("tenant_id", ANY_QUERY), strict_since="2.75")
ROUTES = [Route("GET", f"{ROOT}/limits", show, rule=RULE + "limits", query=_QUERY, unit="read")]
