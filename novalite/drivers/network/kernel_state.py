"""Cheap looks at what a namespace holds, without a program: enough to see that somebody else has changed it."""

from __future__ import annotations

import re
import socket
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from novalite.drivers.network import link_names, namespaces

_ROUTE, _GET_LINK, _LINK_NAME, _LINK_MASTER, _DONE, _ERROR = 0, 18, 3, 10, 3, 2
_GET_ROUTE, _NEW_ROUTE, _DUMP, _UNICAST = 26, 24, 0x300, 1
_ROUTE_TO, _ROUTE_LINK, _ROUTE_HOPS = 1, 4, 9
_NETFILTER, _SUBSYSTEM, _GET_GENERATION, _GENERATION_ID = 12, 10, 16, 1
_OWN_ADDRESS = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_PROC = Path("/proc/thread-self/net")


def nft_generation() -> int:
    """A number that each change of the packet filter in this thread's namespace makes another."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER) as asked:
        asked.settimeout(5)
        asked.bind((0, 0))
        asked.send(struct.pack("=IHHIIBBH", 20, (_SUBSYSTEM << 8) | _GET_GENERATION, 1, 1, 0, 0, 0, 0))
        data = asked.recv(4096)
    found = _attributes(data, 20).get(_GENERATION_ID)
    if found is None:
        raise OSError("the kernel does not tell the packet filter's generation")
    return int.from_bytes(found[:4], "big")


def _attributes(data: bytes, at: int) -> dict[int, bytes]:
    found = {}
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found[kind] = data[at + 4 : at + length]
        at += max(4, (length + 3) & ~3)
    return found


def _master(link: str) -> int:
    """Index of the bridge that the link is a port of; 0 without one, or without such a link."""
    name = link.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(name), _LINK_NAME) + name + bytes(-len(name) % 4)
    body = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + attribute
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _ROUTE) as asked:
        asked.settimeout(5)
        asked.bind((0, 0))
        asked.send(struct.pack("=IHHII", 16 + len(body), _GET_LINK, 1, 1, 0) + body)
        data = asked.recv(65536)
    if struct.unpack_from("=IH", data)[1] == _ERROR:
        return 0
    return int.from_bytes(_attributes(data, 32).get(_LINK_MASTER, b"\0"), sys.byteorder)


def route_links(version: int) -> frozenset[str]:
    """Links of this thread's namespace that routes of this IP version lead to, whichever table they are in; IPv6's
    link-local routes, which each link has, do not count."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    indices: set[int] = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _ROUTE) as asked:
        asked.settimeout(5)
        asked.bind((0, 0))
        asked.send(struct.pack("=IHHII", 28, _GET_ROUTE, 1 | _DUMP, 1, 0) + struct.pack("=BBBBBBBBI", family, *[0] * 8))
        kind = 0
        while kind not in (_DONE, _ERROR):
            data = memoryview(asked.recv(1 << 18))
            while len(data) >= 16 and kind not in (_DONE, _ERROR):
                length, kind = struct.unpack_from("=IH", data)
                if kind == _NEW_ROUTE and data[23] == _UNICAST:
                    indices |= _hops(_attributes(bytes(data[:length]), 28))
                data = data[(length + 3) & ~3 :]
    names = {index: name for name, index in link_names.indices().items()}
    return frozenset(names[index] for index in indices if index in names)


def _hops(route: dict[int, bytes]) -> set[int]:
    """Indices of the links a route leads to."""
    if route.get(_ROUTE_TO, b"").startswith(b"\xfe\x80"):
        return set()
    found, hops = {int.from_bytes(route.get(_ROUTE_LINK, b""), sys.byteorder)}, route.get(_ROUTE_HOPS, b"")
    while len(hops) >= 8:
        length, index = struct.unpack_from("=HxxI", hops)
        found.add(index)
        hops = hops[max(8, (length + 3) & ~3) :]
    return found


def are_ports(namespace: str, links: Iterable[str], bridge: str) -> bool:
    """Whether all of these links of the namespace are ports of the bridge."""

    def act() -> bool:
        index = socket.if_nametoindex(bridge)
        return all(_master(link) == index for link in links)

    try:
        return namespaces.exists(namespace) and namespaces.within(namespace, act)
    except OSError:  # no such bridge, or the namespace went meanwhile
        return False


@dataclass(frozen=True)
class State:
    """Links, addresses and routes, and the packet filter's generation. Equal ones mean: nobody was here."""

    generation: int
    links: frozenset[str]
    addresses: frozenset[str]
    routes: frozenset[str]


def _lines(name: str) -> list[list[str]]:
    try:
        return [line.split() for line in (_PROC / name).read_text().splitlines()]
    except FileNotFoundError:
        return []  # a kernel without IPv6


def _state() -> State:
    routes = {" ".join([*words[:3], *words[7:8]]) for words in _lines("route")[1:]}
    for words in _lines("ipv6_route"):
        if words[4] != "0" * 32:  # only what has a next hop: others come and go by themselves
            routes.add(" ".join([*words[:2], words[4], words[9]]))
    addresses = set(_OWN_ADDRESS.findall((_PROC / "fib_trie").read_text()))
    addresses |= {f"{words[0]} {words[5]}" for words in _lines("if_inet6") if words[3] == "00"}
    return State(
        nft_generation(),
        frozenset(link_names.indices()),
        frozenset(addresses),
        frozenset(routes),
    )


def look(namespace: str) -> State | None:
    """What the namespace holds; None when there is no such namespace."""
    if namespace and not namespaces.exists(namespace):
        return None
    try:
        return namespaces.within(namespace, _state)
    except OSError:
        if namespace and not namespaces.exists(namespace):
            return None
        raise


def generation(namespace: str) -> int:
    return namespaces.within(namespace, nft_generation)


def addresses() -> frozenset[str]:
    """All addresses of this thread's namespace, as they are usually written."""
    found = set(_OWN_ADDRESS.findall((_PROC / "fib_trie").read_text()))
    return frozenset(found | {str(IPv6Address(bytes.fromhex(words[0]))) for words in _lines("if_inet6")})
