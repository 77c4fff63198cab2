"""The network's own port: with it DHCP and the name server are on the network, at an address of each subnet."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import NAMESPACE_DNS, uuid5

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from novalite.cloud.network import addresses, ranges
from novalite.cloud.network.port_views import DHCP
from novalite.cloud.network.records import FixedIp, Network, Port, Subnet
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict

_HERE = uuid5(NAMESPACE_DNS, "novalite")
_ATTEMPTS = 20


def sync(w: Work, network_id: str) -> None:
    """Let the network's own port have an address of each subnet with DHCP, and of no other; without such a subnet
    there is no port. A subnet whose pools are full does without. Repeatable."""
    for _ in range(_ATTEMPTS):
        try:
            with w.session.begin_nested():
                _sync(w, network_id)
                w.session.flush()
            return
        except IntegrityError:
            continue  # another unit took the address
    raise Conflict(f"No address could be taken on network {network_id}.", code="network.contention", hint="Try again.")


def _sync(w: Work, network_id: str) -> None:
    network = w.session.get_one(Network, network_id)
    subnets = w.session.scalars(sa.select(Subnet).where(Subnet.network_id == network_id).order_by(Subnet.id)).all()
    served = [subnet for subnet in subnets if subnet.enable_dhcp and not network.lan]
    port = w.session.scalar(sa.select(Port).where(Port.network_id == network_id, Port.device_owner == DHCP))
    if port is None and served:
        port = _new(w, network)
    if port is None:
        return
    present = {fixed.subnet_id: fixed for fixed in w.session.scalars(_addresses_of(port))}
    for subnet in subnets:
        if subnet in served and subnet.id not in present:
            _join(w, port, subnet)
        elif subnet not in served and subnet.id in present:
            w.changed(sa.delete(FixedIp).where(FixedIp.id == present[subnet.id].id))
            subnet.server_ip = ""
    w.session.flush()
    if not any(subnet.server_ip for subnet in subnets):
        w.session.expunge(port)
        w.changed(sa.delete(FixedIp).where(FixedIp.port_id == port.id))
        w.changed(sa.delete(Port).where(Port.id == port.id))
    w.announce("port", port.id, port.project_id)


def _addresses_of(port: Port) -> sa.Select[FixedIp]:
    return sa.select(FixedIp).where(FixedIp.port_id == port.id)


def _new(w: Work, network: Network) -> Port:
    port = Port(
        id=new_id(),
        network_id=network.id,
        project_id=network.project_id,
        mac_address=_mac(network.id),
        device_id=f"dhcp{_HERE}-{network.id}",
        device_owner=DHCP,
        port_security=False,
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(port)
    w.session.flush()
    return port


def _mac(network_id: str) -> str:
    """Of a range that guests do not get, and always the same: two units at once cannot make two such ports."""
    digits = network_id.replace("-", "")
    return "fa:16:3f:" + ":".join(digits[place : place + 2] for place in (0, 2, 4))


def _join(w: Work, port: Port, subnet: Subnet) -> None:
    if ranges.is_automatic(subnet.ipv6_address_mode):
        text: str | None = ranges.of_mac(subnet.cidr, port.mac_address)
    else:
        text = addresses.last_free(w, subnet)
    if text is not None:
        w.session.add(addresses.fixed(subnet, text, port.id))
        subnet.server_ip = text


def complete(w: Work) -> list[str]:
    """Mend networks whose subnets have DHCP but no server: those made by earlier releases, and those whose pools were
    full. Their ids."""
    wanting = sa.select(Subnet.network_id).join(Network, Network.id == Subnet.network_id)
    query = wanting.where(Subnet.enable_dhcp, Subnet.server_ip == "", ~Network.lan).distinct()
    found = list(w.session.scalars(query.order_by(Subnet.network_id)))
    for network_id in found:
        sync(w, network_id)
    return found


def without_server(w: Work) -> Sequence[Subnet]:
    """Subnets with DHCP that have no address left for its server."""
    query = sa.select(Subnet).join(Network, Network.id == Subnet.network_id)
    return w.session.scalars(query.where(Subnet.enable_dhcp, Subnet.server_ip == "", ~Network.lan)).all()


def of_network(w: Work, network_id: str) -> Port | None:
    """The network's own port with its addresses; None when it has none."""
    query = sa.select(Port).where(Port.network_id == network_id, Port.device_owner == DHCP)
    return w.session.scalar(query.options(selectinload(Port.fixed_ips)))


def renew(w: Work, network_id: str) -> None:
    """Who deletes the network's own port gets another one, as from Neutron's DHCP agent."""
    port = w.session.scalars(sa.select(Port).where(Port.network_id == network_id, Port.device_owner == DHCP)).one()
    for subnet in w.session.scalars(sa.select(Subnet).where(Subnet.network_id == network_id)):
        subnet.server_ip = ""
    w.session.flush()
    w.session.expunge(port)
    remove(w, network_id)
    w.announce("port", port.id)
    sync(w, network_id)


def remove(w: Work, network_id: str) -> None:
    """The network goes, and with it its own port."""
    own = sa.select(Port.id).where(Port.network_id == network_id, Port.device_owner == DHCP).scalar_subquery()
    w.changed(sa.delete(FixedIp).where(FixedIp.port_id.in_(own)))
    w.changed(sa.delete(Port).where(Port.network_id == network_id, Port.device_owner == DHCP))
