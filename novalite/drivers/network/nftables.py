"""Packet filter rules of one appliance: text from typed data, loaded in one transaction by ``nft -f -``.

Two tables carry the appliance's id in their names; nothing outside them is changed, except for accept rules in
Docker's own chain for users (see ``docker.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    METADATA_PORT,
    NetworkSpec,
    PortSpec,
    bridge_name,
    tap_name,
)
from novalite.drivers.network.commands import run, run_json

_BRIDGE_CHAINS = """
  chain prerouting { type filter hook prerouting priority -300; policy accept;
    iifname @taps goto guest
  }
  chain guest {
    iifname . ether saddr != @macs drop
    ether type arp goto guest_arp
    ether type ip goto guest_ip
    drop
  }
  chain guest_arp {
    iifname . arp saddr ether . arp saddr ip @sources accept
    arp saddr ip 0.0.0.0 iifname . arp saddr ether @macs accept
    drop
  }
  chain guest_ip {
    udp sport 67 drop
    ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept
    iifname . ether saddr . ip saddr @sources accept
    drop
  }
"""

_ROUTED_CHAINS = f"""
  chain prerouting {{ type nat hook prerouting priority dstnat; policy accept;
    iifname @metadata ip daddr {METADATA_ADDRESS} tcp dport 80 redirect to :{METADATA_PORT}
  }}
  chain forward {{ type filter hook forward priority filter - 5; policy accept;
    iifname . oifname @same accept
    iifname @bridges oifname "nlb*" drop
    iifname @bridges ip daddr 169.254.0.0/16 th dport != 53 drop
    oifname @closed ct state established,related accept
    oifname @closed drop
  }}
  chain postrouting {{ type nat hook postrouting priority srcnat; policy accept;
    ip saddr @nat_ranges oifname != "nlb*" masquerade
  }}
"""


def table_name(appliance_id: str) -> str:
    return "novalite_" + appliance_id.replace("-", "")


def _set(name: str, type_: str, elements: Iterable[str], *, flags: str = "") -> str:
    listed = ", ".join(elements)
    flag_text = f" flags {flags};" if flags else ""
    element_text = f" elements = {{ {listed} }};" if listed else ""
    return f"  set {name} {{ type {type_};{flag_text}{element_text} }}\n"


def _tap_element(port: PortSpec) -> str:
    return f'"{tap_name(port.id)}"'


def _mac_element(port: PortSpec) -> str:
    return f'"{tap_name(port.id)}" . {port.mac_address}'


def _source_element(port: PortSpec) -> str:
    return f'"{tap_name(port.id)}" . {port.mac_address} . {port.ip_address}'


def _quoted_bridges(networks: Iterable[NetworkSpec]) -> list[str]:
    return [f'"{bridge_name(spec.id)}"' for spec in networks]


def ruleset(appliance_id: str, networks: Mapping[str, NetworkSpec], ports: Iterable[PortSpec]) -> str:
    """Both tables whole, replacing what they held."""
    specs, known = list(networks.values()), list(ports)
    bridges = _quoted_bridges(specs)
    name = table_name(appliance_id)
    frames = (
        _set("taps", "ifname", map(_tap_element, known))
        + _set("macs", "ifname . ether_addr", map(_mac_element, known))
        + _set("sources", "ifname . ether_addr . ipv4_addr", map(_source_element, known))
    )
    routed = (
        _set("bridges", "ifname", bridges)
        + _set("same", "ifname . ifname", (f"{bridge} . {bridge}" for bridge in bridges))
        + _set("closed", "ifname", _quoted_bridges(s for s in specs if s.nat))
        + _set("metadata", "ifname", _quoted_bridges(s for s in specs if s.metadata))
        + _set("nat_ranges", "ipv4_addr", (s.cidr for s in specs if s.nat), flags="interval")
    )
    return _replace("bridge", name, frames + _BRIDGE_CHAINS) + _replace("ip", name, routed + _ROUTED_CHAINS)


def _replace(family: str, name: str, body: str) -> str:
    return f"table {family} {name}\ndelete table {family} {name}\ntable {family} {name} {{\n{body}}}\n"


def port_change(appliance_id: str, before: PortSpec | None, after: PortSpec | None) -> str:
    """The elements to take out and to put in, as one transaction; empty when nothing changes."""
    if before and after and _elements(before) == _elements(after):
        return ""
    name = table_name(appliance_id)
    return "".join(
        f"{verb} element bridge {name} {set_} {{ {element} }}\n"
        for verb, port in (("delete", before), ("add", after))
        if port is not None
        for set_, element in _elements(port)
    )


def _elements(port: PortSpec) -> list[tuple[str, str]]:
    return [("taps", _tap_element(port)), ("macs", _mac_element(port)), ("sources", _source_element(port))]


def removal(appliance_id: str) -> str:
    """Both tables gone, whether or not they were there."""
    name = table_name(appliance_id)
    return "".join(f"table {family} {name}\ndelete table {family} {name}\n" for family in ("bridge", "ip"))


def load(op: str, text: str) -> None:
    """All of it or nothing."""
    if text:
        run(op, ["nft", "-f", "-"], text=text)


def is_loaded(appliance_id: str) -> bool:
    """Do both tables exist? Their contents are not looked at."""
    name = table_name(appliance_id)
    listing = run_json("check", ["nft", "-j", "list", "tables"])["nftables"]
    found = {item["table"]["family"] for item in listing if item.get("table", {}).get("name") == name}
    return found >= {"bridge", "ip"}
