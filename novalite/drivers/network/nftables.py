"""The packet filter tables of a network, in its own namespace: what they hold as data, and text that brings it to the
kernel in one transaction by ``nft -f -``.

The table of family ``bridge`` sees frames with the names of the bridge's ports; the table of family ``inet`` tracks
connections, which ``br_netfilter`` shows it. With ``tracking`` "bridge" the kernel tracks them in the bridge itself
(``nf_conntrack_bridge``), and ``br_netfilter`` is not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address
from typing import Literal

from novalite.drivers.network import namespaces
from novalite.drivers.network.base import METADATA_ADDRESS, METADATA_ADDRESS_6, METADATA_PORT

Tracking = Literal["netfilter", "bridge"]
Part = Mapping[str, Iterable[str]]
"""Set or map -> its elements: what one port, one network … brings into the table of frames."""

TABLE = "novalite"
FORBIDDEN, ANSWER = "0x10000000", "0x20000000"
"""Bits of a packet's mark: no rule lets its sender send this; it answers something that was let through. What is still
forbidden when it leaves the bridge was not seen by connection tracking."""
_PERMITTED = f"{0xFFFFFFFF & ~int(FORBIDDEN, 16):#x}"

_TARGET = "@th,64,128"  # of a neighbour solicitation or advertisement
_METADATA_TARGET = f"{int(IPv6Address(METADATA_ADDRESS_6)):#034x}"
_SETS = {
    "set uplinks": "type ifname",
    "set macs": "type ifname . ether_addr",
    "set sources4": "type ifname . ether_addr . ipv4_addr",
    "set sources6": "type ifname . ether_addr . ipv6_addr",
    "set targets": f"typeof iifname . {_TARGET}",
    "set source_ranges4": "type ifname . ether_addr . ipv4_addr; flags interval",
    "set source_ranges6": "type ifname . ether_addr . ipv6_addr; flags interval",
    "set target_ranges": f"typeof iifname . {_TARGET}; flags interval",
    "map sending": "type ifname : verdict",
    "map leaving": "type ifname : verdict",
    "map arriving": "type ifname : verdict",
    "map labels4": "type ipv4_addr : mark",
    "map labels6": "type ipv6_addr : mark",
    "map label_ranges4": "type ipv4_addr : mark; flags interval",
    "map label_ranges6": "type ipv6_addr : mark; flags interval",
}
_SENDING = f"""
  chain prerouting {{ type filter hook prerouting priority -300; policy accept;
    iifname vmap @sending
    iifname "nlt*" drop
    iifname @uplinks goto no_metadata
  }}
  chain servers {{ type filter hook input priority 0; policy accept;
    iifname @uplinks udp dport {{ 53, 67, 547 }} drop
    iifname @uplinks tcp dport {{ 53, {METADATA_PORT} }} drop
  }}
  chain no_metadata {{
    ether type arp arp saddr ip {METADATA_ADDRESS} drop
    ether type arp arp daddr ip {METADATA_ADDRESS} drop
    ip saddr {METADATA_ADDRESS} drop
    ip daddr {METADATA_ADDRESS} drop
    ip6 saddr {METADATA_ADDRESS_6} drop
    ip6 daddr {METADATA_ADDRESS_6} drop
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} {_TARGET} {_METADATA_TARGET} drop
  }}
  chain guest {{
    iifname . ether saddr != @macs drop
    ether type vmap {{ arp : goto guest_arp, ip : goto guest_ip, ip6 : goto guest_ip6 }}
    drop
  }}
  chain guest_arp {{
    jump arp_form
    iifname . arp saddr ether . arp saddr ip @sources4 accept
    iifname . arp saddr ether . arp saddr ip @source_ranges4 accept
    arp operation request arp saddr ip 0.0.0.0 iifname . arp saddr ether @macs accept
    drop
  }}
  chain guest_ip {{
    jump no_server4
    ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept
    goto own_source4
  }}
  chain own_source4 {{
    iifname . ether saddr . ip saddr @sources4 accept
    iifname . ether saddr . ip saddr @source_ranges4 accept
    drop
  }}
  chain guest_ip6 {{
    jump no_server6
    icmpv6 type nd-neighbor-advert jump own_target
    ip6 saddr :: goto unspecified
    goto own_source6
  }}
  chain own_source6 {{
    iifname . ether saddr . ip6 saddr @sources6 accept
    iifname . ether saddr . ip6 saddr @source_ranges6 accept
    drop
  }}
  chain own_target {{
    iifname . {_TARGET} @targets return
    iifname . {_TARGET} @target_ranges return
    drop
  }}
  chain unspecified {{
    icmpv6 type {{ nd-router-solicit, mld-listener-report, mld2-listener-report }} accept
    icmpv6 type != nd-neighbor-solicit drop
    jump own_target
    accept
  }}
  chain no_server4 {{
    udp dport 68 drop
    icmp type {{ redirect, router-advertisement }} drop
  }}
  chain no_server6 {{
    ether type ip6 exthdr frag exists jump fragment
    udp dport 546 drop
    icmpv6 type {{ nd-router-advert, nd-redirect, router-renumbering }} drop
  }}
  chain fragment {{
    frag frag-off != 0 return
    icmpv6 type {{ echo-request, echo-reply }} return
    meta l4proto ipv6-icmp drop
    udp dport != 546 return
    meta l4proto udp drop
    meta l4proto != 255 return
    drop
  }}
  chain lan_guest {{
    iifname . ether saddr != @macs drop
    ether type vmap {{ arp : goto lan_arp, ip : goto lan_ip, ip6 : goto lan_ip6 }}
    drop
  }}
  chain arp_form {{
    arp htype != 1 drop
    arp ptype != ip drop
    arp hlen != 6 drop
    arp plen != 4 drop
  }}
  chain lan_arp {{
    jump arp_form
    arp saddr ip {METADATA_ADDRESS} drop
    iifname . arp saddr ether @macs accept
    drop
  }}
  chain lan_ip {{
    jump no_server4
    ip saddr {METADATA_ADDRESS} drop
    ip daddr {METADATA_ADDRESS} goto own_source4
    accept
  }}
  chain lan_ip6 {{
    jump no_server6
    ip6 saddr {METADATA_ADDRESS_6} drop
    icmpv6 type nd-neighbor-advert {_TARGET} {_METADATA_TARGET} drop
    ip6 daddr {METADATA_ADDRESS_6} goto own_source6
    accept
  }}
"""
_FRAGMENTS = "ip frag-off & 0x1fff != 0 accept", "frag frag-off != 0 accept"
_GROUPS = f"""
  chain groups_out {{ type filter hook prerouting priority PRIORITY; policy accept;
    iifname vmap @leaving
  }}
  chain always_out4 {{
    udp sport 68 udp dport 67 accept
    {_FRAGMENTS[0]}
  }}
  chain always_out6 {{
    icmpv6 type {{ 130, 131, 132, 133, 135, 136, 143 }} accept
    udp sport 546 udp dport 547 accept
    {_FRAGMENTS[1]}
  }}
  chain groups_in {{ type filter hook postrouting priority 0; policy accept;
    UNSEEN
    oifname vmap @arriving
    oifname "nlt*" drop
    oifname @uplinks goto no_metadata
  }}
  chain always_in4 {{
    udp sport 67 udp dport 68 accept
    {_FRAGMENTS[0]}
  }}
  chain always_in6 {{
    icmpv6 type {{ 130, 131, 132, 134, 135, 136 }} accept
    udp sport 547 udp dport 546 accept
    {_FRAGMENTS[1]}
  }}
"""
_INPUT = f"""
  chain input {{ type filter hook input priority 0; policy accept;
    iifname "lo" accept
    ct direction reply accept
    ct state related accept
    udp dport {{ 53, 67, 547 }} accept
    tcp dport {{ 53, {METADATA_PORT} }} accept
    meta l4proto {{ icmp, igmp, ipv6-icmp }} accept
    drop
  }}
"""
_MARKS = f"""
  chain groups_out {{ type filter hook prerouting priority -150; policy accept;
    meta mark & {FORBIDDEN} == {FORBIDDEN} goto forbidden
  }}
  chain forbidden {{
    ct direction reply meta mark set meta mark & {_PERMITTED} accept
    ct state related meta mark set meta mark & {_PERMITTED} accept
    drop
  }}
  chain groups_forward {{ type filter hook forward priority -150; policy accept;
    goto answers
  }}
  chain groups_output {{ type filter hook output priority -150; policy accept;
    goto answers
  }}
  chain answers {{
    ct direction reply meta mark set meta mark | {ANSWER}
    ct state related meta mark set meta mark | {ANSWER}
  }}
"""


def skeleton(tracking: Tracking) -> str:
    """Both tables with their chains and empty sets, in place of what was there."""
    sets = "".join(f"  {kind_and_name} {{ {of}; }}\n" for kind_and_name, of in _SETS.items())
    by_mark = tracking == "netfilter"
    unseen = f"meta mark & {FORBIDDEN} == {FORBIDDEN} drop" if by_mark else ""
    groups = _GROUPS.replace("PRIORITY", "-250" if by_mark else "-150").replace("UNSEEN", unseen)
    tracked = _INPUT + (_MARKS if by_mark else "")
    return _table("bridge", sets + _SENDING + groups) + _table("inet", tracked)


def _table(family: str, content: str) -> str:
    return f"table {family} {TABLE}\ndelete table {family} {TABLE}\ntable {family} {TABLE} {{\n{content}}}\n"


def change(before: Part, after: Part) -> str:
    """The elements to take out and to put in; empty when nothing changes."""
    gone, come = [], []
    for name in sorted({*before, *after}):
        old, new = set(before.get(name, ())), set(after.get(name, ()))
        if old - new:
            keys = ", ".join(sorted(map(_key, old - new)))
            gone.append(f"delete element bridge {TABLE} {name} {{ {keys} }}\n")
        if new - old:
            come.append(f"add element bridge {TABLE} {name} {{ {', '.join(sorted(new - old))} }}\n")
    return "".join(gone + come)


def _key(element: str) -> str:
    """An element of a map without its value."""
    return element.partition(" : ")[0]


def load(op: str, namespace: str, text: str) -> None:
    """All of it or nothing."""
    namespaces.nft(op, namespace, text)


def is_loaded(namespace: str) -> bool:
    """Do both tables exist? Their contents are not looked at."""
    if not namespaces.exists(namespace):
        return False
    listing = namespaces.nft_json("check", namespace, ["list", "tables"])
    found = {item["table"]["family"] for item in listing if item.get("table", {}).get("name") == TABLE}
    return found >= {"bridge", "inet"}
