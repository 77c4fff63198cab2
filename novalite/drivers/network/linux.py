"""Networks on Linux: a namespace for each network and router, for one appliance of several."""

from __future__ import annotations

import shutil
import socket
import threading
from pathlib import Path

from novalite.drivers.network import bridges, checks, host_routes, namespaces, routing_checks
from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    METADATA_ADDRESS_6,
    METADATA_PORT,
    GroupSpec,
    HostForwardSpec,
    LanSpec,
    NetworkReport,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    bridge_name,
    network_namespace,
)
from novalite.drivers.network.commands import files
from novalite.drivers.network.filters import Filters
from novalite.drivers.network.machine import Machine
from novalite.drivers.network.memory import Memory
from novalite.drivers.network.networks import Networks
from novalite.drivers.network.nftables import Tracking
from novalite.drivers.network.routers import Routers
from novalite.drivers.network.watching import Watch

RUN_DIR = Path("/run/novalite")


class LinuxNetworkDriver:
    """``NetworkDriver`` for the machine it runs on. What it knows is in ``run_dir/appliance_id``, which a reboot
    empties together with namespaces, links and rules; nothing there needs a backup. ``tracking`` is what tracks
    guests' connections.

    dnsmasq gives up root, so its files are where every user may pass: not in the appliance's private state.
    """

    def __init__(
        self,
        appliance_id: str,
        *,
        run_dir: Path = RUN_DIR,
        look_seconds: float = 10.0,
        tracking: Tracking = "netfilter",
    ) -> None:
        checks.uuid_text(appliance_id, "appliance id")
        self._directory = run_dir / appliance_id
        self._memory = Memory(self._directory)
        self._filters = Filters(tracking, self._memory.groups().values())
        self._networks = Networks(appliance_id, self._directory, self._memory, self._filters, tracking)
        self._routers = Routers(appliance_id, self._directory / "routers")
        self._machine = Machine(appliance_id, self._directory / "machine", run_dir / "lan", self._learned)
        self._forwards = self._machine.known_forwards()
        self._joined: set[str] = set()  # networks whose uplink and routers this process has seen to
        self._told: object = None  # what the machine's side was told last
        self._lock = threading.RLock()
        self._watch = Watch(self._networks, self._routers, self._machine, look_seconds)

    def used_ranges(self) -> tuple[str, ...]:
        return tuple(sorted({str(used.range_) for used in host_routes.in_use() if used.range_.version == 4}))

    def ensure_network(self, spec: NetworkSpec, ports: tuple[PortSpec, ...] | None = None) -> None:
        spec = checks.network(spec)
        wanted = None if ports is None else {port.id: checks.port(port) for port in ports}
        if wanted is None and self._stands(spec):
            return
        self._networks.ensure(spec, wanted)
        with self._filters.changing():
            self._machine.ensure_uplink(spec)
        self._routers.network_changed(spec, self._networks.specs())
        self._tell_machine(repair=spec.uplink is not None)
        self._joined.add(spec.id)
        self._watch.ring()

    def _stands(self, spec: NetworkSpec) -> bool:
        if spec.id not in self._joined or not self._networks.stands(spec):
            return False
        return spec.uplink is None or spec.id not in self._machine.missing()

    def _tell_machine(self, *, repair: bool = False) -> None:
        """What crosses uplinks, and the way to guests behind routers, follow from all networks and routers."""
        with self._lock:
            routers = self._routers.known()
            joined = {card.network_id for router in routers.values() for card in router.interfaces}
            specs = self._networks.specs()
            told = {id_: spec for id_, spec in specs.items() if spec.uplink or id_ in joined}, routers, self._forwards
            if repair or told != self._told:
                self._told = None
                self._machine.ensure(told[0], routers.values(), self._forwards)
                self._told = told

    def remove_network(self, network_id: str) -> None:
        checks.uuid_text(network_id, "network id")
        self._joined.discard(network_id)
        self._machine.remove_uplink(network_id)
        spec = self._networks.specs().get(network_id)
        self._networks.remove(network_id)
        if spec:
            self._routers.network_changed(spec, self._networks.specs())
        self._tell_machine()
        self._tidy()
        self._watch.ring()

    def _tidy(self) -> None:
        """After the last of all: no trace."""
        with self._lock:
            if not (self._networks.all() or self._routers.known() or self._forwards):
                shutil.rmtree(self._directory, ignore_errors=True)

    def ensure_port(self, port: PortSpec) -> None:
        self._networks.ensure_port(checks.port(port))
        self._watch.ring()

    def remove_port(self, network_id: str, port_id: str) -> None:
        self._networks.remove_port(network_id, checks.uuid_text(port_id, "port id"))
        self._watch.ring()

    def ensure_groups(self, groups: tuple[GroupSpec, ...], *, only: bool = False) -> None:
        for group in groups:
            checks.group(group)
        with files("ensure_groups"):
            try:
                self._filters.change_groups(groups, only=only)
            finally:
                self._memory.keep_groups(self._filters.groups())

    def remove_group(self, group_id: str) -> None:
        with files("remove_group"):
            try:
                self._filters.change_groups((), gone=[group_id])
            finally:
                self._memory.keep_groups(self._filters.groups())

    def ensure_routers(self, routers: tuple[RouterSpec, ...], *, only: bool = False) -> None:
        for router in routers:
            routing_checks.router(router)
        self._routers.ensure(routers, self._networks.specs(), only=only)
        self._tell_machine()
        self._tidy()
        self._watch.ring()

    def remove_router(self, router_id: str) -> None:
        self._routers.remove(checks.uuid_text(router_id, "router id"))
        self._tell_machine()
        self._tidy()
        self._watch.ring()

    def ensure_forwards(self, forwards: tuple[HostForwardSpec, ...]) -> None:
        for forward in forwards:
            routing_checks.host_forward(forward)
        self._forwards = forwards
        self._tell_machine()
        self._tidy()

    def attach_lan(self, interface: str, *, wait_seconds: float) -> LanSpec:
        return self._machine.attach_lan(checks.link(interface), wait_seconds=wait_seconds)

    def detach_lan(self, interface: str) -> None:
        self._machine.detach_lan(checks.link(interface))

    def _learned(self, network_id: str) -> None:
        self._watch.tell(network_id)

    def metadata_sockets(self, network_id: str) -> tuple[socket.socket, ...]:
        known = self._networks.get("metadata_sockets", network_id)
        if not known.spec.metadata:
            return ()
        namespace, bridge = network_namespace(network_id), bridge_name(network_id)
        opened: list[socket.socket] = []
        try:
            with files("metadata_sockets"):
                for address in (METADATA_ADDRESS, METADATA_ADDRESS_6):
                    opened.append(namespaces.listening(namespace, address, METADATA_PORT, bridge))
        except BaseException:
            for one in opened:
                one.close()
            raise
        return tuple(opened)

    def check(self) -> NetworkReport:
        networks = self._networks.all()
        return NetworkReport(
            networks=tuple(known.spec.id for known in networks if bridges.look(known.spec.id)),
            dhcp_running=tuple(known.spec.id for known in networks if known.server.pid() is not None),
            ports=tuple((known.spec.id, port_id) for known in networks for port_id in list(known.ports)),
            routers=tuple(self._routers.known()),
            learned=self._machine.learned(
                port for known in networks if known.spec.lan_addresses for port in list(known.ports.values())
            ),
            problems=self._watch.problems(),
        )

    def watch(self, timeout_seconds: float) -> tuple[str, ...]:
        return self._watch.wait(timeout_seconds)

    def close(self) -> None:
        self._machine.close()
        self._watch.close()
