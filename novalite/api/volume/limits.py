"""What a project may have of volumes, and has."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.volume.shapes import ROOT
from novalite.cloud.identity import policy, quotas
from novalite.cloud.volume import usage


def show(call: Call) -> dict[str, Any]:
    project_id = call.ctx.project_id
    if (
        call.since("3.39")
        and call.query.get("project_id")
        and policy.allows("volume_extension:quotas:update", call.ctx)
    ):
        project_id = call.query["project_id"]
    limits, used = quotas.limits(call.w, project_id), usage.used(call.w, project_id)
    absolute = {
        "maxTotalVolumes": limits["volumes"],
        "maxTotalSnapshots": limits["snapshots"],
        "maxTotalVolumeGigabytes": limits["gigabytes"],
        "maxTotalBackups": limits["backups"],
        "maxTotalBackupGigabytes": limits["backup_gigabytes"],
        "totalVolumesUsed": used["volumes"],
        "totalSnapshotsUsed": used["snapshots"],
        "totalGigabytesUsed": used["gigabytes"],
        "totalBackupsUsed": used["backups"],
        "totalBackupGigabytesUsed": used["backup_gigabytes"],
    }
    return {"limits": {"rate": [], "absolute": absolute}}


_NAMES = (
    "maxTotalVolumes", "maxTotalSnapshots", "maxTotalVolumeGigabytes", "maxTotalBackups", "maxTotalBackupGigabytes",
    "totalVolumesUsed", "totalSnapshotsUsed", "totalGigabytesUsed", "totalBackupsUsed", "totalBackupGigabytesUsed",
)  # fmt: skip
_TOLD = Told(
    "limits",
    Item("rate", answers.array(answers.ANY), required=True),
    Item("absolute", answers.record(dict.fromkeys(_NAMES, answers.WHOLE)), required=True),
)
ROUTES = [Route("GET", f"{ROOT}/limits", show, rule="limits_extension:used_limits", view=_TOLD, unit="read")]
