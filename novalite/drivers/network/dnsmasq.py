"""One DHCP and name server for each network, in the network's namespace, for its ports and nobody else.

Leases say nothing that reservations do not, so they may be thrown away at any time. The process outlives NovaLite
and is found again by its pid file, checked against its command line.
"""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from novalite import logs
from novalite.clock import Deadline
from novalite.drivers.network import dhcp_files, namespaces
from novalite.drivers.network.base import NetworkSpec, PortSpec, network_namespace
from novalite.drivers.network.commands import run
from novalite.drivers.network.daemons import Daemon
from novalite.drivers.network.dhcp_files import Files, Lines, write_file
from novalite.errors import DriverError

_log = logs.get("network")

_NAMES_PER_SECOND = 400_000
"""Bytes of names that a server may spend a small part of its time on reading again: 10,000 names once a second."""
_SOON_SECONDS = 0.02


class DhcpServer(Daemon):
    """The dnsmasq of one network, with its files in ``directory``; calls are not thread-safe. ``is_told`` is false
    until this process has told it all: what one that was killed had written, it may not have read."""

    def __init__(self, directory: Path) -> None:
        self.files = Files(directory)
        self._hosts, self._options = Lines(), Lines()
        self.is_told = False
        self._names_told: int | None = None
        self._rest, self._due = Deadline(0), threading.Event()
        super().__init__("dnsmasq", self.files.pid)

    def argv(self, configuration: str, bridge_index: int) -> list[str]:
        """The command line. A digest is in it as a tag that nothing uses: a server with another configuration, or
        bound to a bridge that was made anew, is thereby known as stale."""
        digest = hashlib.sha256(f"{bridge_index}\n{configuration}".encode()).hexdigest()[:16]
        return [
            "dnsmasq", f"--conf-file={self.files.configuration}", f"--pid-file={self.files.pid}",
            f"--tag-if=set:v{digest}",
        ]  # fmt: skip

    def ensure(self, spec: NetworkSpec, ports: Mapping[str, PortSpec], bridge_index: int) -> bool:
        """Running with exactly this configuration; started, or started anew, when it is not. Whether it was."""
        text = dhcp_files.configuration(spec, ports.values(), self.files)
        wanted = self.argv(text, bridge_index)
        if self.command_line() == wanted and self.runs_in(network_namespace(spec.id)):
            return False
        self.stop("ensure_network")
        write_file(self.files.configuration, text)
        self._drop_leases(self._stale_leases(ports.values(), ()))
        run("ensure_network", namespaces.inside(network_namespace(spec.id), wanted))
        return True

    def tell(self, spec: NetworkSpec, ports: Mapping[str, PortSpec]) -> None:
        """Write reservations and ports' options, for ``ensure`` or ``reload`` to take up. ``ports`` is never
        changed, but replaced."""
        ranges = dhcp_files.ranges(spec)
        write_file(self.files.hosts, self._hosts.text(ranges, ports, partial(dhcp_files.host, ranges)))
        write_file(self.files.options, self._options.text(None, ports, dhcp_files.options))

    def tell_names(self, text: str) -> bool:
        """Write the names that are known, for ``ensure`` or ``reload`` to take up; whether that is a change."""
        if self._names_told is None and self.files.names.exists():
            self._names_told = hash(self.files.names.read_text())
        if self._names_told == hash(text) and self.files.names.exists():
            return False
        write_file(self.files.names, text)
        self._names_told = hash(text)
        return True

    def reload(
        self, spec: NetworkSpec, ports: Mapping[str, PortSpec], bridge_index: int, moved: Iterable[str] = ()
    ) -> None:
        """Take up what was told. The server is started anew when a lease was dropped, or its address is among those
        that ``moved`` to another port: else it would refuse the address to its next owner until the lease has run
        out, and know its old name."""
        stale = self._stale_leases(ports.values(), moved)
        if stale:
            self.stop("ensure_network")
            self._drop_leases(stale)
        if not self.ensure(spec, ports, bridge_index):
            self.reread()
        self.is_told = True

    def reread(self) -> None:
        """Take up reservations, options and names; a server that does not run will when it is started."""
        size = self.files.names.stat().st_size if self.files.names.exists() else 0
        self._rest = Deadline(size / _NAMES_PER_SECOND)
        self.signal(signal.SIGHUP)

    def soon(self, act: Callable[[], None]) -> None:
        """``act``, which tells names: at once when they are few, else once for all that ask in the next moment."""
        if self._rest.remaining < _SOON_SECONDS:
            act()
        elif not self._due.is_set():
            self._due.set()
            timer = threading.Timer(self._rest.remaining, self._act, [act])
            timer.daemon = True  # the next process tells all anew
            timer.start()

    def _act(self, act: Callable[[], None]) -> None:
        self._due.clear()
        try:
            act()
        except DriverError as error:
            _log.warning("names could not be told", file=str(self.files.names), error=str(error))

    def _leases(self) -> list[str]:
        try:
            return self.files.leases.read_text().splitlines()
        except FileNotFoundError:
            return []

    def _stale_leases(self, ports: Iterable[PortSpec], moved: Iterable[str]) -> set[str]:
        """Addresses with a lease that nobody has, or another."""
        owners = {address: port.mac_address for port in ports for address in port.addresses}
        gone, found = set(moved), set()
        for fields in (line.split() for line in self._leases()):
            if len(fields) < 4:
                continue
            mac, address = fields[1], fields[2]
            other = owners.get(address) != mac if ":" not in address else address not in owners
            if other or address in gone:
                found.add(address)
        return found

    def _drop_leases(self, addresses: set[str]) -> None:
        if addresses:
            kept = [line for line in self._leases() if line.split()[2:3] == [] or line.split()[2] not in addresses]
            self.files.leases.write_text("".join(line + "\n" for line in kept))
