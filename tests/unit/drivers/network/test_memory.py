"""What a driver keeps for the next process: read as written, and nothing believed that is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec, RateSpec, RuleSpec, SubnetSpec, UplinkSpec
from novalite.drivers.network.memory import Memory

RANGE = SubnetSpec("5f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "10.0.0.0/24", "10.0.0.1", server_ip="10.0.0.2",
                   host_routes=(("10.5.0.0/16", "10.0.0.9"),))  # fmt: skip
NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "n", "p", (RANGE,), uplink=UplinkSpec("vlan", "eth1", 7))
GROUP = GroupSpec(
    "9f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", (RuleSpec(True, protocol=6, low=22, high=22, remotes=("10.0.0.0/8",)),)
)
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03", ("10.0.0.5",), "p", "web",
                (GROUP.id,), dhcp_options=(("mtu", "1400", 4),), rate=RateSpec(1000))  # fmt: skip


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    (tmp_path / NETWORK.id).mkdir()
    memory = Memory(tmp_path)
    memory.keep_network(NETWORK)
    return memory


def test_what_is_written_is_read_again(memory: Memory) -> None:
    other = replace(PORT, id=GROUP.id, groups=None, secured=False, pairs=(("", "10.0.0.0/28"),))
    memory.keep_ports(NETWORK.id, [PORT, other])
    memory.keep_groups({GROUP.id: GROUP})
    ((spec, ports),) = memory.networks()
    assert spec == NETWORK
    assert ports == {PORT.id: PORT, GROUP.id: other}
    assert memory.groups() == {GROUP.id: GROUP}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"id": "../..", "name": ""}'])
def test_what_is_damaged_is_left_out(memory: Memory, tmp_path: Path, text: str) -> None:
    (tmp_path / NETWORK.id / "network.json").write_text(text)
    (tmp_path / "groups.json").write_text(text.replace("[]", "{}"))
    assert list(memory.networks()) == []
    assert memory.groups() == {}
