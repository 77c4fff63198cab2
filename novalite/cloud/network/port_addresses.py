"""The addresses of a port that is there: given, taken away, kept."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from novalite.cloud.network import addresses, allocation, led_ports, networks, new_ports, security_groups
from novalite.cloud.network.allocation import Asked, Place, Wish
from novalite.cloud.network.ranges import address, is_automatic
from novalite.cloud.network.records import FixedIp, Port
from novalite.cloud.network.routing import GATEWAY, INTERFACE, ROUTER_TOPIC
from novalite.db.work import Work
from novalite.errors import Conflict

_ATTEMPTS = 20


def change(w: Work, port: Port, wanted: Sequence[Asked]) -> None:
    """Let a port (with ``fixed_ips`` loaded) have exactly these addresses, in this order; where no address is named it
    keeps one it has. Floating addresses that led to one that goes lead nowhere. Raises ``Invalid``, and ``Conflict``
    for an address that is taken."""
    network = networks.get(w, port.network_id)
    wish = Wish(port.mac_address, port.device_owner, _kept(port, wanted))
    for attempt in range(_ATTEMPTS):
        places = allocation.places(w, network, [wish])[0]
        try:
            with w.session.begin_nested():
                _replace(w, port, places)
            break
        except IntegrityError:
            _refuse_taken(w, port, places)
            if attempt == _ATTEMPTS - 1:
                raise
    port.ip_allocation = "immediate" if places else "none"
    w.session.flush()
    w.session.expire(port, ["fixed_ips"])
    announce(w, port)


def change_mac(w: Work, port: Port, mac_address: str) -> None:
    """Give a port that is not plugged in another MAC address, and the IPv6 addresses that follow from it. Raises
    ``Conflict`` for one that is plugged in, and for a MAC address of another port."""
    mac = new_ports.checked_mac(mac_address)
    if port.host:
        raise Conflict(
            f"Unable to complete operation on port {port.id}, port is already bound, port type: bridge, old_mac "
            f"{port.mac_address}, new_mac {mac}.",
            code="port.bound",
        )
    taken = sa.exists().where(Port.network_id == port.network_id, Port.mac_address == mac, Port.id != port.id)
    if w.session.scalar(sa.select(taken)):
        raise Conflict(
            f"Unable to complete operation for network {port.network_id}. The mac address {mac} is in use.",
            code="mac_address.in_use",
        )
    own = {subnet.id for subnet in networks.get(w, port.network_id).subnets if is_automatic(subnet.ipv6_address_mode)}
    kept = [Asked(fixed.ip_address, fixed.subnet_id) for fixed in port.fixed_ips if fixed.subnet_id not in own]
    port.mac_address = mac
    w.session.flush()
    if len(kept) < len(port.fixed_ips):
        change(w, port, kept)


def announce(w: Work, port: Port) -> None:
    """Tell who follows that the addresses of a port are others."""
    w.announce("port", port.id, port.project_id)
    w.announce(security_groups.PORT_TOPIC, port.id, port.project_id)
    if port.device_owner in (INTERFACE, GATEWAY):
        w.announce(ROUTER_TOPIC, port.device_id, port.project_id)


def _kept(port: Port, wanted: Sequence[Asked]) -> tuple[Asked, ...]:
    """The same wishes, with addresses the port has where any will do."""
    named = {str(address(asked.ip_address, "fixed_ips")) for asked in wanted if asked.ip_address is not None}
    spare = [fixed for fixed in port.fixed_ips if fixed.ip_address not in named]
    found = []
    for asked in wanted:
        mine = next((one for one in spare if asked.subnet_id in (None, one.subnet_id)), None)
        if asked.ip_address is None and mine is not None:
            spare.remove(mine)
            asked = Asked(mine.ip_address, mine.subnet_id)
        found.append(asked)
    return tuple(found)


def _replace(w: Work, port: Port, places: Sequence[Place]) -> None:
    texts = {text for _, text in places}
    present = {fixed.ip_address: fixed.id for fixed in port.fixed_ips}
    _give_back(w, port, [id_ for text, id_ in present.items() if text not in texts])
    for position, (subnet, text) in enumerate(places):
        if text in present:
            w.changed(sa.update(FixedIp).where(FixedIp.id == present[text]).values(position=position))
        else:
            w.session.add(addresses.fixed(subnet, text, port.id, position))
    w.session.flush()


def _give_back(w: Work, port: Port, ids: list[str]) -> None:
    if not ids:
        return
    gone = FixedIp.id.in_(ids)
    texts = list(w.session.scalars(sa.select(FixedIp.ip_address).where(gone)))
    led_ports.forget_addresses(w, port.id, texts)
    w.changed(sa.delete(FixedIp).where(gone, FixedIp.port_id == port.id))


def _refuse_taken(w: Work, port: Port, places: Sequence[Place]) -> None:
    for subnet, text in places:
        other = sa.exists().where(
            FixedIp.subnet_id == subnet.id, FixedIp.ip_address == text, FixedIp.port_id.is_distinct_from(port.id)
        )
        if w.session.scalar(sa.select(other)):
            raise allocation.taken(text, subnet.id)
