"""A router's cards in its namespace: pairs that lead to networks' bridges, their addresses, its routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from novalite.drivers.network import namespaces
from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    NetworkSpec,
    RouterSpec,
    bridge_name,
    network_namespace,
)
from novalite.drivers.network.commands import run_json
from novalite.drivers.network.links import delete
from novalite.drivers.network.router_rules import card_name, lone_addresses

_OP = "ensure_routers"
_RULE_PRIORITY = 100
_FIRST_TABLE = 1000

SWITCHES = {
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/disable_ipv6": "0",
    "ipv6/conf/default/disable_ipv6": "0",
    "ipv6/conf/all/forwarding": "1",
    "ipv6/conf/default/accept_ra": "0",
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/default/ndisc_notify": "1",
    "ipv6/conf/default/addr_gen_mode": "0",
} | {
    f"ipv4/conf/{which}/{name}": value
    for which in ("all", "default")
    for name, value in {
        "rp_filter": "0",
        "send_redirects": "0",
        "arp_ignore": "1",
        "arp_announce": "2",
        "promote_secondaries": "1",
    }.items()
}
"""A router answers ARP for a card's own addresses only, tells nobody of shorter ways, and takes no advice."""


@dataclass(frozen=True)
class Card:
    """One card as it is to be. ``addresses`` are like 10.0.0.1/24; ``lone`` are single ones beside them."""

    name: str
    network_id: str
    mac: str
    mtu: int
    addresses: tuple[str, ...]
    lone: frozenset[str]
    is_gateway: bool

    @property
    def all_addresses(self) -> frozenset[str]:
        return frozenset(self.addresses) | {f"{address}/32" for address in self.lone}


def wanted(spec: RouterSpec, networks: Mapping[str, NetworkSpec]) -> list[Card]:
    """The router's cards on networks that are known and stand."""
    ports = [*spec.interfaces, *([spec.gateway] if spec.gateway else [])]
    return [
        Card(
            card_name(port.id),
            port.network_id,
            port.mac_address,
            networks[port.network_id].mtu,
            tuple(str(ip_interface(address)) for address in port.addresses),
            lone_addresses(spec) if port is spec.gateway else frozenset(),
            port is spec.gateway,
        )
        for port in ports
        if port.network_id in networks
    ]


def plug(namespace: str, cards: Iterable[Card]) -> list[Card]:
    """Exactly these cards, each a port of its network's bridge; those whose network stands."""
    cards, present = list(cards), namespaces.links(namespace)
    far = {id_: _links_of(network_namespace(id_)) for id_ in {card.network_id for card in cards}}
    cards = [card for card in cards if bridge_name(card.network_id) in far[card.network_id]]
    names = {card.name for card in cards}
    gone = [name for name in present if name.startswith("nlc") and name not in names]
    for card in cards:
        place = far[card.network_id].get(card.name)
        if card.name in present and place is None:
            gone.append(card.name)
    delete(gone, namespace)
    for name in gone:
        present.pop(name, None)
    for card in cards:
        _plug(namespace, card, present.get(card.name), far[card.network_id])
    return cards


def _links_of(namespace: str) -> dict[str, dict[str, Any]]:
    return namespaces.links(namespace) if namespaces.exists(namespace) else {}


def _plug(namespace: str, card: Card, link: dict[str, Any] | None, far: Mapping[str, dict[str, Any]]) -> None:
    place, bridge = network_namespace(card.network_id), bridge_name(card.network_id)
    if link is None:
        if card.name in far:
            delete([card.name], place)
        namespaces.batch(
            _OP,
            namespace,
            [
                f"link add name {card.name} address {card.mac} mtu {card.mtu} type veth "
                f"peer name {card.name} mtu {card.mtu} netns {place}"
            ],
        )
    elif link["address"] != card.mac or link["mtu"] != card.mtu:
        namespaces.batch(_OP, namespace, [f"link set dev {card.name} address {card.mac} mtu {card.mtu}"])
    known = far.get(card.name, {}) if link is not None else {}
    if known.get("master") != bridge or known.get("mtu") != card.mtu or "UP" not in known.get("flags", ()):
        namespaces.batch(_OP, place, [f"link set dev {card.name} mtu {card.mtu} addrgenmode none master {bridge} up"])
    if link is None or "UP" not in link["flags"]:
        namespaces.batch(_OP, namespace, [f"link set dev {card.name} up"])


def _present_addresses(link: dict[str, Any]) -> set[str]:
    return {
        f"{entry['local']}/{entry['prefixlen']}"
        for entry in link.get("addr_info", ())
        if entry.get("scope") == "global"
    }


def address_changes(namespace: str, cards: Iterable[Card]) -> tuple[list[str], list[str], dict[str, list[str]]]:
    """Lines that take addresses away, lines that add them, and the new IPv4 addresses by card."""
    present = namespaces.links(namespace)
    gone, come, new = [], [], {}
    for card in cards:
        before, after = _present_addresses(present[card.name]), card.all_addresses
        gone += [f"addr del {address} dev {card.name}" for address in sorted(before - after)]
        fresh = sorted(after - before, key=lambda address: (address.endswith("/32"), address))
        come += [f"addr add {address} dev {card.name}{' nodad' if ':' in address else ''}" for address in fresh]
        if found := [address.partition("/")[0] for address in fresh if ":" not in address]:
            new[card.name] = found
    return gone, come, new


def _link_towards(cards: Iterable[Card], hop: str) -> str:
    """The card on whose ranges the next hop is; empty when there is none."""
    address = ip_address(hop)
    for card in cards:
        if any(address in ip_interface(own).network for own in card.addresses):
            return card.name
    return ""


def wanted_routes(spec: RouterSpec, cards: Iterable[Card]) -> dict[str, tuple[str, str]]:
    """Range -> next hop and card. A static route goes before the default of the gateway's network."""
    cards, found = list(cards), {}
    for card in cards:
        if card.is_gateway:
            for hop in spec.next_hops:
                found["::/0" if ":" in hop else "0.0.0.0/0"] = (hop, card.name)
    for range_, hop in spec.routes:
        if link := _link_towards(cards, hop):
            found[str(ip_network(range_))] = (str(ip_address(hop)), link)
    return found


def set_routes(namespace: str, routes: Mapping[str, tuple[str, str]]) -> None:
    """Exactly these routes besides those that addresses bring."""
    present: set[tuple[str, str, str]] = set()
    for version, default in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
        argv = ["ip", *_in(namespace), version, "-j", "route", "show", "table", "main", "proto", "static"]
        for route in run_json(_OP, argv):
            range_ = default if route["dst"] == "default" else str(ip_network(route["dst"]))
            present.add((range_, str(route.get("gateway", "")), str(route.get("dev", ""))))
    after = {(range_, hop, link) for range_, (hop, link) in routes.items()}
    lines = [f"route del {range_} dev {link} proto static" for range_, _, link in sorted(present - after)]
    lines += [
        f"route replace {range_} via {hop} dev {link} proto static onlink"
        for range_, hop, link in sorted(after - present)
    ]
    namespaces.batch(_OP, namespace, lines)


def _in(namespace: str) -> list[str]:
    return ["-n", namespace] if namespace else []


def lead_metadata_back(namespace: str, cards: Iterable[Card]) -> None:
    """What guests without a route to the metadata address send to their router goes back to their own network."""
    links, rules = namespaces.links(namespace), {}
    for card in cards:
        if not card.is_gateway and any(":" not in address for address in card.addresses):
            rules[card.name, str(_FIRST_TABLE + int(links[card.name]["ifindex"]))] = card.name
    lines = []
    present = set()
    for rule in run_json(_OP, ["ip", *_in(namespace), "-4", "-j", "rule", "show"]):
        if rule["priority"] == _RULE_PRIORITY:
            key = (str(rule.get("iif", "")), str(rule.get("table", "")))
            if key in rules and key not in present:
                present.add(key)
            else:
                lines.append(f"rule del priority {_RULE_PRIORITY} iif {key[0]} table {key[1]}")
    for link, table in rules:
        lines.append(f"route replace {METADATA_ADDRESS}/32 dev {link} scope link table {table}")
        if (link, table) not in present:
            lines.append(f"rule add priority {_RULE_PRIORITY} iif {link} to {METADATA_ADDRESS} table {table}")
    namespaces.batch(_OP, namespace, lines)
