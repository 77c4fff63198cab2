"""Rules as sets of elements that do not overlap: the same packets pass as by walking the rules."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from novalite.drivers.network.base import RuleSpec
from novalite.drivers.network.groups import elements

MEMBERS = {"friends": ["10.0.0.5", "10.0.0.6", "10.0.1.9"], "nobody": []}
_RULES = st.lists(
    st.builds(
        lambda protocol, span, remote, group: RuleSpec(
            True,
            protocol,
            span[0] if protocol in (1, 6) else None,
            span[1] if protocol in (1, 6) else None,
            "" if group else remote,
            group,
        ),
        st.sampled_from([None, 1, 6, 17, 47]),
        st.sampled_from([(None, None), (8, None), (22, 22), (20, 30), (25, 90), (8, 8)]),
        st.sampled_from(["", "10.0.0.0/30", "10.0.0.0/24", "10.0.0.6/32", "10.0.0.0/8"]),
        st.sampled_from(["", "friends", "nobody"]),
    ),
    max_size=8,
)
_PACKETS = [
    (source, protocol, low, high)
    for source in ("10.0.0.1", "10.0.0.5", "10.0.0.6", "10.0.1.9", "10.9.9.9", "192.0.2.1")
    for protocol, low, high in ((1, 8, 0), (1, 22, 22), (6, 22, 22), (6, 25, 25), (6, 91, 91), (17, 22, 22), (47, 0, 0))
]


def _walked(rules: list[RuleSpec], source: str, protocol: int, low: int, high: int) -> bool:
    """What Neutron says that such rules mean."""
    for rule in rules:
        remotes = MEMBERS[rule.remote_group] if rule.remote_group else [rule.remote or "0.0.0.0/0"]
        if not any(IPv4Address(source) in IPv4Network(remote) for remote in remotes):
            continue
        if rule.protocol not in (None, protocol):
            continue
        if rule.protocol is None or rule.low is None:
            return True
        last = rule.low if rule.high is None else rule.high
        if protocol == 1 and rule.low == low and rule.high in (None, high):
            return True
        if protocol == 6 and rule.low <= low <= last:
            return True
    return False


def _span(text: str) -> tuple[int, int]:
    if text == "0.0.0.0/0":
        return 0, 2**32 - 1
    low, _, high = text.partition("-")
    return tuple(int(IPv4Address(part)) if "." in part else int(part) for part in (low, high or low))  # type: ignore[return-value]


def _boxes(found: dict[str, frozenset[str]], kind: str) -> list[list[tuple[int, int]]]:
    return [[_span(part) for part in item.split(" . ")] for item in found[kind]]


def _looked_up(found: dict[str, frozenset[str]], source: str, protocol: int, low: int, high: int) -> bool:
    number = int(IPv4Address(source))
    wanted = {"any": [number], "proto": [number, protocol], "ports": [number, protocol, low]}
    if protocol == 1:
        wanted = {"any": [number], "proto": [number, protocol], "icmp": [number, low, high]}
    return any(
        all(first <= value <= last for value, (first, last) in zip(values, box, strict=True))
        for kind, values in wanted.items()
        for box in _boxes(found, kind)
    )


@given(_RULES)
def test_looking_up_is_walking(rules: list[RuleSpec]) -> None:
    found = elements(rules, lambda group_id: MEMBERS[group_id])
    for packet in _PACKETS:
        assert _looked_up(found, *packet) == _walked(rules, *packet), packet


@given(_RULES)
def test_no_two_elements_meet(rules: list[RuleSpec]) -> None:
    found = elements(rules, lambda group_id: MEMBERS[group_id])
    for kind in found:
        for one, two in combinations(_boxes(found, kind), 2):
            assert any(a[1] < b[0] or b[1] < a[0] for a, b in zip(one, two, strict=True)), (kind, one, two)


def test_a_member_more_is_an_element_more() -> None:
    rule = [RuleSpec(True, remote_group="all")]
    before = elements(rule, lambda _: ["10.0.0.5", "10.0.0.6"])["any"]
    after = elements(rule, lambda _: ["10.0.0.5", "10.0.0.6", "10.0.0.7"])["any"]
    assert after - before == {"10.0.0.7"}
    assert before < after
