"""Agents: what of this process serves networks, and whether it does."""

from __future__ import annotations

import socket
from typing import Any

from novalite.drivers.network.fake import FakeNetworkDriver
from tests.api.network.conftest import Neutron


def agents(neutron: Neutron) -> dict[str, dict[str, Any]]:
    found = neutron.get("/v2.0/agents", who="admin")["agents"]
    return {agent["agent_type"]: agent for agent in found}


def test_what_serves_networks_is_told_to_administrators_only(neutron: Neutron) -> None:
    found = agents(neutron)
    assert found.keys() == {"DHCP agent", "L3 agent"}
    for agent in found.values():
        assert agent["host"] == socket.gethostname()
        assert agent["alive"] is agent["admin_state_up"] is True
        assert agent["started_at"] <= agent["heartbeat_timestamp"]
        assert neutron.get(f"/v2.0/agents/{agent['id']}", who="admin")["agent"]["binary"] == agent["binary"]
        assert neutron.call("GET", f"/v2.0/agents/{agent['id']}").status_code in (403, 404)
    assert neutron.get("/v2.0/agents") == {"agents": []}
    assert neutron.call("GET", f"/v2.0/agents/{neutron.first}", who="admin").status_code == 404


def test_agents_are_filtered(neutron: Neutron) -> None:
    found = neutron.get("/v2.0/agents?binary=neutron-l3-agent&alive=true&fields=agent_type", who="admin")
    assert found == {"agents": [{"agent_type": "L3 agent"}]}


def test_an_agent_counts_what_it_serves(neutron: Neutron) -> None:
    before = agents(neutron)["DHCP agent"]["configurations"]
    network = neutron.new("network", name="mine")
    subnet = neutron.new("subnet", network_id=network["id"], cidr="10.7.0.0/24")
    neutron.new("subnet", network_id=network["id"], cidr="10.8.0.0/24", enable_dhcp=False)
    router = neutron.new("router", name="r")
    neutron.call("PUT", f"/v2.0/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    found = agents(neutron)
    dhcp, l3 = found["DHCP agent"]["configurations"], found["L3 agent"]["configurations"]
    assert [dhcp[name] - before[name] for name in ("networks", "subnets")] == [1, 1]
    assert (l3["routers"], l3["interfaces"], l3["ex_gw_ports"]) == (1, 1, 0)
    assert all(agent["resources_synced"] for agent in found.values())


def test_a_dhcp_server_that_died_is_told_until_it_runs_again(neutron: Neutron) -> None:
    network = neutron.new("network", name="mine")
    neutron.new("subnet", network_id=network["id"], cidr="10.7.0.0/24")
    neutron.driver.kill_dhcp(network["id"])
    assert agents(neutron)["DHCP agent"]["resources_synced"] is False
    assert agents(neutron)["L3 agent"]["resources_synced"] is True
    neutron.driver.ensure_network(neutron.driver.networks[network["id"]])
    assert agents(neutron)["DHCP agent"]["resources_synced"] is True


def test_agents_are_dead_while_the_machines_network_does_not_answer(neutron: Neutron) -> None:
    assert isinstance(neutron.driver, FakeNetworkDriver)
    neutron.driver.fail_next("check")
    for agent in agents(neutron).values():
        assert agent["alive"] is False
        assert "failure asked for by a test" in agent["description"]
    assert all(agent["alive"] for agent in agents(neutron).values())
