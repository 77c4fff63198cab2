"""Names and indices of the links of this thread's network namespace.

``socket.if_nameindex`` keeps Python's lock while it waits for the kernel's lock on links, which whoever changes links
on this machine holds, sometimes for seconds. So it would stop the whole process; a call by ``ctypes`` stops its thread
only.
"""

from __future__ import annotations

import ctypes
import os


class _Link(ctypes.Structure):
    _fields_ = (("index", ctypes.c_uint), ("name", ctypes.c_char_p))


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.if_nameindex.restype = ctypes.POINTER(_Link)
_LIBC.if_freenameindex.argtypes = (ctypes.POINTER(_Link),)
_LIBC.if_freenameindex.restype = None


def indices() -> dict[str, int]:
    """Every link's index by its name. Raises ``OSError``."""
    links = _LIBC.if_nameindex()
    if not links:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    found: dict[str, int] = {}
    try:
        for link in links:
            if not link.index:
                break
            found[os.fsdecode(link.name)] = link.index
    finally:
        _LIBC.if_freenameindex(links)
    return found
