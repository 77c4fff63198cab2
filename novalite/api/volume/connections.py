"""How a volume is reached by who attaches it: a file on the host that keeps it."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.answers import FLAG, NULL, TEXT, record
from novalite.api.kit.call import Call
from novalite.cloud.volume import volumes

CONNECTOR = {
    "type": "object",
    "properties": {"mode": {"enum": ["rw", "ro"]}, "host": {"type": ["string", "null"], "maxLength": 255}},
}


_DATA = record(
    {"device_path": TEXT, "format": TEXT, "access_mode": TEXT, "encrypted": FLAG, "qos_specs": NULL}
)  # fmt: skip
INFORMATION = record({"driver_volume_type": TEXT, "data": _DATA})


def connection(call: Call, volume_id: str, mode: str) -> dict[str, Any]:
    """What Cinder's clients know as connection information. Raises ``Failed`` for a volume without data."""
    disk = volumes.disk(call.w, volume_id)
    return {
        "driver_volume_type": "local",
        "data": {
            "device_path": disk.path,
            "format": disk.format,
            "access_mode": "ro" if disk.read_only else mode,
            "encrypted": disk.encrypted,
            "qos_specs": None,
        },
    }
