"""The packet filters of all networks of an appliance, each in its network's namespace, and what they share: rules of
security groups, and which addresses are in which group."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from novalite.drivers.network import nftables
from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec, network_namespace
from novalite.drivers.network.groups import remote_groups
from novalite.drivers.network.members import Members, Range, spans
from novalite.drivers.network.network_filter import NetworkFilter
from novalite.drivers.network.nftables import Tracking
from novalite.errors import DriverError

_AT_ONCE = max(2, os.cpu_count() or 2)


class _Change:
    """Addresses that groups get or lose, and all groups that they were or are in, be it by a range around them."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self.spans: set[Range] = set()
        self.groups: set[str] = set()

    def enter(self, port: PortSpec) -> None:
        self._note(port, self._members.enter(port))

    def leave(self, port: PortSpec) -> None:
        self._note(port, set(spans(port)))
        self._members.leave(port)

    def _note(self, port: PortSpec, found: set[Range]) -> None:
        self.spans |= found
        self.groups.update(port.groups or ())
        for version, low, high in found:
            if low == high:
                self.groups |= self._members.groups(version, low)


def _membership(port: PortSpec | None) -> object:
    return (port.groups, port.addresses, port.pairs) if port else None


def _error_of(step: Callable[[], None]) -> DriverError | None:
    try:
        step()
    except DriverError as error:
        return error
    return None


class PacketRules:
    """Not thread-safe: the driver holds its lock. Verbs raise ``DriverError``; then what is wanted is known all the
    same, and ``sure`` tells which networks do not have it."""

    def __init__(self, tracking: Tracking = "netfilter") -> None:
        self.groups: dict[str, GroupSpec] = {}
        self._tracking = tracking
        self._naming: dict[str, frozenset[str]] = {}  # group -> groups that its rules name
        self._members = Members()
        self._filters: dict[str, NetworkFilter] = {}

    def load_network(self, spec: NetworkSpec, ports: Iterable[PortSpec]) -> None:
        """The network's tables whole, in one transaction that no packet sees half done."""
        self.load_networks([(spec, ports)])

    def load_networks(self, networks: Iterable[tuple[NetworkSpec, Iterable[PortSpec]]]) -> None:
        """The same for several: none is loaded before the members of groups on all of them are known."""
        wanted = [(spec, tuple(ports)) for spec, ports in networks]
        change = _Change(self._members)
        for spec, ports in wanted:
            known = self._filters.get(spec.id)
            for port in tuple(known.ports.values()) if known else ():
                change.leave(port)
            fresh = self._filters[spec.id] = NetworkFilter(
                spec, self._tracking, self.groups, self._naming, self._members
            )
            for port in ports:
                fresh.enter(port)
                change.enter(port)
        loaded = [spec.id for spec, _ in wanted]
        steps: list[Callable[[], None]] = [self._filters[network_id].load for network_id in loaded]
        self._all([*steps, *self._told("ensure_network", change, but=loaded)])

    def drop_network(self, network_id: str) -> None:
        """Forget the network: its tables go with its namespace."""
        known = self._filters.pop(network_id, None)
        if known is None:
            return
        change = _Change(self._members)
        for port in known.ports.values():
            change.leave(port)
        self._all(self._told("remove_network", change))

    def change_port(self, before: PortSpec | None, after: PortSpec | None) -> None:
        """One port as it is to be, and what its groups' members are for others."""
        port = after or before
        if port is None:
            return
        known = self._filters.get(port.network_id)
        if known is None:
            raise DriverError(
                "ensure_port",
                f"network {port.network_id} has no packet filter on this host",
                code="network.absent",
                retryable=True,
                hint="Set the network up first.",
            )
        old, change = known.ports.get(port.id), _Change(self._members)
        for one, enter in ((old, False), (after, True)):
            if one is not None:
                (known.enter if enter else known.leave)(one)
                (change.enter if enter else change.leave)(one)
        if _membership(old) == _membership(after):
            change.spans.clear()
        self._all(
            [
                lambda: known.change("ensure_port", port=(old, after), members=change.spans),
                *self._told("ensure_port", change, but=[port.network_id]),
            ]
        )

    def _told(self, op: str, change: _Change, *, but: Iterable[str] = ()) -> Iterable[Callable[[], None]]:
        """Changes of other networks, whose rules name any of the groups."""
        if not change.spans:
            return []
        return [
            lambda other=other: other.change(op, members=change.spans)  # type: ignore[misc]
            for network_id, other in self._filters.items()
            if network_id not in but and other.named & change.groups
        ]

    def change_groups(self, wanted: Iterable[GroupSpec], gone: Iterable[str] = ()) -> None:
        """These groups as they are to be, and these no more."""
        touched = set()
        for group in wanted:
            if self.groups.get(group.id) != group:
                self.groups[group.id] = group
                self._naming[group.id] = remote_groups(group.rules)
                touched.add(group.id)
        for group_id in gone:
            if self.groups.pop(group_id, None):
                del self._naming[group_id]
                touched.add(group_id)
        self._all(
            lambda one=one: one.change("ensure_groups", groups=touched)  # type: ignore[misc]
            for one in list(self._filters.values())
            if one.uses(touched)
        )

    def _all(self, steps: Iterable[Callable[[], None]]) -> None:
        """Each of them, of a network of its own, several at once; and then the first error."""
        wanted = list(steps)
        if len(wanted) < 2:
            failed = [_error_of(step) for step in wanted]
        else:
            with ThreadPoolExecutor(min(len(wanted), _AT_ONCE), "packet filter") as pool:
                failed = list(pool.map(_error_of, wanted))
        for error in failed:
            if error:
                raise error

    def sure(self, network_id: str) -> bool:
        """Whether the kernel is known to hold what is wanted of the network."""
        known = self._filters.get(network_id)
        return known is not None and known.sure

    def is_loaded(self, network_id: str) -> bool:
        """Do the network's tables exist? Their contents are not looked at."""
        return nftables.is_loaded(network_namespace(network_id))
