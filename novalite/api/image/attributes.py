"""What an image's attributes may hold: one table behind creation, patches, schema documents and views."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.schema import Schema
from novalite.cloud.image.images import CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES
from novalite.errors import Forbidden, Invalid

_UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
_MOST = 2147483647

WRITABLE: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "pattern": _UUID, "description": "An identifier for the image"},
    "name": {"type": ["null", "string"], "maxLength": 255, "description": "Descriptive name for the image"},
    "visibility": {
        "type": "string",
        "enum": sorted(VISIBILITIES),
        "description": "Scope of image accessibility",
    },
    "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
    "os_hidden": {"type": "boolean", "description": "If true, image will not appear in default image list"},
    "owner": {"type": "string", "minLength": 1, "maxLength": 64, "description": "Owner of the image"},
    "container_format": {
        "type": ["null", "string"],
        "enum": [None, *CONTAINER_FORMATS],
        "description": "Format of the container",
    },
    "disk_format": {
        "type": ["null", "string"],
        "enum": [None, *DISK_FORMATS],
        "description": "Format of the disk",
    },
    "min_disk": {
        "type": "integer",
        "minimum": 0,
        "maximum": _MOST,
        "description": "Amount of disk space (in GB) required to boot image.",
    },
    "min_ram": {
        "type": "integer",
        "minimum": 0,
        "maximum": _MOST,
        "description": "Amount of ram (in MB) required to boot image.",
    },
    "tags": {
        "type": "array",
        "items": {"type": "string", "maxLength": 255, "minLength": 1},
        "description": "List of strings related to the image",
    },
}
READ_ONLY: dict[str, dict[str, Any]] = {
    "status": {"type": "string", "description": "Status of the image"},
    "checksum": {"type": ["null", "string"], "maxLength": 32, "description": "md5 hash of image contents."},
    "os_hash_algo": {"type": ["null", "string"], "description": "Algorithm to calculate the os_hash_value"},
    "os_hash_value": {"type": ["null", "string"], "description": "Hexdigest of the image contents"},
    "size": {"type": ["null", "integer"], "description": "Size of image file in bytes"},
    "virtual_size": {"type": ["null", "integer"], "description": "Virtual size of image in bytes"},
    "created_at": {"type": "string", "description": "Date and time of image registration"},
    "updated_at": {"type": "string", "description": "Date and time of the last image modification"},
    "self": {"type": "string", "description": "An image self url"},
    "file": {"type": "string", "description": "An image file url"},
    "schema": {"type": "string", "description": "An image schema url"},
    "stores": {"type": "string", "description": "Store in which image data resides."},
    "direct_url": {"type": "string", "description": "URL to access the image file kept in external store"},
}
RESERVED = ("deleted", "deleted_at", "is_public", "locations", "properties")
RESERVED_PREFIX = "os_glance"
# What every custom property must look like.
PROPERTY: dict[str, Any] = {"type": "string", "maxLength": 65535}
LONGEST_NAME = 255

NEW_IMAGE: dict[str, Any] = {
    "type": "object",
    "properties": {**WRITABLE, **{name: {} for name in (*READ_ONLY, *RESERVED)}},
    "additionalProperties": PROPERTY,
}
_ONE = Schema(NEW_IMAGE)


def require_writable(name: str) -> None:
    """Raises ``Forbidden`` for what clients never set, ``Invalid`` for an impossible name."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.")
    if not name or len(name) > LONGEST_NAME:
        raise Invalid(f"'{name[:64]}' cannot be the name of a property.", field=name[:64])


def check_value(name: str, value: Any) -> None:
    """Raises ``Invalid`` naming the attribute."""
    _ONE.check({name: value})
