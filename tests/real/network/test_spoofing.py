"""What a guest may send: each forged frame arrives from a port without security, and is stopped at one with it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from uuid import uuid4

import pytest

from novalite.drivers.network.base import METADATA_ADDRESS, METADATA_ADDRESS_6, GroupSpec, RuleSpec
from tests.real.network import frames
from tests.real.network.filtered import Guest, Site, made, new_port, sh
from tests.real.network.filtered import group as new_group
from tests.real.network.frames import (
    ALL_NODES,
    ALL_NODES_MAC,
    ALL_ROUTERS,
    ALL_SERVERS,
    BROADCAST,
    arp,
    ether,
    fragments6,
    icmp,
    icmp6,
    ip,
    ip_frame,
    link_local,
    neighbour,
    packet6,
    tagged,
    udp,
)

pytestmark = pytest.mark.real

OTHER = "fa:16:3e:99:99:99"
STRANGER, STRANGER6 = "10.97.0.66", "fd97::66"


@dataclass
class Lab:
    """``one`` sends, ``two`` sees what comes, ``third`` may send anything."""

    site: Site
    one: Guest
    two: Guest
    third: Guest
    sockets: dict[str, socket.socket]
    seen: set[bytes] = field(default_factory=set)
    _last: int = 0

    def arrives(self, *sent: bytes, sender: Guest | None = None, at: Guest | None = None) -> list[bool]:
        """Which of the frames come out at the other guest."""
        self._last += 1
        catcher = self.sockets[(at or self.two).name]
        marker = arp(OTHER, (OTHER, "10.97.3.1"), f"10.97.3.{self._last}")
        with frames.in_order():
            for frame in sent:
                self.sockets[(sender or self.one).name].send(frame)
            self.sockets[self.third.name].send(marker)
        seen = {frames.bare(frame) for frame in frames.until(catcher, marker)}
        self.seen |= seen
        return [frames.bare(frame) in seen for frame in sent]


@contextmanager
def lab(**more: object) -> Iterator[Lab]:
    with made(**more) as site, ExitStack() as stack:
        one, two = site.plug(new_port(site.network, 5)), site.plug(new_port(site.network, 6))
        third = site.plug(new_port(site.network, 7, secured=False))
        sockets = {guest.name: stack.enter_context(frames.wire(guest.name)) for guest in (one, two, third)}
        yield Lab(site, one, two, third, sockets)


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    with lab() as found:
        yield found


@pytest.fixture
def own() -> Iterator[Lab]:
    with lab() as found:
        yield found


Frame = Callable[[Lab], bytes]


def _ip4(lab: Lab, protocol: int, payload: bytes, *, source: str = "", mac: str = "", to: str = "") -> bytes:
    target = to or lab.two.ip
    way = BROADCAST if target == "255.255.255.255" else lab.two.mac
    return ip_frame(mac or lab.one.mac, way, ip(source or lab.one.ip, target, protocol, payload))


def _udp4(lab: Lab, ports: tuple[int, int], *, source: str = "", mac: str = "", to: str = "") -> bytes:
    data = udp(source or lab.one.ip, to or lab.two.ip, ports)
    return _ip4(lab, frames.UDP, data, source=source, mac=mac, to=to)


def _udp6(lab: Lab, ports: tuple[int, int], *, source: str = "", mac: str = "", to: str = "") -> bytes:
    source, target = source or lab.one.ip6, to or lab.two.ip6
    return ip_frame(mac or lab.one.mac, lab.two.mac, ip(source, target, frames.UDP, udp(source, target, ports)))


def _nd(lab: Lab, type_: int, target: str, *, source: str = "", mac: str = "", told: str = "") -> bytes:
    body = neighbour(target, told or lab.one.mac, solicit=type_ == 135)
    return packet6(mac or lab.one.mac, source or lab.one.ip6, ALL_NODES, type_, body)


def _advert(mac: str) -> bytes:
    return packet6(mac, link_local(mac), ALL_NODES, 134, bytes.fromhex("40080708") + bytes(8))


FORGED: dict[str, Frame] = {
    "another's MAC": lambda lab: _udp4(lab, (1, 2), mac=lab.third.mac),
    "a free MAC": lambda lab: _udp4(lab, (1, 2), mac=OTHER),
    "a free MAC, IPv6": lambda lab: _udp6(lab, (1, 2), mac=OTHER),
    "another's IPv4 address": lambda lab: _udp4(lab, (1, 2), source=lab.third.ip),
    "a free IPv4 address": lambda lab: _udp4(lab, (1, 2), source=STRANGER),
    "an address of the outside": lambda lab: _udp4(lab, (1, 2), source="192.0.2.1"),
    "the metadata address": lambda lab: _udp4(lab, (1, 2), source=METADATA_ADDRESS),
    "no IPv4 address": lambda lab: _udp4(lab, (1, 2), source="0.0.0.0"),
    "another's IPv6 address": lambda lab: _udp6(lab, (1, 2), source=lab.third.ip6),
    "a free IPv6 address": lambda lab: _udp6(lab, (1, 2), source=STRANGER6),
    "a link-local address that is not its MAC's": lambda lab: _udp6(lab, (1, 2), source="fe80::1234"),
    "another's link-local address": lambda lab: _udp6(lab, (1, 2), source=link_local(lab.third.mac)),
    "the IPv6 metadata address": lambda lab: _udp6(lab, (1, 2), source=METADATA_ADDRESS_6),
    "no IPv6 address": lambda lab: _udp6(lab, (1, 2), source="::"),
    "ARP answer in another's name": lambda lab: arp(
        lab.one.mac, (lab.one.mac, lab.third.ip), lab.two.ip, operation=2, to=lab.two.mac
    ),
    "ARP request in another's name": lambda lab: arp(lab.one.mac, (lab.one.mac, lab.third.ip), lab.two.ip),
    "gratuitous ARP for another": lambda lab: arp(lab.one.mac, (lab.one.mac, lab.third.ip), lab.third.ip),
    "ARP that tells another's MAC": lambda lab: arp(lab.one.mac, (lab.third.mac, lab.one.ip), lab.two.ip),
    "ARP from another's MAC": lambda lab: arp(lab.third.mac, (lab.one.mac, lab.one.ip), lab.two.ip),
    "ARP answer of nobody": lambda lab: arp(
        lab.one.mac, (lab.one.mac, "0.0.0.0"), lab.two.ip, operation=2, to=lab.two.mac
    ),
    "ARP for the metadata address": lambda lab: arp(lab.one.mac, (lab.one.mac, METADATA_ADDRESS), METADATA_ADDRESS),
    "ARP with its fields elsewhere": lambda lab: ether(
        lab.one.mac,
        lab.two.mac,
        0x0806,
        bytes.fromhex("0001080008040002" + lab.one.mac.replace(":", ""))
        + ip_address(lab.one.ip).packed
        + ip_address(lab.third.ip).packed
        + bytes(8),
    ),
    "ARP of another kind of link": lambda lab: ether(
        lab.one.mac,
        lab.two.mac,
        0x0806,
        bytes.fromhex("0006080006040002" + lab.one.mac.replace(":", "")) + ip_address(lab.one.ip).packed + bytes(10),
    ),
    "neighbour advertisement for another": lambda lab: _nd(lab, 136, lab.third.ip6),
    "advertisement for another's link-local": lambda lab: _nd(lab, 136, link_local(lab.third.mac)),
    "advertisement for the metadata address": lambda lab: _nd(lab, 136, METADATA_ADDRESS_6),
    "advertisement from another's address": lambda lab: _nd(lab, 136, lab.one.ip6, source=lab.third.ip6),
    "solicitation from another's address": lambda lab: _nd(lab, 135, lab.two.ip6, source=lab.third.ip6),
    "looking for another's address as a duplicate": lambda lab: packet6(
        lab.one.mac, "::", ALL_NODES, 135, neighbour(lab.third.ip6, solicit=True)
    ),
    "echo from nobody": lambda lab: packet6(lab.one.mac, "::", ALL_NODES, 128),
    "router advertisement": lambda lab: _advert(lab.one.mac),
    "router advertisement from a global address": lambda lab: packet6(
        lab.one.mac, lab.one.ip6, ALL_NODES, 134, bytes(12)
    ),
    "redirect": lambda lab: packet6(lab.one.mac, link_local(lab.one.mac), ALL_NODES, 137, bytes(36)),
    "ICMP redirect": lambda lab: _ip4(lab, frames.ICMP, icmp(5, 1, bytes(32))),
    "ICMP router advertisement": lambda lab: _ip4(lab, frames.ICMP, icmp(9, 0, bytes(12))),
    "DHCP answer": lambda lab: _udp4(lab, (67, 68)),
    "DHCP answer to all": lambda lab: _udp4(lab, (67, 68), to="255.255.255.255"),
    "DHCP answer from another port": lambda lab: _udp4(lab, (6767, 68)),
    "DHCPv6 answer": lambda lab: _udp6(lab, (547, 546), source=link_local(lab.one.mac)),
    "DHCPv6 answer from another port": lambda lab: _udp6(lab, (5470, 546)),
    "a VLAN": lambda lab: tagged(_udp4(lab, (1, 2))),
    "no VLAN but a tag": lambda lab: tagged(_udp4(lab, (1, 2)), 0),
    "a VLAN of providers": lambda lab: tagged(_udp4(lab, (1, 2)), 5, 0x88A8),
    "ARP in a VLAN": lambda lab: tagged(arp(lab.one.mac, (lab.one.mac, lab.third.ip), lab.two.ip)),
    "reverse ARP": lambda lab: ether(lab.one.mac, BROADCAST, 0x8035, bytes(28)),
    "PPPoE": lambda lab: ether(lab.one.mac, BROADCAST, 0x8863, bytes(28)),
    "LLDP": lambda lab: ether(lab.one.mac, lab.two.mac, 0x88CC, bytes(28)),
    "MPLS": lambda lab: ether(lab.one.mac, lab.two.mac, 0x8847, bytes(28)),
    "IEEE 802.3": lambda lab: ether(lab.one.mac, BROADCAST, 38, b"\x42\x42\x03" + bytes(35)),
}
HONEST: dict[str, Frame] = {
    "IPv4": lambda lab: _udp4(lab, (1, 2)),
    "IPv6": lambda lab: _udp6(lab, (1, 2)),
    "IPv6 from its link-local address": lambda lab: _udp6(lab, (1, 2), source=link_local(lab.one.mac)),
    "ARP request": lambda lab: arp(lab.one.mac, (lab.one.mac, lab.one.ip), lab.two.ip),
    "ARP answer": lambda lab: arp(lab.one.mac, (lab.one.mac, lab.one.ip), lab.two.ip, operation=2, to=lab.two.mac),
    "ARP probe": lambda lab: arp(lab.one.mac, (lab.one.mac, "0.0.0.0"), STRANGER),
    "DHCP question": lambda lab: ip_frame(
        lab.one.mac,
        BROADCAST,
        ip("0.0.0.0", "255.255.255.255", frames.UDP, udp("0.0.0.0", "255.255.255.255", (68, 67))),
    ),
    "DHCP renewal": lambda lab: _udp4(lab, (68, 67)),
    "DHCPv6 question": lambda lab: _udp6(lab, (546, 547), source=link_local(lab.one.mac), to=ALL_SERVERS),
    "neighbour solicitation": lambda lab: _nd(lab, 135, lab.two.ip6),
    "neighbour advertisement": lambda lab: _nd(lab, 136, lab.one.ip6),
    "advertisement of its link-local address": lambda lab: _nd(
        lab, 136, link_local(lab.one.mac), source=link_local(lab.one.mac)
    ),
    "looking for a duplicate of its address": lambda lab: packet6(
        lab.one.mac, "::", ALL_NODES, 135, neighbour(lab.one.ip6, solicit=True)
    ),
    "router solicitation": lambda lab: packet6(
        lab.one.mac, link_local(lab.one.mac), ALL_ROUTERS, 133, to="33:33:00:00:00:02"
    ),
    "router solicitation of nobody": lambda lab: packet6(lab.one.mac, "::", ALL_ROUTERS, 133, to="33:33:00:00:00:02"),
    "echo request": lambda lab: packet6(lab.one.mac, lab.one.ip6, lab.two.ip6, 128, to=lab.two.mac),
    "ICMP": lambda lab: _ip4(lab, frames.ICMP, icmp(8)),
    "broadcast": lambda lab: _udp4(lab, (1, 2), to="255.255.255.255"),
    "GRE": lambda lab: _ip4(lab, 47, bytes(8)),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_frame_stops_at_its_port(shared: Lab, name: str) -> None:
    frame = FORGED[name](shared)
    assert shared.arrives(frame) == [False]
    assert shared.arrives(frame, sender=shared.third) == [True], "it is a frame that would do harm"


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_frame_passes(shared: Lab, name: str) -> None:
    assert shared.arrives(HONEST[name](shared)) == [True]


def _router_advert(lab: Lab) -> bytes:
    source = link_local(lab.one.mac)
    body = bytes.fromhex("40080708") + bytes(8) + b"\x01\x01" + bytes.fromhex(lab.one.mac.replace(":", ""))
    return ip(source, ALL_NODES, frames.ICMP6, icmp6(source, ALL_NODES, 134, body))


def _answer6(lab: Lab) -> bytes:
    source = link_local(lab.one.mac)
    return ip(source, lab.two.ip6, frames.UDP, udp(source, lab.two.ip6, (547, 546), bytes(40)))


def _advert_for_another(lab: Lab) -> bytes:
    body = neighbour(lab.third.ip6, lab.one.mac)
    return ip(lab.one.ip6, ALL_NODES, frames.ICMP6, icmp6(lab.one.ip6, ALL_NODES, 136, body))


def _behind_options(packet: bytes) -> bytes:
    """The same with an extension header of 24 octets in between."""
    option = bytes([packet[6], 2, 1, 20]) + bytes(20)
    size = int.from_bytes(packet[4:6]) + len(option)
    return packet[:4] + size.to_bytes(2) + b"\x3c" + packet[7:40] + option + packet[40:]


@pytest.mark.parametrize("make", [_router_advert, _answer6, _advert_for_another])
@pytest.mark.parametrize("hide", [lambda packet: [packet], _behind_options, lambda packet: fragments6(packet, 8),
    lambda packet: fragments6(packet, 16), lambda packet: fragments6(packet, len(packet) - 40),
    lambda packet: fragments6(_behind_options(packet), 8), lambda packet: fragments6(_behind_options(packet), 24),
    lambda packet: fragments6(_behind_options(packet), 32)])  # fmt: skip
def test_nothing_forbidden_hides_in_fragments_or_behind_headers(
    shared: Lab, make: Callable[[Lab], bytes], hide: Callable[[bytes], bytes | list[bytes]]
) -> None:
    found = hide(make(shared))
    packets = [found] if isinstance(found, bytes) else found
    sent = [ip_frame(shared.one.mac, ALL_NODES_MAC, packet) for packet in packets]
    before = set(shared.seen)
    assert not any(shared.arrives(*sent)), "neither the pieces nor the whole"
    way = sent[0][:12]
    assert not [frame for frame in shared.seen - before if frame[:12] == way]


def test_echo_requests_pass_in_fragments(shared: Lab) -> None:
    """So fragments as such are not what stops the others."""
    body = bytes(range(1, 65))
    packet = ip(shared.one.ip6, shared.two.ip6, frames.ICMP6, icmp6(shared.one.ip6, shared.two.ip6, 128, body))
    sent = [ip_frame(shared.one.mac, shared.two.mac, part) for part in fragments6(packet, 16)]
    assert not any(shared.arrives(sent[0])), "it waits for the rest"
    shared.arrives(sent[1])
    assert any(body[-8:] in frame for frame in shared.seen)


def test_allowed_address_pairs(own: Lab) -> None:
    one = own.one
    forged = [
        _udp4(own, (1, 2), source="10.97.0.66"),
        _udp4(own, (1, 2), source="10.97.0.200"),
        _udp6(own, (1, 2), source="fd97::66"),
        _udp6(own, (1, 2), source="fd97::beef:1"),
        arp(one.mac, (one.mac, "10.97.0.66"), own.two.ip),
        arp(one.mac, (one.mac, "10.97.0.200"), own.two.ip),
        _nd(own, 136, "fd97::66"),
        _nd(own, 136, "fd97::beef:2"),
        _udp4(own, (1, 2), source="10.97.0.77", mac=OTHER),
        arp(OTHER, (OTHER, "10.97.0.77"), own.two.ip),
        _udp6(own, (1, 2), source=link_local(OTHER), mac=OTHER),
    ]
    assert not any(own.arrives(*forged))
    pairs = (
        ("", "10.97.0.66/32"), ("", "10.97.0.192/26"), (one.mac, "fd97::66/128"), ("", "fd97::beef:0/112"),
        (OTHER, "10.97.0.77/32"), ("", "10.97.0.200/29"),
    )  # fmt: skip
    own.site.change(one, pairs=pairs)
    assert own.arrives(*forged) == [True] * len(forged)
    beyond = [
        _udp4(own, (1, 2), source="10.97.0.77"),
        _udp4(own, (1, 2), source="10.97.0.66", mac=OTHER),
        _udp4(own, (1, 2), mac=OTHER),
        _udp4(own, (1, 2), source="10.97.0.191"),
        _udp6(own, (1, 2), source="fd97::beee:1"),
        arp(one.mac, (one.mac, "10.97.0.77"), own.two.ip),
        _nd(own, 136, "fd97::bef0:2"),
    ]
    assert not any(own.arrives(*beyond))
    own.site.change(one, pairs=(("", "0.0.0.0/0"), ("", "::/0")))
    assert own.arrives(forged[0], forged[2], forged[6], beyond[0], beyond[6]) == [True] * 5
    assert not any(own.arrives(_udp4(own, (67, 68)), _advert(one.mac)))
    own.site.change(one, pairs=())
    assert not any(own.arrives(*forged))


def test_a_port_without_security_may_send_anything_until_it_has_it_again(own: Lab) -> None:
    sent = [make(own) for make in FORGED.values()]
    own.site.change(own.one, secured=False)
    assert all(own.arrives(*sent))
    own.site.change(own.one, secured=True)
    assert not any(own.arrives(*sent))


def test_a_port_that_is_down_sends_and_gets_nothing(own: Lab) -> None:
    sent = [make(own) for make in HONEST.values()]
    own.site.change(own.one, up=False)
    assert not any(own.arrives(*sent))
    own.site.change(own.one, secured=False)
    assert not any(own.arrives(*sent))
    own.sockets[own.third.name].send(_udp4(own, (1, 2), mac=own.third.mac, source=own.third.ip, to="255.255.255.255"))
    own.site.change(own.one, up=True)
    assert own.arrives(sent[0]) == [True]
    assert not any(own.arrives(sender=own.third, at=own.one)), "what came meanwhile is not kept"


def test_a_tap_of_no_known_port_sends_nothing(own: Lab) -> None:
    sent = [make(own) for make in HONEST.values()]
    own.site.rules.change_port(own.one.port, None)
    assert not any(own.arrives(*sent))


def _icmp6_to_two(lab: Lab, type_: int) -> bytes:
    body = bytes(4) + bytes(16) if type_ in (130, 131, 132) else bytes(12)
    if type_ in (135, 136):
        body = neighbour(lab.two.ip6 if type_ == 135 else lab.third.ip6, lab.third.mac, solicit=type_ == 135)
    return packet6(lab.third.mac, link_local(lab.third.mac), ALL_NODES, type_, body)


def test_what_a_guest_needs_reaches_it_whatever_its_groups_say(own: Lab) -> None:
    wall, third = GroupSpec(str(uuid4())), own.third
    own.site.rules.change_groups([wall])
    own.site.change(own.two, groups=(wall.id,))
    needed = [
        _udp4(own, (67, 68), source=third.ip, mac=third.mac),
        _udp6(own, (547, 546), source=link_local(third.mac), mac=third.mac),
        arp(third.mac, (third.mac, third.ip), own.two.ip),
        *(_icmp6_to_two(own, type_) for type_ in (130, 131, 132, 134, 135, 136)),
    ]
    assert own.arrives(*needed, sender=third) == [True] * len(needed)
    refused = [
        _udp4(own, (67, 69), source=third.ip, mac=third.mac),
        _udp4(own, (66, 68), source=third.ip, mac=third.mac),
        _udp6(own, (547, 545), source=link_local(third.mac), mac=third.mac),
        *(_icmp6_to_two(own, type_) for type_ in (128, 133, 137)),
        ether(third.mac, own.two.mac, 0x88CC, bytes(28)),
    ]
    assert not any(own.arrives(*refused, sender=third))


def test_what_a_guest_must_ask_for_leaves_it_whatever_its_groups_say(own: Lab) -> None:
    wall = GroupSpec(str(uuid4()))
    own.site.rules.change_groups([wall])
    own.site.change(own.one, groups=(wall.id,))
    needed = {
        "ARP request", "ARP answer", "ARP probe", "DHCP question", "DHCP renewal", "DHCPv6 question",
        "neighbour solicitation", "neighbour advertisement", "advertisement of its link-local address",
        "looking for a duplicate of its address", "router solicitation", "router solicitation of nobody",
    }  # fmt: skip
    for name, make in HONEST.items():
        assert own.arrives(make(own)) == [name in needed], name
    own.site.rules.change_groups([replace(wall, stateful=False)])
    for name, make in HONEST.items():
        assert own.arrives(make(own)) == [name in needed], name


@pytest.mark.parametrize("protocol", [33, 132, 136])
@pytest.mark.parametrize("version", [4, 6])
def test_dccp_sctp_and_udp_lite_have_ports(own: Lab, protocol: int, version: int) -> None:
    opened = GroupSpec(str(uuid4()), (RuleSpec(True, version, protocol, 5000, 5001),))
    own.site.rules.change_groups([opened])
    own.site.change(own.two, groups=(opened.id,))

    def packet(port: int, number: int = protocol) -> bytes:
        source, target = (own.one.ip, own.two.ip) if version == 4 else (own.one.ip6, own.two.ip6)
        data = (4999).to_bytes(2) + port.to_bytes(2) + bytes(range(1, 29))
        return ip_frame(own.one.mac, own.two.mac, ip(source, target, number, data))

    assert own.arrives(packet(5000), packet(5001), packet(5002), packet(4999), packet(5000, 17)) == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_vlan_tags_do_not_pass_by_the_rules_of_who_gets_them(own: Lab) -> None:
    frame = tagged(_udp4(own, (1, 2), mac=own.third.mac, source=own.third.ip))
    assert own.arrives(frame, sender=own.third) == [True], "without groups all comes in"
    wall = new_group()
    own.site.rules.change_groups([wall])
    own.site.change(own.two, groups=(wall.id,))
    assert own.arrives(frame, sender=own.third) == [False]


@pytest.mark.parametrize("name", FORGED)
def test_on_a_lan_any_source_is_a_guests_own_but_no_more_than_that(lan: Lab, name: str) -> None:
    passes = name in {
        "another's IPv4 address", "a free IPv4 address", "an address of the outside", "no IPv4 address",
        "another's IPv6 address", "a free IPv6 address", "a link-local address that is not its MAC's",
        "another's link-local address", "no IPv6 address", "ARP answer in another's name",
        "ARP request in another's name", "gratuitous ARP for another", "ARP answer of nobody",
        "neighbour advertisement for another", "advertisement for another's link-local",
        "advertisement from another's address", "solicitation from another's address",
        "looking for another's address as a duplicate", "echo from nobody",
    }  # fmt: skip
    assert lan.arrives(FORGED[name](lan)) == [passes]


@pytest.fixture(scope="module")
def lan() -> Iterator[Lab]:
    with lab(lan_addresses=True) as found:
        yield found


@pytest.mark.parametrize("name", HONEST)
def test_on_a_lan_honest_frames_pass(lan: Lab, name: str) -> None:
    assert lan.arrives(HONEST[name](lan)) == [True]


@pytest.mark.parametrize("more", [{}, {"lan_addresses": True}])
def test_metadata_is_asked_by_known_addresses_only_and_never_from_the_uplink(more: dict[str, object]) -> None:
    with lab(**more) as found:
        one, site, outside = found.one, found.site, found.site.outside()
        sh("ip", "-n", one.name, "route", "add", METADATA_ADDRESS, "dev", "eth0")
        sh("ip", "-n", outside.name, "route", "add", METADATA_ADDRESS, "dev", "eth0")
        scoped = f"{METADATA_ADDRESS_6}%eth0"
        assert one.pings(METADATA_ADDRESS)
        assert one.pings(scoped)
        assert outside.pings("10.97.0.2")
        assert not outside.pings(METADATA_ADDRESS)
        assert not outside.pings(scoped)
        one.has("10.97.0.66")
        assert not one.pings(METADATA_ADDRESS, "-I", "10.97.0.66")
        site.change(one, addresses=(*one.port.addresses, "10.97.0.66"))
        assert one.pings(METADATA_ADDRESS, "-I", "10.97.0.66")
        with frames.wire(outside.name) as listener:
            site_mac = "52:54:00:00:00:77"
            found.sockets[outside.name] = listener
            leaks = [
                arp(site_mac, (site_mac, METADATA_ADDRESS), METADATA_ADDRESS),
                arp(site_mac, (site_mac, "10.97.0.7"), METADATA_ADDRESS),
                _udp4(found, (1, 80), mac=site_mac, source="10.97.0.7", to=METADATA_ADDRESS),
                packet6(site_mac, "fd97::7", ALL_NODES, 135, neighbour(METADATA_ADDRESS_6, solicit=True)),
                packet6(site_mac, METADATA_ADDRESS_6, ALL_NODES, 136, neighbour(METADATA_ADDRESS_6, site_mac)),
            ]  # fmt: skip
            assert not any(found.arrives(*leaks, sender=found.third, at=outside))
            assert all(found.arrives(*leaks, sender=found.third)), "guests may look for it"
            assert not any(found.arrives(*leaks, sender=outside))
