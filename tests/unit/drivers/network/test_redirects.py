"""What the kernel is told of frames that enter one link and leave by another, byte by byte as ``tc`` tells it."""

from __future__ import annotations

import errno
import struct

import pytest

from novalite.drivers.network import redirects
from novalite.errors import DriverError

_FILTER = """
8c000000 2c000504 01000000 00000000 00000000 03000000 00080080 f2ffffff 00030100 08000100 75333200 60000200
38000700 34000100 0b000100 6d697272 65640000 24000200 20000200 00000000 00000000 04000000 00000000 00000000
01000000 02000000 24000500 01000100 00000000 00000000 00000000 00000000 00000000 00000000 00000000
"""


def test_a_filter_is_told_as_tc_tells_it() -> None:
    assert redirects._filter(3, 2).hex() == "".join(_FILTER.split())


def test_the_kernels_refusal_is_raised() -> None:
    answer = struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -errno.EPERM)
    with pytest.raises(PermissionError):
        redirects._raise_for(answer)
    redirects._raise_for(struct.pack("=IHHIIi", 36, 2, 0, 1, 0, 0))


def test_a_link_that_is_not_there_is_named() -> None:
    with pytest.raises(DriverError, match="nlt-none"):
        redirects.ensure([("nlt-none", "nlv-none")])
