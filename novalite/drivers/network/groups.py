"""Rules of security groups as elements of packet filter sets that do not overlap, so that a packet is looked up
a few times however many rules there are.

Remotes are of three sorts, each with sets of its own: everybody; ranges of addresses; and members of groups. Members
stand for the number ("label") of the combination of groups they are in, which other maps tell of an address: so a
member more is one element, whatever the rules are, and a rule is one element, however many the members. Ranges that
lie in others are in sets of their own by how deep they lie: so no rule is cut to pieces by others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network

from novalite.drivers.network.base import RuleSpec

_ICMP = {4: 1, 6: 58}
_WITH_PORTS = frozenset({6, 17, 33, 132, 136})
_LAST = {4: 2**32 - 1, 6: 2**128 - 1}
_REMEMBERED = 1 << 16  # texts of addresses, so that a rule more among thousands costs little
_ALL_PROTOCOLS, _NO_REMOTE = (0, 255), (0, 0)
Interval = tuple[int, int]
Elements = Mapping[str, frozenset[str]]

EVERYTHING = "everything"
"""Stands among the elements for a rule that lets all through; it is no set."""


def elements(rules: Iterable[RuleSpec], version: int, labels: Callable[[str], Iterable[int]]) -> Elements:
    """The elements of sets, by names like ``all_proto``, ``label_ports``, ``address_icmp``, ``address1_icmp`` (see
    ``parted``), for rules of one direction and IP version; sets without any are left out. ``labels`` gives those of
    the combinations that a group is in."""
    spans: dict[tuple[str, str], dict[tuple[Interval, int], list[Interval]]] = {}
    for rule in rules:
        if rule.version != version:
            continue
        kind, number, span = _packets(rule)
        for whom, remote in _remotes(rule, labels):
            spans.setdefault((whom, kind), {}).setdefault((remote, number), []).append(span)
    if _ALL_PROTOCOLS in spans.get(("all", "proto"), {}).get((_NO_REMOTE, 0), ()):
        return {EVERYTHING: frozenset()}
    found: dict[str, set[str]] = {}
    for (whom, kind), by_remote in spans.items():
        depths = _depths(remote for remote, _ in by_remote) if whom == "address" else {}
        for (remote, number), some in by_remote.items():
            depth = depths.get(remote, 0)
            before = [*_whom(whom, remote, version), *([] if kind == "proto" else [str(number)])]
            found.setdefault(f"{whom}{depth or ''}_{kind}", set()).update(
                " . ".join([*before, numbers(span)]) for span in disjoint(some)
            )
    return {name: frozenset(items) for name, items in found.items()}


def parted(name: str) -> tuple[str, str]:
    """Of whom a set tells ("all", "label" or "address") and what of their packets ("proto", "ports" or "icmp")."""
    whom, _, kind = name.partition("_")
    return whom.rstrip("0123456789"), kind


def _packets(rule: RuleSpec) -> tuple[str, int, Interval]:
    """Kind of set, number that stands in its middle, and range of numbers at its end."""
    protocol = rule.protocol
    if protocol is None:
        return "proto", 0, _ALL_PROTOCOLS
    if protocol in _ICMP.values():
        protocol = _ICMP[rule.version]
    if rule.low is not None and protocol in _WITH_PORTS:
        return "ports", protocol, (rule.low, rule.low if rule.high is None else rule.high)
    if rule.low is not None and protocol == _ICMP[rule.version]:
        return "icmp", rule.low, (0, 255) if rule.high is None else (rule.high, rule.high)
    return "proto", 0, (protocol, protocol)


def _remotes(rule: RuleSpec, labels: Callable[[str], Iterable[int]]) -> list[tuple[str, Interval]]:
    if rule.remote_group:
        return [("label", (label, label)) for label in labels(rule.remote_group)]
    if rule.nobody or not rule.remotes:
        return [] if rule.nobody else [("all", _NO_REMOTE)]
    found: list[tuple[str, Interval]] = []
    for remote in rule.remotes:
        version, span = _range(remote)
        if version == rule.version:
            found.append(("all", _NO_REMOTE) if span == (0, _LAST[version]) else ("address", span))
    return found


@lru_cache(_REMEMBERED)
def _range(remote: str) -> tuple[int, Interval]:
    network = ip_network(remote, strict=False)
    return network.version, (int(network.network_address), int(network.broadcast_address))


def _whom(whom: str, interval: Interval, version: int) -> list[str]:
    if whom == "all":
        return []
    return [addresses(interval, version) if whom == "address" else numbers(interval)]


def disjoint(intervals: Iterable[Interval]) -> list[Interval]:
    """The same numbers in intervals that do not meet; neighbours stay apart, so that one more is one element."""
    found: list[Interval] = []
    for low, high in sorted(set(intervals)):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def _depths(ranges: Iterable[Interval]) -> dict[Interval, int]:
    """In how many of the others each lies; two either lie one in the other or do not meet."""
    found: dict[Interval, int] = {}
    around: list[int] = []
    for low, high in sorted(set(ranges), key=lambda span: (span[0], -span[1])):
        while around and around[-1] < low:
            around.pop()
        found[low, high] = len(around)
        around.append(high)
    return found


@lru_cache(_REMEMBERED)
def addresses(interval: Interval, version: int) -> str:
    """As nftables writes it: one address, or first and last."""
    low, high = interval
    if interval == (0, _LAST[version]):
        return "0.0.0.0/0" if version == 4 else "::/0"
    first = _address(low, version)
    return first if low == high else f"{first}-{_address(high, version)}"


def _address(number: int, version: int) -> str:
    return str(ip_address(number.to_bytes(4 if version == 4 else 16)))


def numbers(interval: Interval) -> str:
    low, high = interval
    return str(low) if low == high else f"{low}-{high}"


def remote_groups(rules: Iterable[RuleSpec]) -> frozenset[str]:
    """The groups whose members matter to these rules."""
    return frozenset(rule.remote_group for rule in rules if rule.remote_group)
