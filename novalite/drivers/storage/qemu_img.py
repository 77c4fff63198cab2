"""Runs qemu-img on files whose format is known, with limits, time-outs and readable failures."""

from __future__ import annotations

import json
import os
from pathlib import Path

from novalite.drivers import programs
from novalite.errors import DriverError

_SECONDS = 60.0
_COPY_SECONDS = 4 * 3600.0


def _run(op: str, arguments: list[str], seconds: float, most_bytes: int = 0) -> str:
    """``most_bytes`` is the largest file it may write; 0: what the file system takes."""
    try:
        return programs.run(op, ["qemu-img", *arguments], timeout_seconds=seconds, most_bytes=most_bytes)
    except DriverError as error:
        if error.code == "driver.failed" and "lock" in error.detail.lower():
            raise DriverError(op, error.detail, code="volume.busy", retryable=True) from error
        raise


def create(op: str, path: Path, size: int, image_format: str = "qcow2") -> None:
    """A blank file of ``size`` bytes, as a guest sees it."""
    _run(op, ["create", "-q", "-f", image_format, str(path), str(size)], _SECONDS)


def virtual_size(op: str, path: Path | str, image_format: str) -> int:
    """In bytes, as a guest sees it."""
    text = _run(op, ["info", "-U", "--output=json", "-f", image_format, str(path)], _SECONDS)
    return int(json.loads(text)["virtual-size"])


def require_alone(op: str, path: Path) -> None:
    """Raises ``DriverError`` with code ``volume.refused`` for a qcow2 that refers to another file."""
    facts = json.loads(_run(op, ["info", "--output=json", "-f", "qcow2", str(path)], _SECONDS))
    if facts.get("backing-filename") or facts.get("format-specific", {}).get("data", {}).get("data-file"):
        raise DriverError(op, "the copy refers to another file", code="volume.refused")


def resize(op: str, path: Path, size: int, image_format: str = "qcow2") -> None:
    """A file that nobody has open becomes ``size`` bytes large."""
    _run(op, ["resize", "-q", "-f", image_format, str(path), str(size)], _SECONDS)


def fill(op: str, source: Path | str, source_format: str, target: str) -> None:
    """Copy into a raw device that is there, as large as the source at least, and reads as zeros."""
    words = ["convert", "-n", "--target-is-zero", "-f", source_format, "-O", "raw", str(source), target]
    _run(op, words, _COPY_SECONDS)


def convert(
    op: str, source: Path | str, source_format: str, target: Path, target_format: str, *, most_bytes: int = 0,
    options: str = "",
) -> None:  # fmt: skip
    """A copy that is on the disk when this returns, with ``options`` of its format. Raises ``DriverError`` with code
    ``image.too_large`` for one that would be larger than ``most_bytes``, if that is not 0."""
    wishes = ["-o", options] if options else []
    words = ["convert", "-f", source_format, "-O", target_format, *wishes, str(source), str(target)]
    _run(op, words, _COPY_SECONDS, most_bytes)
    with target.open("rb") as file:
        os.fsync(file.fileno())
