"""The networks of one appliance: what each is to be, and its namespace, bridge, taps, rules, DHCP and name server."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from novalite import logs
from novalite.drivers.network import bridges, dhcp_files, links, taps
from novalite.drivers.network.base import NetworkSpec, PortSpec, network_namespace
from novalite.drivers.network.commands import files
from novalite.drivers.network.dhcp_files import Lines
from novalite.drivers.network.dnsmasq import DhcpServer
from novalite.drivers.network.filters import Filters
from novalite.drivers.network.memory import Memory
from novalite.drivers.network.nftables import Tracking

_log = logs.get("network")


@dataclass
class Network:
    """What is wanted of one network; ``lock`` orders changes to its links, files and server. ``ports`` is never
    changed, but replaced. ``index`` is the kernel's number of its bridge; ``stale_taps`` are of ports whose tap cannot
    be as it should while its guest runs."""

    spec: NetworkSpec
    server: DhcpServer
    ports: Mapping[str, PortSpec]
    index: int = 0
    stale_taps: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _names: dict[tuple[str, str], Lines] = field(default_factory=dict)

    def names(self, domain: str, project_id: str = "") -> str:
        """Of its ports, or of those of a project, for servers of that domain."""

        def of(port: PortSpec) -> str:
            return dhcp_files.names(domain, port) if project_id in ("", port.project_id) else ""

        return self._names.setdefault((domain, project_id), Lines()).text(None, self.ports, of)

    def faults(self, near: set[str], filters: Filters) -> list[str]:
        """What is missing, as sentences; ``near`` are the names of links in the machine's namespace, which may be from
        before a port was made."""
        id_ = self.spec.id
        far = bridges.look(id_)
        if far is None:
            return [f"Network {id_} has no namespace."]
        if far.index != self.index:
            return [f"Network {id_} has no bridge."]
        found = [
            f"Port {port_id} of network {id_} has lost its links."
            for port_id, port in list(self.ports.items())
            if not taps.stands(port_id, near, far.names) and not self.has_links(port)
        ]
        own = {address.partition("/")[0] for address in bridges.own_addresses(self.spec)}
        if filters.is_torn(id_):
            found.append(f"The packet filter of network {id_} is missing or was changed.")
        if self.spec.up and not own <= far.addresses:
            found.append(f"The bridge of network {id_} has lost addresses.")
        if self.is_served and not self.server.runs_in(network_namespace(id_)):
            found.append(f"The DHCP server of network {id_} does not run.")
        return found

    @staticmethod
    def has_links(port: PortSpec) -> bool:
        """By a look at these alone."""
        try:
            return taps.stand(port)
        except FileNotFoundError:  # the namespace is gone
            return False

    @property
    def is_served(self) -> bool:
        return dhcp_files.is_wanted(self.spec)


class Networks:
    """``directory`` is for what they are, kept until the machine restarts; a new process knows them from there. Specs
    were checked. Raises ``DriverError``; methods may be called from several threads at once."""

    def __init__(
        self, appliance_id: str, directory: Path, memory: Memory, filters: Filters, tracking: Tracking
    ) -> None:
        self._appliance_id, self._directory, self._memory = appliance_id, directory, memory
        self._filters, self._tracking = filters, tracking
        self._known: dict[str, Network] = {}
        self._lock = threading.RLock()
        for spec, ports in memory.networks():
            found = bridges.look(spec.id)
            server = DhcpServer(directory / spec.id)
            self._known[spec.id] = Network(spec, server, ports, found.index if found else 0)

    def all(self) -> list[Network]:
        with self._lock:
            return list(self._known.values())

    def specs(self) -> dict[str, NetworkSpec]:
        return {known.spec.id: known.spec for known in self.all()}

    def get(self, op: str, network_id: str) -> Network:
        """Raises a ``DriverError`` that may be tried again when the network is not known."""
        with self._lock:
            known = self._known.get(network_id)
        if known is None:
            raise taps.absent(op, network_id)
        return known

    def is_known(self, network_id: str) -> bool:
        with self._lock:
            return network_id in self._known

    def stands(self, spec: NetworkSpec) -> bool:
        """Whether the network is as it should be, by what costs little to see."""
        with self._lock:
            known = self._known.get(spec.id)
        return known is not None and known.spec == spec and not self.faults(known, links.names())

    def faults(self, known: Network, near: set[str]) -> list[str]:
        """What is missing of the network, as sentences; nothing of one that is being removed."""
        with known.lock:
            return known.faults(near, self._filters) if self.is_known(known.spec.id) else []

    def ensure(self, spec: NetworkSpec, wanted: dict[str, PortSpec] | None) -> None:
        """The network, with exactly the ports of ``wanted``, or those that it has."""
        with files("ensure_network"), self._hold(spec) as known:
            before, had = known.spec, known.ports
            known.spec, known.ports = spec, had if wanted is None else wanted
            known.index = bridges.ensure(self._appliance_id, spec, self._tracking)
            if before != spec or had != known.ports or not self._has_rules(spec.id):
                self._filters.ensure(spec, known.ports.values(), self._others(spec.id))
            if wanted is not None:
                taps.remove_others(self._appliance_id, spec.id, wanted)
            limited = [port.id for port in had.values() if taps.has_limit(port.rate)]
            known.stale_taps = {*taps.ensure(self._appliance_id, spec, known.ports.values(), limited=limited)}
            bridges.remove_older(self._appliance_id, spec.id)
            self._memory.keep_network(spec)
            self._memory.keep_ports(spec.id, known.ports.values())
            self._serve(known, _moved(had, known.ports), reload=before != spec or had != known.ports)
        if wanted is not None:
            self._tell_names(_projects(had, wanted), but=spec.id)

    def _has_rules(self, network_id: str) -> bool:
        return self._filters.is_sure(network_id) and not self._filters.is_torn(network_id)

    def _others(self, network_id: str) -> list[tuple[NetworkSpec, list[PortSpec]]]:
        """The networks but for one, with their ports."""
        return [(known.spec, list(known.ports.values())) for known in self.all() if known.spec.id != network_id]

    @contextmanager
    def _hold(self, spec: NetworkSpec) -> Iterator[Network]:
        """What is known of the network, locked; a new entry is forgotten again when its making fails."""
        with self._lock:
            directory = self._directory / spec.id
            for step in (self._directory.parent, self._directory, directory):
                step.mkdir(parents=True, exist_ok=True)
                step.chmod(0o755)
            is_new = spec.id not in self._known
            if is_new:
                self._known[spec.id] = Network(spec, DhcpServer(directory), {})
            known = self._known[spec.id]
        with known.lock:
            try:
                yield known
            except BaseException:
                if is_new:
                    with self._lock:
                        self._known.pop(spec.id, None)
                raise

    def remove(self, network_id: str) -> None:
        """All of it gone; an absent one is a success."""
        with self._lock:
            known = self._known.get(network_id)
        server = known.server if known else DhcpServer(self._directory / network_id)
        with known.lock if known else self._lock:
            server.stop("remove_network")
            taps.remove_others(self._appliance_id, network_id, ())
            self._filters.drop(network_id)
            bridges.remove(self._appliance_id, network_id)
            bridges.remove_older(self._appliance_id, network_id)
            shutil.rmtree(server.files.directory, ignore_errors=True)
            with self._lock:
                self._known.pop(network_id, None)
        if known:
            self._tell_names(_projects(known.ports, {}), but=network_id)

    def ensure_port(self, port: PortSpec) -> None:
        known = self.get("ensure_port", port.network_id)
        with files("ensure_port"), known.lock:
            before = known.ports.get(port.id)
            if (
                before == port
                and port.id not in known.stale_taps
                and known.has_links(port)
                and self._filters.is_sure(port.network_id)
            ):
                return
            known.ports = {**known.ports, port.id: port}
            self._filters.change_port(known.spec, known.ports.values(), before, port)
            limited = [port.id] if before and taps.has_limit(before.rate) else []
            known.stale_taps.discard(port.id)
            known.stale_taps |= taps.ensure(self._appliance_id, known.spec, [port], limited=limited)
            had = {port.id: before} if before else {}
            if before != port:
                self._tell_server(known, _moved(had, {port.id: port}))
        self._tell_names(_projects(had, {port.id: port}), but=port.network_id)

    def remove_port(self, network_id: str, port_id: str) -> None:
        with self._lock:
            known = self._known.get(network_id)
        if known is None:
            return
        with files("remove_port"), known.lock:
            before = known.ports.get(port_id)
            known.ports = {id_: port for id_, port in known.ports.items() if id_ != port_id}
            taps.remove(self._appliance_id, port_id)
            if before is None:
                return
            self._filters.change_port(known.spec, known.ports.values(), before, None)
            self._tell_server(known, before.addresses)
        self._tell_names({before.project_id}, but=network_id)

    def _tell_server(self, known: Network, moved: Iterable[str]) -> None:
        self._memory.keep_ports(known.spec.id, known.ports.values())
        self._serve(known, moved, reload=True)

    def _serve(self, known: Network, moved: Iterable[str] = (), *, reload: bool) -> None:
        known.server.tell(known.spec, known.ports)
        reload = known.server.tell_names(self._names(known.spec)) or reload or not known.server.is_told
        if not known.is_served:
            known.server.stop("ensure_network")
            return
        before = known.server.pid()
        if reload:
            known.server.reload(known.spec, known.ports, known.index, moved)
        else:
            known.server.ensure(known.spec, known.ports, known.index)
        if known.server.pid() != before:
            _log.info("DHCP server started", network_id=known.spec.id, pid=known.server.pid())

    def _names(self, spec: NetworkSpec) -> str:
        """Of the network's own ports, and of those that its project has elsewhere."""
        known = self.all()
        own = [one.names(spec.dns_domain) for one in known if one.spec.id == spec.id]
        elsewhere = [one for one in known if one.spec.id != spec.id] if spec.project_id else []
        return "".join([*own, *(one.names(spec.dns_domain, spec.project_id) for one in elsewhere)])

    def _tell_names(self, projects: set[str], *, but: str) -> None:
        """Names of ports of these projects have changed: the servers of their other networks know."""
        for known in self.all():
            if known.spec.project_id in projects and known.spec.id != but and dhcp_files.answers_names(known.spec):
                known.server.soon(partial(self._tell_names_of, known))

    def _tell_names_of(self, known: Network) -> None:
        with files("ensure_port"), known.lock:
            if self.is_known(known.spec.id) and known.server.tell_names(self._names(known.spec)):
                known.server.reread()


def _moved(before: Mapping[str, PortSpec], after: Mapping[str, PortSpec]) -> set[str]:
    """Addresses that another card has now, or none."""
    had = {address: port.mac_address for port in before.values() for address in port.addresses}
    have = {address: port.mac_address for port in after.values() for address in port.addresses}
    return {address for address, mac in had.items() if have.get(address) != mac}


def _projects(before: Mapping[str, PortSpec], after: Mapping[str, PortSpec]) -> set[str]:
    """The projects whose ports' names differ."""
    found = set()
    for id_ in before.keys() | after.keys():
        ports = [ports[id_] for ports in (before, after) if id_ in ports]
        if len({(port.hostname, port.addresses, port.project_id) for port in ports}) != 1 or len(ports) == 1:
            found |= {port.project_id for port in ports if port.project_id}
    return found
