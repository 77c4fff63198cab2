"""What dnsmasq reads: a network's configuration, the reservations and options of its ports, and names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from novalite import logs
from novalite.drivers.network import checks
from novalite.drivers.network.base import METADATA_ADDRESS, NetworkSpec, PortSpec, SubnetSpec, bridge_name

_LEASE_HOURS = 24
_LONGEST_OPTION = 255
_ON_LINK = "0.0.0.0"  # noqa: S104 - as a next hop
_log = logs.get("network")
_MOST_LEASES = 1 << 24
_SHORTEST_PREFIX_6 = 64  # dnsmasq serves no wider range of IPv6


@dataclass(frozen=True)
class Files:
    """Where they are, below the network's directory."""

    directory: Path

    @property
    def configuration(self) -> Path:
        return self.directory / "dnsmasq.conf"

    @property
    def hosts(self) -> Path:
        return self.directory / "hosts"

    @property
    def options(self) -> Path:
        return self.directory / "options"

    @property
    def names(self) -> Path:
        return self.directory / "names"

    @property
    def leases(self) -> Path:
        return self.directory / "leases"

    @property
    def pid(self) -> Path:
        return self.directory / "dnsmasq.pid"


def write_file(path: Path, text: str) -> None:
    """Whole or not at all, readable for the user dnsmasq runs as."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    temporary.chmod(0o644)
    temporary.replace(path)


def served(spec: NetworkSpec) -> list[SubnetSpec]:
    """The subnets on which addresses or options are given."""
    return [subnet for subnet in spec.subnets if subnet.dhcp and subnet.server_ip and subnet.address_mode != "slaac"]


def answers_names(spec: NetworkSpec) -> bool:
    return any(subnet.server_ip for subnet in spec.subnets)


def is_wanted(spec: NetworkSpec) -> bool:
    """Whether the network needs a server of its own."""
    return spec.up and (bool(served(spec)) or answers_names(spec))


def configuration(spec: NetworkSpec, ports: Iterable[PortSpec], files: Files) -> str:
    """All but reservations, options of ports, and names. Whoever has no reservation gets no answer at all."""
    lines = [
        "no-hosts", "no-resolv", "no-poll", "bind-interfaces", f"interface={bridge_name(spec.id)}",
        "except-interface=lo", "user=nobody", "quiet-dhcp", "quiet-dhcp6", "dhcp-authoritative",
        "dhcp-ignore=tag:!known", f"dhcp-leasefile={files.leases}", f"dhcp-hostsfile={files.hosts}",
        f"dhcp-optsfile={files.options}",
    ]  # fmt: skip
    lines += _names(spec, files)
    subnets = served(spec)
    lines.append(f"dhcp-lease-max={min(_MOST_LEASES, sum(ip_network(s.cidr).num_addresses for s in subnets) or 1)}")
    for number, subnet in enumerate(subnets):
        tag = f"s{number}"
        lines += _range_4(spec, subnet, tag) if subnet.version == 4 else _range_6(spec, subnet, tag)
    lines += [f"dhcp-mac=set:{_tag(port)},{port.mac_address}" for port in ports if port.dhcp_options]
    return "".join(line + "\n" for line in lines)


def _names(spec: NetworkSpec, files: Files) -> list[str]:
    if not answers_names(spec):
        return ["port=0"]
    lines = ["domain-needed", f"addn-hosts={files.names}", "cache-size=1000"]
    lines += [f"server={server}" for server in spec.upstream_dns]
    if spec.dns_domain:
        lines += [f"local=/{spec.dns_domain}/"]
    return lines


def _domain(spec: NetworkSpec) -> list[str]:
    return [f"domain={spec.dns_domain}"] if spec.dns_domain else []


def _range_4(spec: NetworkSpec, subnet: SubnetSpec, tag: str) -> list[str]:
    cidr, gateway = ip_network(subnet.cidr), subnet.gateway_ip
    routes = "".join(f",{range_},{hop}" for range_, hop in _routes(spec, subnet))
    servers = ",".join(subnet.dns_servers or (subnet.server_ip,))
    return [
        f"dhcp-range=set:{tag},{cidr.network_address},static,{cidr.netmask},{_LEASE_HOURS}h",
        f"dhcp-option=tag:{tag},option:router" + (f",{gateway}" if gateway else ""),
        f"dhcp-option=tag:{tag},option:classless-static-route{routes}",
        f"dhcp-option=tag:{tag},249{routes}",
        f"dhcp-option=tag:{tag},option:dns-server,{servers}",
        f"dhcp-option-force=tag:{tag},option:mtu,{spec.mtu}",
        *_domain(spec),
    ]


def _routes(spec: NetworkSpec, subnet: SubnetSpec) -> list[tuple[str, str]]:
    """What guests are told: (range, next hop), the metadata and default routes before others, as far as one option of
    DHCP has room."""
    told = [(f"{METADATA_ADDRESS}/32", subnet.server_ip)] if spec.metadata else []
    told += [("0.0.0.0/0", subnet.gateway_ip)] if subnet.gateway_ip else []
    told += [*subnet.host_routes]
    told += [(other.cidr, _ON_LINK) for other in spec.subnets if other.version == 4 and other.cidr != subnet.cidr]
    kept, room = [], _LONGEST_OPTION
    for range_, hop in told:
        room -= 5 + (ip_network(range_).prefixlen + 7) // 8
        if room < 0:
            _log.warning("guests are not told all routes: one option has no room", subnet_id=subnet.id)
            break
        kept.append((range_, hop))
    return kept


def _range_6(spec: NetworkSpec, subnet: SubnetSpec, tag: str) -> list[str]:
    cidr = ip_network(subnet.cidr)
    prefix = max(cidr.prefixlen, _SHORTEST_PREFIX_6)
    start = ip_network(f"{subnet.server_ip}/{prefix}", strict=False).network_address
    servers = ",".join(f"[{server}]" for server in subnet.dns_servers or (subnet.server_ip,))
    lines = [
        f"dhcp-range=set:{tag},{start},static,{prefix},{_LEASE_HOURS}h",
        f"dhcp-option=tag:{tag},option6:dns-server,{servers}",
    ]
    if spec.dns_domain:
        lines += [f"dhcp-option=tag:{tag},option6:domain-search,{spec.dns_domain}", *_domain(spec)]
    return lines


def _tag(port: PortSpec) -> str:
    return "p" + port.id.replace("-", "")[:16]


Ranges = tuple[tuple[IPv4Network | IPv6Network, SubnetSpec], ...]


def ranges(spec: NetworkSpec) -> Ranges:
    """The ranges of the network of which reservations are made."""
    return tuple((ip_network(subnet.cidr), subnet) for subnet in served(spec))


def host(ranges: Ranges, port: PortSpec) -> str:
    """A reservation, two lines: the port's id in a comment; MAC, addresses, host name.

    A port's tag is not set here: dnsmasq (2.81 to 2.90 at least) crashes when it reads such a file again after it
    has given a lease.
    """
    port = checks.port(port)
    told, has_4 = [port.mac_address], False
    for address in map(ip_address, port.addresses):
        subnet = next((subnet for range_, subnet in ranges if address in range_), None)
        if subnet is None or (address.version == 4 and has_4) or subnet.address_mode == "dhcpv6-stateless":
            continue
        has_4 = has_4 or address.version == 4
        told.append(str(address) if address.version == 4 else f"[{address}]")
    told += [port.hostname] if port.hostname else []
    return f"# {port.id}\n{','.join(told)}\n"


def options(port: PortSpec) -> str:
    """What a single port is told beside or instead of what its subnet says."""
    lines = []
    for name, value, version in checks.port(port).dhcp_options if port.dhcp_options else ():
        if version == 6:
            lines.append(f"tag:{_tag(port)},option6:{name},{value}\n")
        else:
            lines.append(f"tag:{_tag(port)},{name if name.isdigit() else f'option:{name}'},{value}\n")
    return "".join(lines)


def names(domain: str, port: PortSpec) -> str:
    """The port's addresses with its name; the full one first, so that it is the answer to who an address is."""
    if not (port.hostname and checks.label(port.hostname)):
        return ""
    full = f"{port.hostname}.{domain} " if domain else ""
    return "".join(f"{address} {full}{port.hostname}\n" for address in port.addresses)


class Lines:
    """What ports bring into a file: each port's part is made once, as long as ``about`` stays the same. Several threads
    at once may ask."""

    def __init__(self) -> None:
        self._known: tuple[object, Mapping[str, PortSpec], dict[str, tuple[PortSpec, str]], str] = (None, {}, {}, "")

    def text(self, about: object, ports: Mapping[str, PortSpec], make: Callable[[PortSpec], str]) -> str:
        """``ports`` is never changed, but replaced."""
        was_about, was, parts, text = self._known
        if about != was_about:
            parts = {}
        elif ports is was:
            return text
        made = {}
        for id_, port in ports.items():
            part = parts.get(id_)
            made[id_] = part if part and (part[0] is port or part[0] == port) else (port, make(port))
        text = "".join(part for _, part in made.values())
        self._known = (about, ports, made, text)
        return text
