"""Images of servers that boot from volumes: no data, but the names of snapshots to make volumes of again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from novalite.cloud.compute.block_devices import SNAPSHOT, VOLUME, BlockDevice
from novalite.cloud.compute.servers import Server
from novalite.cloud.volume import snapshots
from novalite.db.work import Work

_READY = "available"
_UNFINISHED = "creating"


def snapshot_volumes(w: Work, name: str, rows: Sequence[BlockDevice]) -> dict[str, str]:
    """Begin a snapshot of every volume: id of the volume -> that of the snapshot. Raises as ``snapshots.create``."""
    found = (row.volume_id for row in rows if row.volume_id)
    return {
        volume_id: snapshots.create(w, volume_id, name=f"snapshot for {name}", force=True).id for volume_id in found
    }


def volume_mapping(server: Server, rows: Sequence[BlockDevice], made: Mapping[str, str]) -> dict[str, str]:
    """The properties that let another server be made of the snapshots."""
    devices = [_device(row, made) for row in rows]
    return {
        "root_device_name": server.root_device_name,
        "bdm_v2": "True",
        "block_device_mapping": msgspec.json.encode(devices).decode(),
    }


def _device(row: BlockDevice, made: Mapping[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "source_type": row.source,
        "destination_type": row.destination,
        "boot_index": row.boot_index,
        "volume_size": row.size,
        "device_name": row.device_name,
        "device_type": "disk",
        "disk_bus": row.disk_bus or None,
        "guest_format": row.guest_format or None,
        "delete_on_termination": row.delete_on_termination,
    }
    if row.volume_id:
        told |= {"source_type": SNAPSHOT, "destination_type": VOLUME, "snapshot_id": made[row.volume_id]}
    return told


def unfinished(w: Work, snapshot_ids: Sequence[str]) -> bool:
    """Whether some of the snapshots are still being made."""
    found = (snapshots.find(w, snapshot_id) for snapshot_id in snapshot_ids)
    return any(one is not None and one.status == _UNFINISHED for one in found)


def failed(w: Work, snapshot_ids: Sequence[str]) -> list[str]:
    """Ids of those that are gone or no good."""
    found = {snapshot_id: snapshots.find(w, snapshot_id) for snapshot_id in snapshot_ids}
    return [snapshot_id for snapshot_id, one in found.items() if one is None or one.status != _READY]
