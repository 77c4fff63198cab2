"""How pieces of backups are made smaller, where that is worth the time."""

from __future__ import annotations

import zlib

_LEVEL = 1
_SAMPLES, _SAMPLE_BYTES = 16, 4 << 10
_WORTH = 0.95


def pack(piece: bytes) -> bytes:
    """A zlib stream that is shorter, or the piece as it is: what is encrypted or compressed already takes forty times
    as long to try, and gains nothing."""
    packed = zlib.compress(piece, _LEVEL) if _shrinks(piece) else piece
    return packed if len(packed) < len(piece) else piece


def unpack(packed: bytes, length: int) -> bytes:
    """What was compressed, no more than ``length`` of it; nothing of what is no zlib stream."""
    try:
        return zlib.decompressobj().decompress(packed, length)
    except zlib.error:
        return b""


def _shrinks(piece: bytes) -> bool:
    """As samples from all of it tell."""
    step = max(len(piece) // _SAMPLES, _SAMPLE_BYTES)
    sample = b"".join(piece[start : start + _SAMPLE_BYTES] for start in range(0, len(piece), step))
    return len(zlib.compress(sample, _LEVEL)) < _WORTH * len(sample)
