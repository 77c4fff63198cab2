"""Networks that are one with a LAN behind an interface of the machine: guests take addresses from the LAN's own DHCP
server, and what is seen of them there is recorded."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_interface, ip_network

import sqlalchemy as sa

from novalite.cloud.network import addresses, networks, options, ranges, security_groups, subnets
from novalite.cloud.network.records import FixedIp, Network, Port, Subnet
from novalite.db.work import Work
from novalite.drivers.network.base import LanSpec
from novalite.errors import Conflict, NotFound


def attach(w: Work, lan: LanSpec, *, name: str, mtu: int = 1500, project_id: str = "") -> Network:
    """The shared network of what ``attach_lan`` has made, with the machine's ranges there as subnets without DHCP of
    ours. Repeatable. Raises ``Conflict`` for a name that settings give to another physical network."""
    begin(w, name, lan.interface)
    found = of(w, name)
    network = found or networks.create(
        w,
        networks.NewNetwork(
            name, mtu=mtu, project_id=project_id, shared=True, provider=networks.Provider("flat", name), lan=True
        ),
    )
    present = set(w.session.scalars(sa.select(Subnet.cidr).where(Subnet.network_id == network.id)))
    for text in lan.addresses:
        cidr = str(ip_interface(text).network)
        if cidr not in present and not ip_network(cidr).is_link_local:
            gateway = (
                lan.gateway if lan.gateway and ranges.holds(ip_network(cidr), ranges.address(lan.gateway, "")) else None
            )
            new = subnets.NewSubnet(cidr, gateway, pools=(), name=name, enable_dhcp=False)
            subnets.create(w, network, new)
            present.add(cidr)
    return networks.get(w, network.id)


def _gateway(lan: LanSpec, cidr: str) -> str | None:
    if lan.gateway and ranges.holds(ip_network(cidr), ranges.address(lan.gateway, "gateway_ip")):
        return lan.gateway
    return None


def exist(w: Work) -> bool:
    """Whether there is any LAN network."""
    return bool(w.session.scalar(sa.select(sa.exists().where(Network.lan))))


def of(w: Work, name: str) -> Network | None:
    """The LAN network on a physical network."""
    query = networks.query_visible(w).where(Network.lan, Network.physical_network == name)
    return w.session.scalar(query)


def interfaces(w: Work) -> list[str]:
    """Interfaces of the machine that are to be attached."""
    return sorted(options.lans(w).values())


def begin(w: Work, name: str, interface: str) -> bool:
    """Record that an interface is to be attached; whether it was not before. Raises ``Conflict`` for a name that stands
    for another interface, and for an interface that has another name."""
    known = options.interfaces(w)
    if known.get(name, interface) != interface:
        raise Conflict(f"Physical network {name} is {known[name]}, not {interface}.", code="lan.name_in_use")
    other = next((one for one, its in options.lans(w).items() if its == interface and one != name), None)
    if other is not None:
        raise Conflict(f"Interface {interface} is attached as {other}.", code="lan.attached")
    is_new = name not in options.lans(w)
    options.add_lan(w, name, interface)
    return is_new


def empty(w: Work, name: str) -> tuple[str, str | None]:
    """Delete the network of a LAN, so that the interface can be given back; the interface, and the network's id if it
    was there. Raises ``NotFound``, and ``Conflict`` while servers are on it."""
    interface = options.lans(w).get(name)
    if interface is None:
        raise NotFound("lan", name, message=f"No LAN is attached as {name}.")
    network = of(w, name)
    if network is not None:
        networks.delete(w, network.id)
    return interface, network.id if network else None


def forget(w: Work, name: str) -> None:
    """The interface is given back; an absent one is a success."""
    options.remove_lan(w, name)


def shown(w: Work) -> list[dict[str, str | None]]:
    """Attached LANs with their networks."""
    ids = {network.physical_network: network.id for network in w.session.scalars(sa.select(Network).where(Network.lan))}
    return [
        {"name": name, "interface": interface, "network_id": ids.get(name)}
        for name, interface in sorted(options.lans(w).items())
    ]


def learned(w: Work, seen: Iterable[tuple[str, str]]) -> list[str]:
    """Record the addresses (port id, address) that guests were seen to get, the last of each subnet; ids of the ports
    for which that is new. An address outside the subnets of the port's network is passed over."""
    wanted: dict[str, list[str]] = {}
    for port_id, address in seen:
        wanted.setdefault(port_id, []).append(address)
    rows = w.session.execute(
        sa.select(Port.id, Port.network_id, Port.project_id)
        .join(Network, Network.id == Port.network_id)
        .where(Port.id.in_(list(wanted)), Network.lan, Port.ip_allocation == "deferred")
    ).all()
    by_network: dict[str, list[Subnet]] = {}
    for subnet in w.session.scalars(
        sa.select(Subnet).where(Subnet.network_id.in_({row.network_id for row in rows})).order_by(Subnet.created_at)
    ):
        by_network.setdefault(subnet.network_id, []).append(subnet)
    present = _present(w, [row.id for row in rows])
    changed = []
    for row in rows:
        texts = [str(ranges.address(text, "address")) for text in wanted[row.id]]
        ranges_ = by_network.get(row.network_id, [])
        found = {held.id: (held, text) for text in texts if (held := _holding(ranges_, text)) is not None}
        news = [(held, text) for held, text in found.values() if (held.id, text) not in present.get(row.id, ())]
        if not news:
            continue
        for held, text in news:
            beside = sa.or_(FixedIp.port_id == row.id, FixedIp.ip_address == text)
            w.changed(sa.delete(FixedIp).where(FixedIp.subnet_id == held.id, beside))
            w.session.add(addresses.fixed(held, text, row.id))
        w.announce("port", row.id, row.project_id)
        w.announce(security_groups.PORT_TOPIC, row.id, row.project_id)
        changed.append(str(row.id))
    w.session.flush()
    return changed


def _present(w: Work, ids: list[str]) -> dict[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    query = sa.select(FixedIp.port_id, FixedIp.subnet_id, FixedIp.ip_address).where(FixedIp.port_id.in_(ids))
    for port_id, subnet_id, text in w.session.execute(query):
        found.setdefault(str(port_id), set()).add((subnet_id, text))
    return found


def _holding(found: Iterable[Subnet], text: str) -> Subnet | None:
    wanted = ranges.address(text, "address")
    return next((subnet for subnet in found if ranges.holds(ip_network(subnet.cidr), wanted)), None)
