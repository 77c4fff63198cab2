"""Tells neighbours that an IPv4 address is here now, by gratuitous ARP."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

from novalite.drivers.network import namespaces

_ARP, _ETHERNET, _IPV4, _REQUEST, _ANSWER = 0x0806, 1, 0x0800, 1, 2


def frame(mac: str, address: str, operation: int) -> bytes:
    """An ARP frame to everybody in which the address asks for, or tells, itself."""
    own, ip = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(address)
    head = b"\xff" * 6 + own + struct.pack(">HHHBBH", _ARP, _ETHERNET, _IPV4, 6, 4, operation)
    target = b"\x00" * 6 if operation == _REQUEST else own
    return head + own + ip + target + ip


def announce(namespace: str, link: str, mac: str, addresses: Iterable[str]) -> None:
    """Both forms for each address, since some neighbours heed only one. A link that is gone is passed over: it is
    announced when it is back."""
    frames = [frame(mac, address, kind) for address in addresses for kind in (_REQUEST, _ANSWER)]
    if not frames:
        return

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as out:
            out.bind((link, 0))
            for data in frames:
                out.send(data)

    with suppress(OSError):
        namespaces.within(namespace, send)
