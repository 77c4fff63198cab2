"""What each network, port and combination of security groups brings into the packet filter tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from novalite.drivers.network.base import NetworkSpec, PortSpec, tap_name, uplink_name
from novalite.drivers.network.groups import EVERYTHING, addresses, disjoint, parted
from novalite.drivers.network.members import spans
from novalite.drivers.network.nftables import ANSWER, FORBIDDEN, TABLE, Part, Tracking

_LINK_LOCAL = 0xFE80 << 112
SIDES = tuple((direction, version) for direction in ("in", "out") for version in (4, 6))


def profile_key(groups: Iterable[str]) -> str:
    """A short name of a combination of groups: ports with the same groups share sets and chains."""
    return hashlib.sha256(",".join(sorted(set(groups))).encode()).hexdigest()[:16]


def of_network(spec: NetworkSpec) -> Part:
    return {"uplinks": {f'"{uplink_name(spec.id)}"'}}


def of_port(port: PortSpec, *, any_source: bool) -> Part:
    """Where it may speak from, and which rules it is under. With ``any_source`` it may speak from everywhere; its
    addresses then are only what metadata knows it by."""
    tap = f'"{tap_name(port.id)}"'
    if not port.up:
        return {"sending": [f"{tap} : drop"], "arriving": [f"{tap} : drop"]}
    if not port.secured:
        return {"sending": [f"{tap} : accept"], "arriving": [f"{tap} : accept"]}
    part = {"sending": [f"{tap} : goto {'lan_guest' if any_source else 'guest'}"], **_sources(tap, port)}
    if port.groups is None:
        return part | {"arriving": [f"{tap} : accept"]}
    key = profile_key(port.groups)
    return part | {"leaving": [f"{tap} : goto out_{key}"], "arriving": [f"{tap} : goto in_{key}"]}


def _sources(tap: str, port: PortSpec) -> dict[str, list[str]]:
    macs = sorted({port.mac_address, *(mac for mac, _ in port.pairs if mac)})
    part: dict[str, list[str]] = {"macs": [f"{tap} . {mac}" for mac in macs]}
    targets: set[tuple[int, int]] = set()
    for mac in macs:
        own = _spans(port, mac)
        own[6].append((_link_local(mac),) * 2)
        for version, found in own.items():
            for span in disjoint(found):
                name = f"sources{version}" if span[0] == span[1] else f"source_ranges{version}"
                part.setdefault(name, []).append(f"{tap} . {mac} . {addresses(span, version)}")
        targets.update(own[6])
    for low, high in disjoint(targets):
        name = "targets" if low == high else "target_ranges"
        part.setdefault(name, []).append(f"{tap} . {_hex(low)}" + ("" if low == high else f"-{_hex(high)}"))
    return part


def _spans(port: PortSpec, mac: str) -> dict[int, list[tuple[int, int]]]:
    """By IP version, the addresses that one of the port's MACs may speak from."""
    pairs = tuple(pair for pair in port.pairs if (pair[0] or port.mac_address) == mac)
    own = PortSpec("", "", mac, port.addresses if mac == port.mac_address else (), pairs=pairs)
    found: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for version, low, high in spans(own):
        found[version].append((low, high))
    return found


def _link_local(mac: str) -> int:
    """The address that IPv6 makes of a MAC (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return _LINK_LOCAL | int.from_bytes(bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:])


def _hex(number: int) -> str:
    return f"{number:#034x}"


@dataclass(frozen=True)
class Profile:
    """A combination of groups, as the kernel holds it: the elements of its sets, by "in4", "out6" … and set."""

    stateful: bool
    sets: Mapping[tuple[str, str], frozenset[str]]

    @property
    def layout(self) -> tuple[bool, frozenset[tuple[str, str]]]:
        """What its chains depend on."""
        return self.stateful, frozenset(self.sets)

    def part(self, key: str) -> Part:
        return {f"{side}_{key}_{name}": items for (side, name), items in self.sets.items()}


NOTHING = Profile(True, {})


def preparation(key: str, before: Profile | None, after: Profile, tracking: Tracking) -> str:
    """Chains and sets that a combination of groups needs, as far as they are not there; elements come later."""
    text = "" if before else _chains(key, "add")
    for side, name in sorted(after.sets.keys() - (before or NOTHING).sets.keys()):
        if name != EVERYTHING:
            type_ = _type(int(side[-1]), name)
            text += f"add set bridge {TABLE} {side}_{key}_{name} {{ type {type_}; flags interval; }}\n"
    if before is None or before.layout != after.layout:
        text += _chains(key, "flush") + _rules(key, after, tracking)
    return text


def withdrawal(key: str, before: Profile, after: Profile | None) -> str:
    """What a combination of groups needs no more, gone; with ``after`` None all of it. Nothing refers to it."""
    text = "" if after else _chains(key, "flush") + _chains(key, "delete")
    gone = before.sets.keys() - (after or NOTHING).sets.keys()
    return text + "".join(
        f"delete set bridge {TABLE} {side}_{key}_{name}\n" for side, name in sorted(gone) if name != EVERYTHING
    )


def _chains(key: str, verb: str) -> str:
    """Those that lead to others come last when added, first when taken away."""
    names = [f"{direction}{version}_{key}" for direction, version in SIDES]
    heads = [f"in_{key}", f"out_{key}"]
    return "".join(
        f"{verb} chain bridge {TABLE} {name}\n" for name in (names + heads if verb == "add" else heads + names)
    )


def _type(version: int, name: str) -> str:
    whom, kind = parted(name)
    last = {
        "proto": "inet_proto",
        "ports": "inet_proto . inet_service",
        "icmp": "icmp_type . icmp_code" if version == 4 else "icmpv6_type . icmpv6_code",
    }[kind]
    return {"all": "", "label": "mark . ", "address": f"ipv{version}_addr . "}[whom] + last


def _rules(key: str, profile: Profile, tracking: Tracking) -> str:
    lines = []
    for direction in ("in", "out"):
        head = f"{direction}_{key}"
        if profile.stateful:
            lines += [f"{head} {rule}" for rule in _answers(direction, tracking)]
        by_type = ", ".join(f"{type_} : goto {direction}{version}_{key}" for type_, version in (("ip", 4), ("ip6", 6)))
        lines += [f"{head} ether type vmap {{ arp : accept, {by_type} }}", f"{head} drop"]
        for version in (4, 6):
            side = f"{direction}{version}"
            lines += [f"{side}_{key} {rule}" for rule in _lookups(key, side, profile)]
            marked = direction == "out" and profile.stateful and tracking == "netfilter"
            last = f"meta mark set meta mark | {FORBIDDEN}" if marked else "drop"
            lines += [f"{side}_{key} jump always_{side}", f"{side}_{key} {last}"]
    return "".join(f"add rule bridge {TABLE} {line}\n" for line in lines)


def _answers(direction: str, tracking: Tracking) -> list[str]:
    """What lets answers pass. Where connections are tracked after frames are seen, nothing lets them leave here: they
    are marked with the rest, and seen to be answers later."""
    if tracking == "bridge":
        return ["ct direction reply accept", "ct state related accept"]
    return [f"meta mark & {ANSWER} == {ANSWER} accept"] if direction == "in" else []


def _lookups(key: str, side: str, profile: Profile) -> list[str]:
    direction, version = side[:-1], int(side[-1])
    if (side, EVERYTHING) in profile.sets:
        return ["accept"]
    ip, icmp = ("ip", "icmp") if version == 4 else ("ip6", "icmpv6")
    remote = f"{ip} {'saddr' if direction == 'in' else 'daddr'}"
    whom = {"all": "", "label": "meta mark . ", "address": f"{remote} . "}
    packet = {"proto": "meta l4proto", "ports": "meta l4proto . th dport", "icmp": f"{icmp} type . {icmp} code"}
    lines, is_labelled = [], False
    for name in sorted(own for where, own in profile.sets if where == side):
        who, kind = parted(name)
        if who == "label" and not is_labelled:
            is_labelled = True
            maps = (f"label_ranges{version}", f"labels{version}")
            lines += ["meta mark set 0", *(f"meta mark set {remote} map @{of}" for of in maps)]
        lines.append(f"{whom[who]}{packet[kind]} @{side}_{key}_{name} accept")
    return lines


def label(low: int, high: int, version: int, number: int) -> str:
    """An element of the maps that tell which combination of groups an address is in."""
    return f"{addresses((low, high), version)} : {number:#x}"
