"""Networks in memory, for API tests and simulation. Nothing on the machine is touched."""

from __future__ import annotations

import threading
import time

from novalite.clock import Deadline
from novalite.drivers.network import checks
from novalite.drivers.network.base import GroupSpec, NetworkReport, NetworkSpec, PortSpec, RoutingSpec, bridge_name
from novalite.errors import DriverError


class FakeNetworkDriver:
    """Implements ``NetworkDriver``. Tests steer it by ``fail_next``, ``delay`` (seconds) and ``kill_dhcp``."""

    def __init__(self, used_ranges: tuple[str, ...] = ()) -> None:
        self.networks: dict[str, NetworkSpec] = {}
        self.ports: dict[tuple[str, str], PortSpec] = {}
        self.groups: dict[str, GroupSpec] = {}
        self.routing = RoutingSpec()
        self.delay = 0.0
        self._used = used_ranges
        self._dead: set[str] = set()
        self._failures: dict[str, list[DriverError]] = {}
        self._changed = threading.Condition()
        self._closed = False

    def fail_next(self, op: str, *, times: int = 1, retryable: bool = False) -> None:
        """The next ``times`` calls of the method ``op`` fail."""
        self._failures.setdefault(op, []).extend(
            DriverError(op, "failure asked for by a test", retryable=retryable) for _ in range(times)
        )

    def kill_dhcp(self, network_id: str) -> None:
        """The network's DHCP server dies; ``watch`` tells."""
        with self._changed:
            self._dead.add(network_id)
            self._changed.notify_all()

    def _enter(self, op: str) -> None:
        if self.delay:
            time.sleep(self.delay)
        if self._failures.get(op):
            raise self._failures[op].pop(0)

    def used_ranges(self) -> tuple[str, ...]:
        return (*self._used, *(spec.cidr for spec in self.networks.values()))

    def ensure_network(self, spec: NetworkSpec, ports: tuple[PortSpec, ...] | None = None) -> None:
        self._enter("ensure_network")
        checks.network(spec)
        with self._changed:
            self.networks[spec.id] = spec
            self._dead.discard(spec.id)
            if ports is not None:
                kept = {key: port for key, port in self.ports.items() if key[0] != spec.id}
                self.ports = kept | {(spec.id, port.id): checks.port(port) for port in ports}

    def remove_network(self, network_id: str) -> None:
        self._enter("remove_network")
        with self._changed:
            self.networks.pop(network_id, None)
            self._dead.discard(network_id)
            self.ports = {key: port for key, port in self.ports.items() if key[0] != network_id}

    def ensure_port(self, port: PortSpec) -> None:
        self._enter("ensure_port")
        port = checks.port(port)
        with self._changed:
            if port.network_id not in self.networks:
                raise DriverError("ensure_port", f"network {port.network_id} is not set up on this host",
                                  code="network.absent", retryable=True)  # fmt: skip
            self.ports[port.network_id, port.id] = port

    def remove_port(self, network_id: str, port_id: str) -> None:
        self._enter("remove_port")
        with self._changed:
            self.ports.pop((network_id, port_id), None)

    def ensure_groups(self, groups: tuple[GroupSpec, ...], *, only: bool = False) -> None:
        self._enter("ensure_groups")
        for group in groups:
            checks.group(group)
        with self._changed:
            self.groups = ({} if only else self.groups) | {group.id: group for group in groups}

    def remove_group(self, group_id: str) -> None:
        self._enter("remove_group")
        with self._changed:
            self.groups.pop(group_id, None)

    def ensure_routing(self, routing: RoutingSpec) -> None:
        self._enter("ensure_routing")
        checks.routing(routing)
        with self._changed:
            self.routing = routing

    def check(self) -> NetworkReport:
        self._enter("check")
        with self._changed:
            running = tuple(id_ for id_, spec in self.networks.items() if spec.dhcp and id_ not in self._dead)
            problems = tuple(f"The DHCP server of network {id_} does not run." for id_ in sorted(self._dead))
            return NetworkReport(tuple(map(bridge_name, self.networks)), running, tuple(self.ports), problems)

    def watch(self, timeout_seconds: float) -> tuple[str, ...]:
        deadline = Deadline(timeout_seconds)
        with self._changed:
            while not self._dead and not self._closed and not deadline.passed:
                self._changed.wait(deadline.remaining)
            return tuple(sorted(self._dead))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
