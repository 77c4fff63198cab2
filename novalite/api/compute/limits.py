"""What the caller's project may have, and has."""

from __future__ import annotations

from typing import Any

from novalite.api.compute import quota_use
from novalite.api.compute.shapes import ANY_QUERY, ROOT, RULE
from novalite.api.kit.answers import WHOLE, Told, array, record
from novalite.api.kit.body import Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.identity import policy, quotas

ABSOLUTE = View(
    Field("maxTotalInstances", "instances", schema=WHOLE),
    Field("maxTotalCores", "cores", schema=WHOLE),
    Field("maxTotalRAMSize", "ram", schema=WHOLE),
    Field("maxServerMeta", "metadata_items", schema=WHOLE),
    Field("maxImageMeta", "metadata_items", until="2.38", schema=WHOLE),
    Field("maxTotalKeypairs", "key_pairs", schema=WHOLE),
    Field("maxServerGroups", "server_groups", schema=WHOLE),
    Field("maxServerGroupMembers", "server_group_members", schema=WHOLE),
    Field("maxPersonality", "injected_files", until="2.56", schema=WHOLE),
    Field("maxPersonalitySize", "injected_file_content_bytes", until="2.56", schema=WHOLE),
    Field("maxTotalFloatingIps", "floatingip", until="2.35", schema=WHOLE),
    Field("maxSecurityGroups", "security_group", until="2.35", schema=WHOLE),
    Field("maxSecurityGroupRules", "security_group_rule", until="2.35", schema=WHOLE),
    Field("totalInstancesUsed", "instances_used", schema=WHOLE),
    Field("totalCoresUsed", "cores_used", schema=WHOLE),
    Field("totalRAMUsed", "ram_used", schema=WHOLE),
    Field("totalServerGroupsUsed", "server_groups_used", schema=WHOLE),
    Field("totalFloatingIpsUsed", "floating_ips_used", until="2.35", schema=WHOLE),
    Field("totalSecurityGroupsUsed", "security_groups_used", until="2.35", schema=WHOLE),
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


_TOLD = Told("limits", whole=lambda version: record({"rate": array({}), "absolute": ABSOLUTE.schema(version)}))
_QUERY = Query(Item("tenant_id", ANY_QUERY), strict_since="2.75")
ROUTES = [Route("GET", f"{ROOT}/limits", show, rule=RULE + "limits", query=_QUERY, view=_TOLD, unit="read")]
