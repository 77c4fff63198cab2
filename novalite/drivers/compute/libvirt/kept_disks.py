"""Copies of a guest's disks beside it, to go back to: whole once their directory has its name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec

from novalite.drivers.compute.libvirt.places import GuestPlace, disk_name
from novalite.drivers.programs import run
from novalite.errors import DriverError

_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_COPY_SECONDS = 7000.0
_LIST = "disks.json"
"""Names what was kept: a restoring that was cut off has moved some of it already."""


def keep(place: GuestPlace, name: str) -> None:
    """Code ``disk.full``. Blocks that the file system can share are not copied."""
    whole = _directory("keep_disks", place, name)
    if whole.exists():
        return
    part = whole.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o750)
    disks = place.own_disks()
    try:
        for disk in disks:
            _copy(place, disk, part, name)
    except DriverError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    (part / _LIST).write_bytes(msgspec.json.encode([disk.name for disk in disks]))
    part.rename(whole)


def _copy(place: GuestPlace, disk: Path, part: Path, name: str) -> None:
    if place.volumes is not None and place.volumes.has(disk):
        place.volumes.copy(disk, _kept_volume(place, disk, name))
        return
    argv = ["cp", "--sparse=always", "--preserve=mode,ownership", "--", str(disk), str(part)]
    try:
        run("keep_disks", [argv[0], "--reflink=always", *argv[1:]], timeout_seconds=_COPY_SECONDS)
    except DriverError as error:
        if error.code != "driver.failed":
            raise
        with place.room.taken("keep_disks", disk.stat().st_blocks * 512, f"a copy of disk {disk_name(disk)}"):
            run("keep_disks", argv, timeout_seconds=_COPY_SECONDS)


def restore(place: GuestPlace, name: str) -> None:
    whole = _directory("restore_disks", place, name)
    if not whole.exists():
        return
    listed = msgspec.json.decode((whole / _LIST).read_bytes(), type=list[str])
    for disk in place.own_disks():
        if disk.name not in listed:
            place.remove_disk(disk)
    for file in listed:
        if (whole / file).exists():
            (whole / file).replace(place.directory / file)
    _restore_volumes(place, name, listed)
    drop(place, name)


def _restore_volumes(place: GuestPlace, name: str, listed: list[str]) -> None:
    if place.volumes is None:
        return
    kept = set(_kept_volumes(place, name))
    for disk in (place.volumes.path(place.directory.name, file.partition("_")[2]) for file in listed):
        if _kept_volume(place, disk, name) in kept:
            place.volumes.replace(_kept_volume(place, disk, name), disk)


def _kept_volume(place: GuestPlace, disk: Path, name: str) -> Path:
    return disk.with_name(f"{place.directory.name}_kept-{name}_{disk_name(disk)}")


def _kept_volumes(place: GuestPlace, name: str) -> list[Path]:
    found = [] if place.volumes is None else place.volumes.of_guest(place.directory.name)
    return [path for path in found if disk_name(path).startswith(f"kept-{name}_")]


def drop(place: GuestPlace, name: str) -> None:
    whole = _directory("drop_kept_disks", place, name)
    if whole.exists():
        whole.rename(_fresh(whole.with_suffix(".gone")))
    for volume in _kept_volumes(place, name):
        place.remove_disk(volume)
    for rest in (whole.with_suffix(".part"), whole.with_suffix(".gone")):
        shutil.rmtree(rest, ignore_errors=True)


def _fresh(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    return path


def _directory(op: str, place: GuestPlace, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise DriverError(op, f"{name!r} is no name for kept disks", code="guest.refused")
    return place.directory / f"kept-{name}"
