"""What a driver keeps for the next process: read as written, and nothing believed that is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from novalite.drivers.network.base import FloatingSpec, GroupSpec, NetworkSpec, PortSpec, RoutingSpec, RuleSpec
from novalite.drivers.network.memory import Memory

NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "n", "10.0.0.0/24", "10.0.0.1",
                      host_routes=(("10.5.0.0/16", "10.0.0.9"),))  # fmt: skip
GROUP = GroupSpec("9f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", (RuleSpec(True, 6, 22, 22, "10.0.0.0/8"),))
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03", "10.0.0.5", "web", (GROUP.id,))


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    (tmp_path / NETWORK.id).mkdir()
    memory = Memory(tmp_path)
    memory.keep_network(NETWORK)
    return memory


def test_what_is_written_is_read_again(memory: Memory) -> None:
    routing = RoutingSpec(floating=(FloatingSpec("10.9.0.2", NETWORK.id, "10.0.0.5"),))
    memory.keep_ports(NETWORK.id, [PORT, replace(PORT, id=GROUP.id, groups=None, secured=False)])
    memory.keep_groups({GROUP.id: GROUP})
    memory.keep_routing(routing)
    ((spec, ports),) = memory.networks()
    assert spec == NETWORK
    assert ports == {PORT.id: PORT, GROUP.id: replace(PORT, id=GROUP.id, groups=None, secured=False)}
    assert (memory.groups(), memory.routing()) == ({GROUP.id: GROUP}, routing)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"id": "../..", "name": "", "cidr": "", "gateway_ip": ""}'])
def test_what_is_damaged_is_left_out(memory: Memory, tmp_path: Path, text: str) -> None:
    (tmp_path / NETWORK.id / "network.json").write_text(text)
    (tmp_path / "groups.json").write_text(text.replace("[]", "{}"))
    (tmp_path / "routing.json").write_text(text.replace("{", "x"))
    assert list(memory.networks()) == []
    assert memory.groups() == {}
    assert memory.routing() == RoutingSpec()
