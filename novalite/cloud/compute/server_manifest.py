"""What is written of a server that leaves as one file: all that another cloud needs to make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from novalite.cloud.compute import block_devices
from novalite.cloud.compute.block_devices import BlockDevice
from novalite.cloud.compute.servers import Server
from novalite.cloud.network import ports
from novalite.cloud.volume import volumes
from novalite.cloud.volume.records import Volume, VolumeType
from novalite.db.work import Work

FORMAT, VERSION = "novalite-server", 1
ROOT, EPHEMERAL, VOLUME = "root", "ephemeral", "volume"
MOST_DISKS = block_devices.MOST_DISKS

_LOCAL = frozenset({
    "backup_type", "base_image_ref", "bdm_v2", "block_device_mapping", "image_location", "image_state", "image_type",
    "instance_owner", "instance_uuid", "mappings", "owner_id", "protection", "root_device_name", "user_id",
    "image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size",
})  # fmt: skip
"""Properties that tell where an image came from, and facts that volumes keep among their image's properties."""

_NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^\S(.*\S)?\Z"}
_TEXT = {"type": "string", "maxLength": 255}


def _mapping(names: str, longest: int) -> dict[str, Any]:
    values = {"type": "string", "maxLength": longest}
    return {"type": "object", "patternProperties": {names: values}, "additionalProperties": False, "maxProperties": 256}


_METADATA = _mapping(r"^[a-zA-Z0-9-_:. ]{1,255}\Z", 255)
_PROPERTIES = _mapping(r"^(?!os_glance)[^\s/]{1,255}\Z", 65535)
_AMOUNT = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
_BYTES = {"type": "integer", "minimum": 0, "maximum": 2**53}
_OR_NULL = {"type": "null"}


def _record(properties: Mapping[str, Any], *, optional: Sequence[str] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


_SERVER = _record({
    "name": _NAME, "hostname": {"type": "string", "pattern": r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,253}[A-Za-z0-9])?\Z"},
    "description": {"type": ["string", "null"], "maxLength": 255}, "metadata": _METADATA,
    "tags": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 60, "pattern": r"^[^,/]*\Z"},
             "maxItems": 50, "uniqueItems": True},
    "user_data": {"type": ["string", "null"], "maxLength": 65535}, "config_drive": {"type": "boolean"},
    "key": {"anyOf": [_OR_NULL, _record({"name": _TEXT, "type": {"enum": ["ssh", "x509"]},
                                         "public_key": {"type": "string", "maxLength": 16384}})]},
})  # fmt: skip
_FLAVOR = _record({
    "name": _TEXT, "vcpus": {**_AMOUNT, "minimum": 1}, "ram": {**_AMOUNT, "minimum": 1}, "disk": _AMOUNT,
    "ephemeral": _AMOUNT, "swap": _AMOUNT, "extra_specs": _PROPERTIES,
})  # fmt: skip
_IMAGE = _record({"name": _TEXT, "min_disk": _AMOUNT, "min_ram": _AMOUNT, "properties": _PROPERTIES})
_CARD = _record({
    "network": _TEXT, "mac_address": {"type": "string", "pattern": r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z"},
    "addresses": {"type": "array", "items": {"type": "string", "maxLength": 64}, "maxItems": 64},
    "tag": {"type": "string", "maxLength": 60, "pattern": r"^[^,/]*\Z"},
})  # fmt: skip
_VOLUME = _record({
    "name": {"type": ["string", "null"], "maxLength": 255},
    "description": {"type": ["string", "null"], "maxLength": 255},
    "size": {"type": "integer", "minimum": 1, "maximum": 1 << 20}, "type": _TEXT, "bootable": {"type": "boolean"},
    "metadata": _METADATA, "image_metadata": _PROPERTIES,
})  # fmt: skip
_DISK = _record({
    "file": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z"},
    "role": {"enum": [ROOT, EPHEMERAL, VOLUME]}, "format": {"enum": ["qcow2"]}, "size": _BYTES, "virtual_size": _BYTES,
    "sha512": {"type": "string", "pattern": r"^[0-9a-f]{128}\Z"},
    "name": {"type": "string", "pattern": r"^(root|ephemeral[0-9])?\Z"},
    "bus": {"enum": ["", "virtio", "scsi", "sata", "ide"]},
    "boot_index": {"type": ["integer", "null"], "minimum": 0, "maximum": 255},
    "delete_on_termination": {"type": "boolean"},
    "tag": {"type": "string", "maxLength": 60, "pattern": r"^[^,/]*\Z"}, "volume": {"anyOf": [_OR_NULL, _VOLUME]},
})  # fmt: skip
SCHEMA: dict[str, Any] = _record({
    "format": {"enum": [FORMAT]}, "version": {"enum": [VERSION]}, "exported_at": {"type": "string", "maxLength": 64},
    "server": _SERVER, "flavor": _FLAVOR, "image": _IMAGE,
    "networks": {"type": "array", "items": _CARD, "maxItems": 32},
    "security_groups": {"type": "array", "items": _TEXT, "maxItems": 64, "uniqueItems": True},
    "disks": {"type": "array", "items": _DISK, "minItems": 1, "maxItems": MOST_DISKS},
})  # fmt: skip
"""A JSON Schema of the whole. Files of a later version are refused, never half understood."""


@dataclass(frozen=True)
class Disk:
    """One disk to be written. ``name`` is that of a disk of the guest itself, ``volume_id`` names another."""

    role: str
    file: str
    name: str = ""
    volume_id: str = ""
    facts: Mapping[str, Any] | None = None

    def told(self, *, size: int, virtual_size: int, sha512: str, disk_format: str = "qcow2") -> dict[str, Any]:
        """As the manifest has it."""
        return {
            "file": self.file, "role": self.role, "name": self.name, "format": disk_format, "size": size,
            "virtual_size": virtual_size, "sha512": sha512, **(self.facts or {}),
        }  # fmt: skip


def of_server(w: Work, server: Server) -> dict[str, Any]:
    """All but the disks."""
    key = {name: str(server.key.get(name, "")) for name in ("name", "type", "public_key")} if server.key else None
    cards, groups = _wiring(w, server)
    return {
        "format": FORMAT, "version": VERSION, "exported_at": w.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "server": {
            "name": server.name, "hostname": server.hostname, "description": server.description,
            "metadata": dict(server.metadata_items), "tags": list(server.tags), "user_data": server.user_data,
            "config_drive": server.config_drive, "key": key,
        },
        "flavor": {
            "name": server.flavor["name"], "vcpus": server.vcpus, "ram": server.memory_mib,
            "disk": server.flavor["disk"], "ephemeral": server.flavor["ephemeral"], "swap": server.flavor["swap"],
            "extra_specs": _words(server.flavor["extra_specs"]),
        },
        "image": {
            "name": str(server.image.get("name") or ""), "min_disk": int(server.image.get("min_disk") or 0),
            "min_ram": int(server.image.get("min_ram") or 0), "properties": _properties(server.image["properties"]),
        },
        "networks": cards, "security_groups": groups,
    }  # fmt: skip


def _words(facts: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in facts.items()}


def _properties(facts: Mapping[str, Any]) -> dict[str, str]:
    """Without what is only true of the image here."""
    return {
        name: text for name, text in _words(facts).items() if name not in _LOCAL and not name.startswith("os_glance")
    }


def _wiring(w: Work, server: Server) -> tuple[list[dict[str, Any]], list[str]]:
    """The cards in their order, and the names of all groups that they are in."""
    views = ports.of_device(w, server.id)
    cards = [
        {"network": view.network_name, "mac_address": view.mac_address, "addresses": list(view.fixed_ips),
         "tag": view.tag}
        for view in views
    ]  # fmt: skip
    return cards, sorted({name for view in views for name in view.security_groups})


def disks(w: Work, server: Server, *, extension: str = "qcow2") -> list[Disk]:
    """Every disk whose content matters, the one to boot from first; swap disks are made anew."""
    rows = block_devices.of_server(w, server.id)
    found = [] if block_devices.root_volume(rows) else [Disk(ROOT, "", ROOT, facts=_facts(None, boot_index=0))]
    of_volumes = [row for row in rows if row.volume_id]
    known = volumes.get_many(w, [row.volume_id or "" for row in of_volumes])
    kinds = _type_names(w, known.values())
    for row in sorted(of_volumes, key=lambda row: row.boot_index != 0):
        volume = known[row.volume_id or ""]
        facts = _facts(row, boot_index=row.boot_index, volume=_of_volume(volume, kinds))
        found.append(Disk(VOLUME, "", volume_id=volume.id, facts=facts))
    for local in block_devices.local_disks(server, rows):
        if local.content != block_devices.SWAP:
            found.append(Disk(EPHEMERAL, "", local.name, facts=_facts(None, boot_index=None)))
    return [replace(disk, file=f"{number}-{disk.name or 'volume'}.{extension}") for number, disk in enumerate(found)]


def _facts(row: BlockDevice | None, *, boot_index: int | None, volume: Mapping[str, Any] | None = None) -> Any:
    return {
        "bus": row.disk_bus if row else "", "boot_index": boot_index, "tag": row.tag if row else "",
        "delete_on_termination": row.delete_on_termination if row else True, "volume": volume,
    }  # fmt: skip


def _of_volume(volume: Volume, kinds: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": volume.name, "description": volume.description, "size": volume.size_gib,
        "type": kinds.get(volume.type_id or "", ""), "bootable": bool(volume.bootable),
        "metadata": dict(volume.metadata_items), "image_metadata": _properties(volume.image_metadata),
    }  # fmt: skip


def _type_names(w: Work, found: Any) -> dict[str, str]:
    ids = {volume.type_id for volume in found if volume.type_id}
    rows = w.session.execute(sa.select(VolumeType.id, VolumeType.name).where(VolumeType.id.in_(ids)))
    return {row.id: row.name for row in rows}
