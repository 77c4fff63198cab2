"""The Block Storage API v3, below /volume: no volumes are offered yet, and that is what it tells."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import faults
from novalite.api.kit.call import Call
from novalite.api.kit.routes import PUBLIC, Front, Route
from novalite.api.kit.versions import VersionRange
from novalite.cloud.identity import policy
from novalite.errors import NotFound

ROOT = "/v3"
VERSIONS = VersionRange("volume", "3.0", "3.0")
_COUNTED = ("volumes", "snapshots", "gigabytes", "backups", "backup_gigabytes", "groups")


def _document(call: Call) -> dict[str, Any]:
    return {
        "id": "v3.0",
        "status": "CURRENT",
        "version": VERSIONS.maximum,
        "min_version": VERSIONS.minimum,
        "updated": "2016-02-08T12:20:21Z",
        "links": [{"rel": "self", "href": call.link(f"{ROOT}/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}],
    }


def show_versions(call: Call) -> dict[str, Any]:
    return {"versions": [_document(call)]}


def _no(key: str) -> Any:
    def list_none(call: Call) -> dict[str, Any]:
        return {key: []}

    return list_none


def _unknown(kind: str) -> Any:
    def show(call: Call) -> None:
        raise NotFound(kind, call.path["id"], message=f"{kind.capitalize()} {call.path['id']} could not be found.")

    return show


def show_quotas(call: Call) -> dict[str, Any]:
    project_id = call.path["project_id"]
    policy.require("volume:quotas:show", call.ctx, project_id=project_id)
    numbers: dict[str, Any] = {**dict.fromkeys(_COUNTED, 0), "per_volume_gigabytes": -1}
    if call.query.get("usage", "").lower() in ("true", "1"):
        numbers = {name: {"limit": limit, "in_use": 0, "reserved": 0} for name, limit in numbers.items()}
    return {"quota_set": {"id": project_id, **numbers}}


def show_default_quotas(call: Call) -> dict[str, Any]:
    numbers = {**dict.fromkeys(_COUNTED, 0), "per_volume_gigabytes": -1}
    return {"quota_set": {"id": call.path["project_id"], **numbers}}


def show_limits(call: Call) -> dict[str, Any]:
    names = (
        "maxTotalVolumes", "maxTotalSnapshots", "maxTotalVolumeGigabytes", "maxTotalBackups",
        "maxTotalBackupGigabytes", "totalVolumesUsed", "totalSnapshotsUsed", "totalGigabytesUsed",
        "totalBackupsUsed", "totalBackupGigabytesUsed",
    )  # fmt: skip
    return {"limits": {"rate": [], "absolute": dict.fromkeys(names, 0)}}


def _listed(path: str, key: str) -> list[Route]:
    rule = "volume:get_all"
    return [
        Route("GET", f"{ROOT}/{path}", _no(key), rule=rule),
        Route("GET", f"{ROOT}/{path}/detail", _no(key), rule=rule),
        Route("GET", f"{ROOT}/{path}/{{id}}", _unknown(key.removesuffix("s")), rule="volume:get"),
    ]


_QUOTAS = f"{ROOT}/os-quota-sets/{{project_id}}"
ROUTES = [
    Route("GET", "/", show_versions, rule=PUBLIC, success=300),
    Route("GET", ROOT, show_versions, rule=PUBLIC),
    *_listed("volumes", "volumes"),
    *_listed("snapshots", "snapshots"),
    Route("GET", f"{ROOT}/types", _no("volume_types"), rule="volume:types"),
    Route("GET", _QUOTAS, show_quotas, rule="volume:quotas:show", policy_in_handler=True),
    Route("GET", f"{_QUOTAS}/defaults", show_default_quotas, rule="volume:quotas:show", policy_in_handler=True),
    Route("GET", f"{ROOT}/limits", show_limits, rule="volume:limits_extension"),
]
FRONT = Front("volume", "/volume", ROUTES, faults.CINDER, VERSIONS, project_after=ROOT)
