"""Networks in memory, for API tests and simulation. Nothing on the machine is touched."""

from __future__ import annotations

import socket
import threading
import time

from novalite.clock import Deadline
from novalite.drivers.network import checks, routing_checks
from novalite.drivers.network.base import (
    GroupSpec,
    HostForwardSpec,
    LanSpec,
    NetworkReport,
    NetworkSpec,
    PortSpec,
    RouterSpec,
)
from novalite.drivers.network.dhcp_files import is_wanted
from novalite.drivers.network.taps import absent
from novalite.errors import DriverError


class FakeNetworkDriver:
    """Implements ``NetworkDriver``. Tests steer it by ``fail_next``, ``delay`` (seconds), ``kill_dhcp``, ``learn``
    and ``lans`` (interface -> what ``attach_lan`` answers)."""

    def __init__(self, used_ranges: tuple[str, ...] = ()) -> None:
        self.networks: dict[str, NetworkSpec] = {}
        self.ports: dict[tuple[str, str], PortSpec] = {}
        self.groups: dict[str, GroupSpec] = {}
        self.routers: dict[str, RouterSpec] = {}
        self.forwards: tuple[HostForwardSpec, ...] = ()
        self.lans: dict[str, LanSpec] = {}
        self.attached: set[str] = set()
        self.delay = 0.0
        self._used = used_ranges
        self._dead: set[str] = set()
        self._learned: dict[str, str] = {}
        self._news = False
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

    def learn(self, port_id: str, address: str) -> None:
        """The port's guest is seen to have got an address on its LAN."""
        with self._changed:
            self._learned[port_id] = address
            self._news = True
            self._changed.notify_all()

    def _enter(self, op: str) -> None:
        if self.delay:
            time.sleep(self.delay)
        if self._failures.get(op):
            raise self._failures[op].pop(0)

    def used_ranges(self) -> tuple[str, ...]:
        linked = (spec for spec in self.networks.values() if spec.uplink)
        return (*self._used, *(subnet.cidr for spec in linked for subnet in spec.subnets))

    def ensure_network(self, spec: NetworkSpec, ports: tuple[PortSpec, ...] | None = None) -> None:
        self._enter("ensure_network")
        spec = checks.network(spec)
        with self._changed:
            self.networks[spec.id] = spec
            self._dead.discard(spec.id)
            if ports is not None:
                kept = {key: port for key, port in self.ports.items() if key[0] != spec.id}
                self.ports = kept | {(spec.id, port.id): checks.port(port) for port in ports}

    def remove_network(self, network_id: str) -> None:
        self._enter("remove_network")
        checks.uuid_text(network_id, "network id")
        with self._changed:
            self.networks.pop(network_id, None)
            self._dead.discard(network_id)
            self.ports = {key: port for key, port in self.ports.items() if key[0] != network_id}

    def ensure_port(self, port: PortSpec) -> None:
        self._enter("ensure_port")
        port = checks.port(port)
        with self._changed:
            if port.network_id not in self.networks:
                raise absent("ensure_port", port.network_id)
            self.ports[port.network_id, port.id] = port

    def remove_port(self, network_id: str, port_id: str) -> None:
        self._enter("remove_port")
        with self._changed:
            self.ports.pop((network_id, port_id), None)
            self._learned.pop(port_id, None)

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

    def ensure_routers(self, routers: tuple[RouterSpec, ...], *, only: bool = False) -> None:
        self._enter("ensure_routers")
        for router in routers:
            routing_checks.router(router)
        with self._changed:
            self.routers = ({} if only else self.routers) | {router.id: router for router in routers}

    def remove_router(self, router_id: str) -> None:
        self._enter("remove_router")
        with self._changed:
            self.routers.pop(router_id, None)

    def ensure_forwards(self, forwards: tuple[HostForwardSpec, ...]) -> None:
        self._enter("ensure_forwards")
        for forward in forwards:
            routing_checks.host_forward(forward)
        with self._changed:
            self.forwards = forwards

    def attach_lan(self, interface: str, *, wait_seconds: float) -> LanSpec:
        self._enter("attach_lan")
        checks.link(interface)
        with self._changed:
            self.attached.add(interface)
            return self.lans.get(interface, LanSpec(interface, "nlb-lan", ("192.0.2.10/24",), "192.0.2.1"))

    def detach_lan(self, interface: str) -> None:
        self._enter("detach_lan")
        with self._changed:
            self.attached.discard(interface)

    def metadata_sockets(self, network_id: str) -> tuple[socket.socket, ...]:
        """A socket at any free port of the loopback address: there are no guests to ask."""
        self._enter("metadata_sockets")
        if network_id not in self.networks:
            raise absent("metadata_sockets", network_id)
        return (socket.create_server(("127.0.0.1", 0)),) if self.networks[network_id].metadata else ()

    def check(self) -> NetworkReport:
        self._enter("check")
        with self._changed:
            running = tuple(id_ for id_, spec in self.networks.items() if is_wanted(spec) and id_ not in self._dead)
            problems = tuple(f"The DHCP server of network {id_} does not run." for id_ in sorted(self._dead))
            return NetworkReport(
                tuple(self.networks), running, tuple(self.ports), tuple(self.routers),
                tuple(self._learned.items()), problems,
            )  # fmt: skip

    def watch(self, timeout_seconds: float) -> tuple[str, ...]:
        deadline = Deadline(timeout_seconds)
        with self._changed:
            while not (self._dead or self._news or self._closed or deadline.passed):
                self._changed.wait(deadline.remaining)
            self._news = False
            return tuple(sorted(self._dead))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
