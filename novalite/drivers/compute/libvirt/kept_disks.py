"""Copies of a guest's disks beside it, to go back to: whole once their directory has its name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec

from novalite.drivers.compute.libvirt.places import GuestPlace
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
            _copy(place, disk, part)
    except DriverError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    (part / _LIST).write_bytes(msgspec.json.encode([disk.name for disk in disks]))
    part.rename(whole)


def _copy(place: GuestPlace, disk: Path, part: Path) -> None:
    argv = ["cp", "--sparse=always", "--preserve=mode,ownership", "--", str(disk), str(part)]
    try:
        run("keep_disks", [argv[0], "--reflink=always", *argv[1:]], timeout_seconds=_COPY_SECONDS)
    except DriverError as error:
        if error.code != "driver.failed":
            raise
        with place.room.taken("keep_disks", disk.stat().st_blocks * 512, f"a copy of disk {disk.stem}"):
            run("keep_disks", argv, timeout_seconds=_COPY_SECONDS)


def restore(place: GuestPlace, name: str) -> None:
    whole = _directory("restore_disks", place, name)
    if not whole.exists():
        return
    listed = msgspec.json.decode((whole / _LIST).read_bytes(), type=list[str])
    for disk in place.own_disks():
        if disk.name not in listed:
            disk.unlink()
    for file in listed:
        if (whole / file).exists():
            (whole / file).replace(place.directory / file)
    drop(place, name)


def drop(place: GuestPlace, name: str) -> None:
    whole = _directory("drop_kept_disks", place, name)
    if whole.exists():
        whole.rename(_fresh(whole.with_suffix(".gone")))
    for rest in (whole.with_suffix(".part"), whole.with_suffix(".gone")):
        shutil.rmtree(rest, ignore_errors=True)


def _fresh(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    return path


def _directory(op: str, place: GuestPlace, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise DriverError(op, f"{name!r} is no name for kept disks", code="guest.refused")
    return place.directory / f"kept-{name}"
