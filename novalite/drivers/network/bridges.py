"""A network's namespace: its bridge with the network's own addresses and routes, and the kernel switches in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from novalite.drivers.network import kernel_state, link_names, links, namespaces
from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    METADATA_ADDRESS_6,
    NetworkSpec,
    SubnetSpec,
    bridge_name,
    network_namespace,
)
from novalite.drivers.network.commands import run, run_json
from novalite.drivers.network.nftables import Tracking

_SWITCHES = {
    "ipv4/ip_forward": "0",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv6/conf/all/forwarding": "0",
    "ipv6/conf/all/accept_ra": "0",
    "ipv6/conf/default/accept_ra": "0",
    "ipv6/conf/default/disable_ipv6": "1",  # ports of the bridge have no addresses
}
_UNSEEN = {f"bridge/bridge-nf-call-{family}": "0" for family in ("iptables", "ip6tables", "arptables")}


def bridge_mac(network_id: str) -> str:
    """The same for a network for ever, so that guests' caches of neighbours outlive the bridge."""
    tail = hashlib.sha256(network_id.encode()).digest()[:3]
    return "02:6e:6c:" + ":".join(f"{byte:02x}" for byte in tail)


@dataclass(frozen=True)
class Look:
    """What a network's namespace holds: names of links, the bridge's kernel index (0: none) and addresses."""

    names: frozenset[str]
    index: int
    addresses: frozenset[str]


def look(network_id: str) -> Look | None:
    """The network's namespace, seen without a program; None when there is none."""
    namespace, bridge = network_namespace(network_id), bridge_name(network_id)

    def act() -> Look:
        found = link_names.indices()
        return Look(frozenset(found), found.get(bridge, 0), kernel_state.addresses())

    try:
        return namespaces.within(namespace, act) if namespaces.exists(namespace) else None
    except OSError:
        if namespaces.exists(namespace):
            raise
        return None


def owner(network_id: str) -> str | None:
    """The appliance whose mark is on the network's bridge; None without a bridge."""
    name = bridge_name(network_id)
    link = links.details([name], network_namespace(network_id)).get(name)
    words = link.get("ifalias", "").split() if link else []
    return None if link is None else (words[1] if words[:1] == ["novalite"] and len(words) > 1 else "")


def ensure(appliance_id: str, spec: NetworkSpec, tracking: Tracking) -> int:
    """The namespace and the bridge with exactly its addresses and routes; the bridge's kernel index. Raises
    ``DriverError`` when it is another appliance's."""
    namespace, name = network_namespace(spec.id), bridge_name(spec.id)
    if tracking == "netfilter":
        _load_bridge_filter()
    if namespaces.ensure(namespace):
        run("ensure_network", ["ip", "netns", "set", namespace, "auto"])  # else its events are not heard
    present = owner(spec.id)
    if present not in (None, appliance_id):
        raise links.foreign(name)
    namespaces.switches("ensure_network", namespace, _SWITCHES)
    if tracking == "bridge" and Path("/proc/sys/net/bridge").is_dir():
        namespaces.switches("ensure_network", namespace, _UNSEEN)
    lines, seen = [], int(tracking == "netfilter")
    if present is None:
        lines.append(f"link add name {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        lines.append(f'link set dev {name} alias "{links.alias(appliance_id, "network", spec.id)}"')
    lines.append(f"link set dev {name} type bridge nf_call_iptables {seen} nf_call_ip6tables {seen}")
    lines.append(f"link set dev {name} address {bridge_mac(spec.id)} mtu {spec.mtu}")
    namespaces.batch("ensure_network", namespace, lines)
    own = {"accept_dad": "0", "accept_ra": "0", "disable_ipv6": "0"}
    namespaces.switches("ensure_network", namespace, {f"ipv6/conf/{name}/{key}": value for key, value in own.items()})
    namespaces.batch("ensure_network", namespace, [f"link set dev {name} {'up' if spec.up else 'down'}"])
    if spec.up:
        _address(namespace, name, spec)
    found = look(spec.id)
    return found.index if found else 0


def _load_bridge_filter() -> None:
    """Bridged packets can be seen by connection tracking. Where this loads the kernel's part for it, it stays off
    for the machine's own bridges."""
    switches = Path("/proc/sys/net/bridge")
    if not switches.is_dir():
        run("ensure_network", ["modprobe", "br_netfilter"])
        namespaces.switches("ensure_network", "", _UNSEEN)


def own_addresses(spec: NetworkSpec) -> set[str]:
    """The addresses, with prefix, of the network's own servers."""
    found = {f"{subnet.server_ip}/{ip_network(subnet.cidr).prefixlen}" for subnet in spec.subnets if subnet.server_ip}
    if spec.metadata:
        found |= {f"{METADATA_ADDRESS}/32", f"{METADATA_ADDRESS_6}/64"}
    return found


def own_routes(spec: NetworkSpec) -> dict[str, str]:
    """Range -> how it is reached, as words for ``ip route``."""
    found: dict[str, str] = {}
    for subnet in spec.subnets:
        if not subnet.server_ip:
            found[subnet.cidr] = "scope link" if subnet.version == 4 else ""
    for version, every in ((4, "0.0.0.0/0"), (6, "::/0")):
        leading = [subnet for subnet in spec.subnets if subnet.version == version and _leads(subnet)]
        if leading:
            first = leading[0]
            source = f" src {first.server_ip}" if first.server_ip else ""
            found[every] = f"via {first.gateway_ip} onlink{source}"
    return found


def _leads(subnet: SubnetSpec) -> bool:
    return bool(subnet.gateway_ip) and subnet.gateway_ip != subnet.server_ip


def _address(namespace: str, name: str, spec: NetworkSpec) -> None:
    wanted = own_addresses(spec)
    (link,) = run_json("ensure_network", ["ip", "-n", namespace, "-j", "addr", "show", "dev", name])
    lines = [f"addr del {address} dev {name}" for address in sorted(_told_addresses(link) - wanted)]
    for address in sorted(wanted):
        lines.append(f"addr replace {address} dev {name}" + (" nodad" if ":" in address else " brd +"))
    routes = own_routes(spec)
    lines += [f"route del {range_} dev {name}" for range_ in sorted(_present_routes(namespace, name) - set(routes))]
    lines += [f"route replace {range_} dev {name} proto static {how}" for range_, how in routes.items()]
    namespaces.batch("ensure_network", namespace, lines)


def _told_addresses(link: dict[str, Any]) -> set[str]:
    """The addresses of the link but for the one that the kernel makes from its MAC."""
    found = {f"{entry['local']}/{entry['prefixlen']}" for entry in link.get("addr_info", ()) if "local" in entry}
    return {
        a for a in found if not (a.startswith("fe80:") and ip_address(a.split("/")[0]).packed[11:13] == b"\xff\xfe")
    }


def _present_routes(namespace: str, name: str) -> set[str]:
    found = set()
    for option, every in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
        argv = ["ip", "-n", namespace, option, "-j", "route", "show", "dev", name, "proto", "static"]
        for route in run_json("ensure_network", argv):
            found.add(every if route["dst"] == "default" else str(ip_network(route["dst"])))
    return found


def remove(appliance_id: str, network_id: str) -> None:
    """The namespace and all in it gone, when it is not another appliance's."""
    namespace = network_namespace(network_id)
    if namespaces.exists(namespace) and owner(network_id) in (None, appliance_id):
        namespaces.remove(namespace)


def remove_older(appliance_id: str, network_id: str) -> None:
    """The bridge in the machine's namespace that releases before namespaces had made for the network, gone."""
    name = bridge_name(network_id)
    link = links.details([name]).get(name)
    if link and link.get("ifalias") == links.alias(appliance_id, network_id):
        links.delete([name])
