"""Who speaks on a network: the port behind an address that anti-spoofing lets through."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Interface, ip_address

import sqlalchemy as sa

from novalite.cloud.network.records import FixedIp, Port
from novalite.db.work import Work

_LINK_LOCAL = IPv6Interface("fe80::/64").network


def device_at(w: Work, network_id: str, address: str) -> str:
    """The id of the device whose port speaks from ``address``; empty when there is none. Fixed addresses count, and
    the link-local one that a port's MAC gives. Allowed address pairs do not: several ports may share them."""
    try:
        caller = ip_address(address)
    except ValueError:
        return ""
    query = sa.select(Port.device_id).where(Port.network_id == network_id)
    if caller in _LINK_LOCAL:
        return w.session.scalar(query.where(Port.mac_address == mac_of(caller))) or ""
    fixed = query.join(FixedIp, FixedIp.port_id == Port.id).where(FixedIp.ip_address == str(caller))
    return w.session.scalar(fixed) or ""


def mac_of(address: IPv4Address | IPv6Address) -> str:
    """The MAC that a link-local address was made from (EUI-64); empty when it was not."""
    part = address.packed[8:]
    if part[3:5] != b"\xff\xfe":
        return ""
    return ":".join(f"{byte:02x}" for byte in (part[0] ^ 2, *part[1:3], *part[5:]))
