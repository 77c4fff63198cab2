"""Disks on their way from one host to another: the files as they are, set onto the image of the host they come to."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from novalite.drivers.compute.base import PIECE_BYTES, DiskSpec
from novalite.drivers.compute.libvirt import disks
from novalite.drivers.compute.libvirt.images import ImageCache
from novalite.drivers.compute.libvirt.places import GuestPlace
from novalite.drivers.compute.libvirt.programs import run
from novalite.errors import DriverError

_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_SECONDS = 60.0


def read(place: GuestPlace, disk: str, offset: int, max_bytes: int) -> bytes:
    """A piece of the disk's own file, without what it stands on."""
    try:
        with _file("read_disk", place, disk).open("rb") as file:
            file.seek(max(0, offset))
            return file.read(max(0, min(max_bytes, PIECE_BYTES)))
    except FileNotFoundError as error:
        raise DriverError("read_disk", f"the guest has no disk {disk}", code="disk.not_found") from error


def write(place: GuestPlace, disk: str, offset: int, data: bytes) -> None:
    arriving = _arriving("write_disk", place, disk)
    try:
        with arriving.open("wb" if offset == 0 else "r+b") as file:
            file.seek(max(0, offset))
            file.write(data)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        code = "disk.full" if full else "driver.failed"
        raise DriverError("write_disk", str(error), code=code, retryable=full) from error


def adopt(place: GuestPlace, disk: DiskSpec, cache: ImageCache) -> None:
    arriving = _arriving("adopt_disk", place, disk.name)
    if not arriving.exists():
        return
    if disk.image is None:
        _set_onto(arriving, [])
    else:
        image = cache.get(disk.image.id)
        with cache.lock:
            cache.get(disk.image.id)
            _set_onto(arriving, ["-b", str(image.path), "-F", image.format])
    size = disk.size_mib << 20 if disk.size_mib else disk.size_gib * disks.GIB
    if size and disks.must_grow(arriving, "qcow2", size):
        disks.grow(arriving, "qcow2", size)
    arriving.chmod(0o644)
    place.lend(arriving)
    os.replace(arriving, place.disk(disk.name))


def grow(place: GuestPlace, disk: str, size: int) -> None:
    """``size`` in bytes. Codes ``disk.not_found``, ``guest.refused``."""
    file = _file("resize_disk", place, disk)
    if not file.exists():
        raise DriverError("resize_disk", f"the guest has no disk {disk}", code="disk.not_found")
    if disks.must_grow(file, "qcow2", size):
        disks.grow(file, "qcow2", size)


def _set_onto(arriving: Path, below: list[str]) -> None:
    """Only the name of what lies below is changed; the other host had it elsewhere."""
    argv = ["qemu-img", "rebase", "-u", "-f", "qcow2", *(below or ["-b", ""]), str(arriving)]
    run("adopt_disk", argv, timeout_seconds=_SECONDS)


def _file(op: str, place: GuestPlace, disk: str) -> Path:
    if not _NAME.fullmatch(disk):
        raise DriverError(op, f"{disk!r} is no name of a disk", code="disk.not_found")
    return place.disk(disk)


def _arriving(op: str, place: GuestPlace, disk: str) -> Path:
    return _file(op, place, disk).with_suffix(".arriving")
