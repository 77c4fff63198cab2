"""What becomes of pieces of backups."""

from __future__ import annotations

import zlib
from random import Random

import pytest

from novalite.drivers.storage.packing import pack, unpack

RANDOM = Random(1).randbytes(1 << 20)
TEXT = b"the same again and again. " * 40000
MIXED = RANDOM[: 1 << 19] + TEXT[: 1 << 19]


@pytest.mark.parametrize("piece", [TEXT, MIXED, bytes(5000)])
def test_what_is_packed_comes_back(piece: bytes) -> None:
    assert len(pack(piece)) < len(piece)
    assert unpack(pack(piece), len(piece)) == piece


@pytest.mark.parametrize("piece", [RANDOM, b"x", RANDOM[:5000], bytes(10)])
def test_what_does_not_shrink_stays_as_it_is(piece: bytes) -> None:
    assert pack(piece) is piece


def test_what_shrinks_is_small() -> None:
    assert len(pack(TEXT)) < len(TEXT) // 10
    assert len(pack(MIXED)) < 0.6 * len(MIXED)


def test_no_more_is_unpacked_than_there_should_be() -> None:
    assert unpack(zlib.compress(bytes(1 << 20)), 100) == bytes(100)
    assert unpack(b"no zlib", 100) == b""
