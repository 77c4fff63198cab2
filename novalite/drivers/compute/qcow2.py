"""The smallest qcow2 there is, for hosts that are simulated (docs/interop/qcow2.txt in QEMU's source)."""

from __future__ import annotations

import struct

_CLUSTER = 1 << 16
_TABLE_COVERS = _CLUSTER * (_CLUSTER // 8)
ENCRYPTION_AT = 32
"""Where the header says how the rest is encrypted, in four bytes."""


def empty_qcow2(virtual_size: int, *, is_encrypted: bool = False) -> bytes:
    """A valid image of that many bytes, all zero; up to 4 TiB. One that ``is_encrypted`` only says so."""
    entries, method = -(-virtual_size // _TABLE_COVERS), 2 if is_encrypted else 0
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb", 3, 0, 0, 16, virtual_size, method, entries, 3 * _CLUSTER, _CLUSTER, 1, 0, 0, 0, 0, 0, 4,
        104,
    )  # fmt: skip
    clusters = (header, struct.pack(">Q", 2 * _CLUSTER), struct.pack(">4H", 1, 1, 1, 1), b"")
    return b"".join(cluster.ljust(_CLUSTER, b"\0") for cluster in clusters)
