"""The addresses of a port that is there: given, taken away, kept."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from novalite.cloud.network import floating_ips, security_groups
from novalite.cloud.network.addresses import free_numbers, number_in
from novalite.cloud.network.records import FixedIp, FloatingIp, Port, Subnet
from novalite.cloud.network.routing import GATEWAY, INTERFACE, ROUTER_TOPIC
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid

MOST = 5


def change(w: Work, port: Port, wanted: Sequence[str | None]) -> None:
    """Let a port (with ``fixed_ips`` loaded) have exactly these addresses; None is one it has, or the next free one.
    Floating addresses that led to one that goes lead nowhere. Raises ``Invalid``, and ``Conflict`` for an address
    that is taken."""
    if len(wanted) > MOST:
        raise Invalid("Exceeded maximum amount of fixed ips per port.", field="fixed_ips")
    subnet = w.session.scalar(sa.select(Subnet).where(Subnet.network_id == port.network_id))
    if subnet is None:
        if wanted:
            raise Invalid(f"Network {port.network_id} has no subnet to take addresses from.", field="fixed_ips")
        return
    asked = {number_in(subnet, text) for text in wanted if text}
    present = {fixed.address: fixed.id for fixed in port.fixed_ips}
    spare = [number for number in present if number not in asked][: wanted.count(None)]
    kept = (asked & present.keys()) | set(spare)
    _give_back(w, port, subnet, [present[number] for number in present if number not in kept])
    _take(w, port, subnet, sorted(asked - kept), wanted.count(None) - len(spare))
    w.session.expire(port, ["fixed_ips"])
    w.announce("port", port.id, port.project_id)
    w.announce(security_groups.PORT_TOPIC, port.id, port.project_id)
    if port.device_owner in (INTERFACE, GATEWAY):
        w.announce(ROUTER_TOPIC, port.device_id, port.project_id)


def _give_back(w: Work, port: Port, subnet: Subnet, ids: list[str]) -> None:
    if not ids:
        return
    gone = FixedIp.id.in_(ids)
    led = sa.select(FloatingIp).where(
        FloatingIp.port_id == port.id, FloatingIp.fixed_ip_address.in_(sa.select(FixedIp.ip_address).where(gone))
    )
    for floating in w.session.scalars(led).all():
        floating_ips.unlead(w, floating)
    w.changed(sa.update(FixedIp).where(gone, FixedIp.ip_address == subnet.gateway_ip).values(port_id=None))
    w.changed(sa.delete(FixedIp).where(gone, FixedIp.port_id == port.id))


def _take(w: Work, port: Port, subnet: Subnet, numbers: list[int], more: int) -> None:
    numbers = numbers + (free_numbers(w, subnet, more) if more else [])
    try:
        with w.session.begin_nested():
            for number in numbers:
                text = str(IPv4Address(number))
                w.session.add(FixedIp(subnet_id=subnet.id, port_id=port.id, address=number, ip_address=text))
            w.session.flush()
    except IntegrityError:
        raise Conflict(
            f"IP address {IPv4Address(numbers[0])} already allocated in subnet {subnet.id}",
            code="ip_address.already_allocated",
        ) from None
