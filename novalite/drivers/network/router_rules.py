"""The packet filter table of one router, in the router's own namespace: translation, and who may use it.

Translations that the kernel remembers are looked up for each packet, both ways, so that none outlives the floating
address or the port forward it was made for.
"""

from __future__ import annotations

from ipaddress import ip_interface

from novalite.drivers.network.base import METADATA_ADDRESS, PortForwardSpec, RouterPortSpec, RouterSpec
from novalite.drivers.network.nft_sets import Sets

TABLE = "ip novalite"

BODY = f"""
  map floating {{ type ipv4_addr : ipv4_addr; }}
  map seen_as {{ type ipv4_addr : ipv4_addr; }}
  map forwards {{ type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }}
  map outside {{ type ifname : ipv4_addr; }}
  map inside {{ type ifname : ipv4_addr; }}
  set gateways {{ type ifname; }}
  set own {{ type ipv4_addr; }}
  set led {{ type ipv4_addr . ipv4_addr; }}
  set forwarded {{ type inet_proto . ipv4_addr . ipv4_addr . inet_service; }}
  chain untracked {{ type filter hook prerouting priority raw; policy accept;
    ip daddr {METADATA_ADDRESS} notrack
  }}
  chain prerouting {{ type nat hook prerouting priority dstnat; policy accept;
    dnat to ip daddr map @floating
    dnat ip to meta l4proto . ip daddr . th dport map @forwards
  }}
  chain forward {{ type filter hook forward priority filter; policy accept;
    ip daddr 169.254.0.0/16 ip daddr != {METADATA_ADDRESS} drop
    iifname @gateways oifname @gateways drop
    ct status dnat jump arriving
    ct status snat jump leaving
  }}
  chain arriving {{
    ct state related return
    ct original ip daddr . ct reply ip saddr @led return
    ct direction original meta l4proto . ct original ip daddr . ip daddr . th dport @forwarded return
    ct direction reply meta l4proto . ct original ip daddr . ip saddr . th sport @forwarded return
    drop
  }}
  chain leaving {{
    ct state related return
    ct reply ip daddr @own return
    ct reply ip daddr . ct original ip saddr @led return
    drop
  }}
  chain postrouting {{ type nat hook postrouting priority srcnat; policy accept;
    oifname @gateways snat to ip saddr map @seen_as
    snat to oifname map @outside
    iifname != @gateways ct status dnat snat to ip saddr map @seen_as
    ct status dnat snat to iifname map @inside
  }}
"""


def card_name(port_id: str) -> str:
    """Name of a router's card on a network, and of its place on the network's bridge."""
    return "nlc" + port_id.replace("-", "")[:11]


def own_address(gateway: RouterPortSpec | None) -> str:
    """What guests without a floating address are seen as: the gateway's first IPv4 address; may be empty."""
    addresses = [address.partition("/")[0] for address in gateway.addresses] if gateway else []
    return next((address for address in addresses if ":" not in address), "")


def _ports(forward: PortForwardSpec) -> range:
    return range(forward.high - forward.low + 1)


def elements(spec: RouterSpec) -> Sets:
    """What the router's sets and maps are to hold."""
    if spec.gateway is None:
        return {}
    own, outer = own_address(spec.gateway), f'"{card_name(spec.gateway.id)}"'
    floating = {item.address: item.fixed_address for item in spec.floating}
    seen_as = {item.fixed_address: item.address for item in reversed(spec.floating)}
    forwards, forwarded = {}, set()
    for item in spec.forwards:
        address = item.address or own
        for step in _ports(item) if address else ():
            to = item.fixed_low + step
            forwards[f"{item.protocol} . {address} . {item.low + step}"] = f"{item.fixed_address} . {to}"
            forwarded.add(f"{item.protocol} . {address} . {item.fixed_address} . {to}")
    return {
        "floating": _map(floating),
        "seen_as": _map(seen_as),
        "forwards": _map(forwards),
        "outside": frozenset({f"{outer} : {own}"} if own and spec.snat else ()),
        "inside": frozenset(f'"{card_name(port.id)}" : {own}' for port in spec.interfaces if own),
        "gateways": frozenset({outer}),
        "own": frozenset({own} if own else ()),
        "led": frozenset(f"{address} . {fixed}" for address, fixed in floating.items()),
        "forwarded": frozenset(forwarded),
    }


def _map(items: dict[str, str]) -> frozenset[str]:
    return frozenset(f"{key} : {value}" for key, value in items.items())


def lone_addresses(spec: RouterSpec) -> frozenset[str]:
    """IPv4 addresses the gateway's card has besides its own: floating ones and those of port forwards."""
    if spec.gateway is None:
        return frozenset()
    found = {item.address for item in spec.floating} | {item.address for item in spec.forwards if item.address}
    return frozenset(found - {address.partition("/")[0] for address in spec.gateway.addresses})


_MANY = 16


def ended(before: RouterSpec, after: RouterSpec) -> list[list[str]]:
    """Filters for ``conntrack`` that name the connections which the change ends, so that the same ports can be used
    anew at once."""
    found: list[list[str]] = []
    kept = {(item.address, item.fixed_address) for item in after.floating}
    for item in before.floating:
        if (item.address, item.fixed_address) not in kept:
            found += [["--orig-dst", item.address], ["--reply-dst", item.address]]
    own = own_address(before.gateway)
    if own and (own != own_address(after.gateway) or (before.snat and not after.snat)):
        found.append(["--reply-dst", own])
    for forward in set(before.forwards) - set(after.forwards):
        base = ["-p", forward.protocol, "--orig-dst", forward.address or own]
        if not base[-1]:
            continue
        if forward.high - forward.low < _MANY:
            found += [[*base, "--orig-port-dst", str(port)] for port in range(forward.low, forward.high + 1)]
        else:
            found.append([*base, "--reply-src", forward.fixed_address])
    left = {port.id for port in after.interfaces}
    for port in before.interfaces:
        if port.id not in left:
            ranges = [_range(address) for address in port.addresses if ":" not in address]
            found += [[side, range_] for range_ in ranges for side in ("--orig-src", "--orig-dst")]
    return found


def _range(address: str) -> str:
    return str(ip_interface(address).network)
