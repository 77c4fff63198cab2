"""Images of servers that boot from volumes: no data, but the names of snapshots to make volumes of again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from novalite.cloud.compute.block_devices import SNAPSHOT, VOLUME, BlockDevice
from novalite.cloud.compute.servers import Server
from novalite.cloud.volume import snapshots
from novalite.db.work import Work


def snapshot_volumes(w: Work, name: str, rows: Sequence[BlockDevice]) -> dict[str, str]:
    """Record a snapshot of every volume, to be made together: id of the volume -> that of the snapshot. Raises as
    ``snapshots.create``."""
    found, title = (row.volume_id for row in rows if row.volume_id), f"snapshot for {name}"
    return {volume_id: snapshots.create(w, volume_id, name=title, force=True, together=True).id for volume_id in found}


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
