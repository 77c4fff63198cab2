"""Whether a server can be booted from an image, and the copy of it that the server keeps."""

from __future__ import annotations

from typing import Any

from novalite.cloud.image import image_keys
from novalite.cloud.image.records import Image
from novalite.errors import Invalid

BOOTABLE_FORMATS = ("qcow2", "raw")
MEDIUM_FORMATS = ("iso",)
"""What goes into a drive, beside an empty root disk."""


def refuse_unbootable(
    image: Image, *, ram_mib: int, disk_gib: int, field: str = "imageRef", has_drive: bool = False,
    opens: bool = False,
) -> None:  # fmt: skip
    """Raises ``Invalid``, naming ``field`` or the flavor, when a server of this size (``disk_gib`` 0: the image's
    own) cannot begin from the image; ``has_drive`` tells that it may be a medium, ``opens`` that its disk may be
    encrypted."""
    if image.status != "active":
        raise Invalid(f"Image {image.id} is not active.", field=field)
    if image_keys.is_sealed(image) and not opens:
        raise Invalid(
            f"Image {image.id} is unacceptable: Direct booting of an image uploaded from an encrypted volume is "
            "unsupported.", field=field, code="image.sealed",
            hint="Boot from a volume of it whose type encrypts (--boot-from-volume SIZE).",
        )  # fmt: skip
    is_medium = has_drive and image.disk_format in MEDIUM_FORMATS
    if is_medium and not disk_gib:
        raise Invalid("An ISO image needs a flavor with a disk, which is empty at first.", field="flavorRef")
    if image.disk_format not in BOOTABLE_FORMATS and not is_medium:
        raise Invalid(
            f"Image {image.id} has the disk format {image.disk_format}, which cannot be booted from.",
            field=field,
            hint="Convert it to qcow2 or raw and upload it again.",
        )
    if image.min_ram > ram_mib:
        raise Invalid("Flavor's memory is too small for requested image.", field="flavorRef")
    if disk_gib and image.min_disk > disk_gib:
        raise Invalid(
            "The size of the flavor's disk is smaller than the minimum size specified in image "
            f"metadata. Flavor disk is {disk_gib} GiB, minimum size is {image.min_disk} GiB.",
            field="flavorRef",
        )
    if disk_gib and not is_medium and (image.virtual_size or 0) > disk_gib * 1024**3:
        raise Invalid(
            f"Flavor's disk is too small for requested image. Flavor disk is {disk_gib} GiB, "
            f"image is {image.virtual_size} bytes.",
            field="flavorRef",
        )


def copy(image: Image) -> dict[str, Any]:
    """What a server keeps of its image, which it may outlive. Sizes: ``size`` in bytes, ``min_disk`` in GiB,
    ``min_ram`` in MiB."""
    return {
        "id": image.id, "name": image.name, "disk_format": image.disk_format, "size": image.size,
        "sha512": image.os_hash_value, "min_disk": image.min_disk, "min_ram": image.min_ram,
        "properties": dict(image.properties),
    }  # fmt: skip
