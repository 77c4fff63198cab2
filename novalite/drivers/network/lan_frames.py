"""Reads from frames which address a guest has got from the LAN. Anybody on the LAN can send anything: what is not
exactly as it must be is passed over."""

from __future__ import annotations

import ipaddress
import struct

_IPV4, _IPV6, _UDP, _ICMPV6, _FRAGMENT = 0x0800, 0x86DD, 17, 58, 0x1FFF
_SERVER, _CLIENT = 67, 68
_COOKIE, _MESSAGE_TYPE, _ACK, _END, _PAD = b"\x63\x82\x53\x63", 53, 5, 255, 0
_FIXED = 236
_SOLICITATION = 135

FILTER: tuple[tuple[int, int, int, int], ...] = (
    (0x28, 0, 0, 12),  # Ethernet type
    (0x15, 0, 9, _IPV4),
    (0x30, 0, 0, 23),
    (0x15, 0, 12, _UDP),
    (0x28, 0, 0, 20),
    (0x45, 10, 0, _FRAGMENT),
    (0xB1, 0, 0, 14),
    (0x48, 0, 0, 14),  # source port
    (0x15, 8, 0, _SERVER),
    (0x15, 7, 0, _CLIENT),
    (0x06, 0, 0, 0),
    (0x15, 0, 4, _IPV6),
    (0x30, 0, 0, 20),
    (0x15, 0, 2, _ICMPV6),
    (0x30, 0, 0, 54),
    (0x15, 1, 0, _SOLICITATION),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 2048),
)
"""For the kernel (classic BPF): DHCP both ways, and neighbour solicitations."""


def requested(frame: bytes) -> tuple[str, bytes] | None:
    """(MAC, transaction) of a DHCP request that a guest sends; None for any other frame."""
    data = _bootp(frame, _CLIENT, _SERVER, b"\x01\x01\x06")
    if data is None or frame[6:12] != data[28:34]:
        return None
    return data[28:34].hex(":"), data[4:8]


def acknowledged(frame: bytes) -> tuple[str, bytes, str] | None:
    """(MAC, transaction, IPv4 address) that a DHCP server on the LAN gives; None for any other frame."""
    data = _bootp(frame, _SERVER, _CLIENT, b"\x02\x01\x06")
    if data is None or _option(data[_FIXED + 4 :], _MESSAGE_TYPE) != bytes([_ACK]):
        return None
    address = ipaddress.IPv4Address(data[16:20])
    if address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local:
        return None
    return data[28:34].hex(":"), data[4:8], str(address)


def _bootp(frame: bytes, source: int, target: int, beginning: bytes) -> bytes | None:
    """What such a datagram holds, when it is one and long enough."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00" or frame[14] >> 4 != 4 or frame[23] != _UDP:
        return None
    start = 14 + (frame[14] & 15) * 4
    if struct.unpack_from(">H", frame, 20)[0] & _FRAGMENT or start < 34 or len(frame) < start + 8:
        return None
    ports_and_length = struct.unpack_from(">HHH", frame, start)
    if ports_and_length[:2] != (source, target) or len(frame) < start + ports_and_length[2]:
        return None
    data = frame[start + 8 : start + ports_and_length[2]]
    if len(data) < _FIXED + 4 or data[:3] != beginning or data[_FIXED : _FIXED + 4] != _COOKIE:
        return None
    return data


def _option(data: bytes, wanted: int) -> bytes:
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            return b""
        if data[at] == wanted:
            return data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return b""


def claimed(frame: bytes) -> tuple[str, str] | None:
    """(MAC, IPv6 address) that a guest asks about before it takes it; None for any other frame."""
    if len(frame) < 78 or frame[12:14] != b"\x86\xdd" or frame[20] != _ICMPV6 or frame[54] != _SOLICITATION:
        return None
    if frame[21] != 255 or any(frame[22:38]):  # from afar, or by one that has an address
        return None
    address = ipaddress.IPv6Address(frame[62:78])
    if address.is_link_local or address.is_multicast or address.is_loopback or address.is_unspecified:
        return None
    return frame[6:12].hex(":"), str(address)
