"""Disks on their way from one host to another, as qcow2 files: an overlay as it is, to be set onto the image of the
host it comes to; a raw disk as a copy made for that, which stands on nothing."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from novalite.drivers.compute.base import PIECE_BYTES, DiskSpec
from novalite.drivers.compute.libvirt import disks
from novalite.drivers.compute.libvirt.images import ImageCache, backing_file
from novalite.drivers.compute.libvirt.places import GuestPlace, disk_name, format_of
from novalite.drivers.programs import run
from novalite.errors import DriverError

_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_SECONDS = 60.0


def read(place: GuestPlace, disk: str, offset: int, max_bytes: int) -> bytes:
    """A piece of the disk's own file, without what it stands on."""
    path = _file("read_disk", place, disk)
    if not path.exists():
        raise DriverError("read_disk", f"the guest has no disk {disk}", code="disk.not_found")
    leaving = place.directory / f"{disk}.leaving"
    if format_of(path) == "raw":
        if not (offset and leaving.exists()):
            _make_leaving(place, path, leaving)
        path = leaving
    with path.open("rb") as file:
        file.seek(max(0, offset))
        piece = file.read(max(0, min(max_bytes, PIECE_BYTES)))
    if not piece:
        leaving.unlink(missing_ok=True)
    return piece


def _make_leaving(place: GuestPlace, disk: Path, leaving: Path) -> None:
    needed = disks.needed_bytes("read_disk", disk, "raw", "qcow2")
    part = leaving.with_suffix(".leaving-part")
    try:
        with place.room.taken("read_disk", needed, f"a copy of disk {disk_name(disk)}"):
            size = disks.virtual_size("read_disk", disk, "raw")
            disks.convert("read_disk", disk, "raw", part, "qcow2", size)
        os.replace(part, leaving)
    finally:
        part.unlink(missing_ok=True)


def write(place: GuestPlace, disk: str, offset: int, data: bytes) -> None:
    arriving = _arriving("write_disk", place, disk)
    place.room.require("write_disk", len(data), f"disk {disk}")
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
    if disk.image is None or not backing_file(arriving):
        _set_onto(arriving, [])
    else:
        image = cache.get(disk.image.id)
        with cache.lock:
            cache.get(disk.image.id)
            _set_onto(arriving, ["-b", str(image.path), "-F", image.format])
    size = disks.size_of(disk)
    if size and disks.must_grow(arriving, "qcow2", size):
        disks.grow(place, arriving, "qcow2", size)
    target = place.new_disk(disk.name)
    if format_of(target) == "raw":
        _make_raw(place, target, arriving)
        return
    arriving.chmod(0o644)
    place.lend(arriving)
    os.replace(arriving, target)


def _make_raw(place: GuestPlace, target: Path, arriving: Path) -> None:
    needed = disks.needed_bytes("adopt_disk", arriving, "qcow2", "raw")
    size = disks.virtual_size("adopt_disk", arriving, "qcow2")
    with (
        place.disk_room.taken("adopt_disk", needed, f"disk {disk_name(target)}"),
        place.arriving(target, size) as part,
    ):
        disks.fill(place, "adopt_disk", arriving, "qcow2", part, size)
    arriving.unlink()


def grow(place: GuestPlace, disk: str, size: int) -> None:
    """``size`` in bytes. Codes ``disk.not_found``, ``guest.refused``."""
    file = _file("resize_disk", place, disk)
    if not file.exists():
        raise DriverError("resize_disk", f"the guest has no disk {disk}", code="disk.not_found")
    form = format_of(file)
    if disks.must_grow(file, form, size):
        disks.grow(place, file, form, size)


def _set_onto(arriving: Path, below: list[str]) -> None:
    """Only the name of what lies below is changed; the other host had it elsewhere."""
    argv = ["qemu-img", "rebase", "-u", "-f", "qcow2", *(below or ["-b", ""]), str(arriving)]
    run("adopt_disk", argv, timeout_seconds=_SECONDS)


def _file(op: str, place: GuestPlace, disk: str) -> Path:
    if not _NAME.fullmatch(disk):
        raise DriverError(op, f"{disk!r} is no name of a disk", code="disk.not_found")
    return place.disk(disk)


def _arriving(op: str, place: GuestPlace, disk: str) -> Path:
    _file(op, place, disk)
    return place.directory / f"{disk}.arriving"
