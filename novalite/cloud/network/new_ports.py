"""Making ports: MAC and address at once, in batches, safe beside other units that do the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from novalite.cloud.network import networks, quota, security_groups
from novalite.cloud.network.addresses import free_numbers, new_mac, number_in
from novalite.cloud.network.records import FixedIp, Network, Port, PortSecurityGroup, Subnet
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid

_ATTEMPTS = 20
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class NewPort:
    """A port to make. ``fixed_ip`` None: the next free address, empty: none; ``mac_address`` None: a random one.
    ``security_groups`` are names or ids, None: the project's default. ``project_id`` None: the caller's, empty:
    nobody's."""

    network_id: str
    fixed_ip: str | None = None
    mac_address: str | None = None
    name: str = ""
    description: str = ""
    device_id: str = ""
    device_owner: str = ""
    security_groups: tuple[str, ...] | None = None
    dns_name: str = ""
    tag: str = ""
    position: int = 0
    is_compute_made: bool = False
    project_id: str | None = None
    port_security: bool = True
    admin_state_up: bool = True
    host: str = ""


def create(w: Work, new: NewPort) -> Port:
    """One port with its address. Raises ``Conflict`` when the range is full (``network.no_addresses``) or the
    address or MAC is taken, ``Invalid`` for values that do not fit, ``NotFound`` for the network, ``OverQuota``."""
    return create_many(w, [new])[0]


def create_many(w: Work, wanted: Sequence[NewPort]) -> list[Port]:
    """Ports in the order asked for, all or none; a constant number of statements for each network."""
    batches: dict[tuple[bool, str], list[int]] = {}
    for project_id, count in Counter(_owner(w, new) for new in wanted).items():
        quota.require(w, project_id, "port", count)
    for place, new in enumerate(wanted):
        batches.setdefault((not new.fixed_ip, new.network_id), []).append(place)
    made: dict[int, Port] = {}
    for (_, network_id), places in sorted(batches.items()):  # addresses asked for before those given freely
        ports = _create_on(w, networks.get(w, network_id), [wanted[place] for place in places])
        made.update(zip(places, ports, strict=True))
    return [made[place] for place in range(len(wanted))]


def _create_on(w: Work, network: Network, wanted: list[NewPort]) -> list[Port]:
    if not network.subnets and any(new.fixed_ip for new in wanted):
        raise Invalid(f"Network {network.id} has no subnet to take addresses from.", field="fixed_ips")
    if network.status != networks.ACTIVE:
        raise Conflict(f"Network {network.id} is being deleted.", code="network.in_removal")
    subnet = network.subnets[0] if network.subnets else None
    groups = _groups_of(w, wanted)
    for _ in range(_ATTEMPTS):
        rows = _rows(w, network, wanted, groups)
        try:
            with w.session.begin_nested():
                for batch in rows:
                    w.session.add_all(batch)
                    w.session.flush()
        except IntegrityError:
            # Another unit was quicker: take other values, unless the very ones asked for are gone.
            _refuse_taken(w, network, subnet, wanted)
            continue
        return loaded(w, [port.id for port in rows[0]])
    raise Conflict(
        f"No address could be taken on network {network.id}: too many ask at once.",
        code="network.contention",
        hint="Try again.",
    )


def _owner(w: Work, new: NewPort) -> str:
    return w.ctx.project_id if new.project_id is None else new.project_id


def _groups_of(w: Work, wanted: list[NewPort]) -> dict[tuple[str, tuple[str, ...] | None], list[str]]:
    found: dict[tuple[str, tuple[str, ...] | None], list[str]] = {}
    for new in wanted:
        key = (_owner(w, new), new.security_groups)
        if key in found:
            continue
        if not new.port_security:
            found[key] = []
        elif new.security_groups is None:
            found[key] = [security_groups.ensure_default(w, key[0])]
        else:
            found[key] = security_groups.resolve(w, new.security_groups, key[0]) if new.security_groups else []
    return found


def _numbers(w: Work, subnet: Subnet | None, wanted: list[NewPort]) -> list[int | None]:
    """An address for each port, as a number; None for those that get none."""
    if subnet is None:
        return [None] * len(wanted)
    if wanted[0].fixed_ip:
        return [number_in(subnet, new.fixed_ip or "") for new in wanted]
    free = iter(free_numbers(w, subnet, sum(new.fixed_ip is None for new in wanted)))
    return [next(free) if new.fixed_ip is None else None for new in wanted]


def _rows(
    w: Work,
    network: Network,
    wanted: list[NewPort],
    groups: dict[tuple[str, tuple[str, ...] | None], list[str]],
) -> tuple[list[Port], list[FixedIp], list[PortSecurityGroup]]:
    subnet = network.subnets[0] if network.subnets else None
    numbers = _numbers(w, subnet, wanted)
    macs = iter(_free_macs(w, network.id, len(wanted)))
    ports: list[Port] = []
    addresses: list[FixedIp] = []
    members: list[PortSecurityGroup] = []
    for new, number in zip(wanted, numbers, strict=True):
        port = Port(
            id=new_id(),
            network_id=new.network_id,
            project_id=_owner(w, new),
            name=new.name,
            description=new.description,
            mac_address=_mac(new) or next(macs),
            device_id=new.device_id,
            device_owner=new.device_owner,
            dns_name=new.dns_name,
            tag=new.tag,
            position=new.position,
            is_compute_made=new.is_compute_made,
            port_security=new.port_security,
            admin_state_up=new.admin_state_up,
            host=new.host,
            created_at=w.now,
            updated_at=w.now,
        )
        ports.append(port)
        if number is not None and subnet is not None:
            text = str(IPv4Address(number))
            addresses.append(FixedIp(subnet_id=subnet.id, port_id=port.id, address=number, ip_address=text))
        members += [
            PortSecurityGroup(port_id=port.id, group_id=group_id)
            for group_id in groups[_owner(w, new), new.security_groups]
        ]
        w.announce("port", port.id, port.project_id)
    return ports, addresses, members


def _batches(values: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _free_macs(w: Work, network_id: str, count: int) -> list[str]:
    """Distinct random MACs; among many a repetition is likely, so those of the network are left out."""
    found = {new_mac() for _ in range(count)}
    while True:
        for batch in _batches(list(found)):
            found -= set(
                w.session.scalars(
                    sa.select(Port.mac_address).where(Port.network_id == network_id, Port.mac_address.in_(batch))
                )
            )
        if len(found) == count:
            return list(found)
        found |= {new_mac() for _ in range(count - len(found))}


def _mac(new: NewPort) -> str:
    if new.mac_address is None:
        return ""
    mac = new.mac_address.lower()
    if not _MAC.fullmatch(mac) or int(mac[1], 16) & 1:
        raise Invalid(
            f"Invalid input for mac_address. Reason: '{new.mac_address}' is not a valid MAC address.",
            field="mac_address",
        )
    return mac


def _refuse_taken(w: Work, network: Network, subnet: Subnet | None, wanted: list[NewPort]) -> None:
    """Raise ``Conflict`` for what was asked for exactly and is not to be had."""
    ips = [new.fixed_ip for new in wanted if new.fixed_ip]
    macs = [_mac(new) for new in wanted if new.mac_address]
    ip = (
        w.session.scalar(
            sa.select(FixedIp.ip_address).where(FixedIp.subnet_id == subnet.id, FixedIp.ip_address.in_(ips)).limit(1)
        )
        if ips and subnet is not None
        else None
    )
    mac = (
        w.session.scalar(
            sa.select(Port.mac_address).where(Port.network_id == network.id, Port.mac_address.in_(macs)).limit(1)
        )
        if macs
        else None
    )
    if subnet is not None and (ip or len(set(ips)) < len(ips)):
        raise Conflict(
            f"IP address {ip or ips[0]} already allocated in subnet {subnet.id}", code="ip_address.already_allocated"
        )
    if mac or len(set(macs)) < len(macs):
        raise Conflict(
            f"Unable to complete operation for network {network.id}. The mac address {mac or macs[0]} is in use.",
            code="mac_address.in_use",
        )


def with_parts(query: sa.Select[Port]) -> sa.Select[Port]:
    """The same ports with their addresses and groups."""
    return query.options(selectinload(Port.fixed_ips), selectinload(Port.groups))


def loaded(w: Work, ids: list[str]) -> list[Port]:
    """Ports by id, in that order, as they are in the database now."""
    found = {
        port.id: port
        for port in w.session.scalars(
            with_parts(sa.select(Port).where(Port.id.in_(ids))), execution_options={"populate_existing": True}
        )
    }
    return [found[port_id] for port_id in ids]
