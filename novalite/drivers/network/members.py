"""Which security groups an address is in, whatever network its port is on."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import TypeVar

from novalite.drivers.network.base import PortSpec

Range = tuple[int, int, int]
"""IP version, first and last address."""
_NOTHING: frozenset[str] = frozenset()
_Key = TypeVar("_Key")


def spans(port: PortSpec) -> Iterator[Range]:
    """The addresses that a port speaks from; those of its pairs are as much its own."""
    for address in port.addresses:
        parsed = ip_address(address)
        yield parsed.version, int(parsed), int(parsed)
    for _, remote in port.pairs:
        network = ip_network(remote, strict=False)
        yield network.version, int(network[0]), int(network[-1])


class Members:
    """Single addresses are found at once, ranges by bisection."""

    def __init__(self) -> None:
        self._single: dict[tuple[int, int], Counter[str]] = {}  # (IP version, address) -> group -> ports
        self._ranges: dict[Range, Counter[str]] = {}
        self._of_group: dict[str, Counter[Range]] = {}
        self._segments: dict[int, tuple[list[int], list[tuple[int, int, frozenset[str]]]]] = {}

    def enter(self, port: PortSpec) -> set[Range]:
        """What it brings, once more for each port that has it."""
        return self._count(port, 1)

    def leave(self, port: PortSpec) -> set[Range]:
        return self._count(port, -1)

    def _count(self, port: PortSpec, step: int) -> set[Range]:
        found = set(spans(port)) if port.groups else set()
        for span in found:
            version, low, high = span
            if low == high:
                counts = self._single.setdefault((version, low), Counter())
            else:
                counts = self._ranges.setdefault(span, Counter())
                self._segments.pop(version, None)
            for group_id in port.groups or ():
                _step(counts, group_id, step)
                _step(self._of_group.setdefault(group_id, Counter()), span, step)
            if not counts and low == high:
                del self._single[version, low]
            elif not counts:
                del self._ranges[span]
        return found

    def of(self, groups: Iterable[str]) -> set[Range]:
        """All that is in any of the groups."""
        return {span for group_id in groups for span in self._of_group.get(group_id, ())}

    def within(self, ranges: Iterable[Range]) -> set[Range]:
        """The single addresses that lie in any of the ranges."""
        wanted = [span for span in ranges if span[1] != span[2]]
        if not wanted:
            return set()
        return {
            (version, number, number)
            for version, number in self._single
            if any(own == version and low <= number <= high for own, low, high in wanted)
        }

    def groups(self, version: int, number: int) -> frozenset[str]:
        """All groups that a single address is in; none for one that is only part of ranges."""
        own = self._single.get((version, number))
        if own is None:
            return _NOTHING
        lows, segments = self._cut(version)
        index = bisect_right(lows, number) - 1
        around = segments[index][2] if index >= 0 and number <= segments[index][1] else _NOTHING
        return around.union(own)

    def segments(self, version: int) -> list[tuple[int, int, frozenset[str]]]:
        """The ranges cut so that they do not meet, with all groups of each part."""
        return self._cut(version)[1]

    def _cut(self, version: int) -> tuple[list[int], list[tuple[int, int, frozenset[str]]]]:
        if version not in self._segments:
            found = list(_parts((low, high, own) for (of, low, high), own in self._ranges.items() if of == version))
            self._segments[version] = ([low for low, _, _ in found], found)
        return self._segments[version]


def _step(counts: Counter[_Key], key: _Key, step: int) -> None:
    counts[key] += step
    if not counts[key]:
        del counts[key]


def _parts(ranges: Iterable[tuple[int, int, Counter[str]]]) -> Iterator[tuple[int, int, frozenset[str]]]:
    begin: dict[int, Counter[str]] = {}
    for low, high, groups in ranges:
        once = Counter(dict.fromkeys(groups, 1))
        begin.setdefault(low, Counter()).update(once)
        begin.setdefault(high + 1, Counter()).subtract(once)
    active: Counter[str] = Counter()
    for low, after in pairwise(sorted(begin)):
        active.update(begin[low])
        active = +active
        if active:
            yield low, after - 1, frozenset(active)
