"""A volume as Block Storage shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.view import ABSENT, Field, View, utc_micros
from novalite.api.volume.shapes import CREATED, is_admin, links
from novalite.cloud.volume import attachments, types
from novalite.cloud.volume.records import Volume, VolumeAttachment
from novalite.db.work import Work


class Shown:
    """A volume with what belongs to it; attributes are the record's."""

    def __init__(self, volume: Volume, of_it: list[VolumeAttachment], type_name: str | None) -> None:
        self.volume, self.attachments, self.type_name = volume, of_it, type_name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.volume, name)


def shown(w: Work, rows: Iterable[Volume]) -> list[Shown]:
    """Volumes with their attachments and the names of their types; two queries for all."""
    found = list(rows)
    of_them, names = attachments.of_volumes(w, [volume.id for volume in found]), types.names(w)
    return [Shown(volume, of_them[volume.id], names.get(volume.type_id or "")) for volume in found]


def one(w: Work, volume: Volume) -> Shown:
    return shown(w, [volume])[0]


def _attachment(attachment: VolumeAttachment, call: Call) -> dict[str, Any]:
    return {
        "id": attachment.volume_id,
        "attachment_id": attachment.id,
        "volume_id": attachment.volume_id,
        "server_id": attachment.server_id,
        "host_name": (attachment.host or None) if is_admin(call) else None,
        "device": attachment.device,
        "attached_at": utc_micros(attachment.attached_at),
    }


def _attachments(item: Shown, call: Call) -> list[dict[str, Any]]:
    return [_attachment(one, call) for one in item.attachments if one.status == attachments.ATTACHED]


def _metadata(item: Shown, call: Call) -> dict[str, str]:
    read_only = {} if item.volume.read_only is None else {"readonly": str(item.volume.read_only)}
    return {**item.volume.metadata_items, **read_only}


def _image_metadata(item: Shown, call: Call) -> Any:
    return item.volume.image_metadata or ABSENT


def _bootable(item: Shown, call: Call) -> str:
    return "true" if item.volume.bootable else "false"


def _nothing(item: Shown, call: Call) -> None:
    return None


def _no(item: Shown, call: Call) -> bool:
    return False


SUMMARY = View(Field("id"), Field("name"), links("volumes"))
DETAIL = View(
    Field("id"),
    Field("status"),
    Field("size", "size_gib"),
    Field("availability_zone"),
    *CREATED,
    Field("name"),
    Field("description"),
    Field("volume_type", "type_name"),
    Field("snapshot_id"),
    Field("source_volid", "source_volume_id"),
    Field("metadata", _metadata),
    links("volumes"),
    Field("user_id"),
    Field("bootable", _bootable),
    Field("encrypted", _no),
    Field("replication_status", _nothing),
    Field("consistencygroup_id", _nothing),
    Field("multiattach"),
    Field("attachments", _attachments),
    Field("migration_status", _nothing, only=is_admin),
    Field("volume_image_metadata", _image_metadata),
    Field("os-vol-tenant-attr:tenant_id", "project_id"),
    Field("os-vol-host-attr:host", lambda item, call: item.volume.host or None, only=is_admin),
    Field("os-vol-mig-status-attr:migstat", _nothing, only=is_admin),
    Field("os-vol-mig-status-attr:name_id", _nothing, only=is_admin),
    Field("group_id", _nothing, since="3.13"),
    Field("provider_id", _nothing, since="3.21", only=is_admin),
    Field("shared_targets", _no, since="3.48"),
    Field("service_uuid", _nothing, since="3.48"),
    Field("cluster_name", _nothing, since="3.61", only=is_admin),
    Field("volume_type_id", "type_id", since="3.63"),
    Field("consumes_quota", lambda item, call: True, since="3.65"),
)
ANSWERED = DETAIL.extended(
    without=(
        "volume_image_metadata", "os-vol-tenant-attr:tenant_id", "os-vol-host-attr:host",
        "os-vol-mig-status-attr:migstat", "os-vol-mig-status-attr:name_id",
    )
)  # fmt: skip
"""What creating and changing answer with: Cinder's extensions only add to what is shown."""
