"""What ranges, gateways and pools may be; addresses that follow from MACs."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from novalite.cloud.network import ranges
from novalite.errors import Conflict, Invalid


@pytest.mark.parametrize(
    ("cidr", "gateway", "pools"),
    [
        ("10.0.0.0/24", "10.0.0.1", ["10.0.0.2-10.0.0.254"]),
        ("10.0.0.0/30", "10.0.0.1", ["10.0.0.2-10.0.0.2"]),
        ("10.0.0.0/31", "10.0.0.0", ["10.0.0.1-10.0.0.1"]),
        ("10.0.0.0/32", "10.0.0.0", []),
        ("fd00::/64", "fd00::1", ["fd00::2-fd00::ffff:ffff:ffff:ffff"]),
        ("fd00::/126", "fd00::1", ["fd00::2-fd00::3"]),
    ],
)
def test_the_first_address_is_the_gateway_and_guests_get_the_rest(cidr: str, gateway: str, pools: list[str]) -> None:
    range_ = ranges.parse(cidr)
    found = ranges.gateway(range_, "")
    assert str(found) == gateway
    assert [f"{first}-{last}" for first, last in ranges.pools(range_, found, None)] == pools


def test_a_gateway_in_the_middle_parts_the_pool() -> None:
    range_ = ranges.parse("10.0.0.0/29")
    assert [(str(a), str(b)) for a, b in ranges.pools(range_, ranges.gateway(range_, "10.0.0.3"), None)] == [
        ("10.0.0.1", "10.0.0.2"),
        ("10.0.0.4", "10.0.0.6"),
    ]
    assert len(ranges.pools(range_, None, None)) == 1


def test_pools_asked_for_are_sorted() -> None:
    range_ = ranges.parse("10.0.0.0/24")
    wanted = [("10.0.0.100", "10.0.0.120"), ("10.0.0.10", "10.0.0.20")]
    assert [str(first) for first, _ in ranges.pools(range_, None, wanted)] == ["10.0.0.10", "10.0.0.100"]


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ([("10.0.0.9", "10.0.0.3")], Invalid, "is not valid"),
        ([("10.0.0.9", "10.0.0.255")], Invalid, "spans beyond the subnet cidr"),
        ([("fd00::1", "fd00::2")], Invalid, "does not match the ip_version"),
        ([("10.0.0.2", "10.0.0.9"), ("10.0.0.9", "10.0.0.12")], Conflict, "Found overlapping allocation pools"),
        ([("10.0.0.1", "10.0.0.9")], Conflict, "Gateway ip 10.0.0.1 conflicts with allocation pool 10.0.0.1-10.0.0.9"),
    ],
)
def test_pools_that_cannot_be_are_refused(wanted: list[tuple[str, str]], error: type[Exception], words: str) -> None:
    range_ = ranges.parse("10.0.0.0/24")
    with pytest.raises(error, match=words):
        ranges.pools(range_, ranges.gateway(range_, ""), wanted)


@pytest.mark.parametrize("gateway", ["10.1.0.1", "10.0.0.0", "10.0.0.255", "fd00::1", "nonsense"])
def test_a_gateway_outside_is_refused(gateway: str) -> None:
    with pytest.raises(Invalid):
        ranges.gateway(ranges.parse("10.0.0.0/24"), gateway)


def test_a_router_may_be_known_by_its_link_local_address() -> None:
    assert str(ranges.gateway(ranges.parse("fd00::/64"), "fe80::1")) == "fe80::1"


@pytest.mark.parametrize("cidr", ["10.0.0.1/24", "10.0.0.0", "fd00::1/64", "10.0.0.0/33", "x", "", "10.0.0.0/0"])
def test_what_is_no_range_is_refused(cidr: str) -> None:
    with pytest.raises(Invalid):
        ranges.parse(cidr)


def test_a_range_may_be_written_long() -> None:
    assert ranges.parse("FD00:0:0:0::/64") == ip_network("fd00::/64")


def test_guests_make_the_address_that_rfc_4291_tells() -> None:
    assert ranges.of_mac("2001:db8::/64", "fa:16:3e:01:02:03") == "2001:db8::f816:3eff:fe01:203"
