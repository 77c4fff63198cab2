"""Bridges and kernel switches by ``ip`` and /proc/sys. A link is ours only when its alias says so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from novalite.drivers.network.base import METADATA_ADDRESS, NetworkSpec, bridge_name
from novalite.drivers.network.commands import run, run_json
from novalite.errors import DriverError

_SWITCHES = Path("/proc/sys/net")


def bridge_mac(network_id: str) -> str:
    """The same for a network for ever, so that guests' ARP caches outlive the bridge."""
    tail = hashlib.sha256(network_id.encode()).digest()[:3]
    return "02:6e:6c:" + ":".join(f"{byte:02x}" for byte in tail)


def alias(appliance_id: str, network_id: str) -> str:
    return f"novalite {appliance_id} {network_id}"


@dataclass(frozen=True)
class Bridge:
    """A bridge of this appliance: its name, kernel index and network."""

    name: str
    index: int
    network_id: str


def bridges(appliance_id: str) -> list[Bridge]:
    """The bridges of this appliance that exist now."""
    found = []
    for link in run_json("check", ["ip", "-j", "link", "show", "type", "bridge"]):
        words = link.get("ifalias", "").split()
        if words[:2] == ["novalite", appliance_id] and len(words) == 3:
            found.append(Bridge(link["ifname"], link["ifindex"], words[2]))
    return found


def any_bridge_left() -> bool:
    """Does any appliance on this machine have a bridge?"""
    links = run_json("check", ["ip", "-j", "link", "show", "type", "bridge"])
    return any(link.get("ifalias", "").startswith("novalite ") for link in links)


def _links() -> dict[str, dict[str, Any]]:
    return {link["ifname"]: link for link in run_json("check", ["ip", "-j", "-d", "addr", "show"]) if link}


def ensure_bridge(appliance_id: str, spec: NetworkSpec) -> int:
    """The bridge up, with exactly its gateway address; its kernel index. Raises ``DriverError`` when a link of
    that name is not ours, or the machine already routes the range elsewhere."""
    name, cidr = bridge_name(spec.id), IPv4Network(spec.cidr)
    _filter_bridged()
    links = _links()
    link = links.get(name)
    mark = alias(appliance_id, spec.id)
    if link is not None and link.get("ifalias") != mark:
        raise DriverError(
            "ensure_network",
            f"the link {name} exists and belongs to something else",
            code="network.foreign_link",
            hint=f"Rename or remove the link {name}.",
        )
    lines = []
    if link is None:
        _refuse_overlap(cidr, name)
        lines.append(
            f"link add name {name} address {bridge_mac(spec.id)} mtu {spec.mtu} type bridge stp_state 0 "
            "forward_delay 0 mcast_snooping 0"
        )
        lines.append(f'link set dev {name} alias "{mark}"')
    else:
        lines += _stale_addresses(link, spec, cidr)
    lines.append(f"link set dev {name} type bridge nf_call_iptables 1")
    lines.append(f"link set dev {name} address {bridge_mac(spec.id)} mtu {spec.mtu} up")
    run("ensure_network", ["ip", "-batch", "-"], text="".join(line + "\n" for line in lines))
    _set(f"ipv6/conf/{name}/disable_ipv6", "1")
    _set(f"ipv4/conf/{name}/forwarding", "1")
    _set(f"ipv4/conf/{name}/send_redirects", "0")
    address = f"addr replace {spec.gateway_ip}/{cidr.prefixlen} brd + dev {name}\n"
    proxy = f"neigh replace proxy {METADATA_ADDRESS} dev {name}\n" if spec.metadata else ""
    run("ensure_network", ["ip", "-batch", "-"], text=address + proxy)
    return int(link["ifindex"]) if link else _index(name)


def _filter_bridged() -> None:
    """Bridged packets can be seen by connection tracking. Where this loads the kernel's part for it, it stays off
    for bridges of others; ours ask for it one by one."""
    switch = "bridge/bridge-nf-call-iptables"
    if not (_SWITCHES / switch).exists():
        run("ensure_network", ["modprobe", "br_netfilter"])
        for family in ("iptables", "ip6tables", "arptables"):
            _set(f"bridge/bridge-nf-call-{family}", "0")


def _index(name: str) -> int:
    return int(run_json("ensure_network", ["ip", "-j", "link", "show", "dev", name])[0]["ifindex"])


def _stale_addresses(link: dict[str, Any], spec: NetworkSpec, cidr: IPv4Network) -> list[str]:
    wanted = (spec.gateway_ip, cidr.prefixlen)
    return [
        f"addr del {entry['local']}/{entry['prefixlen']} dev {link['ifname']}"
        for entry in link.get("addr_info", ())
        if entry.get("family") == "inet" and (entry["local"], entry["prefixlen"]) != wanted and entry["prefixlen"] < 32
    ]


def own_addresses(name: str, wanted: set[str]) -> None:
    """Beside its gateway address, the bridge has exactly these, each alone."""
    (link,) = run_json("ensure_routing", ["ip", "-j", "-4", "addr", "show", "dev", name])
    entries = [entry for entry in link.get("addr_info", ()) if entry["family"] == "inet"]
    present = {entry["local"] for entry in entries if entry["prefixlen"] == 32}
    wanted = wanted - {entry["local"] for entry in entries if entry["prefixlen"] < 32}
    lines = [f"addr del {address}/32 dev {name}\n" for address in sorted(present - wanted)]
    lines += [f"addr add {address}/32 dev {name}\n" for address in sorted(wanted - present)]
    if lines:
        run("ensure_routing", ["ip", "-batch", "-"], text="".join(lines))


def _refuse_overlap(cidr: IPv4Network, own: str) -> None:
    for dev, used in _routes():
        if dev != own and used.overlaps(cidr):
            raise DriverError(
                "ensure_network",
                f"the machine already uses {used} on {dev}, which overlaps {cidr}",
                code="network.range_in_use",
                hint="Choose another range for the network.",
            )


def _routes() -> list[tuple[str, IPv4Network]]:
    found = []
    for route in run_json("used_ranges", ["ip", "-j", "-4", "route", "show", "table", "main"]):
        if route.get("dst", "default") != "default":
            found.append((str(route.get("dev", "")), IPv4Network(route["dst"], strict=False)))
    for link in run_json("used_ranges", ["ip", "-j", "-4", "addr", "show"]):
        for entry in link.get("addr_info", ()):
            range_ = IPv4Network(f"{entry['local']}/{entry['prefixlen']}", strict=False)
            found.append((link["ifname"], range_))
    return found


def used_ranges() -> tuple[str, ...]:
    """CIDRs of all IPv4 routes and addresses of the machine."""
    return tuple(sorted({str(range_) for _, range_ in _routes()}))


def remove_bridge(appliance_id: str, network_id: str) -> None:
    """The bridge gone, when it is ours."""
    name = bridge_name(network_id)
    if any(bridge.name == name for bridge in bridges(appliance_id)):
        run("remove_network", ["ip", "link", "del", "dev", name])


def uplinks() -> tuple[str, ...]:
    """Links that default routes lead to."""
    routes = run_json("ensure_network", ["ip", "-j", "-4", "route", "show", "default"])
    devices = {str(hop["dev"]) for route in routes for hop in (route.get("nexthops") or [route]) if "dev" in hop}
    return tuple(sorted(devices))


def forward(link: str, *, on: bool = True) -> bool:
    """Let the machine route what comes in on ``link``; returns whether that is a change."""
    return _set(f"ipv4/conf/{link}/forwarding", "1" if on else "0")


def _set(switch: str, value: str) -> bool:
    path = _SWITCHES / switch
    try:
        if path.read_text().strip() == value:
            return False
        path.write_text(value)
    except FileNotFoundError:
        if switch.startswith("ipv6/"):
            return False  # a kernel without IPv6 has nothing to switch off
        raise DriverError("ensure_network", f"the kernel has no {path}", code="driver.network") from None
    except OSError as error:
        raise DriverError(
            "ensure_network",
            f"{path} cannot be set: {error.strerror}",
            code="driver.network",
            hint="Networks need root and a writable /proc/sys.",
        ) from None
    return True
