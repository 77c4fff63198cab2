"""What Compute and the host are told of ports: plain values, in one query for many servers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from novalite.cloud.network import rates
from novalite.cloud.network.records import FixedIp, Network, Port, PortSecurityGroup, SecurityGroup
from novalite.db.work import Work
from novalite.drivers.network.base import PortSpec, RateSpec

ROUTED = INTERFACE, GATEWAY, FLOATING = "network:router_interface", "network:router_gateway", "network:floatingip"
"""What a port's ``device_owner`` is when no guest has it but a router or a floating address."""
DHCP = "network:dhcp"
"""The ``device_owner`` of the network's own port."""
_BATCH = 5000
GUESTS = "compute:"
"""How the ``device_owner`` of a server's port begins."""


@dataclass(frozen=True)
class PortView:
    """What Compute shows and passes on of a port. ``addresses`` are (address, subnet id), in order; ``mtu`` in
    bytes."""

    port_id: str
    device_id: str
    network_id: str
    network_name: str
    mac_address: str
    addresses: tuple[tuple[str, str], ...]
    mtu: int
    security_groups: tuple[str, ...]
    group_ids: tuple[str, ...]
    port_security: bool
    tag: str
    position: int
    host: str
    is_compute_made: bool

    @property
    def fixed_ips(self) -> tuple[str, ...]:
        return tuple(address for address, _ in self.addresses)

    @property
    def ip_address(self) -> str:
        """The first address, of IPv4 if there is one; empty without any."""
        return next((ip for ip in self.fixed_ips if ":" not in ip), self.fixed_ips[0] if self.addresses else "")


_PORT_COLUMNS = (
    Port.id.label("port_id"),
    Port.device_id,
    Port.network_id,
    Port.mac_address,
    Port.tag,
    Port.position,
    Port.host,
    Port.is_compute_made,
    Port.port_security,
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
            FixedIp.ip_address,
            FixedIp.subnet_id,
            SecurityGroup.id.label("group_id"),
            SecurityGroup.name.label("group_name"),
        )
        .join(Network, Network.id == Port.network_id)
        .outerjoin(FixedIp, FixedIp.port_id == Port.id)
        .outerjoin(PortSecurityGroup, PortSecurityGroup.port_id == Port.id)
        .outerjoin(SecurityGroup, SecurityGroup.id == PortSecurityGroup.group_id)
        .where(Port.device_id.in_(wanted))
        .order_by(
            Port.device_id, Port.position, Port.created_at, Port.id, FixedIp.position, FixedIp.address,
            SecurityGroup.name,
        )
    )  # fmt: skip
    grouped: dict[str, list[Any]] = {}
    for row in w.session.execute(query):
        grouped.setdefault(row.port_id, []).append(row)
    for rows in grouped.values():
        found[rows[0].device_id].append(_view(rows))
    return found


def _view(rows: list[Any]) -> PortView:
    first = rows[0]
    return PortView(
        port_id=first.port_id,
        device_id=first.device_id,
        network_id=first.network_id,
        network_name=first.network_name,
        mac_address=first.mac_address,
        addresses=tuple(dict.fromkeys((row.ip_address, row.subnet_id) for row in rows if row.ip_address)),
        mtu=first.mtu,
        security_groups=tuple({row.group_id: row.group_name for row in rows if row.group_id}.values()),
        group_ids=tuple(sorted({row.group_id for row in rows if row.group_id})),
        port_security=first.port_security,
        tag=first.tag,
        position=first.position,
        host=first.host,
        is_compute_made=first.is_compute_made,
    )


def specs(w: Work, network_id: str) -> tuple[PortSpec, ...]:
    """What the host is told of the ports of a network."""
    return _specs(w, Port.network_id == network_id)


def all_specs(w: Work) -> dict[str, tuple[PortSpec, ...]]:
    """What the host is told of the ports of each network."""
    found: dict[str, list[PortSpec]] = {}
    for port in _specs(w, sa.true()):
        found.setdefault(port.network_id, []).append(port)
    return {network_id: tuple(ports) for network_id, ports in found.items()}


def of_server(w: Work, server_id: str) -> tuple[PortSpec, ...]:
    """What the host is told of a server's ports, in the order of its network cards."""
    return _specs(w, Port.device_id == server_id)


def plugged(w: Work, ids: Iterable[str]) -> tuple[PortSpec, ...]:
    """What the host is told of those of the ports that are plugged in."""
    return _specs(w, sa.and_(Port.id.in_(list(ids)), Port.host != ""))


def _specs(w: Work, which: sa.ColumnElement[bool]) -> tuple[PortSpec, ...]:
    """Ports of servers: what others have is not plugged into a tap."""
    which = sa.and_(which, Port.device_owner.startswith(GUESTS, autoescape=True))
    query = (
        sa.select(
            Port.id, Port.network_id, Port.project_id, Port.mac_address, Port.dns_name, Port.port_security,
            Port.admin_state_up, Port.address_pairs, Port.dhcp_options, Port.wiring,
        )
        .where(which)
        .order_by(Port.position, Port.created_at, Port.id)
    )  # fmt: skip
    rows = w.session.execute(query).all()
    groups, addresses = _groups(w, which), _addresses(w, which)
    limits = _limits(w, [row.id for row in rows])
    return tuple(
        PortSpec(
            id=row.id,
            network_id=row.network_id,
            mac_address=row.mac_address,
            addresses=tuple(addresses.get(row.id, ())),
            project_id=row.project_id,
            hostname=row.dns_name,
            groups=tuple(groups.get(row.id, ())) if row.port_security else None,
            secured=row.port_security,
            pairs=tuple((pair.get("mac_address") or "", pair["ip_address"]) for pair in row.address_pairs),
            dhcp_options=tuple(
                (option["opt_name"], option["opt_value"], int(option["ip_version"])) for option in row.dhcp_options
            ),
            rate=limits.get(row.id) or RateSpec(**row.wiring.get("rate", {})),
            queues=bool(row.wiring.get("queues")),
            up=row.admin_state_up,
        )
        for row in rows
    )


def _limits(w: Work, ids: list[str]) -> dict[str, RateSpec]:
    found: dict[str, RateSpec] = {}
    for start in range(0, len(ids), _BATCH):
        found |= rates.of_ports(w, ids[start : start + _BATCH])
    return found


def _addresses(w: Work, which: sa.ColumnElement[bool]) -> dict[str, list[str]]:
    query = sa.select(FixedIp.port_id, FixedIp.ip_address).join(Port, Port.id == FixedIp.port_id).where(which)
    found: dict[str, list[str]] = {}
    for port_id, address in w.session.execute(query.order_by(FixedIp.position, FixedIp.address)):
        found.setdefault(str(port_id), []).append(address)
    return found


def _groups(w: Work, which: sa.ColumnElement[bool]) -> dict[str, list[str]]:
    query = (
        sa.select(PortSecurityGroup.port_id, PortSecurityGroup.group_id)
        .join(Port, Port.id == PortSecurityGroup.port_id)
        .where(which)
        .order_by(PortSecurityGroup.group_id)
    )
    found: dict[str, list[str]] = {}
    for row in w.session.execute(query):
        found.setdefault(row.port_id, []).append(row.group_id)
    return found
