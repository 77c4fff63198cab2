"""How pieces of backups are made smaller, where that is worth the time."""

from __future__ import annotations

import zlib

_LEVEL = 1
_STORED = 0
_SAMPLES, _SAMPLE_BYTES = 16, 4 << 10
_WORTH = 0.95


def is_blank(piece: bytes) -> bool:
    """Nothing but zeros."""
    return piece == bytes(len(piece))


def pack(piece: bytes) -> bytes:
    """A zlib stream. What is encrypted or compressed already is only wrapped: trying takes forty times as long as
    that, and gains nothing."""
    return zlib.compress(piece, _LEVEL if _shrinks(piece) else _STORED)


def _shrinks(piece: bytes) -> bool:
    """As samples from all of it tell."""
    step = max(len(piece) // _SAMPLES, _SAMPLE_BYTES)
    sample = b"".join(piece[start : start + _SAMPLE_BYTES] for start in range(0, len(piece), step))
    return len(zlib.compress(sample, _LEVEL)) < _WORTH * len(sample)
