"""What each network, port, combination of security groups and router brings into the packet filter tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from novalite.drivers.network.base import NetworkSpec, PortSpec, RoutingSpec, bridge_name, tap_name
from novalite.drivers.network.groups import KINDS, Elements
from novalite.drivers.network.nftables import FORBIDDEN, Part, table_name

_SIDES = ("in", "out")


def profile_key(groups: Iterable[str]) -> str:
    """A short name of a combination of groups: ports with the same groups share sets and chains."""
    return hashlib.sha256(",".join(sorted(groups)).encode()).hexdigest()[:16]


def _frames(**sets: Iterable[str]) -> Part:
    return {("bridge", name): frozenset(items) for name, items in sets.items()}


def _routed(**sets: Iterable[str]) -> Part:
    return {("ip", name): frozenset(items) for name, items in sets.items()}


def of_port(port: PortSpec) -> Part:
    """Where it may speak from, and which rules it is under."""
    tap, mac = f'"{tap_name(port.id)}"', port.mac_address
    part: dict[tuple[str, str], frozenset[str]] = {}
    if port.secured:
        sources = [f"{tap} . {mac} . {address}" for address in port.addresses]
        part |= _frames(taps=[tap], macs=[f"{tap} . {mac}"], sources=sources)
    if port.groups is not None:
        key = profile_key(port.groups)
        part |= _frames(leaving=[f"{tap} : goto out_{key}"], arriving=[f"{tap} : goto in_{key}"])
    return part


def _bridge(network_id: str) -> str:
    return f'"{bridge_name(network_id)}"'


def of_network(spec: NetworkSpec) -> Part:
    """Its bridge, and how far it is open without any router."""
    bridge = _bridge(spec.id)
    is_open = not spec.isolated
    return _routed(
        bridges=[bridge],
        same=[f"{bridge} . {bridge}"],
        joined=[f"{bridge} . {bridge}"],
        closed=[bridge] if spec.nat or spec.isolated else [],
        open_out=[bridge] if is_open else [],
        metadata=[bridge] if spec.metadata else [],
        nat_ranges=[spec.cidr] if spec.nat else [],
    )


def of_routing(routing: RoutingSpec, networks: Mapping[str, NetworkSpec]) -> Part:
    """Which networks routers join and lead outside; what floating addresses stand for. What ``of_network`` brings
    already is left out."""
    joined: set[str] = set()
    leading: dict[NetworkSpec, str] = {}  # networks that reach the outside -> as what
    masked: set[str] = set()
    for router in routing.routers:
        inside = [networks[id_] for id_ in router.networks if id_ in networks]
        reach = [spec.id for spec in inside] + ([router.external] if router.external in networks else [])
        joined |= {f"{_bridge(a.id)} . {_bridge(b)}" for a in inside for b in reach if a.id != b}
        for spec in inside if router.external in networks else ():
            leading.setdefault(spec, router.address if router.snat else "")
            masked |= {spec.cidr} if router.snat and not spec.nat else set()
    floating = [item for item in routing.floating if item.external in networks]
    seen_as = {item.fixed_address: item.address for item in reversed(floating)}
    return _routed(
        joined=joined,
        open_out={_bridge(spec.id) for spec in leading if spec.isolated},
        nat_ranges=masked,
        gateways={f"{spec.cidr} : {address}" for spec, address in leading.items() if address},
        external={_bridge(router.external) for router in routing.routers if router.external in networks},
        floating={f"{item.address} : {item.fixed_address}" for item in floating},
        seen_as={f"{fixed} : {address}" for fixed, address in seen_as.items()},
    )


def addresses(routing: RoutingSpec) -> dict[str, set[str]]:
    """Network id -> the addresses the machine has on it for routers and guests."""
    found: dict[str, set[str]] = {}
    for router in routing.routers:
        for network_id, address in router.own:
            found.setdefault(network_id, set()).add(address)
        if router.external and router.address:
            found.setdefault(router.external, set()).add(router.address)
    for item in routing.floating:
        found.setdefault(item.external, set()).add(item.address)
    return found


def declaration(appliance_id: str, key: str) -> str:
    """The sets and chains of a combination of groups, empty."""
    name, text = table_name(appliance_id), ""
    for side in _SIDES:
        text += f"add chain bridge {name} {side}_{key}\nflush chain bridge {name} {side}_{key}\n"
        remote, verdict = ("ip saddr", "accept") if side == "in" else ("ip daddr", "return")
        lookups = {
            "any": remote,
            "ports": f"{remote} . meta l4proto . th dport",
            "icmp": f"{remote} . icmp type . icmp code",
            "proto": f"{remote} . meta l4proto",
        }
        for kind, lookup in lookups.items():
            text += f"add set bridge {name} {side}_{key}_{kind} {{ type {KINDS[kind]}; flags interval; }}\n"
            text += f"add rule bridge {name} {side}_{key} {lookup} @{side}_{key}_{kind} {verdict}\n"
        last = "drop" if side == "in" else f"meta mark set meta mark | {FORBIDDEN}"
        text += f"add rule bridge {name} {side}_{key} {last}\n"
    return text


def withdrawal(appliance_id: str, key: str) -> str:
    """The sets and chains of a combination of groups that no port has any more, gone."""
    name, text = table_name(appliance_id), ""
    for side in _SIDES:
        text += f"flush chain bridge {name} {side}_{key}\ndelete chain bridge {name} {side}_{key}\n"
        text += "".join(f"delete set bridge {name} {side}_{key}_{kind}\n" for kind in KINDS)
    return text


def of_profile(key: str, inbound: Elements, outbound: Elements) -> Part:
    """The elements of a combination of groups."""
    return {
        ("bridge", f"{side}_{key}_{kind}"): items
        for side, found in (("in", inbound), ("out", outbound))
        for kind, items in found.items()
    }
