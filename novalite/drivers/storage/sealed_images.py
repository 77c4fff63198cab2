"""Whether an image of an encrypted volume is one: LUKS alone, or within a qcow2, that refers to nothing else.

This cloud has made the bytes itself, and without the key their headers are all there is to see."""

from __future__ import annotations

import struct
from pathlib import Path

from novalite.errors import Invalid

GIB = 1 << 30
_QCOW2 = struct.Struct(">4sIQIIQIIQQIIQQ")
_LUKS = struct.Struct(">6sH96xI")
_QCOW2_LUKS, _DATA_FILE = 2, 0b100


def check(path: Path, disk_format: str, *, max_virtual_size: int) -> int:
    """The virtual size in bytes, as a guest sees it. Raises ``Invalid`` (field ``image``)."""
    with path.open("rb") as file:
        head = file.read(_LUKS.size)
    found = _of_luks(head, path.stat().st_size) if disk_format == "raw" else _of_qcow2(head)
    if found > max_virtual_size:
        raise _refusal(f"claims a virtual size of {found} bytes, the limit is {max_virtual_size}")
    return found


def _of_luks(head: bytes, size: int) -> int:
    """Stores round sizes up; volumes have whole GiB."""
    if len(head) < _LUKS.size:
        raise _refusal("is cut off inside its LUKS header")
    magic, version, payload_sectors = _LUKS.unpack(head)
    if (magic, version) != (b"LUKS\xba\xbe", 1) or size < payload_sectors * 512:
        raise _refusal("is not LUKS of version 1")
    held = size - int(payload_sectors) * 512
    return held - held % GIB if held > GIB else held


def _of_qcow2(head: bytes) -> int:
    if len(head) < _QCOW2.size:
        raise _refusal("is cut off inside its qcow2 header")
    magic, version, backing, _, _, size, method, _, _, _, _, snapshots, _, features = _QCOW2.unpack_from(head)
    if magic != b"QFI\xfb" or version != 3 or method != _QCOW2_LUKS:
        raise _refusal("is no qcow2 with LUKS in it")
    if backing or snapshots or features & _DATA_FILE:
        raise _refusal("refers to other files, or holds snapshots")
    return int(size)


def _refusal(what: str) -> Invalid:
    return Invalid(f"The image of an encrypted volume {what}.", field="image", code="image.refused")
