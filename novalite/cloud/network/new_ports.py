"""Making ports: MAC and addresses at once, in batches, safe beside other units that do the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from novalite.cloud.network import addresses, allocation, networks, quota, ranges, security_groups
from novalite.cloud.network.addresses import new_mac
from novalite.cloud.network.allocation import Asked, Wish
from novalite.cloud.network.records import FixedIp, Network, Port, PortSecurityGroup
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid

_ATTEMPTS = 20
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_NO_MAC = "00:00:00:00:00:00"


@dataclass(frozen=True)
class NewPort:
    """A port to make. ``fixed_ips`` None: what the network gives by itself, empty: none; ``mac_address`` None: a random
    one. ``security_groups`` are names or ids, None: the project's default. ``port_security`` None: as the network
    has it. ``project_id`` None: the caller's, empty: nobody's."""

    network_id: str
    fixed_ips: tuple[Asked, ...] | None = None
    mac_address: str | None = None
    name: str = ""
    description: str = ""
    device_id: str = ""
    device_owner: str = ""
    security_groups: tuple[str, ...] | None = None
    dns_name: str = ""
    dns_domain: str = ""
    tag: str = ""
    position: int = 0
    is_compute_made: bool = False
    project_id: str | None = None
    port_security: bool | None = None
    admin_state_up: bool = True
    host: str = ""
    vnic_type: str = "normal"
    binding_profile: Mapping[str, Any] = field(default_factory=dict)
    address_pairs: tuple[Mapping[str, str], ...] = ()
    dhcp_options: tuple[Mapping[str, Any], ...] = ()
    propagate_uplink_status: bool = True


def create(w: Work, new: NewPort) -> Port:
    """One port with its addresses. Raises ``Conflict`` when the range is full (``network.no_addresses``) or the
    address or MAC is taken, ``Invalid`` for values that do not fit, ``NotFound`` for the network, ``OverQuota``."""
    return create_many(w, [new])[0]


def create_many(w: Work, wanted: Sequence[NewPort]) -> list[Port]:
    """Ports in the order asked for, all or none; a constant number of statements for each network."""
    for project_id, count in Counter(_owner(w, new) for new in wanted).items():
        quota.require(w, project_id, "port", count)
    batches: dict[str, list[int]] = {}
    for place, new in enumerate(wanted):
        batches.setdefault(new.network_id, []).append(place)
    made: dict[int, Port] = {}
    for network_id, positions in sorted(batches.items()):
        ports = _create_on(w, networks.get(w, network_id), [wanted[place] for place in positions])
        made.update(zip(positions, ports, strict=True))
    return [made[place] for place in range(len(wanted))]


def _create_on(w: Work, network: Network, wanted: list[NewPort]) -> list[Port]:
    groups = _groups_of(w, network, wanted)
    for _ in range(_ATTEMPTS):
        rows = _rows(w, network, wanted, groups)
        try:
            with w.session.begin_nested():
                for batch in rows:
                    w.session.add_all(batch)
                    w.session.flush()
        except IntegrityError:
            # Another unit was quicker: take other values, unless the very ones asked for are gone.
            _refuse_taken(w, network, wanted)
            continue
        return loaded(w, [port.id for port in rows[0]])
    raise Conflict(
        f"No address could be taken on network {network.id}: too many ask at once.",
        code="network.contention",
        hint="Try again.",
    )


def _owner(w: Work, new: NewPort) -> str:
    return w.ctx.project_id if new.project_id is None else new.project_id


_Grouping = tuple[str, tuple[str, ...] | None, bool]
"""Whose groups, which, and whether a port may have any."""


def _is_secured(network: Network, new: NewPort) -> bool:
    return network.port_security if new.port_security is None else new.port_security


def _grouping(w: Work, network: Network, new: NewPort) -> _Grouping:
    return _owner(w, new), new.security_groups, _is_secured(network, new)


def _groups_of(w: Work, network: Network, wanted: list[NewPort]) -> dict[_Grouping, list[str]]:
    """Raises ``Invalid`` for groups of a port that may have none; ``default``, which all have, is not asked for."""
    found: dict[_Grouping, list[str]] = {}
    for project_id, names, secured in dict.fromkeys(_grouping(w, network, new) for new in wanted):
        if not secured and names not in (None, (), ("default",)):
            raise Invalid(
                "Network requires port_security_enabled and subnet associated in order to apply security groups.",
                code="security_group.cannot_be_applied",
                field="security_groups",
            )
        if not secured:
            of_it = []
        elif names is None:
            of_it = [security_groups.ensure_default(w, project_id)]
        else:
            of_it = security_groups.resolve(w, names, project_id) if names else []
        found[project_id, names, secured] = of_it
    return found


def _rows(
    w: Work,
    network: Network,
    wanted: list[NewPort],
    groups: dict[_Grouping, list[str]],
) -> tuple[list[Port], list[FixedIp], list[PortSecurityGroup]]:
    free = iter(_free_macs(w, network.id, len(wanted)))
    macs = [_mac(new) or next(free) for new in wanted]
    wishes = [Wish(mac, new.device_owner, new.fixed_ips) for mac, new in zip(macs, wanted, strict=True)]
    given = allocation.places(w, network, wishes)
    ports = [_port(w, network, new, mac) for new, mac in zip(wanted, macs, strict=True)]
    taken = [
        addresses.fixed(subnet, text, port.id, position)
        for port, places in zip(ports, given, strict=True)
        for position, (subnet, text) in enumerate(places)
    ]
    members = [
        PortSecurityGroup(port_id=port.id, group_id=group_id)
        for port, new in zip(ports, wanted, strict=True)
        for group_id in groups[_grouping(w, network, new)]
    ]
    for port in ports:
        w.announce("port", port.id, port.project_id)
    return ports, taken, members


def _port(w: Work, network: Network, new: NewPort, mac: str) -> Port:
    return Port(
        id=new_id(),
        network_id=new.network_id,
        project_id=_owner(w, new),
        name=new.name,
        description=new.description,
        mac_address=mac,
        device_id=new.device_id,
        device_owner=new.device_owner,
        dns_name=new.dns_name,
        dns_domain=new.dns_domain,
        tag=new.tag,
        position=new.position,
        is_compute_made=new.is_compute_made,
        port_security=_is_secured(network, new),
        admin_state_up=new.admin_state_up,
        host=new.host,
        vnic_type=new.vnic_type,
        binding_profile=dict(new.binding_profile),
        address_pairs=[dict(pair) for pair in new.address_pairs],
        dhcp_options=[dict(option) for option in new.dhcp_options],
        propagate_uplink_status=new.propagate_uplink_status,
        ip_allocation=_how_allocated(network, new),
        created_at=w.now,
        updated_at=w.now,
    )


def _how_allocated(network: Network, new: NewPort) -> str:
    if new.fixed_ips == ():
        return "none"
    return "deferred" if network.lan and new.fixed_ips is None else "immediate"


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
    return "" if new.mac_address is None else checked_mac(new.mac_address)


def checked_mac(text: str) -> str:
    """A MAC address that a guest may have, as it is kept. Raises ``Invalid``."""
    mac = text.lower()
    if not _MAC.fullmatch(mac) or int(mac[1], 16) & 1 or mac == _NO_MAC:
        raise Invalid(
            f"Invalid input for mac_address. Reason: '{text}' is not a valid MAC address.",
            field="mac_address",
        )
    return mac


def _refuse_taken(w: Work, network: Network, wanted: list[NewPort]) -> None:
    """Raise ``Conflict`` for what was asked for exactly and is not to be had."""
    macs = [_mac(new) for new in wanted if new.mac_address]
    ips = [
        str(ip_address(asked.ip_address))
        for new in wanted
        for asked in new.fixed_ips or ()
        if asked.ip_address is not None
    ]
    automatic = [subnet.cidr for subnet in network.subnets if ranges.is_automatic(subnet.ipv6_address_mode)]
    ips += [ranges.of_mac(cidr, mac) for cidr in automatic for mac in macs]
    found = _first_taken(w, network, ips)
    mac = (
        w.session.scalar(
            sa.select(Port.mac_address).where(Port.network_id == network.id, Port.mac_address.in_(macs)).limit(1)
        )
        if macs
        else None
    )
    if found is not None:
        raise allocation.taken(*found)
    if len(set(ips)) < len(ips):
        raise allocation.taken(ips[0], network.subnets[0].id)
    if mac or len(set(macs)) < len(macs):
        raise Conflict(
            f"Unable to complete operation for network {network.id}. The mac address {mac or macs[0]} is in use.",
            code="mac_address.in_use",
        )


def _first_taken(w: Work, network: Network, ips: list[str]) -> tuple[str, str] | None:
    if not ips:
        return None
    subnet_ids = [subnet.id for subnet in network.subnets]
    query = sa.select(FixedIp.ip_address, FixedIp.subnet_id).where(
        FixedIp.subnet_id.in_(subnet_ids), FixedIp.ip_address.in_(ips)
    )
    row = w.session.execute(query.limit(1)).first()
    return None if row is None else (row.ip_address, row.subnet_id)


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
