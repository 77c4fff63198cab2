"""What the kernel tells of links, packet filters and namespaces that come and go, in all namespaces that this one
knows: a reason to look, never proof."""

from __future__ import annotations

import ctypes
import os
import socket
import struct

from novalite.drivers.network import namespaces

_SOL_NETLINK, _ADD_MEMBERSHIP, _ALL_NAMESPACES = 270, 1, 8
_ROUTE, _LINKS, _NEW_LINK, _DEL_LINK = 0, 1, 16, 17
_NETFILTER, _TABLES, _NEW_GENERATION = 12, 7, (10 << 8) | 15
_IN_CREATE, _IN_DELETE = 0x100, 0x200
_LIBC = ctypes.CDLL(None, use_errno=True)
_ROOM = 1 << 20


class Events:
    """``descriptors`` become readable when there is something to hear."""

    def __init__(self) -> None:
        self._links = _listening(_ROUTE, _LINKS)
        self._tables = _listening(_NETFILTER, _TABLES)
        self._directory = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._directory < 0:
            self._links.close()
            self._tables.close()
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "inotify")
        self._is_watched = False
        self._watch_namespaces()

    def _watch_namespaces(self) -> None:
        if not self._is_watched and namespaces.NETNS.is_dir():
            path = str(namespaces.NETNS).encode()
            self._is_watched = _LIBC.inotify_add_watch(self._directory, path, _IN_CREATE | _IN_DELETE) >= 0

    def descriptors(self) -> tuple[int, ...]:
        self._watch_namespaces()
        return (self._links.fileno(), self._tables.fileno(), self._directory)

    def heard(self) -> bool:
        """Whether something went that may be ours, or a packet filter was changed, since the last call."""
        link_went = _DEL_LINK in _kinds(self._links)
        filter_changed = _NEW_GENERATION in _kinds(self._tables)
        return _is_readable(self._directory) or link_went or filter_changed

    def close(self) -> None:
        self._links.close()
        self._tables.close()
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1


def _listening(protocol: int, group: int) -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    try:
        made.bind((0, 0))
        made.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        made.setsockopt(_SOL_NETLINK, _ALL_NAMESPACES, 1)
    except BaseException:
        made.close()
        raise
    return made


def _kinds(heard: socket.socket) -> list[int]:
    """The kinds of all messages that wait. What was lost for want of room may have been any."""
    found: list[int] = []
    while True:
        try:
            data = heard.recv(_ROOM)
        except BlockingIOError:
            return found
        except OSError:
            found += [_DEL_LINK, _NEW_GENERATION]
            continue
        at = 0
        while at + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            found.append(kind)
            at += max(16, (length + 3) & ~3)


def _is_readable(descriptor: int) -> bool:
    found = False
    try:
        while os.read(descriptor, 65536):
            found = True
    except BlockingIOError:
        return found
    return found
