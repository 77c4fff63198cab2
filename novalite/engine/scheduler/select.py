"""The choice: filters remove hosts and say why, weighers put the rest in order."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from novalite.engine.scheduler.ports import Filter, Weigher
from novalite.engine.scheduler.snapshot import HostView, Request

_REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Removed:
    """What one filter did: the number of hosts before it, and (host name, reason) for each it removed.

    When no host was left, ``remedy`` names a change to what this filter checks; it ``suffices`` when that
    change alone makes room, otherwise all remedies of the trace are needed together.
    """

    filter: str
    hosts_left_before: int
    removed: tuple[tuple[str, str], ...]
    remedy: str = ""
    suffices: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """``hosts`` with the best first, empty when none fits; ``trace`` has an entry per filter, in order."""

    hosts: tuple[HostView, ...]
    trace: tuple[Removed, ...]


def select(
    request: Request, hosts: Iterable[HostView], filters: Sequence[Filter], weighers: Sequence[Weigher]
) -> Selection:
    """The hosts that can take the server. Repeatable, and the order of ``hosts`` does not matter."""
    everyone = sorted(hosts, key=lambda host: host.name)
    left = everyone
    trace = []
    for each in filters:
        passed, removed = [], []
        for host in left:
            reason = each.reason(host, request)
            if reason is None:
                passed.append(host)
            else:
                removed.append((host.name, reason))
        trace.append(Removed(each.name, len(left), tuple(removed)))
        left = passed
    if not left:
        return Selection((), _with_remedies(request, everyone, filters, trace))
    return Selection(_in_order(request, left, weighers), tuple(trace))


def _in_order(request: Request, hosts: list[HostView], weighers: Sequence[Weigher]) -> tuple[HostView, ...]:
    totals = [0.0] * len(hosts)
    for weigher in weighers:
        figures = [weigher.weigh(host, request) for host in hosts]
        low, high = min(figures), max(figures)
        if high > low:
            factor = weigher.multiplier / (high - low)
            totals = [total + (figure - low) * factor for total, figure in zip(totals, figures, strict=True)]
    ranked = sorted(zip(totals, hosts, strict=True), key=lambda pair: (-pair[0], _lot(request.server_id, pair[1].name)))
    return tuple(host for _, host in ranked)


def _lot(server_id: str, host: str) -> bytes:
    """Spreads equal hosts over servers, the same way each time."""
    return hashlib.blake2b(f"{server_id} {host}".encode(), digest_size=8).digest()


def _with_remedies(
    request: Request, hosts: Sequence[HostView], filters: Sequence[Filter], trace: list[Removed]
) -> tuple[Removed, ...]:
    """Hosts that the fewest filters refuse are nearest to fitting: ask just those filters for a remedy."""
    obstacles: dict[tuple[int, ...], list[HostView]] = {}
    for host in hosts:
        refused_by = tuple(place for place, each in enumerate(filters) if each.reason(host, request) is not None)
        obstacles.setdefault(refused_by, []).append(host)
    for places in sorted(obstacles, key=len):
        suffices = len(places) == 1
        if not suffices and any(entry.remedy for entry in trace):
            break
        remedies = [filters[place].remedy(obstacles[places], request) for place in places]
        if None in remedies or not any(remedies):
            continue
        for place, remedy in zip(places, remedies, strict=True):
            trace[place] = replace(trace[place], remedy=remedy or "", suffices=suffices)
    return tuple(trace)


def explain(trace: Sequence[Removed]) -> str:
    """Why no host was left, in plain words: what each filter removed, and the smallest change that fits."""
    if not trace or not trace[0].hosts_left_before:
        return "No valid host was found. There is no compute host."
    total = trace[0].hosts_left_before
    parts = [
        f"{entry.filter} removed {len(entry.removed)} of {entry.hosts_left_before} ({_reasons(entry)})"
        for entry in trace
        if entry.removed
    ]
    text = f"No valid host was found. Of {_count(total)}, {'; '.join(parts)}."
    remedies = [entry for entry in trace if entry.remedy]
    if remedies:
        joint = " or " if remedies[0].suffices else " and "
        text += f" What would help: {joint.join(entry.remedy for entry in remedies)}."
    return text


def removed_by(trace: Sequence[Removed]) -> list[tuple[str, int, str]]:
    """The trace as ``NoValidHost`` carries it: (filter, hosts removed, reasons), filters that removed any."""
    return [(entry.filter, len(entry.removed), _reasons(entry)) for entry in trace if entry.removed]


def _count(hosts: int) -> str:
    return "1 host" if hosts == 1 else f"{hosts} hosts"


def _reasons(entry: Removed) -> str:
    counted = Counter(reason for _, reason in entry.removed).most_common()
    shown = [
        reason if len(counted) == 1 or number == 1 else f"{reason} on {_count(number)}"
        for reason, number in counted[:_REASONS_SHOWN]
    ]
    others = sum(number for _, number in counted[_REASONS_SHOWN:])
    if others:
        shown.append(f"and the like on {_count(others)}")
    return "; ".join(shown)
