"""The packet filter table of one appliance in the machine's own namespace: what may cross between the machine's
networks and ours, as whom, and which ports of the machine lead to guests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address

from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    METADATA_ADDRESS_6,
    HostForwardSpec,
    NetworkSpec,
    uplink_name,
)
from novalite.drivers.network.nft_sets import Sets

BODY = """
  set uplinks { type ifname; }
  set translated { type ifname; }
  set ranges { type ipv4_addr; flags interval; }
  set ranges6 { type ipv6_addr; flags interval; }
  map forwards { type inet_proto . inet_service : ipv4_addr . inet_service; }
  set forwarded { type inet_proto . ipv4_addr . inet_service; }
  set opened { type ifname; }
  set bridged { type ifname . ifname; }
  chain forged { type filter hook prerouting priority raw; policy accept;
    iifname @uplinks ip daddr 127.0.0.0/8 drop
    iifname @uplinks ip saddr 127.0.0.0/8 drop
  }
  chain prerouting { type nat hook prerouting priority dstnat; policy accept;
    iifname "nlu*" return
    fib daddr type local dnat ip to meta l4proto . th dport map @forwards
  }
  chain output { type nat hook output priority -100; policy accept;
    fib daddr type local dnat ip to meta l4proto . th dport map @forwards
  }
  chain forward { type filter hook forward priority filter - 5; policy accept;
    iifname @uplinks ip daddr 169.254.0.0/16 jump link_local
    iifname @uplinks oifname @uplinks accept
    iifname @uplinks oifname "nlu*" drop
    oifname @uplinks jump inwards
    meta nfproto ipv4 iifname @opened oifname != "nlu*" goto between_others
  }
  chain between_others {
    iifname . oifname @bridged accept
    ct direction reply accept
    ct state related accept
    ct status dnat meta l4proto . ip daddr . th dport @forwarded accept
    drop
  }
  chain link_local {
    meta l4proto { tcp, udp } th dport 53 return
    drop
  }
  chain inwards {
    ct direction reply accept
    ct state related accept
    ip daddr @ranges accept
    ip6 daddr @ranges6 accept
    ct status dnat meta l4proto . ip daddr . th dport @forwarded accept
    drop
  }
  chain postrouting { type nat hook postrouting priority srcnat; policy accept;
    iifname @translated oifname != @uplinks masquerade
    oifname @uplinks ip saddr 127.0.0.0/8 masquerade
    oifname != @uplinks ct status dnat meta l4proto . ip daddr . th dport @forwarded masquerade
  }
"""


def table(appliance_id: str) -> str:
    return "inet novalite_" + appliance_id.replace("-", "")


def host_networks(networks: Iterable[NetworkSpec]) -> list[NetworkSpec]:
    """Those the machine itself is on."""
    return [spec for spec in networks if spec.uplink is not None and spec.uplink.kind == "host"]


def elements(networks: Iterable[NetworkSpec], forwards: Iterable[HostForwardSpec], opened: Iterable[str] = ()) -> Sets:
    """What the table's sets and maps are to hold. ``opened`` are links from which the machine routes only because of
    us: towards our networks, and not between one another."""
    outer = [f'"{name}"' for name in opened]
    own = host_networks(networks)
    names = {spec.id: f'"{uplink_name(spec.id)}"' for spec in own}
    forwards = list({(item.protocol, item.host_port): item for item in forwards}.values())
    return {
        "uplinks": frozenset(names.values()),
        "translated": frozenset(names[spec.id] for spec in own if spec.uplink and spec.uplink.nat),
        "ranges": frozenset(subnet.cidr for spec in own for subnet in spec.subnets if subnet.version == 4),
        "ranges6": frozenset(subnet.cidr for spec in own for subnet in spec.subnets if subnet.version == 6),
        "forwards": frozenset(f"{f.protocol} . {f.host_port} : {f.address} . {f.port}" for f in forwards),
        "forwarded": frozenset(f"{f.protocol} . {f.address} . {f.port}" for f in forwards),
        "opened": frozenset(outer),
        "bridged": frozenset(f"{name} . {name}" for name in outer),
    }


def ended(before: Iterable[HostForwardSpec], after: Iterable[HostForwardSpec]) -> list[Sequence[str]]:
    """Filters for ``conntrack`` that name connections by forwards that are there no more."""
    return [
        ["-p", item.protocol, "--orig-port-dst", str(item.host_port), "--reply-src", item.address,
         "--reply-port-src", str(item.port)]
        for item in sorted(set(before) - set(after), key=lambda item: (item.protocol, item.host_port))
    ]  # fmt: skip


NETWORK_TABLE = "bridge novalite_uplink"
_TARGET = hex(int(IPv6Address(METADATA_ADDRESS_6)))  # what a neighbour is asked about
_METADATA = f"""
    arp saddr ip {METADATA_ADDRESS} drop
    arp daddr ip {METADATA_ADDRESS} drop
    ether type ip ip saddr {METADATA_ADDRESS} drop
    ether type ip ip daddr {METADATA_ADDRESS} drop
    ether type ip6 ip6 saddr {METADATA_ADDRESS_6} drop
    ether type ip6 ip6 daddr {METADATA_ADDRESS_6} drop
    ether type ip6 icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} @th,64,128 {_TARGET} drop"""
NETWORK_BODY = f"""
  chain arriving {{ type filter hook prerouting priority -400; policy accept;
    iifname "nlu*" jump metadata
  }}
  chain leaving {{ type filter hook postrouting priority 0; policy accept;
    oifname "nlu*" ether type ip ip daddr 127.0.0.0/8 drop
    oifname "nlu*" jump metadata
  }}
  chain metadata {{{_METADATA}
  }}
"""
"""In the network's own namespace. The machine takes connections to its own loopback addresses from these links, and no
flushed packet filter of the machine may open that to guests. Each network's metadata addresses are its own: they are
not told, and not asked for, beyond it."""
