"""Files that were made elsewhere and lie in the directory ``manage`` of a backend of files: looked at, examined like
strangers' images, and renamed into place."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from novalite.drivers.storage import inspect, qemu_img
from novalite.drivers.storage.base import FoundData
from novalite.errors import DriverError, Invalid

GIB = 1 << 30
RAW = ".raw"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_SNAPSHOT = "snapshot-"
_LARGEST = 1 << 60


def listed(directory: Path, *, snapshots: bool) -> Iterator[FoundData]:
    """What may be taken over, and what may not: told from the headers alone."""
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if path.name.startswith(_SNAPSHOT) == snapshots and _NAME.fullmatch(path.name):
            yield _look(path)


def _look(path: Path) -> FoundData:
    reference = path.name.removesuffix(RAW)
    try:
        form = _format(path)
        return FoundData(reference, qemu_img.virtual_size("look", path, form))
    except DriverError as error:
        return FoundData(reference, path.lstat().st_size, error.detail)


def find(directory: Path, reference: str) -> Path:
    """Raises ``DriverError`` for a name that leads nowhere, or elsewhere."""
    if _NAME.fullmatch(reference):
        for path in (directory / reference, directory / f"{reference}{RAW}"):
            if path.is_symlink() or path.exists():
                return path
    raise DriverError("manage", f"there is no {reference[:200]!r} to be managed", code="volume.not_found")


def examined(path: Path) -> str:
    """The format of a file that nobody has open and that refers to nothing else, all of it looked at."""
    form = _format(path)
    qemu_img.require_unused("manage", path, form)
    if form == "qcow2":
        try:
            inspect.check(path, form, max_virtual_size=_LARGEST)
        except Invalid as error:
            raise DriverError("manage", error.message, code="volume.refused") from error
    return form


def _format(path: Path) -> str:
    """By its name or its bytes; a raw file is never taken for anything else by whoever opens it."""
    facts = path.lstat()
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
        raise DriverError("manage", "it is not a file of its own", code="volume.refused")
    form = "raw" if path.suffix == RAW else inspect.detect(path)
    if form not in ("qcow2", "raw"):
        raise DriverError("manage", f"it is {form}; convert it to qcow2 or raw before", code="volume.refused")
    return form


def whole_gib(size: int) -> int:
    return max(1, -(-size // GIB))


def grown(path: Path, form: str) -> int:
    """Let the file be whole GiB large; how many."""
    size = qemu_img.virtual_size("manage", path, form)
    gib = whole_gib(size)
    if size < gib * GIB:
        qemu_img.resize("manage", path, gib * GIB, form)
    return gib
