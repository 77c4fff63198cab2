"""The network that a project gets without making one, and how many addresses networks have."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.network import auto_topology, routing
from novalite.context import internal
from tests.api.network.conftest import MINE, OTHERS, WHO, Neutron

TOPOLOGY = "/v2.0/auto-allocated-topology"


@pytest.fixture
def public(neutron: Neutron) -> dict[str, Any]:
    made = neutron.new("network", name="public", **{"router:external": True}, who="admin")
    neutron.new("subnet", network_id=made["id"], cidr="10.9.0.0/24", who="admin")
    return made


def test_a_project_gets_a_network_that_leads_outside_once(neutron: Neutron, public: dict[str, Any]) -> None:
    path = f"{TOPOLOGY}/{MINE}"
    assert neutron.get(f"{path}?fields=dry-run")["auto_allocated_topology"]["id"] == "dry-run=pass"
    assert "auto_allocated_network" not in neutron.names("networks")
    found = neutron.get(path)["auto_allocated_topology"]
    assert neutron.get(path)["auto_allocated_topology"] == found, "no second one"
    network = neutron.get(f"/v2.0/networks/{found['id']}")["network"]
    assert (network["name"], network["project_id"], len(network["subnets"])) == ("auto_allocated_network", MINE, 1)
    with neutron.database.read(internal()) as w:
        (router,) = routing.specs(w)
    assert router.gateway is not None
    assert (router.interfaces[0].network_id, router.gateway.network_id) == (found["id"], public["id"])
    assert neutron.call("DELETE", path).status_code == 204
    assert neutron.call("GET", f"/v2.0/networks/{found['id']}").status_code == 404
    assert neutron.get("/v2.0/routers")["routers"] == []
    assert neutron.call("DELETE", path).status_code == 204
    assert neutron.get(path)["auto_allocated_topology"]["id"] != found["id"], "and again when asked"


def test_the_range_is_of_the_default_pool(neutron: Neutron, public: dict[str, Any]) -> None:
    neutron.new("subnetpool", name="p", prefixes=["10.50.0.0/16"], default_prefixlen=26, is_default=True, shared=True,
                who="admin")  # fmt: skip
    found = neutron.get(f"{TOPOLOGY}/{OTHERS}", who="other")["auto_allocated_topology"]
    (subnet,) = neutron.get(f"/v2.0/subnets?network_id={found['id']}", who="other")["subnets"]
    assert subnet["cidr"] == "10.50.0.0/26"


def test_without_a_way_outside_there_is_none(neutron: Neutron) -> None:
    for query in ("", "?fields=dry-run"):
        answer = neutron.call("GET", f"{TOPOLOGY}/{MINE}{query}")
        assert (answer.status_code, "No default router:external network" in answer.text) == (409, True)
    assert "auto_allocated_network" not in neutron.names("networks")


def test_it_is_the_projects_own(neutron: Neutron, public: dict[str, Any]) -> None:
    assert neutron.call("GET", f"{TOPOLOGY}/{MINE}", who="other").status_code == 403
    assert neutron.call("DELETE", f"{TOPOLOGY}/{MINE}", who="other").status_code == 403
    assert neutron.call("GET", f"{TOPOLOGY}/{MINE}", who="reader").status_code == 403, "it would make one"
    assert neutron.call("GET", f"{TOPOLOGY}/{OTHERS}", who="admin").status_code == 200


def test_what_is_in_use_stays(neutron: Neutron, public: dict[str, Any]) -> None:
    found = neutron.get(f"{TOPOLOGY}/{MINE}")["auto_allocated_topology"]
    port = neutron.new("port", network_id=found["id"])
    assert neutron.call("DELETE", f"{TOPOLOGY}/{MINE}").status_code == 409
    assert len(neutron.get("/v2.0/routers")["routers"]) == 1
    assert neutron.call("DELETE", f"/v2.0/ports/{port['id']}").status_code == 204
    assert neutron.call("DELETE", f"{TOPOLOGY}/{MINE}").status_code == 204


def test_one_external_network_is_the_default(neutron: Neutron, public: dict[str, Any]) -> None:
    second = neutron.new("network", name="second", **{"router:external": True, "is_default": True}, who="admin")
    neutron.new("subnet", network_id=second["id"], cidr="10.19.0.0/24", who="admin")
    assert second["is_default"] is True
    path = f"/v2.0/networks/{public['id']}"
    answer = neutron.call("PUT", path, {"network": {"is_default": True}}, who="admin")
    assert (answer.status_code, second["id"] in answer.text) == (409, True)
    assert neutron.call("PUT", path, {"network": {"is_default": True}}).status_code == 403
    neutron.get(f"{TOPOLOGY}/{MINE}")
    (router,) = neutron.get("/v2.0/routers")["routers"]
    assert router["external_gateway_info"]["network_id"] == second["id"]


def test_administrators_see_how_many_addresses_are_left(neutron: Neutron, public: dict[str, Any]) -> None:
    path = "/v2.0/network-ip-availabilities"
    before = neutron.get(f"{path}/{public['id']}", who="admin")["network_ip_availability"]
    assert (before["network_name"], before["total_ips"]) == ("public", 253)
    neutron.new("floatingip", floating_network_id=public["id"])
    (after,) = neutron.get(f"{path}?network_name=public", who="admin")["network_ip_availabilities"]
    assert after["used_ips"] == before["used_ips"] + 1
    assert after["subnet_ip_availability"][0]["used_ips"] == after["used_ips"]
    (none,) = neutron.get(f"{path}?network_name=public&ip_version=6", who="admin")["network_ip_availabilities"]
    assert (none["total_ips"], none["subnet_ip_availability"]) == (0, [])
    assert neutron.call("GET", path).status_code == 403
    assert neutron.get("/v2.0/service-providers")["service_providers"][0]["service_type"] == "L3_ROUTER_NAT"


def test_a_server_that_asks_for_any_network_gets_the_projects_own(neutron: Neutron, public: dict[str, Any]) -> None:
    """What Compute asks for ``auto``: only a project that sees no network gets a new one."""
    with neutron.database.write(WHO["other"]) as w:
        assert [one.network_id for one in auto_topology.choose(w, "auto")] == [neutron.first], "the shared one"
    change = {"network": {"shared": False}}
    assert neutron.call("PUT", f"/v2.0/networks/{neutron.first}", change, who="admin").status_code == 200
    with neutron.database.write(WHO["other"]) as w:
        (made,) = auto_topology.choose(w, "auto")
    found = neutron.get(f"{TOPOLOGY}/{OTHERS}", who="other")["auto_allocated_topology"]["id"]
    assert made.network_id == found
    with neutron.database.write(WHO["other"]) as w:
        assert [one.network_id for one in auto_topology.choose(w, "auto")] == [found]
        assert auto_topology.choose(w, "none") == []
