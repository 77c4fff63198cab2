"""Rules of security groups as elements of packet filter sets that do not overlap, so that a packet is looked up
once however many rules there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise

from novalite.drivers.network.base import RuleSpec

_ICMP = 1
_WITH_PORTS = frozenset({6, 17, 33, 132, 136})
_EVERYWHERE = (0, 2**32 - 1)
Interval = tuple[int, int]
Elements = dict[str, frozenset[str]]
KINDS = {
    "any": "ipv4_addr",
    "proto": "ipv4_addr . inet_proto",
    "ports": "ipv4_addr . inet_proto . inet_service",
    "icmp": "ipv4_addr . icmp_type . icmp_code",
}
"""The sets that a list of rules needs, and the nftables type of each."""


def elements(rules: Iterable[RuleSpec], members: Callable[[str], Iterable[str]]) -> Elements:
    """The elements of each of ``KINDS``. ``members`` gives the addresses of a group's ports."""
    anything: list[Interval] = []
    protocols: dict[int, list[Interval]] = {}
    ranges: dict[tuple[str, int], list[tuple[Interval, Interval]]] = {}
    for rule in rules:
        remotes = _remotes(rule, members)
        if rule.protocol is None:
            anything += remotes
        elif rule.protocol in _WITH_PORTS:
            span = (0, 65535) if rule.low is None else (rule.low, rule.low if rule.high is None else rule.high)
            ranges.setdefault(("ports", rule.protocol), []).extend((remote, span) for remote in remotes)
        elif rule.protocol == _ICMP and rule.low is not None:
            span = (0, 255) if rule.high is None else (rule.high, rule.high)
            ranges.setdefault(("icmp", rule.low), []).extend((remote, span) for remote in remotes)
        else:
            protocols.setdefault(rule.protocol, []).extend(remotes)
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    found["any"] = [_addresses(part) for part in _disjoint(anything)]
    for number, spans in protocols.items():
        found["proto"] += [f"{_addresses(part)} . {number}" for part in _disjoint(spans)]
    for (kind, number), boxes in ranges.items():
        found[kind] += [f"{_addresses(part)} . {number} . {_numbers(span)}" for part, span in _disjoint_boxes(boxes)]
    return {kind: frozenset(items) for kind, items in found.items()}


def _remotes(rule: RuleSpec, members: Callable[[str], Iterable[str]]) -> list[Interval]:
    if rule.remote_group:
        return [(number, number) for number in map(_number, members(rule.remote_group))]
    if not rule.remote:
        return [_EVERYWHERE]
    network = IPv4Network(rule.remote, strict=False)
    return [(int(network[0]), int(network[-1]))]


def _number(address: str) -> int:
    return int(IPv4Address(address))


def _disjoint(intervals: Iterable[Interval]) -> list[Interval]:
    """The same numbers in intervals that do not meet; neighbours stay apart, so that one more is one element."""
    found: list[Interval] = []
    for low, high in sorted(set(intervals)):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def _disjoint_boxes(boxes: Iterable[tuple[Interval, Interval]]) -> list[tuple[Interval, Interval]]:
    """The same pairs (address, number) in boxes that do not meet: cut where any range of numbers begins or ends."""
    events: dict[int, Counter[Interval]] = {}
    for remote, (low, high) in set(boxes):
        events.setdefault(low, Counter())[remote] += 1
        events.setdefault(high + 1, Counter())[remote] -= 1
    active: Counter[Interval] = Counter()
    slices: list[tuple[list[Interval], Interval]] = []
    cuts = sorted(events)
    for low, after in pairwise(cuts):
        active.update(events[low])
        active = +active
        parts = _disjoint(active)
        if slices and slices[-1][0] == parts and slices[-1][1][1] == low - 1:
            slices[-1] = (parts, (slices[-1][1][0], after - 1))
        else:
            slices.append((parts, (low, after - 1)))
    return [(part, span) for parts, span in slices for part in parts]


def _addresses(interval: Interval) -> str:
    low, high = interval
    if interval == _EVERYWHERE:
        return "0.0.0.0/0"
    return str(IPv4Address(low)) if low == high else f"{IPv4Address(low)}-{IPv4Address(high)}"


def _numbers(interval: Interval) -> str:
    low, high = interval
    return str(low) if low == high else f"{low}-{high}"


def remote_groups(rules: Mapping[str, Iterable[RuleSpec]], group_ids: Iterable[str]) -> frozenset[str]:
    """The groups whose members matter to the rules of these groups."""
    return frozenset(rule.remote_group for id_ in group_ids for rule in rules.get(id_, ()) if rule.remote_group)
