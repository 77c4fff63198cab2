"""What ranges the machine itself uses, and its routes to networks behind routers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network

from novalite.drivers.network import namespaces
from novalite.drivers.network.base import NetworkSpec, RouterPortSpec, RouterSpec, uplink_name
from novalite.drivers.network.commands import run_json

Range = IPv4Network | IPv6Network
_PROTOCOL = "142"
"""Marks our routes (``ip route show proto 142``)."""
_OUT_OF_THE_WAY = (ip_network("fe80::/64"), ip_network("ff00::/8"), ip_network("::1/128"))


@dataclass(frozen=True)
class Used:
    """A range and the link it is on; ``own``: a route that we made to what is behind a router."""

    link: str
    range_: Range
    own: bool = False


def in_use() -> list[Used]:
    """Ranges of all routes and addresses of the machine, except default routes and IPv6's own."""
    found = []
    for version in ("-4", "-6"):
        for route in run_json("used_ranges", ["ip", version, "-j", "route", "show", "table", "main"]):
            if route.get("dst", "default") != "default":
                own = str(route.get("protocol", "")) == _PROTOCOL
                found.append(Used(str(route.get("dev", "")), ip_network(route["dst"], strict=False), own))
    for name, link in namespaces.links("").items():
        for entry in link.get("addr_info", ()):
            if "local" in entry:
                found.append(Used(name, ip_interface(f"{entry['local']}/{entry['prefixlen']}").network))
    return [used for used in found if used.range_ not in _OUT_OF_THE_WAY]


def overlapping(range_: Range, used: Iterable[Used]) -> Used | None:
    """The first that overlaps the range."""
    return next((one for one in used if _overlap(one.range_, range_)), None)


def _overlap(one: Range, other: Range) -> bool:
    return one.version == other.version and one.overlaps(other)


def wanted(
    routers: Iterable[RouterSpec], networks: Mapping[str, NetworkSpec], used: Iterable[Used]
) -> dict[str, tuple[str, str]]:
    """Range -> next hop and link, for ranges behind routers whose gateway is on a network that the machine is on;
    only those that nothing else has."""
    behind: dict[str, set[Range]] = {}
    found: dict[Range, tuple[str, str, str]] = {}
    for router in sorted(routers, key=lambda router: router.id):
        if router.gateway is None:
            continue
        for port in router.interfaces:
            for range_ in _ranges(port):
                behind.setdefault(port.network_id, set()).add(range_)
                hop = _hop(router.gateway, networks.get(router.gateway.network_id), range_.version)
                if hop:
                    found.setdefault(range_, (port.network_id, hop, uplink_name(router.gateway.network_id)))
    others = [one for one in used if not one.own]
    return {
        str(range_): (hop, link)
        for range_, (network_id, hop, link) in found.items()
        if overlapping(range_, others) is None
        and not any(_overlap(range_, other) for id_, all_ in behind.items() if id_ != network_id for other in all_)
    }


def _ranges(port: RouterPortSpec) -> set[Range]:
    return {ip_interface(address).network for address in port.addresses}


def _hop(gateway: RouterPortSpec, network: NetworkSpec | None, version: int) -> str:
    """The gateway's address of this IP version, when the machine is on its network."""
    if network is None or network.uplink is None or network.uplink.kind != "host":
        return ""
    addresses = [ip_interface(address).ip for address in gateway.addresses]
    ranges = [ip_network(subnet.cidr) for subnet in network.subnets]
    return next((str(ip) for ip in addresses if ip.version == version and any(ip in range_ for range_ in ranges)), "")


def set_routes(routes: Mapping[str, tuple[str, str]], own_links: Iterable[str]) -> None:
    """Exactly these of our routes on our links."""
    present, links = set(), set(own_links)
    for version, default in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
        for route in run_json("ensure_routers", ["ip", version, "-j", "route", "show", "proto", _PROTOCOL]):
            if route.get("dev") in links:
                range_ = default if route["dst"] == "default" else str(ip_network(route["dst"]))
                present.add((range_, str(route.get("gateway", "")), str(route["dev"])))
    after = {(range_, str(ip_address(hop)), link) for range_, (hop, link) in routes.items() if link in links}
    lines = [f"route del {range_} via {hop} dev {link} proto {_PROTOCOL}" for range_, hop, link in present - after]
    lines += [f"route replace {range_} via {hop} dev {link} proto {_PROTOCOL}" for range_, hop, link in after - present]
    namespaces.batch("ensure_routers", "", lines)
