"""What becomes of pieces of backups."""

from __future__ import annotations

import zlib
from random import Random

import pytest

from novalite.drivers.storage.packing import is_blank, pack

RANDOM = Random(1).randbytes(1 << 20)
TEXT = b"the same again and again. " * 40000
MIXED = RANDOM[: 1 << 19] + TEXT[: 1 << 19]


@pytest.mark.parametrize("piece", [RANDOM, TEXT, MIXED, b"x", RANDOM[:5000], bytes(10)])
def test_what_is_packed_comes_back(piece: bytes) -> None:
    assert zlib.decompress(pack(piece)) == piece


def test_only_what_shrinks_is_compressed() -> None:
    assert pack(RANDOM) == zlib.compress(RANDOM, 0)
    assert len(pack(TEXT)) < len(TEXT) // 10
    assert len(pack(MIXED)) < 0.6 * len(MIXED)


@pytest.mark.parametrize(("piece", "blank"), [(bytes(4096), True), (b"", True), (bytes(4095) + b"x", False)])
def test_blank(piece: bytes, blank: bool) -> None:
    assert is_blank(piece) is blank
