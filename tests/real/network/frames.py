"""Frames as bytes, to send what no honest guest would, and sockets that send and see them."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from novalite.clock import Deadline
from novalite.drivers.network import namespaces

BROADCAST, ALL_NODES_MAC = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"
ALL_NODES, ALL_ROUTERS, ALL_SERVERS = "ff02::1", "ff02::2", "ff02::1:2"
UDP, ICMP, ICMP6 = 17, 1, 58
_ETH_P_ALL = 3


def link_local(mac: str) -> str:
    first, *rest = (int(part, 16) for part in mac.split(":"))
    octets = bytes([first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]])
    return str(ip_address(b"\xfe\x80" + bytes(6) + octets))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _ip(text: str) -> bytes:
    return ip_address(text).packed


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ether(source: str, target: str, type_: int, payload: bytes) -> bytes:
    return (_mac(target) + _mac(source) + struct.pack("!H", type_) + payload).ljust(60, b"\0")


def tagged(frame: bytes, vlan: int = 5, type_: int = 0x8100) -> bytes:
    """The same frame in a VLAN."""
    return frame[:12] + struct.pack("!HH", type_, vlan) + frame[12:]


def bare(frame: bytes) -> bytes:
    """Without a tag, which sockets do not show, and without the padding, which the kernel takes off."""
    return (frame[:12] + frame[16:] if frame[12:14] in (b"\x81\x00", b"\x88\xa8") else frame).rstrip(b"\0")


def arp(source: str, sender: tuple[str, str], target: str, *, operation: int = 1, to: str = BROADCAST) -> bytes:
    """``sender`` is the MAC and the address that it tells; ``source`` the MAC that the frame has."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + _mac(sender[0]) + _ip(sender[1])
    return ether(source, to, 0x0806, body + (bytes(6) if operation == 1 else _mac(to)) + _ip(target))


def ip(source: str, target: str, protocol: int, payload: bytes, *, fragment: int = 0, id_: int = 7) -> bytes:
    """A packet of the addresses' version. ``fragment`` is IPv4's field of flags and offset."""
    if ":" in source:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255) + _ip(source) + _ip(target) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), id_, fragment, 64, protocol, 0)
    head += _ip(source) + _ip(target)
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + payload


def ip_frame(mac: str, to: str, packet: bytes) -> bytes:
    return ether(mac, to, 0x86DD if packet[0] >> 4 == 6 else 0x0800, packet)


def udp(source: str, target: str, ports: tuple[int, int], data: bytes = b"hello") -> bytes:
    head = struct.pack("!HHHH", *ports, 8 + len(data), 0)
    pseudo = _ip(source) + _ip(target) + struct.pack("!II", 8 + len(data), UDP)
    return head[:6] + struct.pack("!H", _sum(pseudo + head + data) or 0xFFFF) + data


def icmp(type_: int, code: int = 0, body: bytes = bytes(4)) -> bytes:
    head = struct.pack("!BBH", type_, code, 0)
    return head[:2] + struct.pack("!H", _sum(head + body)) + body


def icmp6(source: str, target: str, type_: int, body: bytes = bytes(4)) -> bytes:
    head = struct.pack("!BBH", type_, 0, 0)
    pseudo = _ip(source) + _ip(target) + struct.pack("!II", 4 + len(body), ICMP6)
    return head[:2] + struct.pack("!H", _sum(pseudo + head + body)) + body


def neighbour(target: str, mac: str = "", *, solicit: bool = False) -> bytes:
    """Body of a solicitation or an advertisement."""
    flags, option = (0, 1) if solicit else (0xA0000000, 2)
    return struct.pack("!I", flags) + _ip(target) + (bytes([option, 1]) + _mac(mac) if mac else b"")


def packet6(mac: str, source: str, target: str, type_: int, body: bytes = bytes(4), to: str = ALL_NODES_MAC) -> bytes:
    """A frame with an ICMPv6 message."""
    return ip_frame(mac, to, ip(source, target, ICMP6, icmp6(source, target, type_, body)))


def fragments6(packet: bytes, first: int) -> list[bytes]:
    """An IPv6 packet in two fragments, ``first`` octets (a multiple of 8) in the first one."""
    head, next_, payload = packet[:40], packet[6], packet[40:]
    found = []
    for offset, part, more in ((0, payload[:first], 1), (first, payload[first:], 0)):
        if part:
            extension = struct.pack("!BBHI", next_, 0, offset | (more if payload[first:] else 0), 99)
            size = struct.pack("!H", len(extension) + len(part))
            found.append(head[:4] + size + b"\x2c" + head[7:] + extension + part)
    return found


@contextmanager
def wire(namespace: str, card: str = "eth0") -> Iterator[socket.socket]:
    """A socket that sends frames as they are, and gets all that come in."""

    def act() -> socket.socket:
        found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        found.bind((card, _ETH_P_ALL))
        return found

    with namespaces.within(namespace, act) as found:
        yield found


@contextmanager
def in_order() -> Iterator[None]:
    """Frames that this thread sends inside arrive in the order they are sent."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def until(catcher: socket.socket, marker: bytes) -> list[bytes]:
    """What came in before the marker; it must come within ten seconds."""
    found, deadline = [], Deadline(10)
    while not deadline.passed:
        catcher.settimeout(max(deadline.remaining, 0.01))
        data, (_, _, kind, *_) = catcher.recvfrom(65535)
        if kind == socket.PACKET_OUTGOING:
            continue
        if data == marker:
            return found
        found.append(data)
    raise AssertionError("the marker did not arrive")


def holds(catcher: socket.socket, text: bytes, *, seconds: float) -> bool:
    """Whether a frame with the text comes in within the time."""
    deadline = Deadline(seconds)
    while not deadline.passed:
        catcher.settimeout(max(deadline.remaining, 0.01))
        try:
            data, (_, _, kind, *_) = catcher.recvfrom(65535)
        except TimeoutError:
            return False
        if text in data and kind != socket.PACKET_OUTGOING:
            return True
    return False
