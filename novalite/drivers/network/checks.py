"""Refuses values that must not reach a link name, a packet filter or dnsmasq's files."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from uuid import UUID

from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec, RuleSpec, SubnetSpec, UplinkSpec
from novalite.errors import DriverError

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LINK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}")
_OPTION = re.compile(r"[0-9]{1,5}|[a-z0-9]+(-[a-z0-9]+)*")
_OPTION_VALUE = re.compile(r"[!#-\[\]-~]+( [!$-\[\]-~][!#-\[\]-~]*)*")  # no quotes, no backslash, no comment
_ICMP, _WITH_PORTS = (1, 58), (6, 17, 33, 132, 136)
_MODES = ("", "slaac", "dhcpv6-stateful", "dhcpv6-stateless")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Range = ipaddress.IPv4Network | ipaddress.IPv6Network


def refusal(what: str, value: object) -> DriverError:
    """What says that a value is none."""
    return DriverError("check", f"{what} {str(value)[:80]!r} is not usable", code="network.invalid")


def uuid_text(value: str, what: str = "id") -> str:
    """The id itself when it is a UUID in its usual form."""
    try:
        if str(UUID(value)) == value:
            return value
    except ValueError:
        pass
    raise refusal(what, value)


def address(value: str, what: str = "address", *, version: int = 0) -> Address:
    """The IPv4 or IPv6 address, of that version when one is given, in the way it is usually written."""
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        raise refusal(what, value) from None
    if str(found) != value or (version and found.version != version) or getattr(found, "scope_id", None):
        raise refusal(what, value)
    return found


def range_(value: str, what: str = "range", *, version: int = 0) -> Range:
    """The range, of that version when one is given; a single address is one."""
    try:
        found = ipaddress.ip_network(value)
    except ValueError:
        raise refusal(what, value) from None
    if str(found) not in (value, f"{value}/{found.max_prefixlen}") or (version and found.version != version):
        raise refusal(what, value)
    return found


def link(value: str, what: str = "interface") -> str:
    """The name when a link can have it."""
    if not _LINK.fullmatch(value):
        raise refusal(what, value)
    return value


def label(value: str) -> bool:
    """Whether it can be one part of a DNS name."""
    return _LABEL.fullmatch(value) is not None


def domain(value: str) -> str:
    """The DNS domain without its last dot; it may be empty."""
    name = value.removesuffix(".")
    if name and (len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split("."))):
        raise refusal("DNS domain", value)
    return name


def network(spec: NetworkSpec) -> NetworkSpec:
    """The network; ``DriverError`` when anything in ``spec`` is not exactly what it says it is."""
    uuid_text(spec.id, "network id")
    if not 68 <= spec.mtu <= 65535:
        raise refusal("MTU", spec.mtu)
    for subnet in spec.subnets:
        _subnet(subnet)
    for server in spec.upstream_dns:
        address(server, "name server")
    if spec.uplink is not None:
        _uplink(spec.uplink)
    return replace(spec, dns_domain=domain(spec.dns_domain))


def _subnet(subnet: SubnetSpec) -> None:
    uuid_text(subnet.id, "subnet id")
    cidr = range_(subnet.cidr)
    if subnet.gateway_ip:
        address(subnet.gateway_ip, "gateway", version=cidr.version)
    if subnet.server_ip and address(subnet.server_ip, "server address", version=cidr.version) not in cidr:
        raise refusal("server address", subnet.server_ip)
    for server in subnet.dns_servers:
        address(server, "name server", version=cidr.version)
    for told, hop in subnet.host_routes:
        range_(told, version=cidr.version)
        address(hop, "next hop", version=cidr.version)
    if subnet.ra_mode not in _MODES or subnet.address_mode not in _MODES:
        raise refusal("IPv6 mode", f"{subnet.ra_mode} {subnet.address_mode}")


def _uplink(uplink: UplinkSpec) -> None:
    if uplink.kind not in ("host", "flat", "vlan"):
        raise refusal("kind of uplink", uplink.kind)
    if uplink.kind != "host":
        link(uplink.interface)
    if not (1 <= uplink.vlan_id <= 4094 if uplink.kind == "vlan" else uplink.vlan_id == 0):
        raise refusal("VLAN", uplink.vlan_id)


def port(spec: PortSpec) -> PortSpec:
    """The port when its values are well formed; its host name is cut to what DHCP can tell, which may be none."""
    uuid_text(spec.id, "port id")
    uuid_text(spec.network_id, "network id")
    _mac(spec.mac_address)
    for own in spec.addresses:
        address(own)
    for mac, allowed in spec.pairs:
        if mac:
            _mac(mac)
        range_(allowed)
    for group_id in spec.groups or ():
        uuid_text(group_id, "security group id")
    for name, value, version in spec.dhcp_options:
        if not _OPTION.fullmatch(name) or not _OPTION_VALUE.fullmatch(value) or version not in (4, 6):
            raise refusal("DHCP option", f"{name} {value}")
    if min(spec.rate.in_kbps, spec.rate.in_burst_kb, spec.rate.out_kbps, spec.rate.out_burst_kb) < 0:
        raise refusal("rate", spec.rate)
    name = spec.hostname.partition(".")[0]
    return replace(spec, hostname=name if label(name) else "")


def _mac(value: str) -> None:
    if not _MAC.fullmatch(value):
        raise refusal("MAC address", value)


def group(spec: GroupSpec) -> None:
    """``DriverError`` when a rule holds what is none."""
    uuid_text(spec.id, "security group id")
    for rule in spec.rules:
        _rule(rule)


def _rule(rule: RuleSpec) -> None:
    if rule.version not in (4, 6):
        raise refusal("IP version", rule.version)
    for value, most in ((rule.protocol, 255), (rule.low, 65535), (rule.high, 65535)):
        if value is not None and not 0 <= value <= most:
            raise refusal("number in a rule", value)
    if rule.high is not None and (rule.low is None or (rule.protocol in _WITH_PORTS and rule.high < rule.low)):
        raise refusal("range of ports in a rule", f"{rule.low}-{rule.high}")
    if rule.protocol in _ICMP and max(rule.low or 0, rule.high or 0) > 255:
        raise refusal("ICMP type or code in a rule", f"{rule.low} {rule.high}")
    for remote in rule.remotes:
        range_(remote, version=rule.version)
    if rule.remote_group:
        uuid_text(rule.remote_group, "security group id")
