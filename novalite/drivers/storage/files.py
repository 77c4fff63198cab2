"""Image blobs as files in one directory: written beside, checked, then renamed into place."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

from novalite.drivers.storage import inspect
from novalite.drivers.storage.base import StoredImage
from novalite.errors import DriverError, Invalid, NotFound, TooLarge

_UNFINISHED = ".part"
_LOOK_EVERY_BYTES = 64 << 20


class FileImageStore:
    """Sizes in bytes. ``reserve`` is free space that uploads must leave on the file system."""

    def __init__(self, directory: Path, *, max_size: int, max_virtual_size: int, reserve: int = 0) -> None:
        self._directory = directory
        self._max_size, self._max_virtual_size, self._reserve = max_size, max_virtual_size, reserve
        directory.mkdir(parents=True, exist_ok=True)
        # QEMU may run as another user: it may pass through and read, but not list.
        directory.chmod(0o711)

    def _file(self, image_id: str) -> Path:
        try:
            known: str | None = str(UUID(image_id))
        except ValueError:
            known = None
        if known is None or known != image_id:  # another spelling of a UUID would be another image's file
            raise Invalid(f"'{image_id[:64]}' is not an image id.", field="image_id")
        return self._directory / known

    def save(self, image_id: str, chunks: Iterable[bytes], *, disk_format: str) -> StoredImage:
        """See ``ImageStore``. An existing blob stays until the new one is complete and accepted."""
        target = self._file(image_id)
        unfinished = self._directory / f"{target.name}.{uuid4().hex}{_UNFINISHED}"
        inspection = inspect.Inspection()
        try:
            with unfinished.open("xb") as file:
                size, md5, sha512 = self._receive(file, inspection.passing(chunks))
                file.flush()
                os.fsync(file.fileno())
            virtual_size = inspect.check(
                unfinished, disk_format, max_virtual_size=self._max_virtual_size, inspection=inspection,
            )  # fmt: skip
            unfinished.chmod(0o644)
            unfinished.replace(target)
            self._sync_directory()
        except FileNotFoundError as error:
            raise NotFound("image", image_id, message=f"Image {image_id} was deleted during the upload.") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _disk_full() from error
            raise
        finally:
            unfinished.unlink(missing_ok=True)
        return StoredImage(size=size, virtual_size=virtual_size, md5=md5, sha512=sha512)

    def _receive(self, file: BinaryIO, chunks: Iterable[bytes]) -> tuple[int, str, str]:
        md5, sha512 = hashlib.md5(usedforsecurity=False), hashlib.sha512()
        size, look_at = 0, 0
        for chunk in chunks:
            if size + len(chunk) > self._max_size:
                raise TooLarge(f"The image is larger than the {self._max_size} bytes that uploads may have.",
                               code="image.too_large")  # fmt: skip
            if size >= look_at:
                self._require_space()
                look_at = size + _LOOK_EVERY_BYTES
            md5.update(chunk)
            sha512.update(chunk)
            # Blocks of zeros become holes.
            if chunk.strip(b"\0"):
                file.write(chunk)
            else:
                file.seek(len(chunk), os.SEEK_CUR)
            size += len(chunk)
        file.truncate(size)
        return size, md5.hexdigest(), sha512.hexdigest()

    def _require_space(self) -> None:
        if shutil.disk_usage(self._directory).free < self._reserve:
            raise _disk_full()

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
        """See ``ImageStore``. What an upload of it has written so far goes too, and the upload then fails."""
        file = self._file(image_id)
        file.unlink(missing_ok=True)
        for unfinished in self._directory.glob(f"{file.name}.*{_UNFINISHED}"):
            unfinished.unlink(missing_ok=True)

    def ids(self) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in self._directory.iterdir() if path.suffix != _UNFINISHED))


def _disk_full() -> DriverError:
    return DriverError("images.save", "the disk that keeps images is full", code="disk.full", retryable=True,
                       hint="Delete images, or raise the space below the state directory.")  # fmt: skip
