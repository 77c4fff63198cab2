"""The packet filter tables of one appliance: what they hold as data, and text that brings it to the kernel in one
transaction by ``nft -f -``.

Two tables carry the appliance's id in their names; nothing outside them is changed, except for accept rules in
Docker's own chain for users (see ``docker.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from novalite.drivers.network.base import METADATA_ADDRESS, METADATA_PORT
from novalite.drivers.network.commands import run, run_json

Part = Mapping[tuple[str, str], frozenset[str]]
"""(family, set or map) -> its elements: what one port, one network … brings into the tables."""

FORBIDDEN, ANSWER = "0x10000000", "0x20000000"
"""Bits of a packet's mark: no rule lets its sender send this; it answers something that was let through."""

_FRAME_SETS = {
    "taps": "ifname",
    "macs": "ifname . ether_addr",
    "sources": "ifname . ether_addr . ipv4_addr",
}
_FRAME_CHAINS = f"""
  map leaving {{ type ifname : verdict; }}
  map arriving {{ type ifname : verdict; }}
  chain prerouting {{ type filter hook prerouting priority -300; policy accept;
    iifname @taps goto guest
  }}
  chain guest {{
    iifname . ether saddr != @macs drop
    ether type arp goto guest_arp
    ether type ip goto guest_ip
    drop
  }}
  chain guest_arp {{
    iifname . arp saddr ether . arp saddr ip @sources accept
    arp saddr ip 0.0.0.0 iifname . arp saddr ether @macs accept
    drop
  }}
  chain guest_ip {{
    udp sport 67 drop
    ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept
    iifname . ether saddr . ip saddr @sources accept
    drop
  }}
  chain groups_out {{ type filter hook prerouting priority -250; policy accept;
    ether type ip udp sport 68 udp dport 67 accept
    ether type ip iifname vmap @leaving
  }}
  chain groups_in {{ type filter hook postrouting priority 0; policy accept;
    ether type ip meta mark & {ANSWER} == {ANSWER} accept
    ether type ip ip frag-off & 0x1fff != 0 accept
    ether type ip oifname vmap @arriving
  }}
"""

_ROUTED_SETS = {
    "bridges": "ifname",
    "same": "ifname . ifname",
    "joined": "ifname . ifname",
    "closed": "ifname",
    "open_out": "ifname",
    "external": "ifname",
    "metadata": "ifname",
    "nat_ranges": "ipv4_addr; flags interval",
}
_ROUTED_MAPS = {
    "floating": "ipv4_addr : ipv4_addr",
    "seen_as": "ipv4_addr : ipv4_addr",
    "gateways": "ipv4_addr : ipv4_addr; flags interval",
}
_ROUTED_CHAINS = f"""
  chain answers {{
    ct direction reply meta mark set meta mark | {ANSWER}
    ct state related meta mark set meta mark | {ANSWER}
  }}
  chain forbidden {{
    ct direction reply return
    ct state related return
    drop
  }}
  chain groups_out {{ type filter hook prerouting priority mangle; policy accept;
    iifname @bridges meta mark & {FORBIDDEN} == {FORBIDDEN} jump forbidden
  }}
  chain groups_forward {{ type filter hook forward priority mangle; policy accept;
    oifname @bridges jump answers
  }}
  chain groups_output {{ type filter hook output priority mangle; policy accept;
    oifname @bridges udp sport 67 udp dport 68 meta mark set meta mark | {ANSWER}
    oifname @bridges jump answers
  }}
  chain prerouting {{ type nat hook prerouting priority dstnat; policy accept;
    iifname @metadata ip daddr {METADATA_ADDRESS} tcp dport 80 redirect to :{METADATA_PORT}
    dnat to ip daddr map @floating
  }}
  chain output {{ type nat hook output priority -100; policy accept;
    dnat to ip daddr map @floating
  }}
  chain input {{ type filter hook input priority filter - 5; policy accept;
    iifname @bridges iifname != @open_out goto to_machine
  }}
  chain to_machine {{
    udp dport 67 accept
    tcp dport {METADATA_PORT} accept
    ip protocol icmp accept
    ct direction reply accept
    ct state related accept
    drop
  }}
  chain forward {{ type filter hook forward priority filter - 5; policy accept;
    iifname . oifname @joined accept
    iifname @bridges ip daddr 169.254.0.0/16 th dport != 53 drop
    ct direction reply ct state established accept
    ct state related accept
    iifname @bridges iifname != @open_out drop
    oifname @bridges ct status dnat accept
    iifname @bridges oifname "nlb*" drop
    oifname @closed drop
  }}
  chain postrouting {{ type nat hook postrouting priority srcnat; policy accept;
    iifname @bridges ct status dnat snat to ip saddr map @seen_as
    oifname @external snat to ip saddr map @seen_as
    oifname @external snat to ip saddr map @gateways
    iifname . oifname @same ct status dnat masquerade
    ip saddr @nat_ranges oifname != "nlb*" masquerade
  }}
"""
_DECLARED = {("bridge", name): f"set {name} {{ type {type_}; }}" for name, type_ in _FRAME_SETS.items()} | {
    ("ip", name): f"{kind} {name} {{ type {type_}; }}"
    for kind, types in (("set", _ROUTED_SETS), ("map", _ROUTED_MAPS))
    for name, type_ in types.items()
}


def table_name(appliance_id: str) -> str:
    return "novalite_" + appliance_id.replace("-", "")


def skeleton(appliance_id: str) -> str:
    """Both tables with their chains and empty sets, in place of what was there."""
    name = table_name(appliance_id)
    text = ""
    for family, chains in (("bridge", _FRAME_CHAINS), ("ip", _ROUTED_CHAINS)):
        sets = "".join(f"  {line}\n" for (where, _), line in _DECLARED.items() if where == family)
        text += f"table {family} {name}\ndelete table {family} {name}\ntable {family} {name} {{\n{sets}{chains}}}\n"
    return text


def change(appliance_id: str, before: Iterable[Part], after: Iterable[Part]) -> str:
    """The elements to take out and to put in; empty when nothing changes."""
    name, old, new = table_name(appliance_id), _gathered(before), _gathered(after)
    gone, come = [], []
    for key in sorted({*old, *new}):
        where = f"{key[0]} {name} {key[1]}"
        out, put = old.get(key, set()), new.get(key, set())
        if out - put:
            gone.append(f"delete element {where} {{ {', '.join(_key(item) for item in sorted(out - put))} }}\n")
        if put - out:
            come.append(f"add element {where} {{ {', '.join(sorted(put - out))} }}\n")
    return "".join(gone + come)


def _gathered(parts: Iterable[Part]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for part in parts:
        for key, items in part.items():
            found.setdefault(key, set()).update(items)
    return found


def _key(element: str) -> str:
    """An element of a map without its value."""
    return element.partition(" : ")[0]


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
