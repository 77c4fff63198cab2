"""The packet filters of all networks of an appliance, each in its network's namespace, and what they share: rules of
security groups, and which addresses are in which group."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from novalite.drivers.network import nftables
from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec, network_namespace
from novalite.drivers.network.groups import remote_groups
from novalite.drivers.network.members import Members, Range
from novalite.drivers.network.network_filter import NetworkFilter
from novalite.drivers.network.nftables import Tracking
from novalite.errors import DriverError


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
        changed: set[Range] = set()
        groups: set[str] = set()
        for spec, ports in wanted:
            known = self._filters.get(spec.id)
            for port in tuple(known.ports.values()) if known else ():
                changed |= self._members.leave(port)
                groups.update(port.groups or ())
            fresh = self._filters[spec.id] = NetworkFilter(
                spec, self._tracking, self.groups, self._naming, self._members
            )
            for port in ports:
                fresh.enter(port)
                changed |= self._members.enter(port)
                groups.update(port.groups or ())
        loaded = [spec.id for spec, _ in wanted]
        steps: list[Callable[[], None]] = [self._filters[network_id].load for network_id in loaded]
        self._all([*steps, *self._told("ensure_network", groups, changed, but=loaded)])

    def drop_network(self, network_id: str) -> None:
        """Forget the network: its tables go with its namespace."""
        known = self._filters.pop(network_id, None)
        if known is None:
            return
        changed: set[Range] = set()
        for port in known.ports.values():
            changed |= self._members.leave(port)
        groups = {group_id for port in known.ports.values() for group_id in port.groups or ()}
        self._all(self._told("remove_network", groups, changed, but=()))

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
        old = known.ports.get(port.id)
        changed: set[Range] = set()
        if old is not None:
            known.leave(old)
            changed |= self._members.leave(old)
        if after is not None:
            known.enter(after)
            changed |= self._members.enter(after)
        if (
            old is not None
            and after is not None
            and (old.groups, old.addresses, old.pairs)
            == (
                after.groups,
                after.addresses,
                after.pairs,
            )
        ):
            changed = set()
        groups = {group_id for one in (old, after) if one for group_id in one.groups or ()}
        own = changed if known.named & groups else set()
        self._all(
            [
                lambda: known.change("ensure_port", port=(old, after), members=own),
                *self._told("ensure_port", groups, changed, but=[port.network_id]),
            ]
        )

    def _told(
        self, op: str, groups: set[str], changed: set[Range], *, but: Iterable[str]
    ) -> Iterable[Callable[[], None]]:
        """Changes of other networks, whose rules name any of the groups."""
        if not changed:
            return []
        return [
            lambda other=other: other.change(op, members=changed)  # type: ignore[misc]
            for network_id, other in self._filters.items()
            if network_id not in but and other.named & groups
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
        """Each of them, and then the first error."""
        failed: DriverError | None = None
        for step in steps:
            try:
                step()
            except DriverError as error:
                failed = failed or error
        if failed:
            raise failed

    def sure(self, network_id: str) -> bool:
        """Whether the kernel is known to hold what is wanted of the network."""
        known = self._filters.get(network_id)
        return known is not None and known.sure

    def is_loaded(self, network_id: str) -> bool:
        """Do the network's tables exist? Their contents are not looked at."""
        return nftables.is_loaded(network_namespace(network_id))
