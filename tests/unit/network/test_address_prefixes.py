"""Beginnings of addresses as ranges of numbers."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from novalite.cloud.network.addresses import ipv4_ranges


def _told(prefix: str) -> list[tuple[str, str]]:
    return [(str(IPv4Address(first)), str(IPv4Address(last))) for first, last in ipv4_ranges(prefix)]


@pytest.mark.parametrize(
    ("prefix", "ranges"),
    [
        ("10.1", [("10.1.0.0", "10.1.255.255"), ("10.10.0.0", "10.19.255.255"), ("10.100.0.0", "10.199.255.255")]),
        ("10.1.", [("10.1.0.0", "10.1.255.255")]),
        ("10.0.0.25", [("10.0.0.25", "10.0.0.25"), ("10.0.0.250", "10.0.0.255")]),
        ("", [("0.0.0.0", "255.255.255.255")]),
        ("9", [("9.0.0.0", "9.255.255.255"), ("90.0.0.0", "99.255.255.255")]),
        ("10.256.", []),
        ("fe80:", []),
        ("1.2.3.4.5", []),
        ("10.0.0.x", []),
    ],
)
def test_a_beginning_is_a_few_ranges(prefix: str, ranges: list[tuple[str, str]]) -> None:
    assert _told(prefix) == ranges


def test_the_ranges_hold_what_begins_so_and_nothing_else() -> None:
    for prefix in ("172.16.3", "192.168.1.2", "2"):
        ranges = ipv4_ranges(prefix)
        for number in (*range(0xAC100000, 0xAC110000, 7), *range(0xC0A80000, 0xC0A90000, 7)):
            inside = any(first <= number <= last for first, last in ranges)
            assert inside == str(IPv4Address(number)).startswith(prefix)
