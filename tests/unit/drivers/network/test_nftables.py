"""Packet filter rules as text: only elements change, and only in tables of our own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from novalite.drivers.network import nftables
from novalite.drivers.network.base import (
    FloatingSpec,
    GroupSpec,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    RoutingSpec,
    RuleSpec,
    bridge_name,
    tap_name,
)
from novalite.drivers.network.packet_rules import PacketRules
from novalite.errors import DriverError

APPLIANCE = "11112222-3333-4444-8555-666677778888"
NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "n", "10.0.0.0/24", "10.0.0.1")
ROUTED = NetworkSpec("7f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "r", "10.1.0.0/24", "10.1.0.1", nat=False, metadata=False)
CLOSED = replace(ROUTED, id="8f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", cidr="10.2.0.0/24", isolated=True)
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03", "10.0.0.5")
TABLE = "novalite_11112222333344448555666677778888"
GROUP = GroupSpec("9f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", (RuleSpec(True, 6, 22, 22),))
MEMBERS = GroupSpec("af1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", (RuleSpec(True, remote_group=GROUP.id),))


class Kernel:
    """Keeps what would be loaded. ``broken``: the next transaction is refused."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.broken = False

    def load(self, op: str, text: str) -> None:
        if self.broken:
            self.broken = False
            raise DriverError(op, "the table is gone")
        self.texts.append(text)

    @property
    def last(self) -> str:
        return self.texts[-1]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(nftables, "load", kernel.load)
    return kernel


def _loaded(kernel: Kernel, *ports: PortSpec, groups: tuple[GroupSpec, ...] = ()) -> PacketRules:
    rules = PacketRules(APPLIANCE)
    rules.change_groups(groups)
    rules.load({spec.id: spec for spec in (NETWORK, ROUTED, CLOSED)}, ports)
    return rules


def _elements(text: str, name: str) -> str:
    return "".join(line for line in text.splitlines() if line.startswith("add element") and f" {name} {{" in line)


def test_tables_carry_the_appliance_and_are_replaced_whole(kernel: Kernel) -> None:
    _loaded(kernel, PORT)
    for family in ("bridge", "ip"):
        head = f"table {family} {TABLE}\ndelete table {family} {TABLE}\ntable {family} {TABLE} {{"
        assert head in kernel.last
    assert nftables.table_name(APPLIANCE) == TABLE
    assert "flush ruleset" not in kernel.last


def test_only_what_a_port_owns_is_let_through(kernel: Kernel) -> None:
    _loaded(kernel, PORT)
    tap = tap_name(PORT.id)
    assert f'"{tap}" . {PORT.mac_address} . {PORT.ip_address}' in _elements(kernel.last, "sources")
    assert f'"{tap}" . {PORT.mac_address}' in _elements(kernel.last, "macs")
    _loaded(kernel, replace(PORT, secured=False))
    assert not _elements(kernel.last, "taps")


def test_nat_and_metadata_follow_the_network(kernel: Kernel) -> None:
    _loaded(kernel)
    assert "10.0.0.0/24" in _elements(kernel.last, "nat_ranges")
    assert "10.1.0.0/24" not in _elements(kernel.last, "nat_ranges")
    bridge = bridge_name(ROUTED.id)
    assert bridge not in _elements(kernel.last, "metadata") + _elements(kernel.last, "closed")
    assert bridge in _elements(kernel.last, "bridges")
    assert bridge_name(CLOSED.id) in _elements(kernel.last, "closed")
    assert bridge_name(CLOSED.id) not in _elements(kernel.last, "open_out")


def test_a_port_changes_by_elements_alone(kernel: Kernel) -> None:
    rules = _loaded(kernel, PORT)
    moved = replace(PORT, ip_address="10.0.0.6")
    rules.change_port(PORT, moved)
    assert [line.split()[0] for line in kernel.last.splitlines()] == ["delete", "add"]
    rules.change_port(moved, replace(moved, hostname="other"))
    assert kernel.last == ""
    rules.change_port(moved, None)
    assert all(line.startswith("delete element") for line in kernel.last.splitlines())


def test_ports_of_the_same_groups_share_their_rules(kernel: Kernel) -> None:
    one = replace(PORT, groups=(GROUP.id,))
    two = replace(one, id="2d6f6a2e-1111-4222-8333-444455556666", mac_address="fa:16:3e:01:02:04")
    rules = _loaded(kernel, one, groups=(GROUP,))
    rules.change_port(None, two)
    assert "chain" not in kernel.last
    rules.change_port(one, None)
    assert "delete chain" not in kernel.last
    rules.change_port(two, None)
    assert kernel.last.count("delete chain") == 2


def test_a_rule_of_a_group_is_one_element_for_all_its_ports(kernel: Kernel) -> None:
    rules = _loaded(kernel, replace(PORT, groups=(GROUP.id,)), groups=(GROUP,))
    rules.change_groups([GroupSpec(GROUP.id, (*GROUP.rules, RuleSpec(True, 17, 53, 53)))])
    (line,) = kernel.last.splitlines()
    assert line.startswith("add element")
    assert "0.0.0.0/0 . 17 . 53" in line
    before = len(kernel.texts)
    rules.change_groups([GroupSpec(GROUP.id, (*GROUP.rules, RuleSpec(True, 17, 53, 53)))])
    assert len(kernel.texts) == before, "nothing changed"


def test_a_new_member_is_one_element_where_its_group_is_let_in(kernel: Kernel) -> None:
    watcher = replace(PORT, groups=(MEMBERS.id,))
    rules = _loaded(kernel, watcher, groups=(GROUP, MEMBERS))
    member = replace(PORT, id="2d6f6a2e-1111-4222-8333-444455556666", ip_address="10.0.0.9", groups=(GROUP.id,))
    rules.change_port(None, member)
    assert "10.0.0.9" in "".join(line for line in kernel.last.splitlines() if "_any {" in line)
    rules.change_port(member, replace(member, groups=()))
    assert "10.0.0.9" in "".join(
        line for line in kernel.last.splitlines() if line.startswith("delete") and "_any" in line
    )


def test_a_refused_change_asks_for_everything_again(kernel: Kernel) -> None:
    rules = _loaded(kernel, PORT)
    kernel.broken = True
    rules.change_port(PORT, None)
    assert not rules.sure
    rules.load({}, [])
    assert rules.sure


def test_routers_join_networks_and_lead_them_outside(kernel: Kernel) -> None:
    rules = _loaded(kernel)
    router = RouterSpec(APPLIANCE, (ROUTED.id, CLOSED.id), NETWORK.id, "10.0.0.7")
    networks = {spec.id: spec for spec in (NETWORK, ROUTED, CLOSED)}
    rules.change_routing(RoutingSpec((router,), (FloatingSpec("10.0.0.8", NETWORK.id, "10.2.0.5"),)), networks)
    joined = _elements(kernel.last, "joined")
    assert f'"{bridge_name(ROUTED.id)}" . "{bridge_name(CLOSED.id)}"' in joined
    assert f'"{bridge_name(CLOSED.id)}" . "{bridge_name(NETWORK.id)}"' in joined
    assert f'"{bridge_name(NETWORK.id)}" . "{bridge_name(CLOSED.id)}"' not in joined
    assert _elements(kernel.last, "gateways").count("10.0.0.7") == 2
    assert "10.0.0.8 : 10.2.0.5" in _elements(kernel.last, "floating")
    rules.change_routing(RoutingSpec(), networks)
    assert all(line.startswith("delete element") for line in kernel.last.splitlines())


def test_a_network_of_two_routers_has_one_way_out(kernel: Kernel) -> None:
    rules = _loaded(kernel)
    networks = {spec.id: spec for spec in (NETWORK, ROUTED, CLOSED)}
    routers = tuple(RouterSpec(APPLIANCE, (CLOSED.id,), NETWORK.id, f"10.0.0.{last}") for last in (7, 8))
    rules.change_routing(RoutingSpec(routers), networks)
    assert "10.2.0.0/24 : 10.0.0.7" in _elements(kernel.last, "gateways")
    assert "10.0.0.8" not in kernel.last


def test_removal_names_only_our_tables() -> None:
    assert {line.split()[-1] for line in nftables.removal(APPLIANCE).splitlines()} == {TABLE}
