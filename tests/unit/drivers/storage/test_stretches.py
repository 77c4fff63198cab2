"""Zeros told from data, and content cut into pieces."""

from __future__ import annotations

from random import Random

import pytest

from novalite.drivers.storage.stretches import PIECE_BYTES, cut, is_blank, zeros


@pytest.mark.parametrize(
    ("chunk", "blank"),
    [
        (bytes(4096), True), (b"", True), (bytes(4095) + b"x", False), (bytes(PIECE_BYTES + 5), True),
        (bytes(PIECE_BYTES + 5) + b"x", False), (memoryview(bytes(10)), True), (memoryview(b"1"), False),
    ],
)  # fmt: skip
def test_blank(chunk: bytes, blank: bool) -> None:
    assert is_blank(chunk) is blank


@pytest.mark.parametrize("length", [0, 1, PIECE_BYTES, PIECE_BYTES + 1])
def test_zeros(length: int) -> None:
    assert zeros(length) == bytes(length)


def test_a_piece_of_zeros_is_made_once() -> None:
    assert zeros(PIECE_BYTES) is zeros(PIECE_BYTES)


def test_pieces_hold_the_same_bytes() -> None:
    random = Random(1)
    content = random.randbytes(5000)
    for _ in range(50):
        ends = sorted(random.sample(range(5000), 6))
        chunks = [content[begun:end] for begun, end in zip([0, *ends], [*ends, 5000], strict=True)]
        pieces = list(cut(chunks, 300))
        assert b"".join(pieces) == content
        assert [len(piece) for piece in pieces] == [300] * 16 + [200]


def test_what_has_its_length_is_not_copied() -> None:
    chunks = [zeros(PIECE_BYTES), Random(1).randbytes(PIECE_BYTES)]
    assert all(piece is chunk for piece, chunk in zip(cut(chunks, PIECE_BYTES), chunks, strict=True))
