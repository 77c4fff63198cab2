"""Frames of the LAN, which anybody may send, and the lines that move addresses."""

from __future__ import annotations

import json
import random
import socket
import struct
from pathlib import Path

import pytest

from novalite.drivers.network import arp, lan_frames, lan_watchdog
from novalite.drivers.network.lan_moves import Holding, holding, to_bridge, to_interface

MAC = "fa:16:3e:01:02:03"
RAW_MAC = bytes.fromhex(MAC.replace(":", ""))


def dhcp(*, answer: bool, address: str = "203.0.113.7", kind: int = 5, options: bytes | None = None) -> bytes:
    source, target = (67, 68) if answer else (68, 67)
    told = options if options is not None else bytes([0, 1, 1, 9, 53, 1, kind, 255])
    data = bytes([2 if answer else 1, 1, 6, 0]) + b"abcd" + bytes(8) + socket.inet_aton(address) + bytes(8) + RAW_MAC
    data = data + bytes(236 - len(data)) + b"\x63\x82\x53\x63" + told
    udp = struct.pack(">HHHH", source, target, len(data) + 8, 0) + data
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + bytes(8)
    sender = b"\x02" * 6 if answer else RAW_MAC
    return b"\xff" * 6 + sender + b"\x08\x00" + head + udp


def solicitation(target: str = "2001:db8::5", source: bytes = bytes(16), hops: int = 255) -> bytes:
    body = struct.pack(">BBHI", 135, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, target)
    head = struct.pack(">IHBB", 0x60000000, len(body), 58, hops) + source + bytes(16)
    return b"\x33" * 6 + RAW_MAC + b"\x86\xdd" + head + body


def test_an_answer_and_its_question_are_told_by_transaction() -> None:
    assert lan_frames.requested(dhcp(answer=False)) == (MAC, b"abcd")
    assert lan_frames.acknowledged(dhcp(answer=True)) == (MAC, b"abcd", "203.0.113.7")
    assert lan_frames.requested(dhcp(answer=True)) is None
    assert lan_frames.acknowledged(dhcp(answer=False)) is None


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "169.254.1.1"])
def test_no_guest_gets_such_an_address(address: str) -> None:
    assert lan_frames.acknowledged(dhcp(answer=True, address=address)) is None


@pytest.mark.parametrize(
    "options", [b"", b"\x35", b"\x35\x05\x05", b"\x35\x01\x02\xff", b"\xff\x35\x01\x05", bytes(300)]
)
def test_only_an_acknowledgement_counts(options: bytes) -> None:
    assert lan_frames.acknowledged(dhcp(answer=True, options=options)) is None


def test_a_request_in_anothers_name_is_none() -> None:
    frame = dhcp(answer=False)
    assert lan_frames.requested(frame[:6] + b"\x02" * 6 + frame[12:]) is None


def test_a_guest_claims_an_address_before_it_has_it() -> None:
    assert lan_frames.claimed(solicitation()) == (MAC, "2001:db8::5")
    assert lan_frames.claimed(solicitation("fe80::5")) is None
    assert lan_frames.claimed(solicitation("ff02::1")) is None
    assert lan_frames.claimed(solicitation(source=b"\x01" * 16)) is None
    assert lan_frames.claimed(solicitation(hops=64)) is None


def test_whatever_comes_nothing_breaks() -> None:
    dice = random.Random(7)
    readers = (lan_frames.acknowledged, lan_frames.requested, lan_frames.claimed, arp.answered_by)
    good = [dhcp(answer=True), dhcp(answer=False), solicitation(), arp.frame(MAC, "10.0.0.1", "10.0.0.2", 2)]
    for round_ in range(3000):
        frame = bytearray(good[round_ % 4])
        for _ in range(dice.randrange(4)):
            frame[dice.randrange(len(frame))] = dice.randrange(256)
        cut = bytes(frame[: dice.randrange(len(frame) + 1)])
        for reader in readers:
            reader(bytes(frame))
            reader(cut)


def test_arp_frames_are_read_back() -> None:
    assert arp.answered_by(arp.frame(MAC, "10.0.0.1", "10.0.0.2", 2)) == "10.0.0.1"
    assert arp.answered_by(arp.frame(MAC, "10.0.0.1", "10.0.0.2", 1)) == ""


_LINK = {
    "address": "02:00:00:00:00:01",
    "mtu": 1500,
    "addr_info": [
        {"family": "inet", "local": "10.0.0.5", "prefixlen": 24, "broadcast": "10.0.0.255", "scope": "global"},
        {"family": "inet", "local": "10.0.0.6", "prefixlen": 24, "scope": "global", "noprefixroute": True},
        {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"},
        {"family": "inet6", "local": "2001:db8::5", "prefixlen": 64, "scope": "global", "valid_life_time": 600,
         "preferred_life_time": 300},
    ],
}  # fmt: skip
_ROUTES = [
    {"dst": "default", "gateway": "10.0.0.1", "protocol": "dhcp", "metric": 100, "flags": []},
    {"dst": "10.0.0.0/24", "protocol": "kernel", "scope": "link", "prefsrc": "10.0.0.5", "flags": []},
    {"type": "local", "dst": "10.0.0.5", "table": "local", "flags": []},
    {"dst": "fe80::/64", "protocol": "kernel", "metric": 256, "flags": [], "pref": "medium"},
    {"dst": "default", "gateway": "fe80::9", "protocol": "ra", "metric": 1024, "expires": 1700, "flags": ["onlink"]},
]


def test_all_but_link_local_moves_with_what_belongs_to_it() -> None:
    held = holding(_LINK, _ROUTES)
    assert held == Holding(
        "02:00:00:00:00:01",
        1500,
        (
            "10.0.0.5/24 brd 10.0.0.255 scope global",
            "10.0.0.6/24 scope global noprefixroute",
            "2001:db8::5/64 nodad valid_lft 600 preferred_lft 300 scope global",
        ),
        ("10.0.0.5/24", "10.0.0.6/24", "2001:db8::5/64"),
        (
            "10.0.0.0/24 proto kernel scope link src 10.0.0.5",
            "0.0.0.0/0 via 10.0.0.1 proto dhcp metric 100",
            "::/0 via fe80::9 proto ra metric 1024 expires 1700 onlink",
        ),
        "10.0.0.1",
    )


def test_addresses_are_taken_last_first_and_given_before_routes() -> None:
    held = Holding("02:00:00:00:00:01", 1500, ("a x", "b x"), ("a", "b"), ("r1", "r2"), "g")
    assert to_bridge(held, "eth0", "br") == [
        "route del r2 dev eth0",
        "route del r1 dev eth0",
        "addr del b dev eth0",
        "addr del a dev eth0",
        "link set dev eth0 master br up",
        "link set dev br address 02:00:00:00:00:01 up",
        "addr replace a x dev br",
        "addr replace b x dev br",
        "route replace r1 dev br",
        "route replace r2 dev br",
    ]
    assert to_interface(held, "eth0", "br")[:2] == ["link set dev eth0 nomaster", "link del dev br"]


def test_a_journal_is_carried_out_once_and_a_torn_one_is_thrown_away(tmp_path: Path) -> None:
    journal = tmp_path / "lan-x.json"
    assert not lan_watchdog.undo(journal)
    journal.write_text('{"undo": ["addr')
    assert not lan_watchdog.undo(journal)
    assert not journal.exists()
    journal.write_text(json.dumps({"undo": ["link show dev nothing-like-this"]}))
    assert lan_watchdog.undo(journal)
    assert not lan_watchdog.undo(journal)
