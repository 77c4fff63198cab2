"""Security groups with real packets: what rules let through passes at once, everything else does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec, RuleSpec, tap_name
from novalite.drivers.network.linux import LinuxNetworkDriver
from tests.real.network.conftest import Guest, Machine, new_network, new_port, sh
from tests.real.network.talk import connection, connects, datagram_returns, server

pytestmark = pytest.mark.real

OUT = RuleSpec(inbound=False)
TCP, UDP, ICMP = 6, 17, 1


def group(*rules: RuleSpec, id: str = "") -> GroupSpec:
    return GroupSpec(id or str(uuid4()), (OUT, *rules))


def let_in(protocol: int | None = None, low: int | None = None, high: int | None = None, **more: str) -> RuleSpec:
    return RuleSpec(inbound=True, protocol=protocol, low=low, high=high, **more)


@dataclass
class Site:
    """One network with two guests: ``inner`` is in ``closed``, ``outer`` may do everything."""

    machine: Machine
    driver: LinuxNetworkDriver
    network: NetworkSpec
    closed: GroupSpec
    inner: Guest
    outer: Guest

    def rules(self, *rules: RuleSpec, out: bool = True) -> None:
        wanted = GroupSpec(self.closed.id, (*rules, *([OUT] if out else [])))
        self.driver.ensure_groups((wanted,))

    def put(self, guest: Guest, *groups: GroupSpec) -> None:
        guest.port = replace(guest.port, groups=tuple(one.id for one in groups))
        self.driver.ensure_port(guest.port)

    @property
    def target(self) -> str:
        return self.inner.port.ip_address


def _guest(machine: Machine, port: PortSpec) -> Guest:
    guest = machine.plug(port)
    assert guest.lease()["ip"] == port.ip_address, "a closed group lets DHCP pass"
    return guest


@pytest.fixture
def site(machine: Machine) -> Site:
    driver, network, closed = machine.driver(), new_network(), group()
    driver.ensure_groups((closed,))
    one = replace(new_port(network, 5), groups=(closed.id,))
    two = new_port(network, 6)
    driver.ensure_network(network, (one, two))
    return Site(machine, driver, network, closed, _guest(machine, one), _guest(machine, two))


def test_a_closed_group_lets_out_and_answers_in_but_nothing_else(site: Site) -> None:
    assert not site.outer.pings(site.target)
    assert site.inner.pings(site.outer.port.ip_address)
    assert site.inner.pings(site.machine.gateway), "the outside answers"
    assert site.inner.pings(site.network.gateway_ip), "the machine answers"
    with server(site.inner.name, 80):
        assert not connects(site.outer.name, site.target, 80)
        assert not connects("", site.target, 80), "the machine itself is refused too"
    with server(site.outer.name, 80):
        assert connects(site.inner.name, site.outer.port.ip_address, 80)


def test_a_rule_opens_exactly_its_ports_at_once(site: Site) -> None:
    with server(site.inner.name, 80), server(site.inner.name, 81):
        site.rules(let_in(TCP, 80, 80))
        assert connects(site.outer.name, site.target, 80)
        assert connects("", site.target, 80)
        assert not connects(site.outer.name, site.target, 81)
        assert not datagram_returns(site.outer.name, site.target, 80)
        site.rules(let_in(UDP, 79, 85))
        assert datagram_returns(site.outer.name, site.target, 80)
        assert not connects(site.outer.name, site.target, 80)


def test_fragments_belong_to_their_first_one(site: Site) -> None:
    with server(site.inner.name, 80), server(site.outer.name, 80):
        site.rules(let_in(UDP, 80, 80))
        assert datagram_returns(site.outer.name, site.target, 80, 4000)
        assert datagram_returns("", site.target, 80, 4000)
        assert datagram_returns(site.inner.name, site.outer.port.ip_address, 80, 4000)
        site.rules(RuleSpec(False, UDP, 81, 81), out=False)
        assert not datagram_returns(site.outer.name, site.target, 80, 4000)
        assert not datagram_returns(site.inner.name, site.outer.port.ip_address, 80, 4000)


def test_remote_ranges_and_overlapping_rules(site: Site) -> None:
    with server(site.inner.name, 80):
        site.rules(let_in(TCP, 80, 80, remote="10.97.0.0/29"))
        assert connects(site.outer.name, site.target, 80)
        site.rules(let_in(TCP, 80, 80, remote="10.97.0.0/30"), let_in(TCP, 22, 90, remote="10.98.0.0/16"))
        assert not connects(site.outer.name, site.target, 80)
        site.rules(let_in(TCP, 80, 80, remote="10.97.0.0/30"), let_in(TCP, 22, 90), let_in(remote="10.0.0.0/30"))
        assert connects(site.outer.name, site.target, 80)


def test_icmp_by_type_and_other_protocols(site: Site) -> None:
    site.rules(let_in(ICMP, 0))
    assert not site.outer.pings(site.target)
    site.rules(let_in(ICMP, 8))
    assert site.outer.pings(site.target)
    site.rules(let_in(ICMP, 8, 1))
    assert not site.outer.pings(site.target)
    site.rules(let_in(ICMP))
    assert site.outer.pings(site.target)
    site.rules(let_in())
    assert site.outer.pings(site.target)


def test_members_of_a_group_come_and_go(site: Site) -> None:
    friends = group()
    site.driver.ensure_groups((friends,))
    site.rules(let_in(remote_group=friends.id))
    assert not site.outer.pings(site.target)
    site.put(site.outer, friends)
    assert site.outer.pings(site.target)
    site.put(site.outer, friends, site.closed)
    assert site.outer.pings(site.target)
    site.put(site.outer, site.closed)
    assert not site.outer.pings(site.target)
    site.rules(let_in(remote_group=site.closed.id))
    assert site.outer.pings(site.target)
    assert site.inner.pings(site.outer.port.ip_address)
    site.driver.remove_port(site.network.id, site.outer.port.id)
    assert not site.outer.pings(site.target)


def test_what_may_leave_is_limited_too(site: Site) -> None:
    with server(site.outer.name, 80), server(site.outer.name, 81), server(site.inner.name, 80):
        site.rules(RuleSpec(False, TCP, 80, 80, "10.97.0.6/32"), let_in(TCP, 80, 80), out=False)
        assert connects(site.inner.name, site.outer.port.ip_address, 80)
        assert not connects(site.inner.name, site.outer.port.ip_address, 81)
        assert not site.inner.pings(site.outer.port.ip_address)
        assert not site.inner.pings(site.machine.gateway)
        assert connects(site.outer.name, site.target, 80), "answers leave"


def test_a_rule_taken_away_ends_connections_and_others_go_on(site: Site) -> None:
    other = group(let_in(TCP, 80, 80))
    site.driver.ensure_groups((other,))
    third = replace(new_port(site.network, 7), groups=(other.id,))
    site.driver.ensure_port(third)
    bystander = _guest(site.machine, third)
    site.rules(let_in(TCP, 80, 80))
    with server(site.inner.name, 80), server(bystander.name, 80), \
            connection(site.outer.name, site.target, 80) as one, \
            connection(site.outer.name, third.ip_address, 80) as two:  # fmt: skip
        assert one is not None
        assert two is not None
        assert one.says("hello") == f"{site.outer.port.ip_address} hello"
        site.rules()
        assert one.says("hello") == "silence"
        assert two.says("hello") == f"{site.outer.port.ip_address} hello"
        site.driver.ensure_network(site.network, (site.inner.port, site.outer.port, third))
        assert two.says("again") == f"{site.outer.port.ip_address} again", "loading all rules again disturbs nobody"


def test_a_port_without_groups_gets_nothing_and_one_without_security_everything(site: Site) -> None:
    site.put(site.inner)
    assert not site.outer.pings(site.target)
    assert not site.inner.pings(site.outer.port.ip_address)
    site.driver.ensure_port(replace(site.inner.port, groups=None, secured=False))
    sh("ip", "-n", site.inner.name, "addr", "add", "10.97.0.99/24", "dev", "eth0")
    assert site.outer.pings("10.97.0.99")
    assert site.outer.pings(site.target)


def test_a_port_may_come_before_its_groups(site: Site) -> None:
    late = group(let_in())
    site.put(site.inner, late)
    assert not site.outer.pings(site.target)
    site.driver.ensure_groups((late,))
    assert site.outer.pings(site.target)
    site.driver.remove_group(late.id)
    assert not site.outer.pings(site.target)


def test_a_new_process_and_a_flushed_filter_come_back_to_the_same(site: Site) -> None:
    site.rules(let_in(TCP, 80, 80))
    (appliance_id,) = (entry.name for entry in (site.machine.directory / "run").iterdir())
    again = site.machine.driver(appliance_id)
    sh("nft", "flush", "ruleset")
    again.ensure_network(site.network)
    with server(site.inner.name, 80), server(site.inner.name, 81):
        assert connects(site.outer.name, site.target, 80)
        assert not connects(site.outer.name, site.target, 81)
        sh("nft", "flush", "ruleset")
        again.ensure_groups((GroupSpec(site.closed.id, (OUT, let_in(TCP, 81, 81))),))
        assert connects(site.outer.name, site.target, 81)
        assert not connects(site.outer.name, site.target, 80)


def test_bridges_of_others_are_not_filtered(site: Site) -> None:
    assert sh("sysctl", "-n", "net.bridge.bridge-nf-call-iptables").strip() in ("0", "1")
    sh("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
    assert not site.outer.pings(site.target), "our bridges ask for it by themselves"
    assert tap_name(site.inner.port.id) in sh("nft", "list", "ruleset")


def test_thousands_of_rules_are_four_lookups(site: Site) -> None:
    rules = [let_in(TCP, 1000 + number, 1000 + number, remote=f"10.{number % 250}.{number // 250}.0/24")
             for number in range(3000)]  # fmt: skip
    site.rules(*rules, let_in(TCP, 80, 80))
    listing = sh("nft", "-s", "list", "ruleset")
    assert listing.count("th dport @in_") == 1
    with server(site.inner.name, 80):
        assert connects(site.outer.name, site.target, 80)
