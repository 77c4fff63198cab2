"""One DHCP server for each network: only reserved addresses, no DNS.

Leases say nothing that reservations do not, so they may be thrown away at any time. The process outlives NovaLite
and is found again by its pid file, checked against its command line.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path

from novalite.clock import Deadline
from novalite.drivers.network import checks
from novalite.drivers.network.base import METADATA_ADDRESS, NetworkSpec, PortSpec, bridge_name
from novalite.drivers.network.commands import run
from novalite.errors import DriverError

_LEASE_HOURS = 24
_STOP_SECONDS = 5.0


def hosts_text(ports: Iterable[PortSpec]) -> str:
    """The reservations, two lines each: the port's id in a comment; MAC, address, host name.

    The id is no ``set:`` tag: dnsmasq (2.81 to 2.90 at least) crashes when it reads such a file again after it has
    given a lease.
    """
    lines = []
    for port in map(checks.port, ports):
        told = [port.mac_address, port.ip_address, *([port.hostname] if port.hostname else [])]
        lines.append(f"# {port.id}\n{','.join(told)}\n")
    return "".join(lines)


def write_file(path: Path, text: str) -> None:
    """Whole or not at all, readable for the user dnsmasq runs as."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    temporary.chmod(0o644)
    temporary.replace(path)


class DhcpServer:
    """The dnsmasq of one network. ``directory`` holds its hosts, lease and pid files; calls are not thread-safe."""

    def __init__(self, directory: Path) -> None:
        self.hosts_file = directory / "hosts"
        self.pid_file = directory / "dnsmasq.pid"
        self.lease_file = directory / "leases"
        self._stale_leases = directory / "stale-leases"

    def argv(self, spec: NetworkSpec, bridge_index: int) -> list[str]:
        """The command line. The bridge's index is in it as a tag nothing uses: a server that is bound to a
        bridge which was made anew is thereby known as stale."""
        cidr, bridge = IPv4Network(spec.cidr), bridge_name(spec.id)
        told = [(f"{METADATA_ADDRESS}/32", spec.gateway_ip)] if spec.metadata else []
        told += [*spec.host_routes, *([("0.0.0.0/0", spec.gateway_ip)] if spec.tells_gateway else [])]
        routes = "".join(f",{range_},{hop}" for range_, hop in told)
        options = [
            "--dhcp-option=option:router" + (f",{spec.gateway_ip}" if spec.tells_gateway else ""),
            f"--dhcp-option=option:classless-static-route{routes}",
            f"--dhcp-option-force=option:mtu,{spec.mtu}",
        ]
        if spec.dns_servers:
            options.append("--dhcp-option=option:dns-server," + ",".join(spec.dns_servers))
        if spec.dns_domain:
            options.append(f"--domain={spec.dns_domain}")
        return [
            "dnsmasq", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--port=0", "--bind-interfaces",
            f"--interface={bridge}", "--except-interface=lo", "--user=nobody", "--quiet-dhcp",
            f"--tag-if=set:bridge{bridge_index}", "--dhcp-authoritative",
            f"--dhcp-lease-max={min(cidr.num_addresses, 1 << 24)}",
            f"--dhcp-range={cidr.network_address},static,{cidr.netmask},{_LEASE_HOURS}h",
            f"--dhcp-hostsfile={self.hosts_file}", f"--dhcp-leasefile={self.lease_file}",
            f"--pid-file={self.pid_file}", *options,
        ]  # fmt: skip

    def ensure(self, spec: NetworkSpec, bridge_index: int) -> None:
        """Running with exactly these options; started, or started anew, when it is not."""
        wanted = self.argv(spec, bridge_index)
        if self._command_line() != wanted:
            self.stop()
            self._start(wanted)

    def _start(self, argv: list[str]) -> None:
        if self._stale_leases.exists():
            self.lease_file.unlink(missing_ok=True)
        run("ensure_network", argv)
        self._stale_leases.unlink(missing_ok=True)

    def reload(self) -> None:
        """Take up the hosts file. When a reservation was dropped since the server started it is started anew:
        else it would refuse the address to its next owner until the old lease has run out."""
        argv = self._command_line()
        if not argv:
            return
        if self._stale_leases.exists():
            self.stop()
            self._start(argv)
        else:
            self._signal(signal.SIGHUP)

    def forget_leases(self) -> None:
        """A reservation is being dropped: its lease must not outlive the next reload, whoever does that."""
        self._stale_leases.touch()

    def pid(self) -> int | None:
        """The process id, when the pid file names a dnsmasq of this very network that runs."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if self._is_ours(pid) else None

    def _is_ours(self, pid: int) -> bool:
        return f"--pid-file={self.pid_file}" in _arguments(pid)

    def _command_line(self) -> list[str]:
        pid = self.pid()
        return _arguments(pid) if pid else []

    def pidfd(self) -> int | None:
        """A descriptor that becomes readable when the server ends; the caller closes it."""
        pid = self.pid()
        return None if pid is None else self._open(pid)

    def _open(self, pid: int) -> int | None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if not self._is_ours(pid):  # ended, and its number perhaps given to another, between the two looks
            os.close(descriptor)
            return None
        return descriptor

    def _signal(self, number: signal.Signals) -> None:
        descriptor = self.pidfd()
        if descriptor is None:
            return
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)

    def stop(self) -> None:
        """Ended, by force when it does not end by itself, also one whose pid file was lost; the pid file gone."""
        for pid in (int(entry.name) for entry in Path("/proc").glob("[0-9]*")):
            descriptor = self._open(pid) if self._is_ours(pid) else None
            if descriptor is not None:
                try:
                    _end(descriptor)
                finally:
                    os.close(descriptor)
        self.pid_file.unlink(missing_ok=True)


def _arguments(pid: int) -> list[str]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode(errors="replace") for part in raw.split(b"\0")[:-1]]


def _end(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return
        if poll.poll(Deadline(_STOP_SECONDS).remaining * 1000):
            return
    raise DriverError("ensure_network", "dnsmasq does not end", code="driver.network", retryable=True)
