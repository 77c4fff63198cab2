"""Bytes of images on their way into files: counted, hashed, with room left on the disk."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from novalite.drivers.storage.stretches import is_blank
from novalite.errors import DriverError, Invalid, NotFound, TooLarge

_LOOK_EVERY_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 20
_BEHIND = 8
"""So many blocks one checksum may be behind the other: who waits for each block waits for the slower one each time."""


@dataclass(frozen=True)
class Received:
    """``size`` in bytes, checksums in hex."""

    size: int
    md5: str
    sha512: str


@dataclass(frozen=True)
class Room:
    """In bytes: the largest file, and the free space that must be left on the file system of ``directory``."""

    directory: Path
    max_size: int
    reserve: int

    def require(self, more: int = 0) -> None:
        """Raises ``DriverError`` with code ``disk.full``."""
        if shutil.disk_usage(self.directory).free < self.reserve + more:
            raise disk_full()

    def require_size(self, size: int) -> None:
        """Raises ``TooLarge``."""
        if size > self.max_size:
            raise TooLarge(f"The image is larger than the {self.max_size} bytes that uploads may have.",
                           code="image.too_large")  # fmt: skip


def file_name(image_id: str) -> str:
    """Raises ``Invalid``: another spelling of a UUID would be another image's file."""
    try:
        known: str | None = str(UUID(image_id))
    except ValueError:
        known = None
    if known is None or known != image_id:
        raise Invalid(f"'{image_id[:64]}' is not an image id.", field="image_id")
    return known


def receive(file: BinaryIO, chunks: Iterable[bytes], room: Room) -> Received:
    """Write the bytes to the disk; blocks of zeros become holes. Raises ``TooLarge``, ``DriverError``."""
    got = read(_written(file, chunks, room))
    file.truncate(got.size)
    file.flush()
    os.fsync(file.fileno())
    return got


def read(chunks: Iterable[bytes]) -> Received:
    """Checksums and size of what passes. The two sums are made side by side: each takes longer than the disk."""
    md5, sha512, size = hashlib.md5(usedforsecurity=False), hashlib.sha512(), 0
    behind: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="md5") as beside:
        for chunk in chunks:
            behind.append(beside.submit(md5.update, chunk))
            sha512.update(chunk)
            size += len(chunk)
            if len(behind) > _BEHIND:
                behind.popleft().result()
    return Received(size, md5.hexdigest(), sha512.hexdigest())


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """A file in pieces."""
    while block := file.read(_BLOCK_BYTES):
        yield block


def _written(file: BinaryIO, chunks: Iterable[bytes], room: Room) -> Iterator[bytes]:
    size, look_at = 0, 0
    for chunk in chunks:
        room.require_size(size + len(chunk))
        if size >= look_at:
            room.require()
            look_at = size + _LOOK_EVERY_BYTES
        if is_blank(chunk):
            file.seek(len(chunk), os.SEEK_CUR)
        else:
            file.write(chunk)
        size += len(chunk)
        yield chunk


@contextmanager
def told(image_id: str) -> Iterator[None]:
    """Errors of the file system as those of image stores."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("image", image_id, message=f"Image {image_id} was deleted during the upload.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full() from error
        raise


def disk_full() -> DriverError:
    return DriverError("images.save", "the disk that keeps images is full", code="disk.full", retryable=True,
                       hint="Delete images, or raise the space below the state directory.")  # fmt: skip
