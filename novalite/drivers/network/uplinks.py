"""How a network leaves its namespace: a pair of links, whose near end is the machine's own place on the network, or a
port of a bridge that has one of the machine's interfaces. A link is ours only when its alias says so."""

from __future__ import annotations

import hashlib
from ipaddress import ip_interface, ip_network
from typing import Any

from novalite.drivers.network import host_routes, namespaces
from novalite.drivers.network.base import NetworkSpec, UplinkSpec, bridge_name, network_namespace, uplink_name
from novalite.drivers.network.links import delete
from novalite.drivers.network.machine_rules import NETWORK_BODY, NETWORK_TABLE
from novalite.drivers.network.nft_sets import replacement
from novalite.errors import DriverError

_OP = "ensure_network"
_NAME_LENGTH = 15
Links = dict[str, dict[str, Any]]


def _short(prefix: str, name: str) -> str:
    whole = prefix + name
    return whole if len(whole) <= _NAME_LENGTH else prefix + hashlib.sha256(name.encode()).hexdigest()[:11]


def lan_bridge(interface: str) -> str:
    """Name of the bridge that has an interface of the machine as its port."""
    return _short("nll", interface)


def vlan_link(interface: str, vlan_id: int) -> str:
    """Name of the link for one VLAN of an interface."""
    whole = f"{interface}.{vlan_id}"
    return whole if len(whole) <= _NAME_LENGTH else _short("nlw", whole)


def mark(appliance_id: str, what: str) -> str:
    """The alias of what is ours."""
    return f"novalite {appliance_id} {what}"


def near_mac(network_id: str) -> str:
    """The machine's end has the same for ever, so that guests' caches outlive it."""
    tail = hashlib.sha256(network_id.encode()).digest()[:3]
    return "02:6e:75:" + ":".join(f"{byte:02x}" for byte in tail)


def own(appliance_id: str, links: Links | None = None) -> dict[str, str]:
    """Names of this appliance's near ends -> network."""
    found = {}
    for name, link in (namespaces.links("") if links is None else links).items():
        words = str(link.get("ifalias", "")).split()
        if words[:2] == ["novalite", appliance_id] and len(words) == 3 and name == uplink_name(words[2]):
            found[name] = words[2]
    return found


def ensure(appliance_id: str, spec: NetworkSpec) -> None:
    """The pair, and what its near end is for, as the network's uplink says. Raises ``DriverError``; repeating is
    safe."""
    if spec.uplink is None:
        return
    name, links = uplink_name(spec.id), namespaces.links("")
    if name in links and str(links[name].get("ifalias", "")) != mark(appliance_id, spec.id):
        raise _foreign(name)
    if spec.uplink.kind == "host":
        _refuse_overlap(spec, name)
        bridge = ""
    else:
        bridge = _provider_bridge(appliance_id, spec.uplink, spec.mtu, links)
    _pair(appliance_id, spec, links)
    if bridge:
        lines = [f"link set dev {name} addrgenmode none master {bridge} up"]
        namespaces.batch(_OP, "", [*_without_addresses(name, links), *lines])
    else:
        _host_addresses(spec, name)


def _foreign(name: str) -> DriverError:
    return DriverError(
        _OP,
        f"the link {name} exists and belongs to something else",
        code="network.foreign_link",
        hint=f"Rename or remove the link {name}.",
    )


def _refuse_overlap(spec: NetworkSpec, name: str) -> None:
    used = [one for one in host_routes.in_use() if one.link != name and not one.own]
    for subnet in spec.subnets:
        if found := host_routes.overlapping(ip_network(subnet.cidr), used):
            raise DriverError(
                _OP,
                f"the machine already uses {found.range_} on {found.link}, which overlaps {subnet.cidr}",
                code="network.range_in_use",
                hint="Choose another range for the network.",
            )


def _pair(appliance_id: str, spec: NetworkSpec, links: Links) -> None:
    """Both ends, the far one on the network's bridge; made anew when only one is there."""
    name, place = uplink_name(spec.id), network_namespace(spec.id)
    far = namespaces.links(place).get(name)
    if name in links and far is None:
        delete([name])
        links.pop(name)
    if name not in links:
        if far is not None:
            delete([name], place)
        namespaces.batch(
            _OP,
            "",
            [
                f"link add name {name} address {near_mac(spec.id)} mtu {spec.mtu} type veth "
                f"peer name {name} mtu {spec.mtu} netns {place}",
                f'link set dev {name} alias "{mark(appliance_id, spec.id)}"',
            ],
        )
    elif links[name].get("mtu") != spec.mtu:
        namespaces.batch(_OP, "", [f"link set dev {name} mtu {spec.mtu}"])
    tables = {(t["table"]["family"], t["table"]["name"]) for t in _tables(place)}
    if tuple(NETWORK_TABLE.split()) not in tables:
        namespaces.nft(_OP, place, replacement(NETWORK_TABLE, NETWORK_BODY, {}))
    namespaces.batch(
        _OP, place, [f"link set dev {name} mtu {spec.mtu} addrgenmode none master {bridge_name(spec.id)} up"]
    )


def _tables(namespace: str) -> list[dict[str, Any]]:
    return [item for item in namespaces.nft_json(_OP, namespace, ["list", "tables"]) if "table" in item]


def _host_addresses(spec: NetworkSpec, name: str) -> None:
    link = namespaces.links("")[name]
    wanted = {
        f"{subnet.gateway_ip}/{ip_network(subnet.cidr).prefixlen}" for subnet in spec.subnets if subnet.gateway_ip
    }
    present = {
        f"{entry['local']}/{entry['prefixlen']}"
        for entry in link.get("addr_info", ())
        if entry.get("scope") == "global"
    }
    wanted = {str(ip_interface(address)) for address in wanted}
    lines = [f"addr del {address} dev {name}" for address in sorted(present - wanted)]
    if "master" in link:
        lines.append(f"link set dev {name} nomaster addrgenmode eui64")
    namespaces.switches(
        _OP,
        "",
        {f"ipv4/conf/{name}/send_redirects": "0", f"ipv6/conf/{name}/accept_ra": "0",
         f"ipv6/conf/{name}/accept_dad": "0"},
    )  # fmt: skip
    lines.append(f"link set dev {name} up")
    lines += [
        f"addr add {address} dev {name}" + (" nodad" if ":" in address else " brd +")
        for address in sorted(wanted - present)
    ]
    namespaces.batch(_OP, "", lines)


def _without_addresses(name: str, links: Links) -> list[str]:
    entries = links.get(name, {}).get("addr_info", ())
    return [f"addr del {entry['local']}/{entry['prefixlen']} dev {name}" for entry in entries]


def _provider_bridge(appliance_id: str, uplink: UplinkSpec, mtu: int, links: Links) -> str:
    """The bridge behind which the machine's interface, or a VLAN of it, is."""
    interface = uplink.interface
    if interface not in links:
        raise DriverError(
            _OP,
            f"the machine has no interface {interface}",
            code="network.no_interface",
            hint="`ip link` lists them; settings name the interface of a physical network.",
        )
    if uplink.kind == "vlan":
        interface = _vlan(appliance_id, uplink, links)
    elif links[interface].get("linkinfo", {}).get("info_kind") == "bridge":
        return interface
    return _bridge_over(appliance_id, interface, mtu, links)


def _bridge_over(appliance_id: str, interface: str, mtu: int, links: Links) -> str:
    bridge, link = lan_bridge(interface), links[interface]
    if link.get("master") == bridge:
        if not str(links[bridge].get("ifalias", "")).startswith("novalite "):
            raise _foreign(bridge)
        return bridge
    if link.get("master"):
        raise DriverError(
            _OP,
            f"the interface {interface} is a port of {link['master']} already",
            code="network.interface_in_use",
            hint=f"Name {link['master']} as the interface, when that is a bridge.",
        )
    if any(entry.get("scope") == "global" for entry in link.get("addr_info", ())):
        raise DriverError(
            _OP,
            f"the machine has addresses on {interface}",
            code="network.interface_in_use",
            hint=f"`novalite network attach-lan {interface}` moves them to a bridge without cutting the machine off.",
        )
    lines = []
    if bridge not in links:
        lines = [
            f"link add name {bridge} mtu {mtu} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            f'link set dev {bridge} alias "{mark(appliance_id, interface)}"',
        ]
    elif not str(links[bridge].get("ifalias", "")).startswith("novalite "):
        raise _foreign(bridge)
    lines.append(f"link set dev {bridge} addrgenmode none up")
    lines.append(f"link set dev {interface} master {bridge} up")
    namespaces.batch(_OP, "", lines)
    return bridge


def _vlan(appliance_id: str, uplink: UplinkSpec, links: Links) -> str:
    name = vlan_link(uplink.interface, uplink.vlan_id)
    if name in links:
        info = links[name].get("linkinfo", {})
        if info.get("info_kind") != "vlan" or info.get("info_data", {}).get("id") != uplink.vlan_id:
            raise _foreign(name)
        return name
    try:
        namespaces.batch(
            _OP,
            "",
            [
                f"link add link {uplink.interface} name {name} type vlan id {uplink.vlan_id}",
                f'link set dev {name} alias "{mark(appliance_id, uplink.interface)}"',
            ],
        )
    except DriverError as error:
        if "Operation not supported" in error.detail or "Unknown device type" in error.detail:
            raise DriverError(
                _OP,
                f"the kernel cannot make VLAN {uplink.vlan_id} of {uplink.interface}: it lacks 802.1Q",
                code="network.kernel",
                hint="Load the kernel module 8021q (`modprobe 8021q`).",
            ) from None
        raise
    links[name] = namespaces.links("")[name]
    return name


def remove(appliance_id: str, network_id: str) -> None:
    """The pair gone, and a bridge or VLAN of ours that it was the last to use; an absent one is a success."""
    links = namespaces.links("")
    name = uplink_name(network_id)
    if name not in own(appliance_id, links):
        return
    bridge = str(links[name].get("master", ""))
    delete([name])
    links.pop(name)
    delete(_unused(appliance_id, bridge, links))


def _unused(appliance_id: str, bridge: str, links: Links) -> list[str]:
    """The bridge and the VLAN link under it, when ours and without guests or addresses."""
    link = links.get(bridge)
    if link is None or not str(link.get("ifalias", "")).startswith(f"novalite {appliance_id} "):
        return []
    ports = [name for name, other in links.items() if other.get("master") == bridge]
    if any(name.startswith("nlu") for name in ports):
        return []
    if any(entry.get("scope") == "global" for entry in link.get("addr_info", ())):
        return []
    ours = [name for name in ports if str(links[name].get("ifalias", "")).startswith(f"novalite {appliance_id} ")]
    return [bridge, *ours]


def strays() -> list[str]:
    """Sentences about interfaces on bridges of ours that have addresses again besides: the machine's own network
    configuration has given them, and answers may take the wrong way."""
    links = namespaces.links("")
    return [
        f"The interface {name} has addresses of its own again although it is a port of {link['master']}. The machine's "
        f"network configuration must leave {name} alone."
        for name, link in links.items()
        if str(link.get("master", "")).startswith("nll")
        and not name.startswith("nlu")
        and any(entry.get("scope") == "global" for entry in link.get("addr_info", ()))
    ]
