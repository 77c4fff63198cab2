"""One DHCP and name server for each network, in the network's namespace, for its ports and nobody else.

Leases say nothing that reservations do not, so they may be thrown away at any time. The process outlives NovaLite
and is found again by its pid file, checked against its command line.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from novalite.drivers.network import dhcp_files, namespaces
from novalite.drivers.network.base import NetworkSpec, PortSpec, network_namespace
from novalite.drivers.network.commands import run
from novalite.drivers.network.daemons import Daemon
from novalite.drivers.network.dhcp_files import Files, write_file


class DhcpServer(Daemon):
    """The dnsmasq of one network, with its files in ``directory``; calls are not thread-safe."""

    def __init__(self, directory: Path) -> None:
        self.files = Files(directory)
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
        """Write reservations and ports' options, for ``ensure`` or ``reload`` to take up."""
        write_file(self.files.hosts, dhcp_files.hosts(spec, ports.values()))
        write_file(self.files.options, dhcp_files.options(ports.values()))

    def tell_names(self, text: str) -> bool:
        """Write the names that are known, for ``ensure`` or ``reload`` to take up; whether that is a change."""
        if self.files.names.exists() and self.files.names.read_text() == text:
            return False
        write_file(self.files.names, text)
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

    def reread(self) -> None:
        """Take up reservations, options and names; a server that does not run will when it is started."""
        self.signal(signal.SIGHUP)

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
