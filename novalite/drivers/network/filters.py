"""The packet filters of an appliance's networks, for several threads, and whether somebody else has changed them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from novalite import logs
from novalite.drivers.network import kernel_state, namespaces
from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec, network_namespace
from novalite.drivers.network.nftables import Tracking
from novalite.drivers.network.packet_rules import PacketRules
from novalite.errors import DriverError

_log = logs.get("network")
Ports = Iterable[PortSpec]


class Filters:
    """Raises ``DriverError``. ``seen`` tells, for each network, the kernel's number of its packet filter's state when
    it was last as it should be, and how many changes of ours there had been then."""

    def __init__(self, tracking: Tracking, groups: Iterable[GroupSpec]) -> None:
        self._rules = PacketRules(tracking)
        self._rules.change_groups(groups)
        self._lock = threading.RLock()
        self._changes = 0
        self._seen: dict[str, tuple[int, int]] = {}

    def ensure(self, spec: NetworkSpec, ports: Ports, others: Iterable[tuple[NetworkSpec, Ports]]) -> None:
        """The network's rules whole. ``others`` are all other networks: rules for members of groups are right only when
        the ports of all that stand are known."""
        with self._lock:
            self._changes += 1
            unsure = [
                (other, theirs)
                for other, theirs in others
                if not self._rules.sure(other.id) and namespaces.exists(network_namespace(other.id))
            ]
            try:
                self._rules.load_networks([(spec, list(ports)), *unsure])
            except DriverError as error:
                if not self._rules.sure(spec.id):
                    raise
                _log.warning("the packet filter of another network could not be loaded", error=str(error))
            self._seen[spec.id] = (kernel_state.generation(network_namespace(spec.id)), self._changes)

    def change_port(self, spec: NetworkSpec, ports: Ports, before: PortSpec | None, after: PortSpec | None) -> None:
        """One port of the network as it is to be; ``ports`` are all of them as they are to be."""
        with self._lock:
            self._changes += 1
            if self._rules.sure(spec.id):
                self._rules.change_port(before, after)
            else:
                self._rules.load_network(spec, ports)

    def drop(self, network_id: str) -> None:
        """The network's namespace goes, and with it its rules."""
        with self._lock:
            self._changes += 1
            self._seen.pop(network_id, None)
            self._rules.drop_network(network_id)

    def change_groups(self, wanted: Iterable[GroupSpec], *, only: bool = False, gone: Iterable[str] = ()) -> None:
        with self._lock:
            self._changes += 1
            told = tuple(wanted)
            kept = {group.id for group in told}
            stale = [id_ for id_ in self._rules.groups if id_ not in kept] if only else [*gone]
            self._rules.change_groups(told, stale)

    def groups(self) -> dict[str, GroupSpec]:
        with self._lock:
            return dict(self._rules.groups)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Another part of this driver changes packet filters of networks inside the block."""
        with self._lock:
            self._changes += 1
        yield
        with self._lock:
            self._changes += 1

    def is_sure(self, network_id: str) -> bool:
        with self._lock:
            return self._rules.sure(network_id)

    def is_torn(self, network_id: str) -> bool:
        """Whether somebody else has changed the network's packet filter, or taken it away."""
        namespace = network_namespace(network_id)
        with self._lock:
            if not namespaces.exists(namespace):
                return True
            now = kernel_state.generation(namespace)
            generation, changes = self._seen.get(network_id, (-1, -1))
            if now != generation and (changes == self._changes or not self._rules.is_loaded(network_id)):
                return True
            self._seen[network_id] = (now, self._changes)
            return False
