"""What is in a disk, as a guest sees it, read where it lies: without a copy, and without reading what is blank."""

from __future__ import annotations

from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from novalite.drivers.storage import qemu_img
from novalite.drivers.storage.stretches import PIECE_BYTES, zeros

_WINDOW = 1 << 30
"""So much is looked up at once: a list of all parts of a large disk would not fit into memory."""


class Packed(Exception):
    """From here on the disk is compressed, or stands on another file: only QEMU reads it."""


def content(op: str, path: Path, image_format: str) -> Iterator[bytes]:
    """All of it in order. Raises ``Packed`` where that ends, ``DriverError`` (``volume.busy``) for a disk in use."""
    size = qemu_img.virtual_size(op, path, image_format)
    with path.open("rb", buffering=0) as file:
        for start in range(0, size, _WINDOW):
            at = start
            for extent in qemu_img.extents(op, path, image_format, start, min(_WINDOW, size - start)):
                for begun, length in _portions(at, extent.length):
                    if extent.blank:
                        yield zeros(length)
                    elif extent.offset is None:
                        raise Packed
                    else:
                        yield from _read(file, extent.offset + begun - at, length)
                at += extent.length


def _portions(start: int, length: int) -> Iterator[tuple[int, int]]:
    """Where each begins and how long it is. They end where pieces of the whole disk do, which are then not put together
    of parts."""
    end = start + length
    while start < end:
        portion = min(end - start, PIECE_BYTES - start % PIECE_BYTES)
        yield start, portion
        start += portion


def _read(file: FileIO, offset: int, length: int) -> Iterator[bytes]:
    file.seek(offset)
    while length > 0:
        chunk = file.read(length) or zeros(length)  # a file that ends early reads as zeros
        length -= len(chunk)
        yield chunk
