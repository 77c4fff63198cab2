"""What a guest may send: each forged frame arrives from a port without security, and is stopped at one with it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from novalite.drivers.network.base import METADATA_ADDRESS, METADATA_ADDRESS_6
from tests.real.network import frames
from tests.real.network.filtered import Guest, Site, made, new_port
from tests.real.network.frames import (
    ALL_NODES,
    ALL_ROUTERS,
    ALL_SERVERS,
    BROADCAST,
    arp,
    ether,
    icmp,
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
