"""Fixed addresses as Compute spoke of them: one more for a server's card, one less, and those kept back."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import sqlalchemy as sa

from novalite.cloud.compute import actions
from novalite.cloud.compute.servers import Server, change
from novalite.cloud.network import addresses, port_addresses, ports, ranges, security_groups
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.port_views import PortView
from novalite.cloud.network.records import FixedIp, Port, Subnet
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class Address:
    """An address of some network. ``host`` and ``hostname`` are None when no server has it."""

    address: str
    cidr: str
    host: str | None = None
    hostname: str | None = None
    reserved: bool = False


def add(w: Work, server_id: str, network_id: str) -> None:
    """One more address for the server's first card on a network. Raises ``NotFound`` for a server without one,
    ``Invalid`` when none is left, ``Conflict`` for states that do not allow it."""
    server = actions.allowed(w, server_id, "attach_interface")
    view = next((one for one in ports.of_device(w, server.id) if one.network_id == network_id), None)
    if view is None or not view.ip_address:
        message = f"Network could not be found for instance {server.id}."
        raise NotFound("network", network_id, message=message)
    port = ports.get(w, view.port_id)
    present = [Asked(fixed.ip_address, fixed.subnet_id) for fixed in port.fixed_ips]
    try:
        port_addresses.change(w, port, [*present, Asked(subnet_id=dict(view.addresses)[view.ip_address])])
    except Conflict as error:
        if error.code != "network.no_addresses":
            raise
        message = f"No fixed IP addresses available for network: {network_id}"
        raise Invalid(message, code="network.no_addresses", field="networkId") from error
    change(w, server.id, {})


def remove(w: Work, server_id: str, address: str) -> None:
    """Take an address from the server's cards. Raises ``Invalid`` for one that it does not have, and for the only
    one of a card."""
    server = actions.allowed(w, server_id, "attach_interface")
    view = next((one for one in ports.of_device(w, server.id) if address in one.fixed_ips), None)
    if view is None:
        raise Invalid(f"Instance {server.id} does not have fixed IP '{address}'.", field="address")
    if len(view.fixed_ips) == 1:
        raise Invalid(f"{address} is the only address of its network card.", field="address",
                      hint="Detach the card instead.")  # fmt: skip
    w.changed(sa.delete(FixedIp).where(FixedIp.port_id == view.port_id, FixedIp.ip_address == address))
    _changed(w, server, view)


def _changed(w: Work, server: Server, view: PortView) -> None:
    w.announce("port", view.port_id, server.project_id)
    w.announce(security_groups.PORT_TOPIC, view.port_id, server.project_id)
    change(w, server.id, {})


def show(w: Work, address: str) -> Address:
    """Raises ``Invalid`` for what is no address, ``NotFound`` for one of no network."""
    subnet = _subnet(w, address)
    row = w.session.execute(
        sa.select(FixedIp.port_id, Server.host, Server.hostname)
        .outerjoin(Port, Port.id == FixedIp.port_id)
        .outerjoin(Server, Server.id == Port.device_id)
        .where(FixedIp.subnet_id == subnet.id, FixedIp.ip_address == address)
    ).one_or_none()
    if row is None:
        return Address(address, subnet.cidr)
    return Address(address, subnet.cidr, row.host, row.hostname, row.port_id is None)


def reserve(w: Work, address: str) -> None:
    """Keep an address back; repeating it is allowed. Raises ``Conflict`` while a port has it."""
    subnet, found = _subnet(w, address), show(w, address)
    if found.reserved:
        return
    taken = sa.exists().where(FixedIp.subnet_id == subnet.id, FixedIp.ip_address == address)
    if w.session.scalar(sa.select(taken)):
        raise Conflict(f"Fixed IP address {address} is in use.", code="network.address_in_use")
    w.session.add(addresses.fixed(subnet, address))
    w.session.flush()


def unreserve(w: Work, address: str) -> None:
    """Give an address free that was kept back. The gateway's stays. Repeatable."""
    subnet = _subnet(w, address)
    if address == subnet.gateway_ip:
        raise Conflict(f"Fixed IP address {address} is the gateway's.", code="network.address_in_use")
    kept = FixedIp.subnet_id == subnet.id, FixedIp.ip_address == address, FixedIp.port_id.is_(None)
    w.changed(sa.delete(FixedIp).where(*kept))


def _subnet(w: Work, address: str) -> Subnet:
    try:
        wanted = ip_address(address)
    except ValueError as error:
        raise Invalid(f"Fixed IP {address[:64]} has been deleted or is no address.", field="ip") from error
    for subnet in w.session.scalars(sa.select(Subnet)):
        if ranges.holds(ip_network(subnet.cidr), wanted):
            return subnet
    raise NotFound("fixed ip", address, message=f"Fixed IP not found for address {address}.")
