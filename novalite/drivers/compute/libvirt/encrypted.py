"""Files of encrypted disks, where only who has the key can do something with them."""

from __future__ import annotations

from pathlib import Path

from novalite.drivers.compute.base import DiskKey
from novalite.drivers.storage import qemu_img
from novalite.drivers.storage.base import VolumeKey
from novalite.errors import DriverError

_HEADER_BYTES = 16 << 20


def needed(op: str, key: DiskKey | None) -> DiskKey:
    """Raises ``DriverError`` with code ``disk.key_missing``."""
    if key is None:
        raise DriverError(op, "the disk is encrypted, and its key was not given", code="disk.key_missing")
    return key


def _told(key: DiskKey) -> VolumeKey:
    return VolumeKey(key.passphrase)


def create(op: str, path: Path, size: int, key: DiskKey | None) -> None:
    """A blank qcow2, encrypted if there is a key."""
    qemu_img.create(op, path, size, "qcow2", _told(key) if key else None)


def copy(op: str, source: Path, image_format: str, target: Path, key: DiskKey) -> None:
    """A qcow2 of what a disk holds, encrypted with the same key."""
    qemu_img.convert(op, source, image_format, target, "qcow2", source_key=_told(key), key=_told(key))


def grow(op: str, path: Path, image_format: str, size: int, key: DiskKey) -> None:
    """For disks of guests that do not run."""
    qemu_img.resize(op, path, size, image_format, _told(key))


def needed_bytes(op: str, path: Path, outer_format: str) -> int:
    """What a copy takes: as much as the disk itself, of which without its key no more is known."""
    if path.is_file():
        return path.stat().st_blocks * 512 + _HEADER_BYTES
    return qemu_img.virtual_size(op, path, outer_format)
