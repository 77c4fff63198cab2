"""What is in a disk, as a guest sees it, read where it lies: without a copy, and without reading what is blank."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from novalite.drivers.storage import qemu_img

_WINDOW = 1 << 30
"""So much is looked up at once: a list of all parts of a large disk would not fit into memory."""
_CHUNK = 1 << 20
_BLANK = bytes(_CHUNK)


class Packed(Exception):
    """From here on the disk is compressed, or stands on another file: only QEMU reads it."""


def content(op: str, path: Path, image_format: str) -> Iterator[bytes]:
    """All of it in order. Raises ``Packed`` where that ends, ``DriverError`` (``volume.busy``) for a disk in use."""
    size = qemu_img.virtual_size(op, path, image_format)
    with path.open("rb") as file:
        for start in range(0, size, _WINDOW):
            for extent in qemu_img.extents(op, path, image_format, start, min(_WINDOW, size - start)):
                if extent.blank:
                    yield from _blank(extent.length)
                elif extent.offset is None:
                    raise Packed
                else:
                    file.seek(extent.offset)
                    yield from _read(file, extent.length)


def _blank(length: int) -> Iterator[bytes]:
    for begun in range(0, length, _CHUNK):
        yield _BLANK if length - begun >= _CHUNK else bytes(length - begun)


def _read(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0:
        chunk = file.read(min(_CHUNK, length)) or bytes(min(_CHUNK, length))  # a file that ends early reads as zeros
        length -= len(chunk)
        yield chunk
