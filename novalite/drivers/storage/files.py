"""Image blobs as files in one directory: written beside, checked, then renamed into place."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from novalite.drivers.storage import inspect, receiving, sealed_images
from novalite.drivers.storage.base import LentFile, StoredImage
from novalite.drivers.storage.receiving import Received, Room
from novalite.drivers.storage.staging import FileStaging
from novalite.drivers.storage.web_places import Allowed
from novalite.errors import NotFound

_UNFINISHED = ".part"


class FileImageStore:
    """Sizes in bytes. ``reserve`` is free space that uploads must leave on the file system; ``allowed`` is where images
    may be fetched from."""

    def __init__(
        self, directory: Path, *, max_size: int, max_virtual_size: int, reserve: int = 0,
        allowed: Allowed | None = None,
    ) -> None:  # fmt: skip
        self._directory, self._max_virtual_size = directory, max_virtual_size
        self._room = Room(directory, max_size=max_size, reserve=reserve)
        directory.mkdir(parents=True, exist_ok=True)
        # QEMU may run as another user: it may pass through and read, but not list.
        directory.chmod(0o711)
        staged = directory.with_name(directory.name + "-staging")
        room = Room(staged, max_size=max_size, reserve=reserve)
        self._staging = FileStaging(staged, room, max_virtual_size, allowed or Allowed())

    @property
    def staging(self) -> FileStaging:
        return self._staging

    def _file(self, image_id: str) -> Path:
        return self._directory / receiving.file_name(image_id)

    def save(self, image_id: str, chunks: Iterable[bytes], *, disk_format: str, is_sealed: bool = False) -> StoredImage:
        """See ``ImageStore``. An existing blob stays until the new one is complete and accepted."""
        target = self._file(image_id)
        unfinished = self._directory / f"{target.name}.{uuid4().hex}{_UNFINISHED}"
        inspection = None if is_sealed else inspect.Inspection()
        try:
            with receiving.told(image_id):
                if isinstance(chunks, LentFile):
                    got = self._borrow(unfinished, chunks, inspection)
                else:
                    got = self._receive(unfinished, chunks, inspection)
                return self._accept(unfinished, target, got, disk_format, inspection)
        finally:
            unfinished.unlink(missing_ok=True)

    def _receive(self, unfinished: Path, chunks: Iterable[bytes], inspection: inspect.Inspection | None) -> Received:
        with unfinished.open("xb") as file:
            return receiving.receive(file, _passing(inspection, chunks), self._room)

    def _borrow(self, unfinished: Path, chunks: LentFile, inspection: inspect.Inspection | None) -> Received:
        with chunks.lend() as lent:
            if not _linked(lent, unfinished):
                return self._receive(unfinished, chunks.blocks(lent), inspection)
        self._room.require_size(unfinished.stat().st_size)
        self._room.require()
        return receiving.read(_passing(inspection, chunks.blocks(unfinished)))

    def take(self, image_id: str, *, disk_format: str) -> StoredImage:
        """See ``ImageStore``. On one file system nothing is copied."""
        target, staged = self._file(image_id), self._staging.made(image_id)
        source = staged if staged.exists() else target
        if not source.exists():
            raise NotFound("image data", image_id, message=f"What came for image {image_id} is gone.")
        if not self._is_near(source):
            with source.open("rb") as file:
                return self.save(image_id, receiving.blocks(file), disk_format=disk_format)
        inspection = inspect.Inspection()
        with source.open("rb") as file:
            got = receiving.read(inspection.passing(receiving.blocks(file)))
        return self._accept(source, target, got, disk_format, inspection)

    def _is_near(self, path: Path) -> bool:
        return path.stat().st_dev == self._directory.stat().st_dev

    def _accept(
        self, path: Path, target: Path, got: Received, disk_format: str, inspection: inspect.Inspection | None
    ) -> StoredImage:
        """Without an ``inspection`` it is the image of an encrypted volume."""
        most = self._max_virtual_size
        if inspection is None:
            virtual_size = sealed_images.check(path, disk_format, max_virtual_size=most)
        else:
            virtual_size = inspect.check(path, disk_format, max_virtual_size=most, inspection=inspection)
        path.chmod(0o644)
        path.replace(target)
        self._sync_directory()
        return StoredImage(size=got.size, virtual_size=virtual_size, md5=got.md5, sha512=got.sha512)

    def _sync_directory(self) -> None:
        handle = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def path(self, image_id: str) -> Path | None:
        file = self._file(image_id)
        return file if file.exists() else None

    def delete(self, image_id: str) -> None:
        """See ``ImageStore``. What is staged for it or an upload has written so far goes too, and that then fails."""
        file = self._file(image_id)
        self._staging.drop(image_id)
        file.unlink(missing_ok=True)
        for unfinished in self._directory.glob(f"{file.name}.*{_UNFINISHED}"):
            unfinished.unlink(missing_ok=True)

    def ids(self) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in self._directory.iterdir() if path.suffix != _UNFINISHED))


def _linked(lent: Path, target: Path) -> bool:
    """Whether the file has a second name now, and is ours alone to write."""
    if lent.stat().st_uid != os.geteuid():
        return False
    try:
        os.link(lent, target)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            return False
        raise
    os.chown(target, -1, os.getegid())
    return True


def _passing(inspection: inspect.Inspection | None, chunks: Iterable[bytes]) -> Iterable[bytes]:
    return inspection.passing(chunks) if inspection else chunks
