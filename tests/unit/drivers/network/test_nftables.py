"""Packet filter rules as text."""

from __future__ import annotations

from dataclasses import replace

from novalite.drivers.network.base import NetworkSpec, PortSpec, bridge_name, tap_name
from novalite.drivers.network.nftables import port_change, removal, ruleset, table_name

APPLIANCE = "11112222-3333-4444-8555-666677778888"
NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "n", "10.0.0.0/24", "10.0.0.1")
ROUTED = NetworkSpec("7f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "r", "10.1.0.0/24", "10.1.0.1", nat=False, metadata=False)
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03", "10.0.0.5")
TABLE = "novalite_11112222333344448555666677778888"


def _set(text: str, family: str, name: str) -> str:
    table = text.split(f"table {family} {TABLE} {{")[1]
    return next(line for line in table.splitlines() if line.strip().startswith(f"set {name} "))


def test_tables_carry_the_appliance_and_are_replaced_whole() -> None:
    text = ruleset(APPLIANCE, {NETWORK.id: NETWORK}, [PORT])
    assert table_name(APPLIANCE) == TABLE
    for family in ("bridge", "ip"):
        assert f"table {family} {TABLE}\ndelete table {family} {TABLE}\ntable {family} {TABLE} {{" in text
    assert "flush ruleset" not in text


def test_only_what_a_port_owns_is_let_through() -> None:
    text = ruleset(APPLIANCE, {NETWORK.id: NETWORK}, [PORT])
    tap = tap_name(PORT.id)
    assert f'"{tap}" . {PORT.mac_address} . {PORT.ip_address}' in _set(text, "bridge", "sources")
    assert f'"{tap}" . {PORT.mac_address}' in _set(text, "bridge", "macs")
    assert "elements" not in _set(ruleset(APPLIANCE, {NETWORK.id: NETWORK}, []), "bridge", "taps")


def test_nat_and_metadata_follow_the_network() -> None:
    text = ruleset(APPLIANCE, {NETWORK.id: NETWORK, ROUTED.id: ROUTED}, [])
    assert "10.0.0.0/24" in _set(text, "ip", "nat_ranges")
    assert "10.1.0.0/24" not in _set(text, "ip", "nat_ranges")
    assert bridge_name(ROUTED.id) not in _set(text, "ip", "metadata") + _set(text, "ip", "closed")
    assert bridge_name(ROUTED.id) in _set(text, "ip", "bridges")


def test_a_port_changes_by_elements_alone() -> None:
    moved = replace(PORT, ip_address="10.0.0.6")
    lines = port_change(APPLIANCE, PORT, moved).splitlines()
    assert [line.split()[0] for line in lines] == ["delete"] * 3 + ["add"] * 3
    assert port_change(APPLIANCE, PORT, replace(PORT, hostname="other")) == ""
    assert all(line.startswith("add element") for line in port_change(APPLIANCE, None, PORT).splitlines())


def test_removal_names_only_our_tables() -> None:
    assert {line.split()[-1] for line in removal(APPLIANCE).splitlines()} == {TABLE}
