"""Refuses values of routers and of the machine's forwards that must not reach a link name or the packet filter."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_interface, ip_network
from uuid import UUID

from novalite.drivers.network.base import HostForwardSpec, PortForwardSpec, RouterPortSpec, RouterSpec
from novalite.errors import DriverError

_MOST_PORTS = 65535
_MAC_PARTS = 6


def _refuse(what: str, value: object) -> DriverError:
    return DriverError("check", f"{what} {str(value)[:80]!r} is not usable", code="network.invalid")


def _id(value: str) -> None:
    try:
        if str(UUID(value)) == value:
            return
    except ValueError:
        pass
    raise _refuse("id", value)


def router(spec: RouterSpec) -> RouterSpec:
    """The router itself; ``DriverError`` when anything in it is not exactly what it says it is."""
    _id(spec.id)
    for port in (*spec.interfaces, *([spec.gateway] if spec.gateway else [])):
        _port(port)
    try:
        for hop in spec.next_hops:
            ip_address(hop)
        for range_, hop in spec.routes:
            if ip_network(range_).version != ip_address(hop).version:
                raise _refuse("route", range_)
        for item in spec.floating:
            IPv4Address(item.address)
            IPv4Address(item.fixed_address)
    except ValueError as error:
        raise _refuse("an address of a router", error) from None
    for forward in spec.forwards:
        _forward(forward)
    return spec


def _port(port: RouterPortSpec) -> None:
    _id(port.id)
    _id(port.network_id)
    parts = port.mac_address.split(":")
    if len(parts) != _MAC_PARTS or not all(len(part) == 2 and set(part) <= set("0123456789abcdef") for part in parts):
        raise _refuse("MAC address", port.mac_address)
    for address in port.addresses:
        try:
            ip_interface(address)
        except ValueError:
            raise _refuse("address", address) from None


def _forward(spec: PortForwardSpec) -> None:
    last = spec.fixed_low + spec.high - spec.low
    if spec.protocol not in ("tcp", "udp") or not 0 < spec.low <= spec.high <= _MOST_PORTS:
        raise _refuse("port forward", f"{spec.protocol} {spec.low}-{spec.high}")
    if not 0 < spec.fixed_low <= last <= _MOST_PORTS:
        raise _refuse("port of a port forward", spec.fixed_low)
    for address in ([spec.address] if spec.address else []) + [spec.fixed_address]:
        _ipv4(address)


def _ipv4(address: str) -> None:
    try:
        IPv4Address(address)
    except ValueError:
        raise _refuse("address", address) from None


def host_forward(spec: HostForwardSpec) -> HostForwardSpec:
    """The forward itself, or ``DriverError``."""
    if spec.protocol not in ("tcp", "udp"):
        raise _refuse("protocol", spec.protocol)
    for port in (spec.host_port, spec.port):
        if not 0 < port <= _MOST_PORTS:
            raise _refuse("port", port)
    _ipv4(spec.address)
    return spec
