"""Which groups an address is in: by ports that come and go, on whatever network, and by ranges."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from novalite.drivers.network.base import PortSpec
from novalite.drivers.network.members import Members, spans


def _port(*addresses: str, groups: tuple[str, ...] = ("a",), pairs: tuple[str, ...] = ()) -> PortSpec:
    return PortSpec("p", "n", "fa:16:3e:00:00:01", addresses, groups=groups, pairs=tuple(("", pair) for pair in pairs))


def _groups(members: Members, address: str) -> frozenset[str]:
    parsed = ip_address(address)
    return members.groups(parsed.version, int(parsed))


def test_an_address_is_in_the_groups_of_all_its_ports() -> None:
    members = Members()
    one, two = _port("10.0.0.5", "fd00::5"), _port("10.0.0.5", groups=("a", "b"))
    for port in (one, two):
        members.enter(port)
    assert _groups(members, "10.0.0.5") == {"a", "b"}
    assert _groups(members, "fd00:0::5") == {"a"}
    members.leave(two)
    assert _groups(members, "10.0.0.5") == {"a"}
    members.leave(one)
    assert _groups(members, "10.0.0.5") == frozenset()
    assert members.of(["a", "b"]) == set()


def test_a_range_is_in_groups_and_so_are_addresses_inside() -> None:
    members = Members()
    members.enter(_port("10.0.0.5"))
    wide = _port(groups=("b",), pairs=("10.0.0.0/24",))
    narrow = _port(groups=("c",), pairs=("10.0.0.128/25", "10.0.0.200/32"))
    came = members.enter(wide) | members.enter(narrow)
    assert _groups(members, "10.0.0.5") == {"a", "b"}
    assert _groups(members, "10.0.0.200") == {"b", "c"}
    first, middle = int(ip_address("10.0.0.0")), int(ip_address("10.0.0.128"))
    assert members.segments(4) == [
        (first, middle - 1, frozenset({"b"})),
        (middle, first + 255, frozenset({"b", "c"})),
    ]
    assert {number for _, number, _ in members.within(came)} == {int(ip_address(a)) for a in ("10.0.0.5", "10.0.0.200")}
    members.leave(wide)
    assert _groups(members, "10.0.0.5") == {"a"}
    assert members.segments(4) == [(middle, first + 255, frozenset({"c"}))]


def test_a_port_without_groups_is_in_none() -> None:
    members = Members()
    assert members.enter(_port("10.0.0.5", groups=())) == set()
    assert _groups(members, "10.0.0.5") == frozenset()


_PAIRS = ["10.0.0.0/29", "10.0.0.0/26", "10.0.0.64/26", "10.0.0.0/24", "10.0.0.9/32"]
_PORTS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["10.0.0.1", "10.0.0.9", "10.0.0.64"]), max_size=2),
        st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True),
        st.lists(st.sampled_from(_PAIRS), max_size=2),
    ),
    max_size=6,
)


@given(_PORTS, st.integers(0, 6))
def test_counting_is_looking_at_every_port(wanted: list[tuple[list[str], list[str], list[str]]], gone: int) -> None:
    ports = [_port(*addresses, groups=tuple(groups), pairs=tuple(pairs)) for addresses, groups, pairs in wanted]
    members = Members()
    for port in ports:
        members.enter(port)
    for port in ports[:gone]:
        members.leave(port)
    left = ports[gone:]

    def truly(number: int, *, single: bool) -> set[str]:
        return {
            group
            for port in left
            for _, low, high in spans(port)
            if low <= number <= high and (single or low != high)
            for group in port.groups or ()
        }

    known = {low for port in left for _, low, high in spans(port) if low == high and port.groups}
    for number in known:
        assert members.groups(4, number) == truly(number, single=True)
    segments = members.segments(4)
    for number in range(int(ip_address("10.0.0.0")), int(ip_address("10.0.0.130"))):
        found = {group for low, high, groups in segments if low <= number <= high for group in groups}
        assert found == truly(number, single=False)
