"""Stretches of a disk's content on their way: cut to one length, and zeros told from data without making them anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

PIECE_BYTES = 4 << 20
_ZEROS = bytes(PIECE_BYTES)


def zeros(length: int) -> bytes:
    """A piece of ``PIECE_BYTES`` is always the same object."""
    return _ZEROS[:length] if length <= PIECE_BYTES else bytes(length)


def is_blank(chunk: bytes | memoryview) -> bool:
    """Nothing but zeros."""
    if chunk is _ZEROS:
        return True
    if len(chunk) <= PIECE_BYTES:
        return _ZEROS.startswith(chunk)
    return all(is_blank(chunk[start : start + PIECE_BYTES]) for start in range(0, len(chunk), PIECE_BYTES))


def cut(chunks: Iterable[bytes], length: int) -> Iterator[bytes]:
    """The same bytes in pieces of ``length``, the last one shorter. What has that length already is not copied."""
    parts: list[bytes] = []
    have = 0
    for chunk in chunks:
        begun = 0
        while len(chunk) - begun >= length - have:
            end = begun + length - have
            parts.append(chunk[begun:end])
            yield b"".join(parts) if have else parts[0]
            parts, have, begun = [], 0, end
        if begun < len(chunk):
            parts.append(chunk[begun:])
            have += len(chunk) - begun
    if parts:
        yield b"".join(parts)
