"""What Compute and the host are told of ports: plain values, in one query for many servers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import sqlalchemy as sa

from novalite.cloud.network.records import FixedIp, Network, Port, PortSecurityGroup, SecurityGroup, Subnet
from novalite.db.work import Work
from novalite.drivers.network.base import PortSpec


@dataclass(frozen=True)
class PortView:
    """What Compute shows and passes on of a port. ``ip_address`` is the first of ``fixed_ips``; ``dns_servers``,
    ``cidr`` and ``gateway_ip`` are those of its subnet; ``mtu`` in bytes."""

    port_id: str
    device_id: str
    network_id: str
    network_name: str
    mac_address: str
    ip_address: str
    subnet_id: str
    cidr: str
    gateway_ip: str
    mtu: int
    dhcp: bool
    dns_servers: tuple[str, ...]
    fixed_ips: tuple[str, ...]
    security_groups: tuple[str, ...]
    tag: str
    position: int
    host: str
    is_compute_made: bool

    @property
    def prefix_length(self) -> int:
        return IPv4Network(self.cidr).prefixlen


_PORT_COLUMNS = (
    Port.id.label("port_id"),
    Port.device_id,
    Port.network_id,
    Port.mac_address,
    Port.tag,
    Port.position,
    Port.host,
    Port.is_compute_made,
)


def of_device(w: Work, device_id: str) -> list[PortView]:
    """The ports of a device, in the order of its network cards."""
    return of_devices(w, [device_id])[device_id]


def of_devices(w: Work, ids: Iterable[str]) -> dict[str, list[PortView]]:
    """The ports of many devices in one query; a device without ports has an empty list."""
    wanted = list(ids)
    found: dict[str, list[PortView]] = {device_id: [] for device_id in wanted}
    if not wanted:
        return found
    query = (
        sa.select(
            *_PORT_COLUMNS,
            Network.name.label("network_name"),
            Network.mtu,
            Subnet.id.label("subnet_id"),
            Subnet.cidr,
            Subnet.gateway_ip,
            Subnet.enable_dhcp,
            Subnet.dns_servers,
            FixedIp.ip_address,
            SecurityGroup.name.label("group_name"),
        )
        .join(Network, Network.id == Port.network_id)
        .outerjoin(FixedIp, FixedIp.port_id == Port.id)
        .outerjoin(Subnet, Subnet.id == FixedIp.subnet_id)
        .outerjoin(PortSecurityGroup, PortSecurityGroup.port_id == Port.id)
        .outerjoin(SecurityGroup, SecurityGroup.id == PortSecurityGroup.group_id)
        .where(Port.device_id.in_(wanted))
        .order_by(Port.device_id, Port.position, Port.created_at, Port.id, FixedIp.address, SecurityGroup.name)
    )
    grouped: dict[str, list[Any]] = {}
    for row in w.session.execute(query):
        grouped.setdefault(row.port_id, []).append(row)
    for rows in grouped.values():
        found[rows[0].device_id].append(_view(rows))
    return found


def _view(rows: list[Any]) -> PortView:
    first = rows[0]
    ips = tuple(dict.fromkeys(row.ip_address for row in rows if row.ip_address))
    return PortView(
        port_id=first.port_id,
        device_id=first.device_id,
        network_id=first.network_id,
        network_name=first.network_name,
        mac_address=first.mac_address,
        ip_address=ips[0] if ips else "",
        subnet_id=first.subnet_id or "",
        cidr=first.cidr or "",
        gateway_ip=first.gateway_ip or "",
        mtu=first.mtu,
        dhcp=bool(first.enable_dhcp),
        dns_servers=tuple(first.dns_servers or ()),
        fixed_ips=ips,
        security_groups=tuple(dict.fromkeys(row.group_name for row in rows if row.group_name)),
        tag=first.tag,
        position=first.position,
        host=first.host,
        is_compute_made=first.is_compute_made,
    )


def specs(w: Work, network_id: str) -> tuple[PortSpec, ...]:
    """What the host is told of the ports of a network."""
    query = (
        sa.select(Port.id, Port.mac_address, Port.dns_name, sa.func.min(FixedIp.address))
        .join(FixedIp, FixedIp.port_id == Port.id)
        .where(Port.network_id == network_id)
        .group_by(Port.id, Port.mac_address, Port.dns_name)
        .order_by(Port.id)
    )
    return tuple(
        PortSpec(id=id_, network_id=network_id, mac_address=mac, ip_address=str(IPv4Address(number)), hostname=name)
        for id_, mac, name, number in w.session.execute(query)
    )


def as_spec(view: PortView, hostname: str = "") -> PortSpec:
    """What the host is told of one port."""
    return PortSpec(
        id=view.port_id,
        network_id=view.network_id,
        mac_address=view.mac_address,
        ip_address=view.ip_address,
        hostname=hostname,
    )


def at_address(w: Work, network_id: str, ip_address: str) -> str:
    """The id of the device whose port has this address on the network; empty when there is none."""
    query = (
        sa.select(Port.device_id)
        .join(FixedIp, FixedIp.port_id == Port.id)
        .where(Port.network_id == network_id, FixedIp.ip_address == ip_address)
    )
    return w.session.scalar(query) or ""
