"""What a network's namespace is to have, and the words for the kernel's limits, without a kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest

from novalite.drivers.network import bridges, taps
from novalite.drivers.network.base import NetworkSpec, PortSpec, RateSpec, SubnetSpec, link_name, tap_name

FOUR = SubnetSpec("0f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "10.0.0.0/24", "10.0.0.1", server_ip="10.0.0.2")
SIX = SubnetSpec("0e1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "fd00:1::/64", "fd00:1::1", server_ip="fd00:1::2")
NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "n", "p", (FOUR, SIX))
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03")
TAP, PAIR = tap_name(PORT.id), link_name(PORT.id)


def test_a_network_has_its_servers_addresses_and_those_for_metadata() -> None:
    own = {"10.0.0.2/24", "fd00:1::2/64"}
    assert bridges.own_addresses(NETWORK) == own | {"169.254.169.254/32", "fe80::a9fe:a9fe/64"}
    assert bridges.own_addresses(replace(NETWORK, metadata=False)) == own


def test_it_leads_outside_by_the_first_gateway_of_each_version() -> None:
    second = replace(FOUR, cidr="10.1.0.0/24", gateway_ip="10.1.0.1", server_ip="10.1.0.2")
    assert bridges.own_routes(replace(NETWORK, subnets=(FOUR, second, SIX))) == {
        "0.0.0.0/0": "via 10.0.0.1 onlink src 10.0.0.2",
        "::/0": "via fd00:1::1 onlink src fd00:1::2",
    }


def test_a_subnet_without_server_is_on_the_link() -> None:
    alone = replace(NETWORK, subnets=(replace(FOUR, server_ip="", gateway_ip=""),))
    assert bridges.own_routes(alone) == {"10.0.0.0/24": "scope link"}


def test_a_bridge_keeps_its_mac() -> None:
    assert bridges.bridge_mac(NETWORK.id) == bridges.bridge_mac(NETWORK.id)
    assert bridges.bridge_mac(NETWORK.id) != bridges.bridge_mac(PORT.id)


def _limits(rate: RateSpec, *, had_limit: bool = False) -> list[str]:
    return taps._limit_lines(replace(PORT, rate=rate), NETWORK, had_limit=had_limit)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (RateSpec(), []),
        (RateSpec(in_kbps=8000), [f"qdisc replace dev {TAP} root tbf rate 8000kbit burst 20000b latency 50ms"]),
        (
            RateSpec(out_kbps=1000, out_burst_kb=800),
            [f"qdisc replace dev {PAIR} root tbf rate 1000kbit burst 100000b latency 50ms"],
        ),
        (RateSpec(out_kbps=8), [f"qdisc replace dev {PAIR} root tbf rate 8kbit burst 3044b latency 50ms"]),
    ],
)
def test_limits_are_buckets_that_hold_two_frames_at_least(rate: RateSpec, expected: list[str]) -> None:
    assert _limits(rate) == expected


def test_a_limit_that_was_is_lifted() -> None:
    assert len(_limits(RateSpec(), had_limit=True)) == 2
    assert "tbf" not in "".join(_limits(RateSpec(), had_limit=True))
