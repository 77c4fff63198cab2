"""What networks and ports bring into the packet filter, and text that exchanges elements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from novalite.drivers.network import nftables
from novalite.drivers.network.base import NetworkSpec, PortSpec, tap_name, uplink_name
from novalite.drivers.network.parts import of_network, of_port, profile_key

PORT = PortSpec(
    "1d6f6a2e-1111-4222-8333-444455556666",
    "6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10",
    "fa:16:3e:01:02:03",
    ("10.0.0.5", "fd00::5"),
    groups=("b", "a"),
)
TAP = f'"{tap_name(PORT.id)}"'
LINK_LOCAL = "fe80::f816:3eff:fe01:203"


def _part(port: PortSpec, *, any_source: bool = False) -> dict[str, set[str]]:
    return {name: set(items) for name, items in of_port(port, any_source=any_source).items()}


def _hex(text: str) -> str:
    return "0x" + text.rjust(32, "0")


def test_a_port_may_speak_from_what_it_owns() -> None:
    part, key = _part(PORT), profile_key(("a", "b"))
    assert part == {
        "sending": {f"{TAP} : goto guest"},
        "leaving": {f"{TAP} : goto out_{key}"},
        "arriving": {f"{TAP} : goto in_{key}"},
        "macs": {f"{TAP} . fa:16:3e:01:02:03"},
        "sources4": {f"{TAP} . fa:16:3e:01:02:03 . 10.0.0.5"},
        "sources6": {f"{TAP} . fa:16:3e:01:02:03 . {address}" for address in ("fd00::5", LINK_LOCAL)},
        "targets": {
            f"{TAP} . 0xfd000000000000000000000000000005",
            f"{TAP} . 0xfe80000000000000f8163efffe010203",
        },
    }


def test_pairs_bring_ranges_and_other_macs() -> None:
    other = "fa:16:3e:0a:0b:0c"
    pairs = (
        ("", "10.0.0.0/29"),
        ("", "10.0.0.4/30"),
        ("", "10.0.1.1/32"),
        (other, "10.0.0.9/32"),
        (other, "fd00::/64"),
        ("", "0.0.0.0/0"),
    )
    part = _part(replace(PORT, pairs=pairs[:5]))
    own = f"{TAP} . {PORT.mac_address}"
    assert part["macs"] == {own, f"{TAP} . {other}"}
    assert part["source_ranges4"] == {f"{own} . 10.0.0.0-10.0.0.7"}, "what meets is one range"
    assert part["sources4"] == {f"{own} . 10.0.1.1", f"{TAP} . {other} . 10.0.0.9"}
    assert part["source_ranges6"] == {f"{TAP} . {other} . fd00::-fd00::ffff:ffff:ffff:ffff"}
    assert f"{TAP} . {other} . fe80::f816:3eff:fe0a:b0c" in part["sources6"]
    assert part["target_ranges"] == {f"{TAP} . 0xfd000000000000000000000000000000-0xfd00000000000000ffffffffffffffff"}
    assert _part(replace(PORT, pairs=pairs))["source_ranges4"] == {f"{own} . 0.0.0.0/0"}


def test_ports_that_are_not_looked_at() -> None:
    assert _part(replace(PORT, secured=False)) == {"sending": {f"{TAP} : accept"}, "arriving": {f"{TAP} : accept"}}
    down = {"sending": {f"{TAP} : drop"}, "arriving": {f"{TAP} : drop"}}
    assert _part(replace(PORT, up=False)) == down
    assert _part(replace(PORT, up=False, secured=False)) == down
    free = _part(replace(PORT, groups=None))
    assert free["arriving"] == {f"{TAP} : accept"}
    assert "leaving" not in free
    assert _part(PORT, any_source=True)["sending"] == {f"{TAP} : goto lan_guest"}


def test_a_network_tells_its_uplink() -> None:
    spec = NetworkSpec(PORT.network_id, "n")
    assert of_network(spec) == {"uplinks": {f'"{uplink_name(spec.id)}"'}}


def test_profiles_do_not_depend_on_the_order_of_groups() -> None:
    assert profile_key(("a", "b")) == profile_key(["b", "a", "a"])
    assert profile_key(("a",)) != profile_key(())


def test_change_takes_out_before_it_puts_in_and_names_keys_only() -> None:
    before = {"arriving": ['"a" : goto x', '"b" : drop'], "macs": ["1"]}
    after = {"arriving": ['"a" : goto y', '"b" : drop'], "macs": ["1"], "targets": ["2"]}
    assert nftables.change(before, after).splitlines() == [
        'delete element bridge novalite arriving { "a" }',
        'add element bridge novalite arriving { "a" : goto y }',
        "add element bridge novalite targets { 2 }",
    ]
    assert nftables.change(after, after) == ""


@pytest.mark.parametrize("tracking", ["netfilter", "bridge"])
def test_only_the_bridge_with_its_own_tracking_asks_it(tracking: nftables.Tracking) -> None:
    frames, _, connections = nftables.skeleton(tracking).partition("table inet")
    assert "ct " not in frames.replace("ct direction", "").replace("ct state", "") or tracking == "bridge"
    assert ("hook forward" in connections) == (tracking == "netfilter")
    assert ("priority -250" in frames) == (tracking == "netfilter")
