"""A volume as Block Storage shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from novalite.api.kit.answers import (
    FLAG,
    MOMENT,
    NULL,
    TEXT,
    TEXT_BY_NAME,
    TEXT_OR_NULL,
    UUID,
    WHOLE,
    array,
    nullable,
    record,
)
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


UUID_OR_NULL = nullable(UUID)
_ATTACHMENT = record(
    {
        "id": UUID,
        "attachment_id": UUID,
        "volume_id": UUID,
        "server_id": UUID_OR_NULL,
        "host_name": TEXT_OR_NULL,
        "device": TEXT,
        "attached_at": MOMENT,
    }
)
SUMMARY = View(Field("id", schema=UUID), Field("name", schema=TEXT_OR_NULL), links("volumes"))
DETAIL = View(
    Field("id", schema=UUID),
    Field("status", schema=TEXT),
    Field("size", "size_gib", schema=WHOLE),
    Field("availability_zone", schema=TEXT),
    *CREATED,
    Field("name", schema=TEXT_OR_NULL),
    Field("description", schema=TEXT_OR_NULL),
    Field("volume_type", "type_name", schema=TEXT_OR_NULL),
    Field("snapshot_id", schema=UUID_OR_NULL),
    Field("source_volid", "source_volume_id", schema=UUID_OR_NULL),
    Field("metadata", _metadata, schema=TEXT_BY_NAME),
    links("volumes"),
    Field("user_id", schema=TEXT),
    Field("bootable", _bootable, schema=TEXT),
    Field("encrypted", lambda item, call: item.volume.encryption_key_id is not None, schema=FLAG),
    Field("replication_status", _nothing, schema=NULL),
    Field("consistencygroup_id", _nothing, schema=NULL),
    Field("multiattach", schema=FLAG),
    Field("attachments", _attachments, schema=array(_ATTACHMENT)),
    Field("migration_status", only=is_admin, schema=TEXT_OR_NULL),
    Field("volume_image_metadata", _image_metadata, schema=TEXT_BY_NAME),
    Field("os-vol-tenant-attr:tenant_id", "project_id", schema=TEXT),
    Field("os-vol-host-attr:host", lambda item, call: item.volume.host or None, only=is_admin, schema=TEXT_OR_NULL),
    Field("os-vol-mig-status-attr:migstat", "migration_status", only=is_admin, schema=TEXT_OR_NULL),
    Field("os-vol-mig-status-attr:name_id", _nothing, only=is_admin, schema=NULL),
    Field("group_id", since="3.13", schema=UUID_OR_NULL),
    Field("provider_id", _nothing, since="3.21", only=is_admin, schema=NULL),
    Field("shared_targets", _no, since="3.48", schema=FLAG),
    Field("service_uuid", _nothing, since="3.48", schema=NULL),
    Field("cluster_name", _nothing, since="3.61", only=is_admin, schema=NULL),
    Field("volume_type_id", "type_id", since="3.63", schema=UUID_OR_NULL),
    Field("encryption_key_id", lambda item, call: item.volume.encryption_key_id or ABSENT, since="3.64", schema=UUID),
    Field("consumes_quota", lambda item, call: True, since="3.65", schema=FLAG),
)
ANSWERED = DETAIL.extended(
    without=(
        "volume_image_metadata", "os-vol-tenant-attr:tenant_id", "os-vol-host-attr:host",
        "os-vol-mig-status-attr:migstat", "os-vol-mig-status-attr:name_id",
    )
)  # fmt: skip
"""What creating and changing answer with: Cinder's extensions only add to what is shown."""
