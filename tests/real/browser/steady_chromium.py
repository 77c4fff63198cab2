"""Starts Chromium blind to the machine's interfaces: guests come and go here, and at each change of an address
Chromium drops every connection it has. A filter refuses it the sockets by which it would hear of them."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

_SOCKET_CALL = {"x86_64": 41, "aarch64": 198}[platform.machine()]
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_REFUSE, _ALLOW = 0x00050000 | errno.EAFNOSUPPORT, 0x7FFF0000
_NETLINK = 16


def refuse_netlink() -> None:
    """For this process and all it starts; see seccomp(2)."""
    steps = [
        (_LOAD_WORD, 0, 0, 0),  # the number of the call
        (_JUMP_IF_EQUAL, 0, 3, _SOCKET_CALL),
        (_LOAD_WORD, 0, 0, 16),  # its first argument: the family
        (_JUMP_IF_EQUAL, 0, 1, _NETLINK),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(program), 0, 0)):
        if libc.prctl(arguments[0], *(ctypes.c_ulong(each) for each in arguments[1:])):
            raise OSError(ctypes.get_errno(), "the filter cannot be set")


if __name__ == "__main__":
    refuse_netlink()
    os.execv("/usr/bin/chromium", ["/usr/bin/chromium", *sys.argv[1:]])
