"""Rules as sets of elements that do not overlap: the same packets pass as by walking the rules."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novalite.drivers.network.base import RuleSpec
from novalite.drivers.network.groups import EVERYTHING, Elements, elements, parted, remote_groups

LABELS = {"friends": [1, 3], "others": [2, 3], "nobody": []}
LABEL_OF = {"10.0.0.5": 1, "10.0.0.6": 2, "10.0.1.9": 3, "fd00::5": 1, "fd00::6": 2, "fd00:1::9": 3}
RANGES = {
    4: ["10.0.0.0/30", "10.0.0.0/24", "10.0.0.6/32", "10.0.0.0/8", "0.0.0.0/0"],
    6: ["fd00::/126", "fd00::/64", "fd00::6/128", "fd00::/16", "::/0"],
}
SOURCES = {
    4: ["10.0.0.1", "10.0.0.5", "10.0.0.6", "10.0.1.9", "10.9.9.9", "192.0.2.1"],
    6: ["fd00::1", "fd00::5", "fd00::6", "fd00:1::9", "fd00:9::9", "2001:db8::1"],
}
ICMP = {4: 1, 6: 58}


def _rule(version: int, protocol: int | None, span: tuple[int | None, int | None], whom: object) -> RuleSpec:
    low, high = span if protocol in (1, 6, 58) else (None, None)
    remotes, group, nobody = (), "", False
    if isinstance(whom, str):
        group = whom
    elif whom is None:
        nobody = True
    else:
        remotes = tuple(RANGES[version][index] for index in whom)  # type: ignore[attr-defined]
    return RuleSpec(True, version, protocol, low, high, remotes, group, nobody)


_RULES = st.lists(
    st.builds(
        _rule,
        st.sampled_from([4, 6]),
        st.sampled_from([None, 1, 6, 17, 47, 58]),
        st.sampled_from([(None, None), (8, None), (22, 22), (20, 30), (25, 90), (8, 8)]),
        st.one_of(
            st.sampled_from(["friends", "others", "nobody"]),
            st.none(),
            st.just(()),
            st.lists(st.integers(0, 4), max_size=3).map(tuple),
        ),
    ),
    max_size=8,
)
_PACKETS = [
    (source, ICMP[version] if protocol == 1 else protocol, low, high)
    for version in (4, 6)
    for source in SOURCES[version]
    for protocol, low, high in ((1, 8, 0), (1, 22, 22), (6, 22, 22), (6, 25, 25), (6, 91, 91), (17, 22, 22), (47, 0, 0))
]


def _found(rules: list[RuleSpec], version: int) -> Elements:
    return elements(rules, version, lambda group_id: LABELS[group_id])


def _from(rule: RuleSpec, source: str) -> bool:
    if rule.remote_group:
        return LABEL_OF.get(source) in LABELS[rule.remote_group]
    if not rule.remotes:
        return not rule.nobody
    return any(ip_address(source) in ip_network(remote) for remote in rule.remotes)


def _walked(rules: list[RuleSpec], source: str, protocol: int, low: int, high: int) -> bool:
    """What Neutron says that such rules mean."""
    version = ip_address(source).version
    for rule in rules:
        wanted = ICMP[version] if rule.protocol in (1, 58) else rule.protocol
        if rule.version != version or not _from(rule, source) or wanted not in (None, protocol):
            continue
        if wanted is None or rule.low is None:
            return True
        last = rule.low if rule.high is None else rule.high
        if protocol == ICMP[version] and rule.low == low and rule.high in (None, high):
            return True
        if protocol == 6 and rule.low <= low <= last:
            return True
    return False


def _span(text: str) -> tuple[int, int]:
    if "/" in text:
        network = ip_network(text)
        return int(network[0]), int(network[-1])
    low, _, high = text.partition("-")
    first, last = (int(part) if part.isdecimal() else int(ip_address(part)) for part in (low, high or low))
    return first, last


def _boxes(found: Elements, name: str) -> list[list[tuple[int, int]]]:
    return [[_span(part) for part in item.split(" . ")] for item in found.get(name, ())]


def _looked_up(found: Elements, source: str, protocol: int, low: int, high: int) -> bool:
    """What the chains do: by nothing, by the label of the remote address, by the address."""
    if EVERYTHING in found:
        return True
    is_icmp = protocol in ICMP.values()
    packet = {"proto": [protocol]} | ({"icmp": [low, high]} if is_icmp else {"ports": [protocol, low]})
    whom = {"all": [], "label": [LABEL_OF.get(source, 0)], "address": [int(ip_address(source))]}
    return any(
        all(first <= value <= last for value, (first, last) in zip([*before, *values], box, strict=True))
        for name in found
        for who, kind in [parted(name)]
        if kind in packet
        for before, values in [(whom[who], packet[kind])]
        for box in _boxes(found, name)
    )


@given(_RULES)
def test_looking_up_is_walking(rules: list[RuleSpec]) -> None:
    found = {version: _found(rules, version) for version in (4, 6)}
    for packet in _PACKETS:
        version = ip_address(packet[0]).version
        assert _looked_up(found[version], *packet) == _walked(rules, *packet), packet


@given(_RULES)
def test_no_two_elements_meet(rules: list[RuleSpec]) -> None:
    for version in (4, 6):
        found = _found(rules, version)
        for name in found.keys() - {EVERYTHING}:
            assert found[name], "a set without elements is left out"
            for one, two in combinations(_boxes(found, name), 2):
                assert any(a[1] < b[0] or b[1] < a[0] for a, b in zip(one, two, strict=True)), (name, one, two)


def test_a_rule_for_members_is_an_element_for_each_label() -> None:
    found = _found([RuleSpec(True, protocol=6, low=22, high=22, remote_group="friends")], 4)
    assert found == {"label_ports": {"1 . 6 . 22", "3 . 6 . 22"}}


def test_a_rule_that_lets_everything_through_is_no_set() -> None:
    assert _found([RuleSpec(True), RuleSpec(True, protocol=6, low=22)], 4) == {EVERYTHING: frozenset()}
    assert _found([RuleSpec(True, remotes=("0.0.0.0/0",))], 4) == {EVERYTHING: frozenset()}
    assert _found([RuleSpec(True, 6, remotes=("::/0",))], 6) == {EVERYTHING: frozenset()}
    assert _found([RuleSpec(True)], 6) == {}


@pytest.mark.parametrize(("version", "protocol", "number"), [(4, 1, 1), (4, 58, 1), (6, 1, 58), (6, 58, 58)])
def test_icmp_is_that_of_the_version(version: int, protocol: int, number: int) -> None:
    assert _found([RuleSpec(True, version, protocol)], version) == {"all_proto": {str(number)}}
    assert _found([RuleSpec(True, version, protocol, 8)], version) == {"all_icmp": {"8 . 0-255"}}


@pytest.mark.parametrize("protocol", [6, 17, 33, 132, 136])
def test_protocols_with_ports(protocol: int) -> None:
    found = _found([RuleSpec(True, 4, protocol, 1, 9, remotes=("10.0.0.7/24",))], 4)
    assert found == {"address_ports": {f"10.0.0.0-10.0.0.255 . {protocol} . 1-9"}}


def test_ten_thousand_rules_are_as_many_elements() -> None:
    rules = [RuleSpec(True, 4, 6, 2 * number, 2 * number) for number in range(10_000)]
    assert len(_found(rules, 4)["all_ports"]) == 10_000


def test_rules_that_cross_are_not_cut_to_pieces() -> None:
    wide = [RuleSpec(True, 4, 6, 2 * number, 2 * number, remotes=("10.0.0.0/8",)) for number in range(2000)]
    tall = [
        RuleSpec(True, 4, 6, 1, 65535, remotes=(f"10.1.{number // 250}.{number % 250}/32",)) for number in range(2000)
    ]
    found = _found([*wide, *tall, RuleSpec(True, 4, 6, 9, 9, remotes=("11.0.0.0/8",))], 4)
    assert {name: len(items) for name, items in found.items()} == {"address_ports": 2001, "address1_ports": 2000}


def test_a_rule_more_is_an_element_more() -> None:
    rules = [RuleSpec(True, 4, 6, port, port) for port in (22, 23, 25)]
    assert _found(rules, 4)["all_ports"] == {"6 . 22", "6 . 23", "6 . 25"}
    few, more = _found(rules[:2], 4)["all_ports"], _found(rules, 4)["all_ports"]
    assert more - few == {"6 . 25"}


def test_groups_that_rules_name() -> None:
    rules = [RuleSpec(True, remote_group="friends"), RuleSpec(False, 6, remote_group="others"), RuleSpec(True)]
    assert remote_groups(rules) == {"friends", "others"}
