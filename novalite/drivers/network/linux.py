"""Networks on Linux: a bridge, NAT, anti-spoofing and one DHCP server each, for one appliance of several."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from novalite import logs
from novalite.clock import Deadline
from novalite.drivers.network import checks, docker, links, nftables
from novalite.drivers.network.alarm import Alarm
from novalite.drivers.network.base import (
    GroupSpec,
    NetworkReport,
    NetworkSpec,
    PortSpec,
    RoutingSpec,
    bridge_name,
)
from novalite.drivers.network.commands import files
from novalite.drivers.network.dnsmasq import DhcpServer, hosts_text, write_file
from novalite.drivers.network.forwarding import Uplinks
from novalite.drivers.network.memory import Memory
from novalite.drivers.network.packet_rules import PacketRules
from novalite.drivers.network.parts import addresses
from novalite.errors import DriverError

RUN_DIR = Path("/run/novalite")
_log = logs.get("network")


@dataclass
class _Known:
    """What this appliance wants of one network; ``lock`` orders changes to its files and server."""

    spec: NetworkSpec
    server: DhcpServer
    ports: dict[str, PortSpec]
    lock: threading.RLock = field(default_factory=threading.RLock)


class LinuxNetworkDriver:
    """``NetworkDriver`` for the machine it runs on. What it knows is in ``run_dir/appliance_id``, which a reboot
    empties together with bridges and rules; nothing there needs a backup.

    dnsmasq gives up root, so its files are where every user may pass: not in the appliance's private state.
    """

    def __init__(self, appliance_id: str, *, run_dir: Path = RUN_DIR, look_seconds: float = 10.0) -> None:
        self._appliance_id = checks.uuid_text(appliance_id, "appliance id")
        self._directory = run_dir / appliance_id
        self._networks: dict[str, _Known] = {}
        self._lock = threading.RLock()
        self._rules = PacketRules(self._appliance_id)
        self._memory = Memory(self._directory)
        self._uplinks = Uplinks(self._directory / "forwarding")
        self._look_seconds, self._look = look_seconds, Deadline(look_seconds)
        self._whole = Deadline(0)  # until then a look at everything that was made is spared
        self._alarm = Alarm()
        self._closed = False
        self._load()

    def _load(self) -> None:
        for spec, ports in self._memory.networks():
            self._networks[spec.id] = _Known(spec, DhcpServer(self._directory / spec.id), ports)
        self._rules.groups = self._memory.groups()
        self._rules.routing = self._memory.routing()

    def used_ranges(self) -> tuple[str, ...]:
        return links.used_ranges()

    def ensure_network(self, spec: NetworkSpec, ports: tuple[PortSpec, ...] | None = None) -> None:
        checks.network(spec)
        if ports is None and self._stands(spec):
            return
        wanted = None if ports is None else {port.id: checks.port(port) for port in ports}
        with files("ensure_network"), self._hold(spec) as known:
            changed = known.spec != spec or (wanted is not None and known.ports != wanted)
            if wanted is not None and _lost_reservations(known.ports, wanted):
                known.server.forget_leases()
            known.spec, known.ports = spec, known.ports if wanted is None else wanted
            index = links.ensure_bridge(self._appliance_id, spec)
            links.own_addresses(bridge_name(spec.id), addresses(self._rules.routing).get(spec.id, set()))
            with self._lock:
                self._uplinks.forward()
            self._ensure_rules(anew=changed or ports is not None)
            docker.let_through(bridge_name(spec.id))
            self._serve_dhcp(known, index, reload=changed or ports is not None)
        self._whole = Deadline(self._look_seconds * 1.5)

    def _stands(self, spec: NetworkSpec) -> bool:
        """Whether the network is as it should be, by what costs nothing to see: its bridge and its DHCP server.
        Its rules were looked at within the time between two looks of ``watch``."""
        known = self._networks.get(spec.id)
        if known is None or known.spec != spec or self._whole.passed or not self._rules.sure:
            return False
        try:
            socket.if_nametoindex(bridge_name(spec.id))
        except OSError:
            return False
        return not spec.dhcp or known.server.pid() is not None

    @contextmanager
    def _hold(self, spec: NetworkSpec) -> Iterator[_Known]:
        """What is known of the network, locked; a new entry is forgotten again when its making fails."""
        with self._lock:
            directory = self._directory / spec.id
            for step in (self._directory.parent, self._directory, directory):
                step.mkdir(parents=True, exist_ok=True)
                step.chmod(0o755)
            is_new = spec.id not in self._networks
            if is_new:
                self._networks[spec.id] = _Known(spec, DhcpServer(directory), {})
                self._rules.sure = False
            known = self._networks[spec.id]
        with known.lock:
            try:
                yield known
            except BaseException:
                if is_new:
                    with self._lock:
                        self._networks.pop(spec.id, None)
                        self._rules.sure = False
                raise

    def _ensure_rules(self, *, anew: bool) -> None:
        with self._lock:
            if not anew and self._rules.sure and nftables.is_loaded(self._appliance_id):
                return
            self._load_all_rules()

    def _specs(self) -> dict[str, NetworkSpec]:
        return {known.spec.id: known.spec for known in self._networks.values()}

    def _load_all_rules(self) -> None:
        ports = [port for known in self._networks.values() for port in list(known.ports.values())]
        self._rules.load(self._specs(), ports)

    def _serve_dhcp(self, known: _Known, index: int, *, reload: bool) -> None:
        self._memory.keep_network(known.spec)
        if not known.server.hosts_file.exists() or reload:
            self._keep_ports(known)
        if not known.spec.dhcp:
            known.server.stop()
            return
        before = known.server.pid()
        known.server.ensure(known.spec, index)
        if known.server.pid() != before:
            _log.info("DHCP server started", network_id=known.spec.id, pid=known.server.pid())
            self._alarm.ring()
        elif reload:
            known.server.reload()

    def _keep_ports(self, known: _Known) -> None:
        self._memory.keep_ports(known.spec.id, known.ports.values())
        write_file(known.server.hosts_file, hosts_text(known.ports.values()))

    def remove_network(self, network_id: str) -> None:
        checks.uuid_text(network_id, "network id")
        with self._lock:
            known = self._networks.pop(network_id, None)
        server = known.server if known else DhcpServer(self._directory / network_id)
        with known.lock if known else self._lock:
            server.stop()
            docker.forget(bridge_name(network_id))
            links.remove_bridge(self._appliance_id, network_id)
            shutil.rmtree(server.hosts_file.parent, ignore_errors=True)
        with self._lock:
            if self._networks:
                self._load_all_rules()
            else:
                self._remove_rest()
        self._alarm.ring()

    def _remove_rest(self) -> None:
        """After the last network: the tables, and forwarding on uplinks unless another appliance needs it."""
        nftables.load("remove_network", nftables.removal(self._appliance_id))
        self._rules.sure = False
        self._uplinks.restore()
        shutil.rmtree(self._directory, ignore_errors=True)

    def ensure_port(self, port: PortSpec) -> None:
        port = checks.port(port)
        known = self._known(port.network_id)
        with known.lock:
            before = known.ports.get(port.id)
            if before == port and self._rules.sure:
                return
            if before is not None and _moved(before, port):
                known.server.forget_leases()
            known.ports[port.id] = port
            self._change_rules(before, port)
            self._tell_dhcp(known)

    def remove_port(self, network_id: str, port_id: str) -> None:
        with self._lock:
            known = self._networks.get(network_id)
        if known is None:
            return
        with known.lock:
            before = known.ports.pop(port_id, None)
            if before is None:
                return
            known.server.forget_leases()
            self._change_rules(before, None)
            self._tell_dhcp(known)

    def _known(self, network_id: str) -> _Known:
        with self._lock:
            known = self._networks.get(network_id)
        if known is None:
            raise DriverError(
                "ensure_port",
                f"network {network_id} is not set up on this host",
                code="network.absent",
                retryable=True,
                hint="Set the network up first.",
            )
        return known

    def _change_rules(self, before: PortSpec | None, after: PortSpec | None) -> None:
        with self._lock:
            if self._rules.sure:
                self._rules.change_port(before, after)
            if not self._rules.sure:
                self._load_all_rules()

    def ensure_groups(self, groups: tuple[GroupSpec, ...], *, only: bool = False) -> None:
        for group in groups:
            checks.group(group)
        with files("ensure_groups"), self._lock:
            kept = {group.id for group in groups}
            gone = [id_ for id_ in self._rules.groups if only and id_ not in kept]
            self._rules.change_groups(groups, gone)
            self._memory.keep_groups(self._rules.groups)
            self._mend()

    def remove_group(self, group_id: str) -> None:
        with files("remove_group"), self._lock:
            self._rules.change_groups((), [group_id])
            self._memory.keep_groups(self._rules.groups)
            self._mend()

    def ensure_routing(self, routing: RoutingSpec) -> None:
        checks.routing(routing)
        with files("ensure_routing"), self._lock:
            self._rules.change_routing(routing, self._specs())
            self._memory.keep_routing(routing)
            self._mend()
            for bridge in links.bridges(self._appliance_id):
                links.own_addresses(bridge.name, addresses(routing).get(bridge.network_id, set()))

    def _mend(self) -> None:
        """A change that was refused means that somebody else has changed the tables."""
        if self._networks and not self._rules.sure:
            self._load_all_rules()

    def _tell_dhcp(self, known: _Known) -> None:
        with files("ensure_port"):
            self._keep_ports(known)
            known.server.reload()
        self._alarm.ring()

    def check(self) -> NetworkReport:
        with self._lock:
            networks = dict(self._networks)
        present = {bridge.network_id: bridge.name for bridge in links.bridges(self._appliance_id)}
        running = tuple(id_ for id_, known in networks.items() if known.server.pid())
        problems = [f"Network {id_} has no bridge." for id_ in networks if id_ not in present]
        problems += [
            f"Bridge {name} belongs to network {id_}, which is not known."
            for id_, name in present.items()
            if id_ not in networks
        ]
        problems += [
            f"The DHCP server of network {id_} does not run."
            for id_, known in networks.items()
            if known.spec.dhcp and id_ not in running
        ]
        if networks and not nftables.is_loaded(self._appliance_id):
            problems.append("The packet filter tables are missing.")
        if networks:
            problems += docker.problems()
        if problems:
            self._whole = Deadline(0)
        ports = tuple((id_, port_id) for id_, known in networks.items() for port_id in list(known.ports))
        return NetworkReport(tuple(present.values()), running, ports, tuple(problems))

    def watch(self, timeout_seconds: float) -> tuple[str, ...]:
        deadline = Deadline(timeout_seconds)
        while True:
            broken = self._dead() or (self._torn() if self._look.passed else ())
            if broken:
                self._whole = Deadline(0)
            if broken or deadline.passed or self._closed:
                return broken
            self._wait_for_change(min(deadline.remaining, self._look.remaining))

    def _torn(self) -> tuple[str, ...]:
        """Networks whose bridge or rules somebody else took away; nothing tells, so a look is needed."""
        self._look = Deadline(self._look_seconds)
        with self._lock:
            wanted = tuple(self._networks)
            if not wanted or not self._rules.sure:
                return ()
            if not nftables.is_loaded(self._appliance_id):
                return wanted
        present = {bridge.network_id for bridge in links.bridges(self._appliance_id)}
        torn = tuple(network_id for network_id in wanted if network_id not in present)
        if not torn:
            self._whole = Deadline(self._look_seconds * 1.5)
        return torn

    def _dead(self) -> tuple[str, ...]:
        found = []
        with self._lock:
            networks = list(self._networks.values())
        for known in networks:
            with known.lock:
                is_wanted = known.spec.id in self._networks and known.spec.dhcp
                if is_wanted and known.server.pid() is None:
                    found.append(known.spec.id)
        return tuple(found)

    def _wait_for_change(self, seconds: float) -> None:
        with self._lock:
            servers = [known.server for known in self._networks.values() if known.spec.dhcp]
        self._alarm.wait([server.pidfd() for server in servers], seconds)

    def close(self) -> None:
        self._closed = True
        self._alarm.ring()


def _moved(before: PortSpec, after: PortSpec) -> bool:
    return (before.mac_address, before.ip_address) != (after.mac_address, after.ip_address)


def _lost_reservations(before: dict[str, PortSpec], after: dict[str, PortSpec]) -> bool:
    return any(id_ not in after or _moved(port, after[id_]) for id_, port in before.items())
