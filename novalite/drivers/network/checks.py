"""Refuses values that must not reach a link name, a packet filter or dnsmasq's files."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from uuid import UUID

from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec, RoutingSpec, RuleSpec
from novalite.errors import DriverError

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def _refuse(what: str, value: str) -> DriverError:
    return DriverError("check", f"{what} {value[:80]!r} is not usable", code="network.invalid")


def uuid_text(value: str, what: str = "id") -> str:
    """The id itself when it is a UUID in its usual form."""
    try:
        if str(UUID(value)) == value:
            return value
    except ValueError:
        pass
    raise _refuse(what, value)


def _address(value: str, what: str) -> ipaddress.IPv4Address:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        raise _refuse(what, value) from None
    return address


def _range(value: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(value)
    except ValueError:
        raise _refuse("range", value) from None


def network(spec: NetworkSpec) -> ipaddress.IPv4Network:
    """The network's range; ``DriverError`` when anything in ``spec`` is not exactly what it says it is."""
    uuid_text(spec.id, "network id")
    cidr = _range(spec.cidr)
    gateway = _address(spec.gateway_ip, "gateway")
    if gateway not in cidr or cidr.prefixlen > 30 or not 68 <= spec.mtu <= 65535:
        raise _refuse("range, gateway or MTU", f"{spec.cidr} {spec.gateway_ip} {spec.mtu}")
    for server in spec.dns_servers:
        _address(server, "name server")
    for range_, hop in spec.host_routes:
        _range(range_)
        _address(hop, "next hop")
    if spec.dns_domain and not all(_LABEL.fullmatch(label) for label in spec.dns_domain.split(".")):
        raise _refuse("DNS domain", spec.dns_domain)
    return cidr


def port(spec: PortSpec) -> PortSpec:
    """The port when its values are well formed; its host name is cut to what DHCP can tell, which may be none."""
    uuid_text(spec.id, "port id")
    uuid_text(spec.network_id, "network id")
    if not _MAC.fullmatch(spec.mac_address):
        raise _refuse("MAC address", spec.mac_address)
    for address in spec.addresses:
        _address(address, "address")
    for group_id in spec.groups or ():
        uuid_text(group_id, "security group id")
    name = spec.hostname.partition(".")[0]
    return replace(spec, hostname=name if _LABEL.fullmatch(name) else "")


def group(spec: GroupSpec) -> None:
    """``DriverError`` when a rule holds what is none."""
    uuid_text(spec.id, "security group id")
    for rule in spec.rules:
        _rule(rule)


def _rule(rule: RuleSpec) -> None:
    for value, most in ((rule.protocol, 255), (rule.low, 65535), (rule.high, 65535)):
        if value is not None and not 0 <= value <= most:
            raise _refuse("number in a rule", str(value))
    if rule.remote:
        _range(rule.remote)
    if rule.remote_group:
        uuid_text(rule.remote_group, "security group id")


def routing(spec: RoutingSpec) -> None:
    """``DriverError`` when an id or an address is none."""
    for router in spec.routers:
        for id_ in (router.id, *router.networks, *([router.external] if router.external else [])):
            uuid_text(id_)
        for address in (*([router.address] if router.address else []), *(address for _, address in router.own)):
            _address(address, "address of a router")
    for item in spec.floating:
        uuid_text(item.external, "network id")
        _address(item.address, "floating address")
        _address(item.fixed_address, "fixed address")
