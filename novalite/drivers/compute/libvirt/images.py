"""The host's image cache: each image fetched and verified once, then shared by all overlays on it; looked at again
from time to time, and forgotten when nothing has used it for long."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from novalite import logs
from novalite.drivers.compute.base import ImageSource, ImageSpec
from novalite.drivers.compute.libvirt.room import Room
from novalite.drivers.programs import run
from novalite.errors import DriverError

_log = logs.get("libvirt")
_CHUNK = 1 << 20
_LOCKS = 64
_CUT_OFF_SECONDS = 3600.0
"""Bytes of an image without what was found out about them: nobody is about to write that any more."""


@dataclass(frozen=True)
class CachedImage:
    """A verified image. ``virtual_size`` in bytes."""

    path: Path
    format: str
    virtual_size: int


class _Facts(msgspec.Struct, frozen=True):
    """What was found out about an image; ``checked_at`` (seconds since 1970) is when its bytes were last right."""

    format: str
    virtual_size: int
    sha512: str = ""
    checked_at: float = 0.0
    corrupt: bool = False


class ImageCache:
    """``directory`` holds ``<image id>`` (the bytes) and ``<image id>.json`` (what was found out about them,
    written last: an image without it is not there; its time is when the image was last used)."""

    def __init__(self, directory: Path, guests: Path, room: Room | None = None) -> None:
        self._directory, self._guests = directory, guests
        self._room = room or Room(directory)
        self._lock = threading.Lock()
        self._arriving = tuple(threading.Lock() for _ in range(_LOCKS))
        for file in directory.iterdir():
            if file.suffix not in ("", ".json"):  # a copy that was cut off
                file.unlink(missing_ok=True)

    def ensure(self, image: ImageSpec, source: ImageSource) -> None:
        """Bring the image in and check it; those who want the same one meanwhile wait for it. Codes:
        ``image.corrupt``, ``image.refused``, ``disk.full``."""
        target = self._path(image.id)
        with self._arrival(target):
            facts = self._read(target)
            if facts is not None and not facts.corrupt:
                if facts.sha512:
                    self._used(target)
                else:  # of a time when it was not written down
                    self._write(target, msgspec.structs.replace(facts, sha512=image.sha512.lower()))
                return
            self._bring(image, source, target)

    def _arrival(self, target: Path) -> threading.Lock:
        return self._arriving[hash(target.name) % _LOCKS]

    def _bring(self, image: ImageSpec, source: ImageSource, target: Path) -> None:
        arriving = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            self._copy(image, source, arriving)
            form = "raw" if image.format == "iso" else image.format
            virtual_size = _examine(arriving, form)
            os.replace(arriving, target)
            self._write(target, _Facts(form, virtual_size, image.sha512.lower(), time.time()))
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
        if source.path is not None and _linked(source.path, arriving):
            digest = _sha512(arriving)
        else:
            with self._room.taken("ensure_image", image.size, f"image {image.id}"):
                digest = _fetch(source.chunks(), arriving)
        if digest != image.sha512.lower():
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
        facts = self._read(path)
        if facts is None:
            raise DriverError(
                "ensure_guest", f"image {image_id} is not on this host", code="image.missing", retryable=True
            )
        return CachedImage(path, facts.format, facts.virtual_size)

    def remove(self, image_id: str) -> None:
        """Forget the image unless an overlay stands on it."""
        path = self._path(image_id)
        with self._lock:
            if str(path) not in self._stood_on():
                self._forget(path)

    def age_out(self, unused_seconds: float) -> list[str]:
        """Forget images that nothing has stood on or asked for in that time; their ids."""
        gone, stood_on = [], self._stood_on()
        for path in self._there():
            if str(path) in stood_on and self._facts(path).exists():
                self._used(path)
            elif self._is_old(path, unused_seconds) and self._forget_if_unused(path, unused_seconds):
                gone.append(path.name)
        return gone

    def _is_old(self, path: Path, unused_seconds: float) -> bool:
        facts = self._facts(path)
        whole = facts.exists()
        age = time.time() - (facts if whole else path).stat().st_mtime
        return age > (unused_seconds if whole else _CUT_OFF_SECONDS)

    def _forget_if_unused(self, path: Path, unused_seconds: float) -> bool:
        with self._arrival(path), self._lock:
            if str(path) in self._stood_on() or not self._is_old(path, unused_seconds):
                return False
            self._forget(path)
            return True

    def check(self, unchecked_seconds: float, keep_on: Callable[[], bool] = lambda: True) -> list[str]:
        """Read again images whose bytes were last found right so long ago. Of those that are not, what nothing stands
        on is forgotten, and so fetched again; the others are in ``corrupt``. Ids of images that went wrong."""
        wrong = []
        for path in self._there():
            facts = self._read(path)
            if facts is None or not facts.sha512 or time.time() - facts.checked_at < unchecked_seconds:
                continue
            if not keep_on():
                break
            if not self._recheck(path):
                wrong.append(path.name)
        return wrong

    def _recheck(self, path: Path) -> bool:
        with self._arrival(path):
            facts = self._read(path)
            if facts is None:  # it was removed meanwhile
                return True
            right = path.exists() and _sha512(path) == facts.sha512
            with self._lock:
                if right or str(path) in self._stood_on():
                    used_at = self._facts(path).stat().st_mtime
                    checked = msgspec.structs.replace(facts, checked_at=time.time(), corrupt=not right)
                    self._write(path, checked, used_at)
                else:
                    self._forget(path)
        if not right:
            _log.error("cached_image_is_corrupt", image=path.name)
        return right

    @property
    def corrupt(self) -> tuple[str, ...]:
        """Ids of images whose bytes are not right any more, and that guests stand on."""
        there = ((path.name, self._read(path)) for path in self._there())
        return tuple(sorted(name for name, facts in there if facts is not None and facts.corrupt))

    def _there(self) -> list[Path]:
        return [file for file in self._directory.iterdir() if not file.suffix]

    def _stood_on(self) -> set[str]:
        """What overlays of guests stand on, those that are kept to go back to as well."""
        return {backing_file(disk) for disk in self._guests.glob("**/*.qcow2")}

    def _forget(self, path: Path) -> None:
        self._facts(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    def _used(self, path: Path) -> None:
        os.utime(self._facts(path))

    def _read(self, path: Path) -> _Facts | None:
        try:
            return msgspec.json.decode(self._facts(path).read_bytes(), type=_Facts)
        except FileNotFoundError:
            return None

    def _write(self, path: Path, facts: _Facts, used_at: float | None = None) -> None:
        fresh = path.with_suffix(f".{threading.get_ident()}-new")
        fresh.write_bytes(msgspec.json.encode(facts))
        if used_at is not None:
            os.utime(fresh, (used_at, used_at))
        os.replace(fresh, self._facts(path))

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


def _fetch(chunks: Iterator[bytes], target: Path) -> str:
    digest = hashlib.sha512()
    with target.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _sha512(path: Path) -> str:
    digest = hashlib.sha512()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


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
    facts: dict[str, Any] = msgspec.json.decode(text)
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
