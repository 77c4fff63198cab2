"""The packet filter of one network: keeps what its namespace holds, and changes only what differs.

A change is one transaction. When it fails, because somebody else has changed the tables, all is loaded again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from novalite import logs
from novalite.drivers.network import nftables, parts
from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec, network_namespace
from novalite.drivers.network.groups import elements
from novalite.drivers.network.members import Members, Range
from novalite.drivers.network.nftables import Tracking
from novalite.drivers.network.parts import Profile
from novalite.errors import DriverError

_log = logs.get("network")
_VERSIONS = (4, 6)


class Labels:
    """Numbers for combinations of groups, each as long as an address is in it."""

    def __init__(self) -> None:
        self._numbers: dict[frozenset[str], int] = {}
        self._of_group: dict[str, set[int]] = {}
        self._uses: Counter[frozenset[str]] = Counter()
        self._free: list[int] = []

    def number(self, groups: frozenset[str]) -> int:
        return self._numbers[groups]

    def of(self, group_id: str) -> frozenset[int]:
        """Those of all combinations that the group is in."""
        return frozenset(self._of_group.get(group_id, ()))

    def use(self, groups: frozenset[str]) -> frozenset[str]:
        """One more address is in the combination; its groups when it is new."""
        self._uses[groups] += 1
        if groups in self._numbers:
            return frozenset()
        number = self._numbers[groups] = self._free.pop() if self._free else len(self._numbers) + 1
        for group_id in groups:
            self._of_group.setdefault(group_id, set()).add(number)
        return groups

    def drop(self, groups: frozenset[str]) -> None:
        self._uses[groups] -= 1

    def sweep(self, groups: Iterable[frozenset[str]]) -> frozenset[str]:
        """Forget those of the combinations that no address is in; all their groups."""
        gone: set[str] = set()
        for own in set(groups):
            if not self._uses[own]:
                del self._uses[own]
                number = self._numbers.pop(own)
                self._free.append(number)
                for group_id in own:
                    self._of_group[group_id].discard(number)
                gone |= own
        return frozenset(gone)


class NetworkFilter:
    """``groups``, ``naming`` (group -> groups that its rules name) and ``members`` are of all networks, and changed
    before this is told. ``sure`` is false until the kernel is known to hold all."""

    def __init__(
        self,
        spec: NetworkSpec,
        tracking: Tracking,
        groups: Mapping[str, GroupSpec],
        naming: Mapping[str, frozenset[str]],
        members: Members,
    ) -> None:
        self.spec = spec
        self.ports: dict[str, PortSpec] = {}
        self.sure = False
        self.named: frozenset[str] = frozenset()  # groups whose members matter here
        self._tracking = tracking
        self._groups, self._naming, self._members = groups, naming, members
        self._ports_of: Counter[str] = Counter()  # profile -> ports under it
        self._profiles: dict[str, tuple[str, ...]] = {}  # profile -> its groups
        self._users: dict[str, set[str]] = {}  # group -> profiles
        self._forget_kernel()

    def _forget_kernel(self) -> None:
        self._labels = Labels()
        self._labelled: dict[Range, frozenset[str]] = {}
        self._loaded: dict[str, Profile] = {}

    def uses(self, groups: Iterable[str]) -> bool:
        """Whether a port here is in any of the groups."""
        return any(group_id in self._users for group_id in groups)

    def enter(self, port: PortSpec) -> None:
        self.ports[port.id] = port
        if port.groups is None:
            return
        key = parts.profile_key(port.groups)
        self._ports_of[key] += 1
        self._profiles[key] = port.groups
        for group_id in port.groups:
            self._users.setdefault(group_id, set()).add(key)

    def leave(self, port: PortSpec) -> None:
        del self.ports[port.id]
        if port.groups is None:
            return
        key = parts.profile_key(port.groups)
        self._ports_of[key] -= 1
        if self._ports_of[key]:
            return
        del self._ports_of[key], self._profiles[key]
        for group_id in set(port.groups):
            self._users[group_id].discard(key)
            if not self._users[group_id]:
                del self._users[group_id]

    def load(self) -> None:
        """Both tables whole, in one transaction that no packet sees half done. Raises ``DriverError``."""
        self.sure = False
        self._forget_kernel()
        wanted: dict[str, list[str]] = {}
        for part in (parts.of_network(self.spec), *map(self._part, self.ports.values())):
            for name, items in part.items():
                wanted.setdefault(name, []).extend(items)
        text = nftables.skeleton(self._tracking) + self._difference({}, wanted, set(self._profiles), None)
        nftables.load("ensure_network", network_namespace(self.spec.id), text)
        self.sure = True

    def _part(self, port: PortSpec | None) -> Mapping[str, Iterable[str]]:
        return parts.of_port(port, any_source=self.spec.lan_addresses) if port else {}

    def change(
        self,
        op: str,
        *,
        port: tuple[PortSpec | None, PortSpec | None] = (None, None),
        groups: Iterable[str] = (),
        members: Iterable[Range] = (),
    ) -> None:
        """Bring a changed port, changed rules of groups and addresses that groups got or lost to the kernel."""
        if not self.sure:
            return
        stale = {key for group_id in groups for key in self._users.get(group_id, ())}
        text = self._difference(self._part(port[0]), self._part(port[1]), stale, set(members))
        try:
            nftables.load(op, network_namespace(self.spec.id), text)
        except DriverError as error:
            _log.warning(
                "packet filter rules were changed by others; all are loaded again",
                network_id=self.spec.id,
                error=error.detail,
            )
            self.load()

    def _difference(
        self,
        before: Mapping[str, Iterable[str]],
        after: Mapping[str, Iterable[str]],
        stale: set[str],
        members: set[Range] | None,
    ) -> str:
        """``stale`` are profiles whose rules may have changed; ``members`` None: all addresses may be new."""
        gone = self._loaded.keys() - self._profiles.keys()
        stale |= self._profiles.keys() - self._loaded.keys()
        named = self.named
        if stale or gone or members is None:
            self.named = self._named()
        members = self._members.of(self.named) if members is None else members | self._members.of(self.named ^ named)
        shaken, old, new = self._relabel(members | self._members.within(members))
        stale |= {key for key, own in self._profiles.items() if shaken & self._named_by(own)} if shaken else set()
        first, last = "", ""
        put_out: dict[str, Iterable[str]] = {**before, **old}
        put_in: dict[str, Iterable[str]] = {**after, **new}
        for key in sorted(stale | gone):
            known, wanted = self._loaded.pop(key, None), self._profile(key) if key in self._profiles else None
            if wanted:
                first += parts.preparation(key, known, wanted, self._tracking)
                put_in |= wanted.part(key)
                self._loaded[key] = wanted
            if known:
                last += parts.withdrawal(key, known, wanted)
                kept = wanted.part(key) if wanted else {}
                put_out |= {name: items for name, items in known.part(key).items() if name in kept}
        return first + nftables.change(put_out, put_in) + last

    def _named_by(self, groups: Iterable[str]) -> frozenset[str]:
        return frozenset().union(*(self._naming.get(group_id, frozenset()) for group_id in groups))

    def _named(self) -> frozenset[str]:
        return self._named_by(self._users)

    def _relabel(self, members: set[Range]) -> tuple[frozenset[str], dict[str, set[str]], dict[str, set[str]]]:
        """The groups of combinations that came or went; elements of the maps of labels to take out and put in."""
        wanted: dict[Range, frozenset[str]] = {}
        for version, low, high in members:
            if low == high:
                wanted[version, low, high] = self._members.groups(version, low) & self.named
        for version in _VERSIONS:
            if any(low != high for of, low, high in members if of == version):
                wanted |= {span: frozenset() for span in self._labelled if span[0] == version and span[1] != span[2]}
                wanted |= {(version, low, high): groups & self.named for low, high, groups in self._segments(version)}
        shaken: set[str] = set()
        old: dict[str, set[str]] = {}
        new: dict[str, set[str]] = {}
        left: list[frozenset[str]] = []
        for span, groups in wanted.items():
            before = self._labelled.get(span, frozenset())
            if before == groups:
                continue
            version, low, high = span
            name = f"labels{version}" if low == high else f"label_ranges{version}"
            if before:
                del self._labelled[span]
                old.setdefault(name, set()).add(parts.label(low, high, version, self._labels.number(before)))
                self._labels.drop(before)
                left.append(before)
            if groups:
                self._labelled[span] = groups
                shaken |= self._labels.use(groups)
                new.setdefault(name, set()).add(parts.label(low, high, version, self._labels.number(groups)))
        return self._labels.sweep(left) | shaken, old, new

    def _segments(self, version: int) -> list[tuple[int, int, frozenset[str]]]:
        return [part for part in self._members.segments(version) if part[2] & self.named]

    def _profile(self, key: str) -> Profile:
        groups = [self._groups[group_id] for group_id in self._profiles[key] if group_id in self._groups]
        sets: dict[tuple[str, str], frozenset[str]] = {}
        for direction, version in parts.SIDES:
            rules = (rule for group in groups for rule in group.rules if rule.inbound == (direction == "in"))
            found = elements(rules, version, self._labels.of)
            sets |= {(f"{direction}{version}", name): items for name, items in found.items()}
        return Profile(not groups or any(group.stateful for group in groups), sets)
