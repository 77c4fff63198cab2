"""What Block Storage consists of: pools, hosts, availability zones, extensions, and the filters listings know."""

from __future__ import annotations

from typing import Any

from novalite import __version__, clock
from novalite.api.kit.answers import (
    ANY,
    FLAG,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    Told,
    array,
    mapping,
    record,
)
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import utc_micros
from novalite.api.volume import services
from novalite.api.volume.shapes import EXTENSION, ROOT, flag
from novalite.cloud.hosts import hosts
from novalite.cloud.volume import new_volumes, usage
from novalite.drivers.storage.base import VolumePool
from novalite.errors import NotFound

_GIB = 1 << 30
_VENDOR = "NovaLite"


def list_pools(call: Call) -> dict[str, Any]:
    wanted = call.query.get("name")
    pools = [pool for pool in call.parts.volume_driver.pools().values() if not wanted or wanted == pool.name]
    if not flag(call, "detail"):
        return {"pools": [{"name": pool.name} for pool in pools]}
    return {"pools": [{"name": pool.name, "capabilities": _capabilities(pool)} for pool in pools]}


def _capabilities(pool: VolumePool) -> dict[str, Any]:
    return {
        "pool_name": pool.name.rpartition("#")[2],
        "volume_backend_name": pool.backend,
        "storage_protocol": pool.protocol,
        "total_capacity_gb": round(pool.total / _GIB, 2),
        "free_capacity_gb": round(pool.free / _GIB, 2),
        "reserved_percentage": 0,
        "thin_provisioning_support": pool.thin,
        "multiattach": pool.shares,
        "QoS_support": False,
        "vendor_name": _VENDOR,
        "timestamp": utc_micros(clock.now()),
    }


def show_capabilities(call: Call) -> dict[str, Any]:
    """Of a backend, which may be named with its pool."""
    wanted = call.path["host"]
    for pool in call.parts.volume_driver.pools().values():
        if wanted in (pool.name, pool.name.partition("#")[0]):
            told = _capabilities(pool)
            return {
                "namespace": f"OS::Storage::Capabilities::{pool.name.partition('#')[0]}",
                "vendor_name": told["vendor_name"], "volume_backend_name": told["volume_backend_name"],
                "pool_name": None, "driver_version": __version__, "storage_protocol": told["storage_protocol"],
                "display_name": None, "description": None, "visibility": None, "replication_targets": [],
                "properties": {},
            }  # fmt: skip
    raise NotFound("host", wanted, message=f"Service {wanted[:255]} could not be found.")


def list_hosts(call: Call) -> dict[str, Any]:
    rows = [
        {
            "host_name": host,
            "service": binary,
            "service-status": "available" if is_up else "unavailable",
            "service-state": "disabled" if state is not None and state.disabled else "enabled",
            "zone": new_volumes.DEFAULT_ZONE,
            "last-update": utc_micros(clock.now()),
        }
        for binary, host, state, is_up in services.known(call)
    ]
    wanted = call.query.get("service")
    return {"hosts": [row for row in rows if wanted in (None, row["service"])]}


def show_host(call: Call) -> dict[str, Any]:
    """What is kept there: of all projects first, then of each."""
    name = call.path["host"]
    if name not in services.backend_hosts(call):
        raise NotFound("host", call.path["host"], message=f"Host {call.path['host'][:255]} could not be found.")
    with call.parts.database.read(call.ctx) as w:
        kept = usage.kept(w, name.partition("@")[2])
    return {"host": [{"resource": {"host": name, **_kept_row(one)}} for one in kept]}


def _kept_row(one: usage.Kept) -> dict[str, Any]:
    """Numbers as texts: so Cinder tells them."""
    return {
        "project": one.project_id or "(total)",
        "volume_count": str(one.volumes),
        "total_volume_gb": str(one.volume_gib),
        "snapshot_count": str(one.snapshots),
        "total_snapshot_gb": str(one.snapshot_gib),
    }


def list_zones(call: Call) -> dict[str, Any]:
    names = sorted({new_volumes.DEFAULT_ZONE, *(host.zone for host in hosts.everyone(call.w))})
    return {"availabilityZoneInfo": [{"zoneName": name, "zoneState": {"available": True}} for name in names]}


_EXTENSIONS = {
    "backups": ("Backups", "Copies of volumes that are kept elsewhere."),
    "os-admin-actions": ("AdminActions", "Reset states, and delete by force."),
    "os-availability-zone": ("AvailabilityZones", "Where volumes can be."),
    "os-extended-snapshot-attributes": ("ExtendedSnapshotAttributes", "Progress and project of snapshots."),
    "os-hosts": ("Hosts", "Where volumes are kept."),
    "os-volume-transfer": ("VolumeTransfer", "Volumes go to other projects."),
    "os-volume-manage": ("VolumeManage", "Take over volumes that were made elsewhere."),
    "os-volume-unmanage": ("VolumeUnmanage", "Give volumes up without their data."),
    "os-snapshot-manage": ("SnapshotManage", "Take over snapshots that were made elsewhere."),
    "os-snapshot-unmanage": ("SnapshotUnmanage", "Give snapshots up without their data."),
    "qos-specs": ("Qos_specs_manage", "What volumes of a type may do."),
    "os-quota-sets": ("Quotas", "What projects may have."),
    "os-quota-class-sets": ("QuotaClasses", "What projects may have by default."),
    "os-services": ("Services", "What runs Block Storage."),
    "os-snapshot-actions": ("SnapshotActions", "Tell the status of a snapshot."),
    "os-types-extra-specs": ("TypesExtraSpecs", "What a volume type asks for."),
    "os-types-manage": ("TypesManage", "Make and remove volume types."),
    "os-used-limits": ("UsedLimits", "What of the limits is used."),
    "os-vol-host-attr": ("VolumeHostAttribute", "Where a volume is."),
    "os-vol-image-meta": ("VolumeImageMetadata", "The image a volume was made of."),
    "os-vol-tenant-attr": ("VolumeTenantAttribute", "Whose a volume is."),
    "os-volume-actions": ("VolumeActions", "Attach, extend, upload volumes."),
    "os-volume-type-access": ("VolumeTypeAccess", "Who uses types that are not public."),
    "scheduler-stats": ("Scheduler_stats", "Pools and their room."),
}
_UPDATED = "2026-01-01T00:00:00+00:00"


def _extension(alias: str) -> dict[str, Any]:
    name, description = _EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": description, "updated": _UPDATED, "links": []}


def list_extensions(call: Call) -> dict[str, Any]:
    return {"extensions": [_extension(alias) for alias in _EXTENSIONS]}


def show_extension(call: Call) -> dict[str, Any]:
    alias = call.path["alias"]
    if alias not in _EXTENSIONS:
        raise NotFound("extension", alias, message=f"Extension {alias[:255]} could not be found.")
    return {"extension": _extension(alias)}


_FILTERS = {
    "volume": ["id", "name", "status", "metadata", "bootable", "multiattach", "availability_zone", "size",
               "snapshot_id", "source_volid", "volume_type", "volume_type_id", "user_id", "created_at", "updated_at"],
    "snapshot": ["id", "name", "status", "metadata", "volume_id", "user_id", "created_at", "updated_at"],
    "attachment": ["id", "volume_id", "instance_id", "status", "attach_status"],
    "pool": ["name"],
    "backup": ["id", "name", "status", "volume_id"],
    "group": ["id", "name", "status", "group_type"],
    "group_snapshot": ["id", "name", "status", "group_id"],
    "message": ["resource_uuid", "resource_type", "event_id", "request_id", "message_level"],
}  # fmt: skip


def list_filters(call: Call) -> dict[str, Any]:
    wanted = call.query.get("resource")
    return {
        "resource_filters": [
            {"resource": name, "filters": filters} for name, filters in _FILTERS.items() if wanted in (None, name)
        ]
    }


_CAPABILITIES = record(
    {
        **dict.fromkeys(
            ("namespace", "vendor_name", "volume_backend_name", "storage_protocol", "driver_version"), TEXT
        ),
        **dict.fromkeys(("pool_name", "display_name", "description", "visibility"), TEXT_OR_NULL),
        "replication_targets": array(ANY),
        "properties": mapping(ANY),
    }
)
_POOL = record({"name": TEXT, "capabilities": mapping(ANY)}, optional=["capabilities"])
_HOST = record(
    dict.fromkeys(("host_name", "service", "service-status", "service-state", "zone", "last-update"), TEXT)
)  # fmt: skip
_KEPT = record(
    dict.fromkeys(
        ("host", "project", "volume_count", "total_volume_gb", "snapshot_count", "total_snapshot_gb"), TEXT
    )
)  # fmt: skip
_ZONE = record({"zoneName": TEXT, "zoneState": record({"available": FLAG})})
_TOLD_EXTENSION = record(
    {"alias": TEXT, "name": TEXT, "description": TEXT, "updated": TEXT, "links": array(ANY)}
)  # fmt: skip


ROUTES = [
    Route("GET", f"{ROOT}/scheduler-stats/get_pools", list_pools,
          rule="scheduler_extension:scheduler_stats:get_pools", view=Told("pools", whole=array(_POOL))),
    Route("GET", f"{ROOT}/capabilities/{{host}}", show_capabilities, rule=EXTENSION + "capabilities",
          view=Told(whole=_CAPABILITIES)),
    Route("GET", f"{ROOT}/os-hosts", list_hosts, rule=EXTENSION + "hosts", view=Told("hosts", whole=array(_HOST))),
    Route("GET", f"{ROOT}/os-hosts/{{host}}", show_host, rule=EXTENSION + "hosts",
          view=Told("host", whole=array(record({"resource": _KEPT})))),
    Route("GET", f"{ROOT}/os-availability-zone", list_zones, rule="volume:services_zones", unit="read",
          view=Told("availabilityZoneInfo", whole=array(_ZONE))),
    Route("GET", f"{ROOT}/extensions", list_extensions, rule="volume:services_zones",
          view=Told("extensions", whole=array(_TOLD_EXTENSION))),
    Route("GET", f"{ROOT}/extensions/{{alias}}", show_extension, rule="volume:services_zones",
          view=Told("extension", whole=_TOLD_EXTENSION)),
    Route("GET", f"{ROOT}/resource_filters", list_filters, rule="volume:get_all", since="3.33",
          view=Told("resource_filters", whole=array(record({"resource": TEXT, "filters": TEXTS})))),
]  # fmt: skip
