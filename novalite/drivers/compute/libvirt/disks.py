"""Makes a guest's disks: copy-on-write overlays or copies of an image, blank disks, the config drive."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

from novalite import logs
from novalite.drivers.compute.arrange import RESCUE
from novalite.drivers.compute.base import ConfigDrive, DiskSpec, GuestSpec
from novalite.drivers.compute.libvirt import sources
from novalite.drivers.compute.libvirt.images import CachedImage, ImageCache
from novalite.drivers.compute.libvirt.places import GuestPlace, format_of
from novalite.drivers.programs import run
from novalite.errors import DriverError

_log = logs.get("libvirt")
GIB = 1 << 30
_SECONDS = 60.0
_COPY_SECONDS = 7000.0
_FORMATTERS = {
    "swap": ("mkswap", "-L"),
    "ext4": ("mkfs.ext4", "-q", "-F", "-L"),
    "vfat": ("mkfs.vfat", "-n"),
}


def ensure_disks(spec: GuestSpec, place: GuestPlace, cache: ImageCache) -> dict[str, CachedImage]:
    """Make what is missing of all disks, and the config drive anew: side by side, since a boot waits for
    both. What lies below each disk, by disk name."""
    with ThreadPoolExecutor(1, thread_name_prefix="config-drive") as beside:
        drive = beside.submit(write_config_drive, spec.config_drive, place) if spec.config_drive is not None else None
        below = {disk.name: ensure_disk(disk, place, cache) for disk in spec.disks}
        if spec.rescue is None:
            place.remove_disk(place.disk(RESCUE))
        else:
            below[RESCUE] = ensure_disk(replace(spec.rescue, name=RESCUE), place, cache)
        if drive is not None:
            _require_drive(drive, place)
    return {name: image for name, image in below.items() if image is not None}


def _require_drive(drive: Future[None], place: GuestPlace) -> None:
    """A guest that had one before starts with that when there is no room for another."""
    try:
        drive.result()
    except DriverError as error:
        if error.code != "disk.full" or not place.config_drive.exists():
            raise
        _log.warning("config_drive_not_renewed", guest=place.directory.name, why=error.detail)


def ensure_disk(disk: DiskSpec, place: GuestPlace, cache: ImageCache, *, anew: bool = False) -> CachedImage | None:
    """Make the disk unless it exists, or in place of the one that does; what lies below it. Codes:
    ``image.missing``, ``disk.full``, ``guest.refused`` (the image is larger than the disk)."""
    if disk.path:
        if not sources.is_elsewhere(disk.path):
            place.lend(Path(disk.path))
        return _below(Path(disk.path), disk.format)
    path = place.disk(disk.name)
    is_there, is_copy = path.exists() and not anew, format_of(path) == "raw"
    if is_there:
        place.lend(path)
    if disk.image is None:
        if not is_there:
            _blank(place, path, disk, size_of(disk))
        return None
    if is_there and is_copy:
        return None
    image = cache.get(disk.image.id)
    if not is_there:
        _require_fit(disk, image)
        (_copy if is_copy else _overlay)(place, path, disk, cache)
    return None if is_copy else image


def size_of(disk: DiskSpec) -> int:
    """In bytes; 0: as large as its image."""
    return disk.size_mib << 20 if disk.size_mib else disk.size_gib * GIB


def _require_fit(disk: DiskSpec, image: CachedImage) -> None:
    if 0 < size_of(disk) < image.virtual_size:
        raise DriverError(
            "ensure_guest",
            f"the image needs {-(-image.virtual_size // GIB)} GiB, disk {disk.name} has {disk.size_gib}",
            code="guest.refused",
        )


def _overlay(place: GuestPlace, path: Path, disk: DiskSpec, cache: ImageCache) -> None:
    size = size_of(disk)
    with cache.lock:
        image = cache.get(disk.image.id if disk.image else "")
        _create(place, path, ["-f", "qcow2", "-b", str(image.path), "-F", image.format], str(size) if size else "")


def _copy(place: GuestPlace, path: Path, disk: DiskSpec, cache: ImageCache) -> None:
    """A raw copy of the image, as large as the disk. The image may be forgotten meanwhile: it is open."""
    image = cache.get(disk.image.id if disk.image else "")
    needed = needed_bytes("ensure_guest", image.path, image.format, "raw")
    size = max(size_of(disk), image.virtual_size)
    with place.disk_room.taken("ensure_guest", needed, f"disk {disk.name}"), place.arriving(path, size) as arriving:
        fill(place, "ensure_guest", image.path, image.format, arriving, image.virtual_size)
        if size > image.virtual_size and not place.is_volume(path):
            grow(place, arriving, "raw", size)


def _below(path: Path, image_format: str) -> CachedImage | None:
    """What somebody else's disk stands on. Raw ones elsewhere stand on nothing, and QEMU tells if they are missing."""
    if sources.is_elsewhere(path):
        return None
    argv = ["qemu-img", "info", "-U", "--output=json", "-f", image_format, str(path)]
    facts = json.loads(run("ensure_guest", argv, timeout_seconds=_SECONDS, code="disk.not_found"))
    if not facts.get("backing-filename"):
        return None
    backing_format = facts.get("backing-filename-format", "")
    if not backing_format:
        raise DriverError("ensure_guest", f"the format below {path} is unknown", code="guest.refused")
    below = Path(facts.get("full-backing-filename", facts["backing-filename"]))
    return CachedImage(below, backing_format, int(facts["virtual-size"]))


def _blank(place: GuestPlace, path: Path, disk: DiskSpec, size: int) -> None:
    form = format_of(path)
    if not disk.content and place.is_volume(path):
        with place.arriving(path, size):
            return
    if not disk.content:
        _create(place, path, ["-f", form], str(size))
        return
    program = _FORMATTERS.get(disk.content)
    if program is None:
        raise DriverError(
            "ensure_guest",
            f"disk content {disk.content!r} is not one of {', '.join(_FORMATTERS)}",
            code="guest.refused",
        )
    with (
        tempfile.NamedTemporaryFile(dir=place.directory, prefix="format-") as raw,
        place.arriving(path, size) as arriving,
    ):
        raw.truncate(size)
        run("ensure_guest", [*program, disk.name[:11], raw.name], timeout_seconds=_SECONDS)
        if form == "raw":
            fill(place, "ensure_guest", Path(raw.name), "raw", arriving, size)
        else:
            convert("ensure_guest", Path(raw.name), "raw", arriving, form, size)


def convert(
    op: str, source: Path, source_format: str, target: Path, target_format: str, size: int, keys: Path = Path()
) -> None:
    """A copy that stands on nothing, of a disk of ``size`` bytes that nobody writes to. ``keys`` opens what another
    machine exports."""
    argv = ["qemu-img", "convert", "-O", target_format, *sources.words(source, source_format, keys), str(target)]
    run(op, argv, timeout_seconds=_COPY_SECONDS, most_bytes=largest(size))


def fill(place: GuestPlace, op: str, source: Path, source_format: str, target: Path, size: int) -> None:
    """The same into a raw disk; a logical volume is there, large enough, and reads as zeros."""
    if not place.is_volume(target):
        convert(op, source, source_format, target, "raw", size)
        return
    words = ["convert", "-n", "--target-is-zero", "-f", source_format, "-O", "raw", str(source), str(target)]
    run(op, ["qemu-img", *words], timeout_seconds=_COPY_SECONDS)


def largest(size: int) -> int:
    """Bytes of a file, with what QEMU keeps in it besides, that holds a disk of ``size`` bytes."""
    return size + (size >> 10) + (16 << 20)


def needed_bytes(op: str, path: Path, image_format: str, target_format: str, keys: Path = Path()) -> int:
    """What a copy of the disk, and of all that it stands on, takes. ``keys`` opens what another machine exports."""
    argv = ["qemu-img", "measure", "-U", "--output=json", "-O", "qcow2", *sources.words(path, image_format, keys)]
    measured = int(json.loads(run(op, argv, timeout_seconds=_SECONDS))["required"])
    return measured if target_format == "qcow2" else min(measured, virtual_size(op, path, image_format, keys))


def virtual_size(op: str, path: Path, image_format: str, keys: Path = Path()) -> int:
    """In bytes, as the guest sees it. ``keys`` opens what another machine exports."""
    argv = ["qemu-img", "info", "-U", "--output=json", *sources.words(path, image_format, keys)]
    return int(json.loads(run(op, argv, timeout_seconds=_SECONDS))["virtual-size"])


def must_grow(path: Path, image_format: str, size: int) -> bool:
    """Is the disk smaller than ``size`` bytes? Raises ``DriverError`` ``guest.refused`` when it is larger."""
    now = virtual_size("resize_disk", path, image_format)
    if now > size:
        raise DriverError("resize_disk", f"the disk has {now} bytes and cannot shrink to {size}", code="guest.refused")
    return now < size


def require_size(op: str, path: Path, size: int, keys: Path) -> None:
    """Raises ``DriverError`` unless what another machine exports has that size, and is there at all."""
    now = virtual_size(op, path, "raw", keys)
    if now < size:
        raise DriverError(op, f"the machine that exports the disk gives {now} bytes of {size}", code="guest.refused")


def grow(place: GuestPlace, path: Path, image_format: str, size: int) -> None:
    """For disks of guests that do not run, and logical volumes of any."""
    if place.volumes is not None and place.volumes.has(path):
        place.volumes.grow(path, size)
        return
    argv = ["qemu-img", "resize", "-q", "-f", image_format, str(path), str(size)]
    run("resize_disk", argv, timeout_seconds=_SECONDS)


def _create(place: GuestPlace, path: Path, options: list[str], size: str) -> None:
    with place.arriving(path) as arriving:
        argv = ["qemu-img", "create", "-q", *options, str(arriving), *([size] if size else [])]
        run("ensure_guest", argv, timeout_seconds=_SECONDS)


def write_config_drive(drive: ConfigDrive, place: GuestPlace) -> None:
    """An ISO 9660 image labelled config-2, replaced as a whole. Code ``disk.full``."""
    try:
        _write_config_drive(drive, place)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DriverError("ensure_guest", f"config drive: {error}", code="disk.full", retryable=True) from error


def _write_config_drive(drive: ConfigDrive, place: GuestPlace) -> None:
    target = place.config_drive
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="config-") as name:
        root = Path(name) / "root"
        for path, content in drive.files.items():
            file = root / _inside(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        root.mkdir(exist_ok=True)
        arriving = Path(name) / "config.iso"
        run(
            "ensure_guest",
            [
                "genisoimage",
                "-quiet",
                "-o",
                str(arriving),
                "-ldots",
                "-allow-lowercase",
                "-allow-multidot",
                "-l",
                "-J",
                "-r",
                "-V",
                "config-2",
                str(root),
            ],
            timeout_seconds=_SECONDS,
        )
        place.lend(arriving)
        os.replace(arriving, target)


def _inside(path: str) -> PurePosixPath:
    relative = PurePosixPath(path.lstrip("/"))
    if not relative.parts or ".." in relative.parts:
        raise DriverError("ensure_guest", f"config drive path {path!r} is not allowed", code="guest.refused")
    return relative


def direct_io_works(directory: Path) -> bool:
    """Can files there be opened past the page cache? Some file systems refuse."""
    try:
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            os.close(os.open(file.name, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return False
    return True
