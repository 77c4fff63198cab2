"""The host's image cache: each image verified once, then shared by all overlays on it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from novalite.drivers.compute.base import ImageSource, ImageSpec
from novalite.drivers.compute.libvirt.programs import run
from novalite.errors import DriverError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class CachedImage:
    """A verified image. ``virtual_size`` in bytes."""

    path: Path
    format: str
    virtual_size: int


class ImageCache:
    """``directory`` holds ``<image id>`` (the bytes) and ``<image id>.json`` (what was found out about them,
    written last: an image without it is not there)."""

    def __init__(self, directory: Path, guests: Path) -> None:
        self._directory, self._guests = directory, guests
        self._lock = threading.Lock()
        for file in directory.iterdir():
            if file.suffix not in ("", ".json"):  # a copy that was cut off
                file.unlink(missing_ok=True)

    def ensure(self, image: ImageSpec, source: ImageSource) -> None:
        """Bring the image in and check it. Codes: ``image.corrupt``, ``image.refused``, ``disk.full``."""
        target = self._path(image.id)
        if self._facts(target).exists():
            return
        arriving = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            self._copy(image, source, arriving)
            form = "raw" if image.format == "iso" else image.format
            virtual_size = _examine(arriving, form)
            os.replace(arriving, target)
            facts = CachedImage(target, form, virtual_size)
            _write(self._facts(target), msgspec.json.encode({"format": facts.format, "virtual_size": virtual_size}))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise DriverError(
                "ensure_image",
                f"image {image.id}: {error}",
                code="disk.full" if full else "driver.failed",
                retryable=full,
            ) from error
        finally:
            arriving.unlink(missing_ok=True)

    def _copy(self, image: ImageSpec, source: ImageSource, arriving: Path) -> None:
        digest = hashlib.sha512()
        if source.path is not None and _linked(source.path, arriving):
            with arriving.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        else:
            with arriving.open("wb") as file:
                for chunk in source.chunks():
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        if digest.hexdigest() != image.sha512.lower():
            raise DriverError(
                "ensure_image",
                f"image {image.id} does not match its checksum",
                code="image.corrupt",
                hint="Upload the image again.",
            )
        arriving.chmod(0o644)

    def get(self, image_id: str) -> CachedImage:
        """Raises ``DriverError`` with code ``image.missing``."""
        path = self._path(image_id)
        try:
            facts = json.loads(self._facts(path).read_bytes())
        except FileNotFoundError as error:
            raise DriverError(
                "ensure_guest", f"image {image_id} is not on this host", code="image.missing", retryable=True
            ) from error
        return CachedImage(path, facts["format"], facts["virtual_size"])

    def remove(self, image_id: str) -> None:
        """Forget the image unless an overlay stands on it."""
        path = self._path(image_id)
        with self._lock:
            used = (backing_file(disk) for disk in self._guests.glob("*/*.qcow2"))
            if any(backing == str(path) for backing in used):
                return
            self._facts(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def _path(self, image_id: str) -> Path:
        try:
            return self._directory / str(UUID(image_id))
        except ValueError as error:
            raise DriverError("ensure_image", f"{image_id!r} is not an image id", code="image.missing") from error

    @staticmethod
    def _facts(path: Path) -> Path:
        return path.with_suffix(".json")

    @property
    def lock(self) -> threading.Lock:
        """Held while an overlay is made, so that its image cannot go meanwhile."""
        return self._lock


def _linked(source: Path, target: Path) -> bool:
    """A second name costs nothing; other file systems and read-only ones need a copy."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EACCES, errno.EOPNOTSUPP):
            return False
        raise
    return True


def _examine(path: Path, image_format: str) -> int:
    """Virtual size in bytes. An image that points at other files of the host is refused: opening it would
    show them to the guest."""
    text = run(
        "ensure_image",
        ["qemu-img", "info", "--output=json", "-f", image_format, str(path)],
        timeout_seconds=60,
        code="image.corrupt",
    )
    facts: dict[str, Any] = json.loads(text)
    details = facts.get("format-specific", {}).get("data", {})
    if facts.get("backing-filename") or details.get("data-file"):
        raise DriverError("ensure_image", "the image refers to another file", code="image.refused")
    return int(facts["virtual-size"])


def backing_file(overlay: Path) -> str:
    """The file a qcow2 stands on, from its header; empty when on none, or when it is no qcow2."""
    try:
        with overlay.open("rb") as file:
            head = file.read(20)
            if len(head) < 20 or head[:4] != b"QFI\xfb":
                return ""
            offset, length = struct.unpack(">QI", head[8:20])
            if not offset or length > 1023:
                return ""
            file.seek(offset)
            return os.fsdecode(file.read(length))
    except FileNotFoundError:
        return ""


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(f".{threading.get_ident()}-new")
    fresh.write_bytes(content)
    os.replace(fresh, path)
