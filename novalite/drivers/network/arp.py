"""Neighbours by ARP: tells them that an address is here now, and asks whether one answers."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

from novalite.clock import Deadline
from novalite.drivers.network import namespaces
from novalite.drivers.network.commands import run
from novalite.errors import DriverError

_ARP, _ETHERNET, _IPV4, _REQUEST, _ANSWER = 0x0806, 1, 0x0800, 1, 2
_GET_MAC = 0x8927
_AGAIN_SECONDS = 0.3


def frame(mac: str, sender: str, target: str, operation: int) -> bytes:
    """An ARP frame to everybody."""
    own = bytes.fromhex(mac.replace(":", ""))
    head = b"\xff" * 6 + own + struct.pack(">HHHBBH", _ARP, _ETHERNET, _IPV4, 6, 4, operation)
    asked = own if operation == _ANSWER else b"\x00" * 6
    return head + own + socket.inet_aton(sender) + asked + socket.inet_aton(target)


def answered_by(data: bytes) -> str:
    """The address that an ARP answer is about; empty for any other frame."""
    if len(data) < 42 or data[12:22] != struct.pack(">HHHBBH", _ARP, _ETHERNET, _IPV4, 6, 4, _ANSWER):
        return ""
    return socket.inet_ntoa(data[28:32])


def announce(namespace: str, link: str, mac: str, addresses: Iterable[str]) -> None:
    """Gratuitous ARP for each address, in both forms since some neighbours heed only one. A link that is gone is
    passed over: it is announced when it is back."""
    frames = [frame(mac, address, address, kind) for address in addresses for kind in (_REQUEST, _ANSWER)]
    if not frames:
        return

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as out:
            out.bind((link, 0))
            for data in frames:
                out.send(data)

    with suppress(OSError):
        namespaces.within(namespace, send)


def answers(link: str, address: str, seconds: float) -> bool:
    """Whether the neighbour answers on a link of the machine in time."""
    if ":" in address:
        return _answers_ping(link, address, seconds)
    deadline = Deadline(seconds)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(_ARP)) as asked:
        asked.bind((link, _ARP))
        question = frame(_mac(asked, link), _own_address(address), address, _REQUEST)
        while not deadline.passed:
            with suppress(OSError):  # the link may be on its way up
                asked.send(question)
            until = Deadline(min(_AGAIN_SECONDS, deadline.remaining))
            while not until.passed:
                asked.settimeout(max(until.remaining, 0.001))
                with suppress(OSError):
                    if answered_by(asked.recv(128)) == address:
                        return True
    return False


def _mac(asked: socket.socket, link: str) -> str:
    found = fcntl.ioctl(asked.fileno(), _GET_MAC, struct.pack("256s", link.encode()))
    return found[18:24].hex(":")


def _own_address(peer: str) -> str:
    """The address the machine would use towards the peer; 0.0.0.0 when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        try:
            out.connect((peer, 9))
        except OSError:
            return "0.0.0.0"  # noqa: S104 - says "nobody" in an ARP question
        return str(out.getsockname()[0])


def _answers_ping(link: str, address: str, seconds: float) -> bool:
    deadline = Deadline(seconds)
    while not deadline.passed:
        with suppress(DriverError):
            run("attach_lan", ["ping", "-6", "-n", "-c1", "-W1", "-I", link, address])
            return True
    return False
