"""The lines for ``ip`` that move what the machine has on one link to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_FOREVER = 4294967295
_WORDS = {"protocol": "proto", "scope": "scope", "prefsrc": "src", "metric": "metric", "table": "table",
          "expires": "expires"}  # fmt: skip


@dataclass(frozen=True)
class Holding:
    """What the machine has on a link: lines without their link, each address also as it is taken away."""

    mac: str
    mtu: int
    addresses: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    gateway: str = ""


def holding(link: Mapping[str, Any], routes: Iterable[Mapping[str, Any]]) -> Holding:
    """From what ``ip -j`` tells of a link and its routes. Link-local addresses are each link's own, and stay."""
    entries = [entry for entry in link.get("addr_info", ()) if entry.get("scope") != "link" and "local" in entry]
    moved = [route for route in routes if _is_moved(route)]
    moved.sort(key=lambda route: "gateway" in route)
    gateways = [str(route["gateway"]) for route in moved if route["dst"] == "default" and "gateway" in route]
    gateways.sort(key=lambda gateway: ":" in gateway)
    return Holding(
        str(link["address"]),
        int(link["mtu"]),
        tuple(_address(entry) for entry in entries),
        tuple(f"{entry['local']}/{entry['prefixlen']}" for entry in entries),
        tuple(_route(route) for route in moved),
        gateways[0] if gateways else "",
    )


def _is_moved(route: Mapping[str, Any]) -> bool:
    return route.get("type", "unicast") == "unicast" and route["dst"] not in ("fe80::/64", "ff00::/8")


def _address(entry: Mapping[str, Any]) -> str:
    words = [f"{entry['local']}/{entry['prefixlen']}"]
    if "address" in entry:
        words = [str(entry["local"]), "peer", f"{entry['address']}/{entry['prefixlen']}"]
    if entry["family"] == "inet6":
        words.append("nodad")
        if entry.get("valid_life_time", _FOREVER) != _FOREVER:
            words += ["valid_lft", str(entry["valid_life_time"]), "preferred_lft", str(entry["preferred_life_time"])]
    elif "broadcast" in entry:
        words += ["brd", str(entry["broadcast"])]
    words += ["scope", str(entry["scope"])]
    return " ".join([*words, *(["noprefixroute"] if entry.get("noprefixroute") else [])])


def _route(route: Mapping[str, Any]) -> str:
    dst = str(route["dst"])
    via = str(route.get("gateway", ""))
    if dst == "default":
        dst = "::/0" if ":" in via or "pref" in route else "0.0.0.0/0"
    words = [dst, *(["via", via] if via else [])]
    for key, word in _WORDS.items():
        if key in route:
            words += [word, str(route[key])]
    return " ".join([*words, *(["onlink"] if "onlink" in route.get("flags", ()) else [])])


def _taken(held: Holding, link: str) -> list[str]:
    """The last first: an address takes those with it that came after it."""
    routes = [f"route del {route} dev {link}" for route in reversed(held.routes)]
    return [*routes, *(f"addr del {address} dev {link}" for address in reversed(held.bare))]


def _given(held: Holding, link: str) -> list[str]:
    addresses = [f"addr replace {address} dev {link}" for address in held.addresses]
    return [*addresses, *(f"route replace {route} dev {link}" for route in held.routes)]


def to_bridge(held: Holding, interface: str, bridge: str) -> list[str]:
    """All that ``interface`` holds goes to the bridge, whose port it becomes."""
    return [
        *_taken(held, interface),
        f"link set dev {interface} master {bridge} up",
        f"link set dev {bridge} address {held.mac} up",
        *_given(held, bridge),
    ]


def to_interface(held: Holding, interface: str, bridge: str) -> list[str]:
    """The other way round. The bridge goes: without it none of its addresses are in the way."""
    return [
        f"link set dev {interface} nomaster",
        f"link del dev {bridge}",
        f"link set dev {interface} up",
        *_given(held, interface),
    ]


def new_bridge(held: Holding, bridge: str, mark: str) -> list[str]:
    """The bridge, with nothing yet."""
    return [
        f"link add name {bridge} address {held.mac} mtu {held.mtu} type bridge stp_state 0 forward_delay 0 "
        "mcast_snooping 0",
        f'link set dev {bridge} alias "{mark}"',
    ]
