"""Files with content that no file system or compression makes smaller, and the copying of them as a floor."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

BLOCK = 1 << 20
_PATTERN_BLOCKS = 61


def append(file: Path, size: int) -> None:
    """``size`` bytes more, on the disk when this returns. Every block differs from the one before it."""
    pattern = [os.urandom(BLOCK) for _ in range(_PATTERN_BLOCKS)]
    with file.open("ab") as out:
        for number in range(size // BLOCK):
            out.write(number.to_bytes(8) + pattern[number % _PATTERN_BLOCKS][8:])
        os.fsync(out.fileno())


def blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while block := source.read(BLOCK):
            yield block


def copy(file: Path, target: Path) -> str:
    """``cp`` with a checksum: the SHA-512 of what was copied, and is on the disk."""
    digest = hashlib.sha512()
    with target.open("wb") as out:
        for block in blocks(file):
            digest.update(block)
            out.write(block)
        os.fsync(out.fileno())
    return digest.hexdigest()


def timed(act: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def on_disk(*directories: Path) -> int:
    """Bytes that files below take on the disk; a file with two names counts once."""
    taken: dict[tuple[int, int], int] = {}
    for directory in directories:
        for path in directory.rglob("*"):
            if path.is_file():
                facts = path.stat()
                taken[facts.st_dev, facts.st_ino] = facts.st_blocks * 512
    return sum(taken.values())
