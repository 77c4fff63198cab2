"""Networks on Linux: a namespace for each network and router, for one appliance of several."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from novalite import logs
from novalite.clock import Deadline
from novalite.drivers.network import bridges, checks, links, namespaces, routing_checks
from novalite.drivers.network.alarm import Alarm
from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    METADATA_ADDRESS_6,
    METADATA_PORT,
    NetworkReport,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    bridge_name,
    network_namespace,
)
from novalite.drivers.network.commands import files
from novalite.drivers.network.memory import Memory
from novalite.drivers.network.networks import Networks
from novalite.drivers.network.routers import Routers

RUN_DIR = Path("/run/novalite")
_log = logs.get("network")


class LinuxNetworkDriver:
    """``NetworkDriver`` for the machine it runs on. What it knows is in ``run_dir/appliance_id``, which a reboot
    empties together with namespaces, links and rules; nothing there needs a backup.

    dnsmasq gives up root, so its files are where every user may pass: not in the appliance's private state.
    """

    def __init__(self, appliance_id: str, *, run_dir: Path = RUN_DIR, look_seconds: float = 10.0) -> None:
        checks.uuid_text(appliance_id, "appliance id")
        self._directory = run_dir / appliance_id
        self._networks = Networks(appliance_id, self._directory, Memory(self._directory))
        self._routers = Routers(appliance_id, self._directory / "routers")
        self._look_seconds, self._look = look_seconds, Deadline(look_seconds)
        self._alarm = Alarm()
        self._closed = False

    def ensure_network(self, spec: NetworkSpec, ports: tuple[PortSpec, ...] | None = None) -> None:
        spec = checks.network(spec)
        wanted = None if ports is None else {port.id: checks.port(port) for port in ports}
        if wanted is None and self._networks.stands(spec):
            return
        self._networks.ensure(spec, wanted)
        self._routers.network_changed(spec, self._networks.specs())
        self._alarm.ring()

    def remove_network(self, network_id: str) -> None:
        self._networks.remove(checks.uuid_text(network_id, "network id"))
        self._tidy()
        self._alarm.ring()

    def _tidy(self) -> None:
        """After the last of all: no trace."""
        if not self._networks.all() and not self._routers.known():
            shutil.rmtree(self._directory, ignore_errors=True)

    def ensure_port(self, port: PortSpec) -> None:
        self._networks.ensure_port(checks.port(port))
        self._alarm.ring()

    def remove_port(self, network_id: str, port_id: str) -> None:
        self._networks.remove_port(network_id, checks.uuid_text(port_id, "port id"))
        self._alarm.ring()

    def ensure_routers(self, routers: tuple[RouterSpec, ...], *, only: bool = False) -> None:
        for router in routers:
            routing_checks.router(router)
        self._routers.ensure(routers, self._networks.specs(), only=only)
        self._alarm.ring()

    def remove_router(self, router_id: str) -> None:
        self._routers.remove(checks.uuid_text(router_id, "router id"))
        self._tidy()
        self._alarm.ring()

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
        networks, near = self._networks.all(), links.names()
        problems = [fault for known in networks for fault in known.faults(near)]
        problems += [f"Router {id_} is not as it should be." for id_ in self._routers.missing()]
        return NetworkReport(
            networks=tuple(known.spec.id for known in networks if bridges.look(known.spec.id)),
            dhcp_running=tuple(known.spec.id for known in networks if known.server.pid() is not None),
            ports=tuple((known.spec.id, port_id) for known in networks for port_id in list(known.ports)),
            routers=tuple(self._routers.known()),
            problems=tuple(problems),
        )

    def watch(self, timeout_seconds: float) -> tuple[str, ...]:
        deadline = Deadline(timeout_seconds)
        while True:
            broken = self._dead() or (self._torn() if self._look.passed else ())
            if broken or deadline.passed or self._closed:
                return broken
            self._wait_for_change(min(deadline.remaining, self._look.remaining))

    def _torn(self) -> tuple[str, ...]:
        """Networks and routers of which something is missing."""
        self._look = Deadline(self._look_seconds)
        near, found = links.names(), []
        for known in self._networks.all():
            with known.lock:
                if self._networks.is_known(known.spec.id) and known.faults(near):
                    found.append(known.spec.id)
        return (*found, *self._routers.missing())

    def _dead(self) -> tuple[str, ...]:
        """Networks whose server has ended."""
        found = []
        for known in self._networks.all():
            with known.lock:
                if known.is_served and self._networks.is_known(known.spec.id) and known.server.pid() is None:
                    found.append(known.spec.id)
        return tuple(found)

    def _wait_for_change(self, seconds: float) -> None:
        served = [known.server for known in self._networks.all() if known.is_served]
        self._alarm.wait([*(server.pidfd() for server in served), *self._routers.descriptors()], seconds)

    def close(self) -> None:
        self._closed = True
        self._alarm.ring()
