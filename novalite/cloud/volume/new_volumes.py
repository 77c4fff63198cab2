"""New volumes: blank, or of an image, a snapshot or another volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa

from novalite.cloud.hosts.hosts import Host
from novalite.cloud.image import image_keys, images
from novalite.cloud.image.records import Image
from novalite.cloud.volume import encryption, group_members, services, snapshots, tasks, types, usage, volumes
from novalite.cloud.volume.records import Backup, Snapshot, Volume, VolumeType
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.drivers.storage.base import IMAGE_FORMATS
from novalite.errors import Invalid, NotFound

GIB = 1 << 30
LARGEST_GIB = 1 << 20
DEFAULT_ZONE = "nova"
FORMATS = tuple(IMAGE_FORMATS)
TYPE_OF_VOLUMES = "cinder_img_volume_type"
"""The property of an image that names the type of volumes made of it, when nobody names another."""


@dataclass(frozen=True)
class NewVolume:
    """``size_gib`` 0 takes the size of what the volume is made of. At most one of ``image_id``, ``snapshot_id``,
    ``source_volume_id`` and ``backup_id`` is given. ``type`` is a name or an id, empty: the default type."""

    size_gib: int = 0
    name: str | None = None
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    type: str = ""
    availability_zone: str = ""
    image_id: str = ""
    snapshot_id: str = ""
    source_volume_id: str = ""
    backup_id: str = ""
    group_id: str = ""
    multiattach: bool = False


@dataclass(frozen=True)
class _Source:
    """What a new volume is made of. ``least_gib`` is the smallest size that holds it."""

    least_gib: int = 0
    size_gib: int = 0
    bootable: bool = False
    zone: str = ""
    type_id: str | None = None
    image_metadata: dict[str, str] = field(default_factory=dict)
    image: Image | None = None


def create(w: Work, new: NewVolume) -> Volume:
    """Record a volume of the caller's project and its task; the data follow.

    Raises ``Invalid`` naming the field, ``NotFound`` (snapshot, source volume, type), ``OverQuota``.
    """
    given = [name for name in ("image_id", "snapshot_id", "source_volume_id", "backup_id") if getattr(new, name)]
    if len(given) > 1:
        raise Invalid(f"A volume is made of one thing: {' or '.join(given)}.", field=given[1])
    source = _source(w, new)
    size_gib = new.size_gib or source.size_gib
    _check_size(size_gib, source)
    kind = types.get_usable(w, new.type) if new.type else types.get_or_default(w, source.type_id)
    encrypts = encryption.encrypts(w, kind)
    if source.image is not None:
        require_encrypted(source.image, encrypts, "volume_type")
    if new.group_id:
        group_members.join(w, new.group_id, kind.id)
    usage.require(w, w.ctx.project_id, kind=kind, volume_gib=size_gib, volumes=1, gigabytes=size_gib)
    volume = Volume(
        id=new_id(), name=new.name, description=new.description, project_id=w.ctx.project_id, user_id=w.ctx.user_id,
        status="creating", size_gib=size_gib, availability_zone=zone_of(w, new.availability_zone or source.zone),
        bootable=source.bootable, multiattach=new.multiattach or types.is_multiattach(kind),
        metadata_items=dict(new.metadata), image_metadata=dict(source.image_metadata), image_id=new.image_id or None,
        snapshot_id=new.snapshot_id or None, source_volume_id=new.source_volume_id or None,
        backup_id=new.backup_id or None, group_id=new.group_id or None, type_id=kind.id,
        encryption_key_id=new_id() if encrypts else None, created_at=w.now,
    )  # fmt: skip
    w.session.add(volume)
    w.session.flush()
    volumes.start(w, volume, tasks.VolumeCreate(volume.id))
    w.announce(volumes.TOPIC, volume.id, volume.project_id)
    return volume


def _source(w: Work, new: NewVolume) -> _Source:
    if new.image_id:
        return _of_image(w, new.image_id)
    if new.snapshot_id:
        return _of_snapshot(w, snapshots.get(w, new.snapshot_id))
    if new.source_volume_id:
        return _of_volume(volumes.get(w, new.source_volume_id))
    if new.backup_id:
        return _of_backup(w, new)
    return _Source()


def _of_backup(w: Work, new: NewVolume) -> _Source:
    """Its type counts only where what it holds would not be encrypted else."""
    backup_id = new.backup_id
    backup = w.session.get(Backup, backup_id)
    if backup is None or (backup.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("backup", backup_id, message=f"Backup {backup_id} could not be found.")
    services.require_backups(w)
    if backup.status not in ("available", "restoring"):
        raise Invalid(f"Invalid backup: backup {backup_id} is {backup.status}; it must be available.",
                      field="backup_id", code="backup.state")  # fmt: skip
    facts = backup.volume_facts
    images = {str(name): str(value)[:255] for name, value in dict(facts.get("image_metadata") or {}).items()}
    type_id = _encrypting_type(w, backup) if facts.get("sealed") and not new.type else None
    return _Source(backup.size_gib, backup.size_gib, bool(facts.get("bootable")), "", type_id, images)


def _encrypting_type(w: Work, backup: Backup) -> str:
    """The type of the volume that was backed up, if there still is one that encrypts: else it must be named."""
    found = w.session.scalar(sa.select(VolumeType).where(VolumeType.name == str(backup.volume_facts.get("type"))))
    if found is None or not encryption.encrypts(w, found):
        raise Invalid(
            f"Backup {backup.id} is of an encrypted volume, and the type it had does not encrypt any more: name the "
            "type of the new volume, or a volume.", field="volume_type", code="volume.encrypted",
        )  # fmt: skip
    return found.id


def image_facts(image: Image) -> dict[str, str]:
    """What a volume remembers of the image it was made of, as texts."""
    facts: dict[str, Any] = {
        **image_keys.without(image.properties), "image_id": image.id, "image_name": image.name or "",
        "checksum": image.checksum or "", "container_format": image.container_format,
        "disk_format": image.disk_format, "min_disk": image.min_disk, "min_ram": image.min_ram, "size": image.size or 0,
    }  # fmt: skip
    return {name: str(value) for name, value in facts.items()}


def usable_image(w: Work, image_id: str, field_name: str = "imageRef") -> Image:
    """An image that volumes can be made of. Raises ``Invalid`` naming ``field_name``."""
    try:
        image = images.get(w, image_id)
    except NotFound as error:
        raise Invalid(f"Image {image_id[:64]} could not be found.", field=field_name) from error
    if image.status != "active":
        raise Invalid(f"Image {image.id} is not active.", field=field_name)
    if not image.size:
        raise Invalid(f"Image {image.id} has no data, but names snapshots of volumes.", field=field_name,
                      hint="Make the volume of its snapshot.")  # fmt: skip
    if image.disk_format not in FORMATS:
        raise Invalid(
            f"Image {image.id} has the disk format {image.disk_format}; volumes are made of {', '.join(FORMATS)}.",
            field=field_name,
        )  # fmt: skip
    return image


def snapshot_of_image(w: Work, image_id: str) -> str:
    """The snapshot of the disk to boot from that an image names, made of a server that boots from a volume; empty for
    other images. Raises ``NotFound`` when it is gone."""
    try:
        text = images.get(w, image_id).properties.get("block_device_mapping") or "[]"
        named = [one for one in msgspec.json.decode(text) if isinstance(one, dict)]
    except (NotFound, msgspec.DecodeError, RecursionError, TypeError):
        return ""
    roots = [one for one in named if one.get("source_type") == "snapshot" and one.get("boot_index") == 0]
    return snapshots.get(w, str(roots[0].get("snapshot_id") or "")).id if roots else ""


def least_gib(image: Image) -> int:
    """The smallest volume that holds the image."""
    return max(image.min_disk, -(-(image.virtual_size or image.size or 0) // GIB))


def require_encrypted(image: Image, encrypts: bool, field_name: str) -> None:
    """Raises ``Invalid`` when an encrypted image would become a volume that is not (``encrypts``)."""
    if image_keys.is_sealed(image) and not encrypts:
        raise Invalid(
            f"Image {image.id} holds an encrypted volume: only volumes of a type that encrypts are made of it.",
            field=field_name, code="image.sealed",
        )  # fmt: skip


def require_type_for(w: Work, image: Image, wanted: str) -> None:
    """Raises ``Invalid`` (``volume_type``) when a volume of the type, empty for the default, cannot be made of the
    image, ``NotFound`` for an unknown type."""
    kind = types.get_usable(w, wanted) if wanted else types.get_or_default(w, _type_of_image(w, image))
    require_encrypted(image, encryption.encrypts(w, kind), "volume_type")


def _type_of_image(w: Work, image: Image) -> str | None:
    """As Cinder does: what it names counts if there is such a type."""
    wanted = image.properties.get(TYPE_OF_VOLUMES, "").strip()
    try:
        return types.get_usable(w, wanted).id if wanted else None
    except NotFound:
        return None


def _of_image(w: Work, image_id: str) -> _Source:
    image = usable_image(w, image_id)
    return _Source(
        least_gib=least_gib(image), bootable=True, type_id=_type_of_image(w, image), image_metadata=image_facts(image),
        image=image,
    )  # fmt: skip


def _of_snapshot(w: Work, snapshot: Snapshot) -> _Source:
    if snapshot.status != "available":
        raise Invalid(
            f"Invalid snapshot: snapshot {snapshot.id} is {snapshot.status}; it must be available.",
            field="snapshot_id", code="snapshot.state",
        )  # fmt: skip
    origin = volumes.find(w, snapshot.volume_id)
    if origin is None:
        raise volumes.missing(snapshot.volume_id)
    return _Source(
        snapshot.size_gib, snapshot.size_gib, origin.bootable, origin.availability_zone, origin.type_id,
        origin.image_metadata,
    )  # fmt: skip


def _of_volume(origin: Volume) -> _Source:
    if origin.status not in ("available", "in-use"):
        raise volumes.refusal(origin, "copied", ("available", "in-use"))
    return _Source(
        origin.size_gib, origin.size_gib, origin.bootable, origin.availability_zone, origin.type_id,
        origin.image_metadata,
    )  # fmt: skip


def _check_size(size_gib: int, source: _Source) -> None:
    if not 1 <= size_gib <= LARGEST_GIB:
        raise Invalid(f"The size of a volume is 1 to {LARGEST_GIB} GiB, not {size_gib}.", field="size")
    if size_gib < source.least_gib:
        raise Invalid(
            f"The size {size_gib} GiB is less than the {source.least_gib} GiB of what the volume is made of.",
            field="size",
        )


def zone_of(w: Work, zone: str) -> str:
    """The zone asked for, by default the one there always is. Raises ``Invalid``."""
    if zone in ("", DEFAULT_ZONE):
        return DEFAULT_ZONE
    if w.session.scalar(sa.select(Host.id).where(Host.zone == zone).limit(1)) is None:
        raise Invalid(f"Availability zone '{zone[:64]}' is invalid.", field="availability_zone")
    return zone
