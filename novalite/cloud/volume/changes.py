"""What users ask of volumes that are there: growing, other data, a copy as an image. Each leaves a task behind."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.image import image_keys, images
from novalite.cloud.image.images import NewImage
from novalite.cloud.image.records import Image
from novalite.cloud.volume import (
    attachments,
    new_volumes,
    services,
    snapshots,
    tasks,
    types,
    usage,
    volumes,
)
from novalite.cloud.volume.records import Snapshot, Volume, VolumeType
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid

UPLOAD_FORMATS = ("raw", "qcow2")
_COPIED_FACTS = ("image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size")


def extend(w: Work, volume_id: str, size_gib: int, *, attached_too: bool) -> Volume:
    """Let a volume grow to ``size_gib``; one that is in use only with ``attached_too``, and its guest sees it at
    once. Raises ``Invalid``, ``OverQuota``, and ``Conflict`` for one that is exported to a server on another machine
    and is encrypted or has several attachments."""
    volume = volumes.get(w, volume_id)
    services.require_thawed(w, volume)
    if not volume.size_gib < size_gib <= new_volumes.LARGEST_GIB:
        raise Invalid(
            f"Invalid input: the new size must be more than {volume.size_gib} GiB and at most "
            f"{new_volumes.LARGEST_GIB}, not {size_gib}.", field="new_size",
        )  # fmt: skip
    usage.require(
        w, volume.project_id, kind=types.get_or_default(w, volume.type_id), volume_gib=size_gib,
        gigabytes=size_gib - volume.size_gib,
    )  # fmt: skip
    there = attachments.of_volumes(w, [volume_id])[volume_id]
    if attached_too and attachments.are_exported(w, [row.id for row in there]):
        _refuse_hard_to_grow(volume, len(there))
    allowed = ("available", "in-use") if attached_too else ("available",)
    volumes.move(w, volume, allowed, "extending", ~volumes.being_copied(volume_id), doing="extended",
                 target_gib=size_gib)  # fmt: skip
    volumes.start(w, volume, tasks.VolumeExtend(volume_id, size_gib))
    return volume


def _refuse_hard_to_grow(volume: Volume, users: int) -> None:
    """Of what is exported to other machines. Raises ``Conflict``."""
    why = "it is encrypted" if volume.encryption_key_id else "others have it as well" if users > 1 else ""
    if why:
        raise Conflict(
            f"Volume {volume.id} cannot be extended while a server on another machine has it by an export: {why}.",
            code="volume.exported", hint="Detach it, extend it, and attach it again.",
        )  # fmt: skip


def upload(
    w: Work, volume_id: str, *, name: str, disk_format: str = "raw", container_format: str = "bare",
    force: bool = False, visibility: str = "", protected: bool = False,
) -> tuple[Volume, Image]:  # fmt: skip
    """Copy the volume into a new image; with ``force`` also one that is in use. That of an encrypted one is encrypted
    too, and private. Raises ``Invalid``."""
    volume = volumes.get(w, volume_id)
    is_sealed = volume.encryption_key_id is not None
    if is_sealed and visibility not in ("", "private"):
        raise Invalid(f"Volume {volume_id} is encrypted: its image is private, not {visibility}.", field="visibility",
                      code="volume.encrypted")  # fmt: skip
    if disk_format not in UPLOAD_FORMATS:
        raise Invalid(f"Volumes become images of {' or '.join(UPLOAD_FORMATS)}, not {disk_format}.",
                      field="disk_format")  # fmt: skip
    allowed = ("available", "in-use") if force else ("available",)
    volumes.move(w, volume, allowed, "uploading", doing="copied into an image")
    facts = image_keys.without(volume.image_metadata)
    if is_sealed:
        facts[new_volumes.TYPE_OF_VOLUMES] = types.names(w).get(volume.type_id or "", "")
    image = images.create(
        w,
        NewImage(
            name=name, disk_format=disk_format, container_format=container_format,
            visibility=visibility or ("private" if is_sealed else "shared"),
            protected=protected, min_disk=volumes.number_of(facts, "min_disk"),
            min_ram=volumes.number_of(facts, "min_ram"),
            properties={key: value for key, value in facts.items() if key not in _COPIED_FACTS},
        ),
    )  # fmt: skip
    if is_sealed:
        image_keys.give(w, image)
    volumes.start(w, volume, tasks.VolumeUpload(volume_id, image.id))
    return volume, image


def revert(w: Work, volume_id: str, snapshot_id: str) -> None:
    """Bring back what the volume held at its newest snapshot. Raises ``Invalid``."""
    volume, snapshot = volumes.get(w, volume_id), snapshots.get(w, snapshot_id)
    services.require_thawed(w, volume)
    volumes.refuse_found(volume, "reverted")
    newest = w.session.scalar(
        sa.select(Snapshot.id).where(Snapshot.volume_id == volume_id).order_by(Snapshot.created_at.desc()).limit(1)
    )
    if newest != snapshot_id:
        raise Invalid(f"Snapshot {snapshot_id} is not the newest of volume {volume_id}.", field="snapshot_id")
    if snapshot.status != "available" or snapshot.size_gib != volume.size_gib:
        raise Invalid(f"Snapshot {snapshot_id} is {snapshot.status} and has {snapshot.size_gib} GiB; the volume has "
                      f"{volume.size_gib}.", field="snapshot_id")  # fmt: skip
    volumes.move(w, volume, ("available",), "reverting", ~volumes.being_copied(volume_id), doing="reverted")
    volumes.start(w, volume, tasks.VolumeRefill(volume_id, snapshot_id=snapshot_id))


def reimage(w: Work, volume_id: str, image_id: str, *, reserved_too: bool = False, attached_too: bool = False) -> None:
    """Begin the volume anew from an image; with ``reserved_too`` also one that a server waits for with its guest
    off, with ``attached_too`` one that a server has, whose guest is off. Raises ``Invalid``."""
    volume, image = volumes.get(w, volume_id), new_volumes.usable_image(w, image_id, "image_id")
    services.require_thawed(w, volume)
    volumes.refuse_found(volume, "re-imaged")
    new_volumes.require_encrypted(image, volume.encryption_key_id is not None, "image_id")
    if new_volumes.least_gib(image) > volume.size_gib:
        raise Invalid(f"Image {image_id} does not fit into {volume.size_gib} GiB.", field="image_id")
    allowed = ["available", "error", *["reserved"] * (reserved_too or attached_too), *["in-use"] * attached_too]
    volumes.move(
        w, volume, allowed, "downloading", ~volumes.being_copied(volume_id), doing="re-imaged", bootable=True,
        image_metadata=new_volumes.image_facts(image), image_id=image.id,
    )  # fmt: skip
    volumes.start(w, volume, tasks.VolumeRefill(volume_id, image_id=image.id))


def retype(w: Work, volume_id: str, wanted: str) -> Volume:
    """Give the volume another type; all are kept alike, so no data move, and a guest that has it is held to the new
    limits at once. Raises ``Invalid``, ``NotFound``, ``OverQuota``."""
    volume, kind = volumes.get(w, volume_id), types.get_usable(w, wanted)
    services.require_thawed(w, volume)
    if volume.type_id == kind.id:
        raise Invalid(f"New volume_type same as original: {wanted[:255]}.", field="new_type")
    usage.require_of_type(w, volume.project_id, kind, volumes=1, gigabytes=volume.size_gib)
    allowed = ("available",) if _changes_sharing(volume, kind) else ("available", "in-use")
    values = {"type_id": kind.id, "multiattach": types.is_multiattach(kind)}
    if not volumes.change(w, volume_id, values, Volume.status.in_(allowed)):
        raise volumes.refusal(volume, "retyped", allowed)
    volumes.start(w, volume, tasks.VolumeTune(volume_id=volume_id))
    return volume


def _changes_sharing(volume: Volume, kind: VolumeType) -> bool:
    return volume.multiattach != types.is_multiattach(kind)
