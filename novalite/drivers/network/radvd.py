"""Tells IPv6 networks of their router: one radvd for each router with something to tell, and one for the machine."""

from __future__ import annotations

import pwd
import signal
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Network, ip_address, ip_interface
from pathlib import Path

from novalite.drivers.network.base import NetworkSpec, RouterSpec, SubnetSpec, uplink_name
from novalite.drivers.network.commands import run
from novalite.drivers.network.daemons import Daemon
from novalite.drivers.network.namespaces import inside
from novalite.drivers.network.router_rules import card_name

_SECONDS = (10, 30)
"""Least and most between two advertisements that nobody asked for."""


def _subnets(network: NetworkSpec, addresses: Iterable[str]) -> list[SubnetSpec]:
    own = [ip_interface(address).ip for address in addresses]
    return [
        subnet
        for subnet in network.subnets
        if subnet.version == 6 and subnet.ra_mode and any(ip in IPv6Network(subnet.cidr) for ip in own)
    ]


def _prefix(subnet: SubnetSpec) -> list[str]:
    by_itself = "off" if subnet.ra_mode == "dhcpv6-stateful" else "on"
    return [f"  prefix {IPv6Network(subnet.cidr)} {{", "    AdvOnLink on;", f"    AdvAutonomous {by_itself};", "  };"]


def _names(subnets: Iterable[SubnetSpec], dns_domain: str) -> list[str]:
    servers = []
    for subnet in subnets:
        servers += [s for s in subnet.dns_servers if ":" in s] or ([subnet.server_ip] if subnet.server_ip else [])
    lines = [f"  RDNSS {' '.join(str(ip_address(s)) for s in dict.fromkeys(servers))} {{ }};"] if servers else []
    return [*lines, f"  DNSSL {dns_domain} {{ }};"] if dns_domain and servers else lines


def configuration(spec: RouterSpec, networks: Mapping[str, NetworkSpec]) -> str:
    """radvd's configuration for a router's cards; empty when it has nothing to tell."""
    return "".join(
        _interface(card_name(port.id), networks[port.network_id], port.addresses)
        for port in spec.interfaces
        if port.network_id in networks
    )


def machine_configuration(networks: Iterable[NetworkSpec]) -> str:
    """The same for networks that the machine itself is the router of."""
    return "".join(
        _interface(
            uplink_name(network.id), network, [subnet.gateway_ip for subnet in network.subnets if subnet.gateway_ip]
        )
        for network in networks
    )


def _interface(link: str, network: NetworkSpec, addresses: Iterable[str]) -> str:
    subnets = _subnets(network, addresses)
    if not subnets:
        return ""
    modes = {subnet.ra_mode for subnet in subnets}
    lines = [
        f"interface {link} {{",
        "  AdvSendAdvert on;",
        f"  MinRtrAdvInterval {_SECONDS[0]};",
        f"  MaxRtrAdvInterval {_SECONDS[1]};",
        f"  AdvLinkMTU {network.mtu};",
        *(["  AdvManagedFlag on;"] if "dhcpv6-stateful" in modes else []),
        *(["  AdvOtherConfigFlag on;"] if modes & {"dhcpv6-stateful", "dhcpv6-stateless"} else []),
    ]
    for subnet in subnets:
        lines += _prefix(subnet)
    lines += [*_names(subnets, network.dns_domain), "};"]
    return "".join(line + "\n" for line in lines)


def _account() -> list[str]:
    """radvd gives up root for the account that its package has made."""
    try:
        return ["--username", pwd.getpwnam("radvd").pw_name]
    except KeyError:
        return []


class Advertiser(Daemon):
    """The radvd of one router, or of the machine. ``directory`` holds its configuration and pid file."""

    def __init__(self, directory: Path) -> None:
        super().__init__("radvd", directory / "radvd.pid")
        self._file = directory / "radvd.conf"

    def ensure(self, op: str, namespace: str, text: str) -> None:
        """Running in the namespace with this configuration, or not at all when that is empty."""
        if not text:
            if self._file.exists() or self.pid_file.exists():
                self.stop(op)
                self._file.unlink(missing_ok=True)
            return
        told = self._file.read_text() if self._file.exists() else ""
        if told != text:
            temporary = self._file.with_suffix(".new")
            temporary.write_text(text)
            temporary.replace(self._file)
        if not self.runs_in(namespace):
            self.stop(op)
            self._start(op, namespace)
        elif told != text:
            self.signal(signal.SIGHUP)

    def _start(self, op: str, namespace: str) -> None:
        argv = ["radvd", "--config", str(self._file), "--pidfile", str(self.pid_file), "--logmethod", "none"]
        run(op, inside(namespace, [*argv, *_account()]))

    @property
    def is_wanted(self) -> bool:
        return self._file.exists()
