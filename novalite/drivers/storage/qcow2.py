"""Writes a qcow2 in one pass, as its content comes (docs/interop/qcow2.txt in QEMU's source): data, each table behind
what it is of, and the header last, so that what was cut off is no image."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import BinaryIO

from novalite.drivers.storage.stretches import PIECE_BYTES, cut, is_blank

CLUSTER = 1 << 16
_IN_TABLE = CLUSTER // 8
_IN_COUNTS = CLUSTER // 2
_OURS_ALONE = 1 << 63
"""Of a cluster that is counted once: it is written in place."""
_ALIGNED = 512


def write(file: BinaryIO, chunks: Iterable[bytes], size: int = 0) -> int:
    """Put the content into ``file``, an empty one, as an image of ``size`` bytes, or as large as the content if that is
    larger. How large the content is. Clusters of zeros take no room."""
    made = _Image(file)
    for piece in cut(chunks, PIECE_BYTES):
        made.add(piece)
    return made.finish(size)


class _Image:
    """``_entries`` are those of the table that is being filled, ``_tables`` where the full ones are."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size, self._next = file, 0, 1
        self._entries: list[int] = []
        self._tables: list[int] = []
        file.seek(CLUSTER)

    def add(self, piece: bytes) -> None:
        """All but the last are whole clusters."""
        self._size += len(piece)
        count = -(-len(piece) // CLUSTER)
        if is_blank(piece):
            self._name([0] * count)
            return
        view = memoryview(piece)
        begun = 0
        while begun < count:
            blank, end = self._is_blank(view, begun), begun + 1
            while end < count and self._is_blank(view, end) == blank:
                end += 1
            self._name([0] * (end - begun) if blank else self._put(view[begun * CLUSTER : end * CLUSTER]))
            begun = end

    @staticmethod
    def _is_blank(view: memoryview, number: int) -> bool:
        return is_blank(view[number * CLUSTER : (number + 1) * CLUSTER])

    def _put(self, content: bytes | memoryview) -> list[int]:
        """Where each of its clusters is. Room is taken for whole ones."""
        count, first = -(-len(content) // CLUSTER), self._next
        self._file.write(content)
        if len(content) % CLUSTER:
            self._file.write(bytes(CLUSTER - len(content) % CLUSTER))
        self._next += count
        return [number * CLUSTER for number in range(first, first + count)]

    def _name(self, offsets: list[int]) -> None:
        self._entries += [offset | _OURS_ALONE if offset else 0 for offset in offsets]
        while len(self._entries) >= _IN_TABLE:
            self._end_table()

    def _end_table(self) -> None:
        entries, self._entries = self._entries[:_IN_TABLE], self._entries[_IN_TABLE:]
        self._tables.append(self._put(_packed("Q", entries))[0] | _OURS_ALONE if any(entries) else 0)

    def finish(self, size: int) -> int:
        if self._entries:
            self._end_table()
        size = -(-max(size, self._size) // _ALIGNED) * _ALIGNED
        self._tables += [0] * (-(-size // (_IN_TABLE * CLUSTER)) - len(self._tables))
        first_level = self._tables or [0]
        tables = self._put(_packed("Q", first_level))[0]
        blocks = _blocks_for(self._next)
        named = -(-blocks // _IN_TABLE)
        total = self._next + blocks + named
        counts = [self._put(_packed("H", [1] * min(_IN_COUNTS, total - first)))[0]
                  for first in range(0, blocks * _IN_COUNTS, _IN_COUNTS)]  # fmt: skip
        counted = self._put(_packed("Q", counts))[0]
        self._file.seek(0)
        self._file.write(struct.pack(
            ">4sIQIIQIIQQIIQQQQII",
            b"QFI\xfb", 3, 0, 0, CLUSTER.bit_length() - 1, size, 0, len(first_level), tables, counted, named,
            0, 0, 0, 0, 0, 4, 104,
        ))  # fmt: skip
        return self._size


def _blocks_for(used: int) -> int:
    """How many blocks of counts count ``used`` clusters, themselves, and those that name them."""
    blocks = 1
    while blocks * _IN_COUNTS < used + blocks + -(-blocks // _IN_TABLE):
        blocks += 1
    return blocks


def _packed(kind: str, numbers: list[int]) -> bytes:
    return struct.pack(f">{len(numbers)}{kind}", *numbers)
