"""Packet filters of networks: only elements change, only where they must, and to what loading all would give."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novalite.drivers.network import nftables
from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec, RuleSpec, network_namespace, tap_name
from novalite.drivers.network.packet_rules import PacketRules
from novalite.errors import DriverError
from tests.unit.drivers.network.kernel import Kernel, Tables

NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "n")
OTHER = NetworkSpec("7f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "o")
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03", ("10.0.0.5", "fd00::5"))
GROUP = GroupSpec("9f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", (RuleSpec(True, 4, 6, 22, 22),))
MEMBERS = GroupSpec("af1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", (RuleSpec(True, 4, remote_group=GROUP.id),))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(nftables, "load", kernel.load)
    return kernel


def _port(number: int, network: NetworkSpec = NETWORK, **more: object) -> PortSpec:
    fresh = replace(
        PORT,
        id=f"{number:08x}-1111-4222-8333-444455556666",
        network_id=network.id,
        mac_address=f"fa:16:3e:00:00:{number:02x}",
        addresses=(f"10.0.0.{number}", f"fd00::{number:x}"),
    )
    return replace(fresh, **more)  # type: ignore[arg-type]


def _loaded(*ports: PortSpec, groups: tuple[GroupSpec, ...] = (), spec: NetworkSpec = NETWORK) -> PacketRules:
    rules = PacketRules()
    rules.change_groups(groups)
    rules.load_network(spec, ports)
    return rules


def _tables(kernel: Kernel, spec: NetworkSpec = NETWORK) -> Tables:
    return kernel.namespaces[network_namespace(spec.id)]


def test_a_network_is_loaded_whole_into_its_own_namespace(kernel: Kernel) -> None:
    rules = _loaded(PORT)
    ((namespace, text),) = kernel.texts
    assert namespace == network_namespace(NETWORK.id)
    for family in ("bridge", "inet"):
        assert f"table {family} novalite\ndelete table {family} novalite\ntable {family} novalite {{" in text
    assert "flush ruleset" not in text
    assert rules.sure(NETWORK.id)
    assert not rules.sure(OTHER.id)


def test_a_port_changes_by_elements_alone(kernel: Kernel) -> None:
    rules = _loaded(PORT)
    moved = replace(PORT, addresses=("10.0.0.6", "fd00::5"))
    rules.change_port(PORT, moved)
    assert [line.split()[0] for line in kernel.last.splitlines()] == ["delete", "add"]
    before = len(kernel.texts)
    rules.change_port(moved, replace(moved, hostname="other"))
    assert len(kernel.texts) == before, "nothing changed"
    rules.change_port(moved, None)
    assert all(line.startswith("delete element") for line in kernel.last.splitlines())
    tap = tap_name(PORT.id)
    assert not any(tap in key for items in _tables(kernel).elements.values() for key in items)


def test_a_port_of_an_unknown_network_is_refused(kernel: Kernel) -> None:
    with pytest.raises(DriverError, match="has no packet filter"):
        PacketRules().change_port(None, PORT)


def test_ports_of_the_same_groups_share_their_rules(kernel: Kernel) -> None:
    one, two = _port(1, groups=(GROUP.id,)), _port(2, groups=(GROUP.id,))
    rules = _loaded(one, groups=(GROUP,))
    rules.change_port(None, two)
    assert "chain" not in kernel.last
    rules.change_port(one, None)
    assert "delete chain" not in kernel.last
    rules.change_port(two, None)
    assert kernel.last.count("delete chain") == 6
    assert not [name for name in _tables(kernel).elements if name.startswith("in4_")]


def test_a_rule_of_a_group_is_one_element_for_all_its_ports(kernel: Kernel) -> None:
    rules = _loaded(*(_port(number, groups=(GROUP.id,)) for number in range(1, 200)), groups=(GROUP,))
    wanted = replace(GROUP, rules=(*GROUP.rules, RuleSpec(True, 4, 17, 53, 53)))
    rules.change_groups([wanted])
    (line,) = kernel.last.splitlines()
    assert line.endswith("_all_ports { 17 . 53 }")
    before = len(kernel.texts)
    rules.change_groups([wanted])
    assert len(kernel.texts) == before, "nothing changed"
    rules.change_groups([replace(wanted, rules=(*wanted.rules, RuleSpec(True, 4, 6, 80, 80, remote_group=GROUP.id)))])
    assert "_label_ports { 1 . 6 . 80 }" in kernel.last, "one element for all members"


def test_a_new_member_is_one_element_where_its_group_is_let_in(kernel: Kernel) -> None:
    many = tuple(RuleSpec(True, 4, 6, 2 * port, 2 * port, remote_group=GROUP.id) for port in range(50))
    watcher, member = _port(1, groups=(MEMBERS.id,)), _port(2, groups=(GROUP.id,))
    rules = _loaded(watcher, member, groups=(GROUP, replace(MEMBERS, rules=many)))
    rules.change_port(None, _port(3, groups=(GROUP.id,)))
    labels = [line for line in kernel.last.splitlines() if "label" in line]
    assert labels == [
        "add element bridge novalite labels4 { 10.0.0.3 : 0x1 }",
        "add element bridge novalite labels6 { fd00::3 : 0x1 }",
    ]
    rules.change_port(_port(3), _port(3, groups=()))
    assert "10.0.0.3" not in _tables(kernel).elements["labels4"]


def test_members_of_other_networks_are_told_to_those_that_name_them_only(kernel: Kernel) -> None:
    watcher = _port(1, groups=(MEMBERS.id,))
    rules = _loaded(watcher, groups=(GROUP, MEMBERS))
    rules.load_network(OTHER, [])
    third = replace(OTHER, id="8f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10")
    rules.load_network(third, [])
    kernel.texts.clear()
    member = _port(9, OTHER, groups=(GROUP.id,))
    rules.change_port(None, member)
    assert [namespace for namespace, _ in kernel.texts] == [network_namespace(spec.id) for spec in (OTHER, NETWORK)]
    assert _tables(kernel).elements["labels4"] == {"10.0.0.9": "0x1"}
    assert not _tables(kernel, OTHER).elements["labels4"]
    kernel.texts.clear()
    rules.change_port(member, replace(member, addresses=("10.0.0.10",)))
    assert len(kernel.texts) == 2
    rules.drop_network(OTHER.id)
    assert not _tables(kernel).elements["labels4"]
    assert not rules.sure(OTHER.id)


def test_a_group_is_changed_only_on_networks_with_its_ports(kernel: Kernel) -> None:
    rules = _loaded(_port(1, groups=(GROUP.id,)), groups=(GROUP,))
    rules.load_network(OTHER, [_port(2, OTHER)])
    kernel.texts.clear()
    rules.change_groups([replace(GROUP, rules=())])
    assert [namespace for namespace, _ in kernel.texts] == [network_namespace(NETWORK.id)]


def test_a_stateless_group_has_no_way_round_the_rules(kernel: Kernel) -> None:
    def chains() -> str:
        return "\n".join(rule for name, rules in _tables(kernel).chains.items() for rule in rules if "in_" in name)

    rules = _loaded(_port(1, groups=(GROUP.id,)), groups=(GROUP,))
    assert nftables.ANSWER in chains()
    rules.change_groups([replace(GROUP, stateful=False)])
    assert nftables.ANSWER not in chains()
    assert nftables.FORBIDDEN not in chains()
    rules.change_groups([GroupSpec(MEMBERS.id)])
    rules.change_port(None, _port(2, groups=(GROUP.id, MEMBERS.id)))
    assert nftables.ANSWER in chains(), "one group of its own that is stateful is enough"


def test_the_bridge_may_track_connections_by_itself(kernel: Kernel) -> None:
    rules = PacketRules("bridge")
    rules.change_groups([GROUP])
    rules.load_network(NETWORK, [_port(1, groups=(GROUP.id,))])
    text = kernel.last
    assert nftables.FORBIDDEN not in text
    assert nftables.ANSWER not in text
    (key,) = {line.split()[4][3:] for line in text.splitlines() if " in_" in line and line.startswith("add rule")}
    chains = _tables(kernel).chains
    for head in (f"in_{key}", f"out_{key}"):
        assert chains[head][:2] == ["ct direction reply accept", "ct state related accept"]
    assert chains[f"out4_{key}"][-1] == "drop"
    assert "hook prerouting priority -150" in text, "after connections are known"
    assert "chain input {" in text, "so that what the namespace itself sends is tracked too"


def test_a_refused_change_loads_everything_again(kernel: Kernel) -> None:
    rules = _loaded(PORT)
    kernel.broken = 1
    rules.change_port(PORT, _port(1, id=PORT.id))
    assert kernel.last.startswith("table bridge novalite")
    assert rules.sure(NETWORK.id)
    assert "10.0.0.1" in str(_tables(kernel).elements["sources4"])


def test_a_refused_load_is_told_and_made_good_later(kernel: Kernel) -> None:
    rules = _loaded(PORT)
    rules.load_network(OTHER, [])
    kernel.broken = 2
    with pytest.raises(DriverError):
        rules.change_port(PORT, None)
    assert not rules.sure(NETWORK.id)
    assert rules.sure(OTHER.id)
    rules.change_port(None, _port(4))
    assert not rules.sure(NETWORK.id), "nothing is sent to tables that are not known"
    rules.load_network(NETWORK, [_port(4)])
    assert rules.sure(NETWORK.id)


def _state(tables: Tables) -> dict[str, object]:
    """What packets meet: numbers of labels are exchanged for the addresses that have them."""
    labelled: dict[str, set[str]] = {}
    for name in ("labels4", "labels6", "label_ranges4", "label_ranges6"):
        for address, number in tables.elements[name].items():
            labelled.setdefault(str(int(number, 16)), set()).add(address)
    known = {number: str(sorted(addresses)) for number, addresses in labelled.items()}
    found: dict[str, object] = {
        name: {" . ".join([known[key.split(" . ")[0]], *key.split(" . ")[1:]]) for key in items}
        if "_label_" in name
        else ({key: known[str(int(value, 16))] for key, value in items.items()} if name.startswith("label") else items)
        for name, items in tables.elements.items()
    }
    return found | {"chains": tables.chains}


_GROUPS = [f"{number:08x}-5a57-4c43-8f7a-0c2b5d3a1e10" for number in range(4)]
_RULE = st.builds(
    lambda inbound, version, protocol, port, remote, group: RuleSpec(
        inbound, version, protocol, port if protocol == 6 else None, port if protocol == 6 else None, remote, group
    ),
    st.booleans(),
    st.sampled_from([4, 6]),
    st.sampled_from([None, 6, 47]),
    st.integers(20, 24),
    st.sampled_from([(), ("10.0.0.0/24",), ("fd00::/64", "10.0.0.8/29")]),
    st.sampled_from(["", "", *_GROUPS]),
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("port"),
            st.integers(1, 6),
            st.none() | st.lists(st.sampled_from(_GROUPS), max_size=3, unique=True).map(tuple),
            st.sampled_from([(), (("", "10.0.0.0/29"),), (("", "10.0.0.4/30"), ("fa:16:3e:09:09:09", "fd00::/126"))]),
        ),
        st.tuples(st.just("unplug"), st.integers(1, 6)),
        st.tuples(st.just("group"), st.integers(0, 3), st.lists(_RULE, max_size=4), st.booleans()),
        st.tuples(st.just("forget"), st.integers(0, 3)),
    ),
    max_size=12,
)


@given(_STEPS)
def test_changing_step_by_step_is_loading_what_comes_out(steps: list[tuple[object, ...]]) -> None:
    """Ports of even numbers are on another network, and all groups' rules name one another."""
    with pytest.MonkeyPatch.context() as patch:
        kernel = Kernel()
        patch.setattr(nftables, "load", kernel.load)
        rules, ports = PacketRules(), {}
        groups: dict[str, GroupSpec] = {}
        for spec in (NETWORK, OTHER):
            rules.load_network(spec, [])
        for kind, number, *more in steps:
            assert isinstance(number, int)
            if kind == "port":
                port = _port(number, OTHER if number % 2 == 0 else NETWORK, groups=more[0], pairs=more[1])
                rules.change_port(ports.get(port.id), port)
                ports[port.id] = port
            elif kind == "unplug":
                rules.change_port(ports.pop(_port(number).id, None), None)
            elif kind == "group":
                group = groups[_GROUPS[number]] = GroupSpec(_GROUPS[number], tuple(more[0]), bool(more[1]))  # type: ignore[call-overload]
                rules.change_groups([group])
            else:
                groups.pop(_GROUPS[number], None)
                rules.change_groups([], [_GROUPS[number]])
        fresh = Kernel()
        patch.setattr(nftables, "load", fresh.load)
        again = PacketRules()
        again.change_groups(groups.values())
        again.load_networks(
            [(spec, [port for port in ports.values() if port.network_id == spec.id]) for spec in (NETWORK, OTHER)]
        )
        for namespace in kernel.namespaces:
            assert _state(kernel.namespaces[namespace]) == _state(fresh.namespaces[namespace])
