"""Security groups with real packets: what rules let through passes at once, everything else does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from novalite.drivers.network import namespaces
from novalite.drivers.network.base import METADATA_ADDRESS, GroupSpec, PortSpec, RuleSpec, bridge_name
from novalite.drivers.network.nftables import Tracking
from novalite.drivers.network.packet_rules import PacketRules
from novalite.errors import DriverError
from tests.real.network import frames
from tests.real.network.conftest import Machine
from tests.real.network.conftest import new_network as driver_network
from tests.real.network.conftest import new_port as driver_port
from tests.real.network.filtered import (
    ICMP,
    ICMP6,
    OUT,
    TCP,
    UDP,
    Guest,
    Site,
    group,
    let_in,
    made,
    new_network,
    new_port,
    sh,
    why_bridges_do_not_track,
)
from tests.real.network.talk import connection, connects, datagram_returns, server

pytestmark = pytest.mark.real

BOTH = (4, 6)


@dataclass
class Closed:
    """``inner`` is in ``closed``, ``outer`` may do everything."""

    site: Site
    closed: GroupSpec
    inner: Guest
    outer: Guest

    def rules(self, *rules: RuleSpec, out: tuple[RuleSpec, ...] = OUT, stateful: bool = True) -> None:
        self.site.rules.change_groups([GroupSpec(self.closed.id, (*rules, *out), stateful)])

    def know(self, *groups: GroupSpec) -> None:
        self.site.rules.change_groups(groups)

    def put(self, guest: Guest, *groups: GroupSpec) -> None:
        self.site.change(guest, groups=tuple(one.id for one in groups))

    def target(self, version: int) -> str:
        return self.inner.ip if version == 4 else self.inner.ip6

    def back(self, version: int) -> str:
        return self.outer.ip if version == 4 else self.outer.ip6


@contextmanager
def _closed(tracking: Tracking) -> Iterator[Closed]:
    with made(tracking) as site:
        closed = group()
        site.rules.change_groups([closed])
        inner = site.plug(new_port(site.network, 5, groups=(closed.id,)))
        yield Closed(site, closed, inner, site.plug(new_port(site.network, 6)))


@pytest.fixture(scope="module")
def no_bridge_tracking() -> str:
    return why_bridges_do_not_track()


@pytest.fixture(params=["netfilter", "bridge"])
def lab(request: pytest.FixtureRequest, no_bridge_tracking: str) -> Iterator[Closed]:
    if request.param == "bridge" and no_bridge_tracking:
        pytest.skip(f"this kernel does not track connections in bridges: {no_bridge_tracking}")
    with _closed(request.param) as found:
        yield found


def test_a_kernel_that_does_not_track_in_bridges_refuses_for_that_reason_alone(no_bridge_tracking: str) -> None:
    with _closed("netfilter") as found:
        rules = PacketRules("bridge")
        rules.change_groups([found.closed])
        if not no_bridge_tracking:
            rules.load_network(found.site.network, [found.inner.port])
            return
        with pytest.raises(DriverError, match="Protocol error"):
            rules.load_network(found.site.network, [found.inner.port])
        assert found.inner.pings(found.outer.ip), "what was there stays"


@pytest.mark.parametrize("version", BOTH)
def test_a_closed_group_lets_out_and_answers_in_but_nothing_else(lab: Closed, version: int) -> None:
    target, back = lab.target(version), lab.back(version)
    assert not lab.outer.pings(target)
    assert lab.inner.pings(back)
    assert lab.inner.pings("10.97.0.2" if version == 4 else "fd97::2"), "the network's own servers answer"
    outside = lab.site.outside()
    assert lab.inner.pings(outside.ip if version == 4 else outside.ip6), "the outside answers"
    with server(lab.inner.name, 80):
        assert not connects(lab.outer.name, target, 80)
        assert not connects(outside.name, target, 80)
        assert not connects(lab.site.inside, target, 80), "the network's own namespace is refused too"
        assert not datagram_returns(lab.outer.name, target, 80)
    with server(lab.outer.name, 80):
        assert connects(lab.inner.name, back, 80)
        assert datagram_returns(lab.inner.name, back, 80)


@pytest.mark.parametrize("version", BOTH)
def test_a_rule_opens_exactly_its_ports_at_once(lab: Closed, version: int) -> None:
    target, other = lab.target(version), lab.target(10 - version)
    with server(lab.inner.name, 80), server(lab.inner.name, 81):
        lab.rules(let_in(TCP, 80, 80, version=version))
        assert connects(lab.outer.name, target, 80)
        assert not connects(lab.outer.name, target, 81)
        assert not connects(lab.outer.name, other, 80), "a rule is of one IP version"
        assert not datagram_returns(lab.outer.name, target, 80)
        lab.rules(let_in(UDP, 79, 85, version=version))
        assert datagram_returns(lab.outer.name, target, 80)
        assert not connects(lab.outer.name, target, 80)
        lab.rules(let_in(TCP, version=version))
        assert connects(lab.outer.name, target, 81)
        assert not datagram_returns(lab.outer.name, target, 80)


@pytest.mark.parametrize("version", BOTH)
def test_fragments_belong_to_their_first_one(lab: Closed, version: int) -> None:
    target, back = lab.target(version), lab.back(version)
    with server(lab.inner.name, 80), server(lab.outer.name, 80):
        lab.rules(let_in(UDP, 80, 80, version=version))
        assert datagram_returns(lab.outer.name, target, 80, 4000)
        assert datagram_returns(lab.site.inside, target, 80, 4000)
        assert datagram_returns(lab.inner.name, back, 80, 4000)
        lab.rules(out=(RuleSpec(False, version, UDP, 81, 81),))
        assert not datagram_returns(lab.outer.name, target, 80, 4000)
        assert not datagram_returns(lab.inner.name, back, 80, 4000)
        lab.rules(let_in(UDP, 80, 80, version=version), stateful=False)
        assert datagram_returns(lab.outer.name, target, 80, 4000)


@pytest.mark.parametrize(("version", "near", "far", "wide"), [
    (4, "10.97.0.0/29", "10.97.0.0/30", "10.98.0.0/16"),
    (6, "fd97::/125", "fd97::/126", "fd98::/16"),
])  # fmt: skip
def test_remote_ranges_and_overlapping_rules(lab: Closed, version: int, near: str, far: str, wide: str) -> None:
    target = lab.target(version)

    def tcp(low: int, high: int, *remotes: str) -> RuleSpec:
        return let_in(TCP, low, high, version=version, remotes=remotes)

    with server(lab.inner.name, 80):
        lab.rules(tcp(80, 80, near))
        assert connects(lab.outer.name, target, 80)
        lab.rules(tcp(80, 80, far), tcp(22, 90, wide))
        assert not connects(lab.outer.name, target, 80)
        lab.rules(tcp(80, 80, far), tcp(22, 90, wide, near))
        assert connects(lab.outer.name, target, 80), "a rule may have several ranges"
        lab.rules(tcp(80, 80, far), tcp(22, 90), let_in(version=version, remotes=(far,)))
        assert connects(lab.outer.name, target, 80)
        lab.rules(let_in(version=version, nobody=True))
        assert not connects(lab.outer.name, target, 80), "an empty address group is nobody"
        lab.rules(let_in(version=version, remotes=(near,)))
        assert connects(lab.outer.name, target, 80)


@pytest.mark.parametrize(("version", "protocol", "asked", "answer"), [(4, ICMP, 8, 0), (6, ICMP6, 128, 129)])
def test_icmp_by_type_and_other_protocols(lab: Closed, version: int, protocol: int, asked: int, answer: int) -> None:
    target = lab.target(version)

    def icmp(*numbers: int) -> RuleSpec:
        return let_in(protocol, *numbers, version=version)

    lab.rules(icmp(answer))
    assert not lab.outer.pings(target)
    lab.rules(icmp(asked))
    assert lab.outer.pings(target)
    lab.rules(icmp(asked, 1))
    assert not lab.outer.pings(target)
    lab.rules(icmp(asked, 0))
    assert lab.outer.pings(target)
    lab.rules(icmp())
    assert lab.outer.pings(target)
    lab.rules(let_in(47, version=version))
    assert not lab.outer.pings(target)
    lab.rules(let_in(version=version))
    assert lab.outer.pings(target)


@pytest.mark.parametrize("version", BOTH)
def test_members_of_a_group_come_and_go(lab: Closed, version: int) -> None:
    friends, target = group(), lab.target(version)
    lab.know(friends)
    lab.rules(let_in(version=version, remote_group=friends.id))
    assert not lab.outer.pings(target)
    lab.put(lab.outer, friends)
    assert lab.outer.pings(target)
    lab.put(lab.outer, friends, lab.closed)
    assert lab.outer.pings(target)
    lab.put(lab.outer, lab.closed)
    assert not lab.outer.pings(target)
    lab.rules(let_in(version=version, remote_group=lab.closed.id))
    assert lab.outer.pings(target), "Neutron's default group: its own members"
    assert lab.inner.pings(lab.back(version))
    outside = lab.site.outside()
    assert not outside.pings(target)
    lab.site.rules.change_port(lab.outer.port, None)
    assert not lab.outer.pings(target)


def test_members_by_port_and_to_whom_one_may_speak(lab: Closed) -> None:
    friends = group(let_in())
    lab.know(friends)
    lab.put(lab.outer, friends)
    with server(lab.inner.name, 80), server(lab.inner.name, 81), server(lab.outer.name, 80), \
            server(lab.outer.name, 81):  # fmt: skip
        lab.rules(let_in(TCP, 80, 80, remote_group=friends.id),
                  out=(RuleSpec(False, 4, TCP, 81, 81, remote_group=friends.id),))  # fmt: skip
        assert connects(lab.outer.name, lab.inner.ip, 80)
        assert not connects(lab.outer.name, lab.inner.ip, 81)
        assert connects(lab.inner.name, lab.outer.ip, 81)
        assert not connects(lab.inner.name, lab.outer.ip, 80)
        assert not connects(lab.site.outside().name, lab.inner.ip, 80)


def test_members_on_other_networks_and_ranges_of_pairs_count(lab: Closed) -> None:
    friends = group()
    lab.know(friends)
    lab.rules(let_in(remote_group=friends.id), let_in(version=6, remote_group=friends.id))
    outside, other = lab.site.outside(), new_network()
    assert namespaces.ensure(f"nln-{other.id}")
    try:
        away = PortSpec(str(uuid4()), other.id, "fa:16:3e:01:00:01", (outside.ip, outside.ip6), groups=(friends.id,))
        assert not outside.pings(lab.inner.ip)
        lab.site.rules.load_network(other, [away])
        assert outside.pings(lab.inner.ip), "by what it is seen as, wherever its port is"
        assert outside.pings(lab.inner.ip6)
        lab.site.rules.change_port(away, replace(away, addresses=(outside.ip6,)))
        assert not outside.pings(lab.inner.ip)
        assert outside.pings(lab.inner.ip6)
        lab.site.rules.change_port(away, replace(away, addresses=(), pairs=(("", "10.97.0.0/30"),)))
        assert outside.pings(lab.inner.ip)
        assert not outside.pings(lab.inner.ip6)
        assert not lab.outer.pings(lab.inner.ip)
    finally:
        namespaces.remove(f"nln-{other.id}")
    lab.site.rules.drop_network(other.id)
    assert not outside.pings(lab.inner.ip)


@pytest.mark.parametrize("version", BOTH)
def test_what_may_leave_is_limited_too(lab: Closed, version: int) -> None:
    target, back = lab.target(version), lab.back(version)
    size = 32 if version == 4 else 128
    with server(lab.outer.name, 80), server(lab.outer.name, 81), server(lab.inner.name, 80):
        out = RuleSpec(False, version, TCP, 80, 80, (f"{back}/{size}",))
        lab.rules(let_in(TCP, 80, 80, version=version), out=(out,))
        assert connects(lab.inner.name, back, 80)
        assert not connects(lab.inner.name, back, 81)
        assert not lab.inner.pings(back)
        assert not lab.inner.pings("10.97.0.2" if version == 4 else "fd97::2"), "not even to the network's namespace"
        assert connects(lab.outer.name, target, 80), "answers leave"


@pytest.mark.parametrize("version", BOTH)
def test_a_rule_taken_away_ends_connections_and_others_go_on(lab: Closed, version: int) -> None:
    other = group(let_in(TCP, 80, 80, version=version))
    lab.know(other)
    bystander = lab.site.plug(new_port(lab.site.network, 7, groups=(other.id,)))
    lab.rules(let_in(TCP, 80, 80, version=version))
    there = bystander.ip if version == 4 else bystander.ip6
    seen = f"{lab.back(version)} hello"
    with server(lab.inner.name, 80), server(bystander.name, 80), \
            connection(lab.outer.name, lab.target(version), 80) as one, \
            connection(lab.outer.name, there, 80) as two:  # fmt: skip
        assert one is not None
        assert two is not None
        assert one.says("hello") == seen
        lab.rules()
        assert one.says("hello") == "silence"
        assert two.says("hello") == seen
        lab.site.load()
        assert two.says("hello") == seen, "loading all rules again disturbs nobody"
        assert one.says("hello") == "silence"
        lab.rules(let_in(TCP, 80, 80, version=version))
        assert any("hello" in one.says("again") for _ in range(8)), "let in again, it goes on"


@pytest.mark.parametrize("version", BOTH)
def test_a_stateless_group_needs_rules_for_answers(lab: Closed, version: int) -> None:
    target, back = lab.target(version), lab.back(version)
    icmp, asked, answer = (ICMP, 8, 0) if version == 4 else (ICMP6, 128, 129)

    def may(inbound: bool, *numbers: int) -> RuleSpec:
        return RuleSpec(inbound, version, *numbers)

    lab.rules(may(True, icmp, asked), out=(), stateful=False)
    assert not lab.outer.pings(target), "the answer may not leave"
    lab.rules(may(True, icmp, asked), out=(may(False, icmp, answer),), stateful=False)
    assert lab.outer.pings(target)
    lab.rules(out=OUT, stateful=False)
    assert not lab.inner.pings(back), "the answer may not come in"
    with server(lab.outer.name, 80):
        assert not connects(lab.inner.name, back, 80)
        lab.rules(out=OUT, stateful=True)
        assert connects(lab.inner.name, back, 80)
    lab.rules(out=OUT, stateful=False)
    stateful = group()
    lab.know(stateful)
    lab.put(lab.inner, lab.closed, stateful)
    assert lab.inner.pings(back), "stateless only when all groups are"
    lab.put(lab.inner, lab.closed)
    assert not lab.inner.pings(back)


@pytest.mark.parametrize("version", BOTH)
def test_errors_about_what_was_let_through_come_back(lab: Closed, version: int) -> None:
    """A datagram to a closed port is refused by ICMP, which is related to it and no answer."""
    back = lab.back(version)
    script = (
        "import socket,sys; s=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,"
        "socket.SOCK_DGRAM); s.settimeout(1); s.connect((sys.argv[1],9)); s.send(b'x')\n"
        "try: s.recv(9)\nexcept ConnectionRefusedError: sys.exit(0)\nexcept OSError: pass\nsys.exit(1)"
    )
    assert lab.inner.ok("python3", "-c", script, back)
    lab.rules(stateful=False)
    assert not lab.inner.ok("python3", "-c", script, back)


def test_a_port_without_groups_gets_nothing_and_one_without_security_everything(lab: Closed) -> None:
    lab.put(lab.inner)
    assert not lab.outer.pings(lab.inner.ip)
    assert not lab.inner.pings(lab.outer.ip)
    assert not lab.inner.pings(lab.outer.ip6)
    lab.site.change(lab.inner, groups=None, secured=False)
    lab.inner.has("10.97.0.99")
    lab.inner.has("fd97::99")
    assert lab.outer.pings("10.97.0.99")
    assert lab.outer.pings("fd97::99")
    assert lab.outer.pings(lab.inner.ip)
    lab.site.change(lab.inner, secured=True)
    assert not lab.outer.pings("10.97.0.99")
    assert lab.outer.pings(lab.inner.ip)


def test_a_port_that_is_down_is_cut_off_both_ways(lab: Closed) -> None:
    lab.rules(let_in())
    with server(lab.inner.name, 80), connection(lab.outer.name, lab.inner.ip, 80) as one:
        assert one is not None
        lab.site.change(lab.inner, up=False)
        assert not lab.outer.pings(lab.inner.ip)
        assert not lab.inner.pings(lab.outer.ip)
        assert one.says("hello") == "silence"
        lab.site.change(lab.inner, up=True)
        assert lab.outer.pings(lab.inner.ip)
        assert lab.inner.pings(lab.outer.ip)


def test_what_connection_tracking_does_not_see_is_refused_and_not_let_through(lab: Closed) -> None:
    lab.rules(let_in(), out=())
    assert not lab.inner.pings(lab.outer.ip)
    assert lab.outer.pings(lab.inner.ip)
    sh("ip", "-n", lab.site.inside, "link", "set", bridge_name(lab.site.network.id), "type", "bridge",
       "nf_call_iptables", "0")  # fmt: skip
    assert not lab.inner.pings(lab.outer.ip)
    script = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'secret', (%r, 9))"
    with frames.wire(lab.outer.name) as listener:
        assert lab.inner.ok("python3", "-c", script % lab.outer.ip)
        assert not frames.holds(listener, b"secret", seconds=1)


def test_a_tap_that_no_port_is_known_for_is_mute(lab: Closed) -> None:
    lab.rules(let_in())
    lab.site.rules.change_port(lab.inner.port, None)
    assert not lab.inner.pings(lab.outer.ip)
    assert not lab.outer.pings(lab.inner.ip)
    lab.site.rules.change_port(None, lab.inner.port)
    assert lab.outer.pings(lab.inner.ip)


def test_a_port_may_come_before_its_groups(lab: Closed) -> None:
    late = group(let_in())
    lab.put(lab.inner, late)
    assert not lab.outer.pings(lab.inner.ip)
    lab.know(late)
    assert lab.outer.pings(lab.inner.ip)
    lab.site.rules.change_groups((), [late.id])
    assert not lab.outer.pings(lab.inner.ip)


def test_what_others_took_away_comes_back_with_the_next_change(lab: Closed) -> None:
    lab.rules(let_in(TCP, 80, 80))
    with server(lab.inner.name, 80), server(lab.inner.name, 81):
        assert lab.site.rules.is_loaded(lab.site.network.id)
        sh("ip", "netns", "exec", lab.site.inside, "nft", "flush", "ruleset")
        assert not lab.site.rules.is_loaded(lab.site.network.id)
        lab.rules(let_in(TCP, 81, 81))
        assert lab.site.rules.is_loaded(lab.site.network.id)
        assert lab.site.rules.sure(lab.site.network.id)
        assert connects(lab.outer.name, lab.inner.ip, 81)
        assert not connects(lab.outer.name, lab.inner.ip, 80)


def test_thousands_of_rules_are_no_more_lookups(lab: Closed) -> None:
    def chain() -> str:
        listing = sh("ip", "netns", "exec", lab.site.inside, "nft", "-s", "list", "ruleset")
        (start,) = [line for line in listing.splitlines() if line.strip().startswith("chain in4_")]
        return listing.split(start)[1].split("}")[0]

    lab.rules(let_in(TCP, 22, 22, remotes=("10.1.0.0/24",)), let_in(TCP, 80, 80))
    few = chain()
    assert few.count(" @in4_") == 2
    rules = [let_in(TCP, 1000 + number, 1000 + number, remotes=(f"10.{number % 250}.{number // 250}.0/24",))
             for number in range(5000)]  # fmt: skip
    lab.rules(*rules, let_in(TCP, 80, 80))
    assert chain() == few, "the same expressions are evaluated"
    with server(lab.inner.name, 80), server(lab.inner.name, 81):
        assert connects(lab.outer.name, lab.inner.ip, 80)
        assert not connects(lab.outer.name, lab.inner.ip, 81)
        lab.rules(*rules, let_in(TCP, 81, 81, remotes=("10.97.0.0/24",)))
        assert connects(lab.outer.name, lab.inner.ip, 81)
        assert not connects(lab.outer.name, lab.inner.ip, 80)


def test_a_guest_without_any_rule_is_given_addresses_and_nothing_else(machine: Machine) -> None:
    """With the whole driver and its DHCP servers."""
    driver = machine.driver()
    network = driver_network("10.97.0.0/24", "fd00:97::/64", subnet={"address_mode": "dhcpv6-stateful"})
    wall = GroupSpec(str(uuid4()))
    port, neighbour = driver_port(network, 5, groups=(wall.id,)), driver_port(network, 6)
    driver.ensure_groups((wall,))
    driver.ensure_network(network, (port, neighbour))
    guest, other = machine.plug(port), machine.plug(neighbour)
    assert guest.lease()["ip"] == "10.97.0.5"
    assert guest.lease_6().startswith("fd00:97::5")
    assert other.lease()["ip"] == "10.97.0.6"
    assert other.lease_6().startswith("fd00:97::6")
    for address in ("10.97.0.2", "fd00:97::2", "10.97.0.6", "fd00:97::6", METADATA_ADDRESS):
        assert not guest.pings(address), address
    for address in ("10.97.0.5", "fd00:97::5"):
        assert not other.pings(address), address
    driver.ensure_groups((replace(wall, rules=OUT),))
    for address in ("10.97.0.2", "fd00:97::2", "10.97.0.6", "fd00:97::6", METADATA_ADDRESS):
        assert guest.pings(address), address
    for address in ("10.97.0.5", "fd00:97::5"):
        assert not other.pings(address), address
