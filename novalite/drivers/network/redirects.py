"""Frames that enter one link leave by another: told to the kernel directly, since ``tc`` reads all links of the machine
for each such filter."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable

from novalite.errors import DriverError

_OP = "ensure_port"
_ROUTE, _NEW_QDISC, _NEW_FILTER, _ERROR = 0, 36, 44, 2
_REQUEST, _ACKNOWLEDGE, _REPLACE, _CREATE = 0x1, 0x4, 0x100, 0x400
_HEAD = struct.Struct("=IHHII")
_CLSACT, _CLSACT_HANDLE, _INGRESS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2
_FILTER_HANDLE, _FIRST_OF_ALL_PROTOCOLS = 0x800 << 20 | 0x800, 1 << 16 | socket.htons(3)
_KIND, _OPTIONS = 1, 2
_SELECTOR, _ACTIONS, _MIRRED_PARAMETERS = 5, 7, 2
_STOLEN, _EGRESS_REDIRECT = 4, 1
_EVERY_FRAME = struct.pack("=BBBxHHhhIIIii", 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)  # terminal, one key that masks all


def ensure(pairs: Iterable[tuple[str, str]]) -> None:
    """What enters the first link of each pair leaves by the second, whatever was so before. Links are those of this
    thread's namespace. Raises ``DriverError``."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _ROUTE) as kernel:
        kernel.settimeout(10)
        kernel.bind((0, 0))
        for entered, left in pairs:
            try:
                indices = socket.if_nametoindex(entered), socket.if_nametoindex(left)
                for message in (_qdisc(indices[0]), _filter(*indices)):
                    kernel.send(message)
                    _raise_for(kernel.recv(65536))
            except OSError as error:
                raise DriverError(
                    _OP,
                    f"what enters {entered} cannot be led to {left}: {error.strerror or error}",
                    code="driver.network",
                    hint=_hint(error.errno),
                ) from error


def _qdisc(index: int) -> bytes:
    return _message(_NEW_QDISC, _REPLACE, (index, _CLSACT_HANDLE, _CLSACT, 0), _attribute(_KIND, b"clsact\0"))


def _filter(index: int, target: int) -> bytes:
    parameters = struct.pack("=IIiiiiI", 0, 0, _STOLEN, 0, 0, _EGRESS_REDIRECT, target)
    action = _attribute(_KIND, b"mirred\0") + _attribute(_OPTIONS, _attribute(_MIRRED_PARAMETERS, parameters))
    options = _attribute(_ACTIONS, _attribute(1, action)) + _attribute(_SELECTOR, _EVERY_FRAME)
    where = (index, _FILTER_HANDLE, _INGRESS, _FIRST_OF_ALL_PROTOCOLS)
    return _message(_NEW_FILTER, 0, where, _attribute(_KIND, b"u32\0") + _attribute(_OPTIONS, options))


def _message(kind: int, flags: int, where: tuple[int, int, int, int], attributes: bytes) -> bytes:
    body = struct.pack("=BxxxiIII", 0, *where) + attributes
    return _HEAD.pack(_HEAD.size + len(body), kind, _REQUEST | _ACKNOWLEDGE | _CREATE | flags, 1, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _raise_for(answer: bytes) -> None:
    if _HEAD.unpack_from(answer)[1] == _ERROR:
        (code,) = struct.unpack_from("=i", answer, _HEAD.size)
        if code:
            raise OSError(-code, os.strerror(-code))


def _hint(number: int | None) -> str:
    if number in (errno.EPERM, errno.EACCES):
        return "Networks need root (CAP_NET_ADMIN) on this machine."
    if number in (errno.ENOENT, errno.EOPNOTSUPP):
        return "The kernel needs sch_ingress, cls_u32 and act_mirred."
    return ""
