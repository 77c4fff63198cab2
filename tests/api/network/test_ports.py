"""Ports and security groups as clients see and make them."""

from __future__ import annotations

import pytest

from tests.api.network.conftest import MINE, Neutron


def test_a_port_has_mac_address_and_group_at_once(neutron: Neutron) -> None:
    port = neutron.new("port", network_id=neutron.first, name="p1")
    assert port["mac_address"].startswith("fa:16:3e:")
    assert [fixed["ip_address"] for fixed in port["fixed_ips"]] == ["10.1.0.2"]
    assert (port["status"], port["project_id"]) == ("DOWN", MINE)
    groups = neutron.get("/v2.0/security-groups")["security_groups"]
    assert port["security_groups"] == [group["id"] for group in groups if group["name"] == "default"]


def test_an_address_asked_for_is_given_once(neutron: Neutron) -> None:
    wanted = {"network_id": neutron.first, "fixed_ips": [{"ip_address": "10.1.0.77"}]}
    assert neutron.new("port", **wanted)["fixed_ips"][0]["ip_address"] == "10.1.0.77"
    answer = neutron.call("POST", "/v2.0/ports", {"port": wanted})
    assert answer.status_code == 409
    assert "10.1.0.77" in answer.text


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ({"fixed_ips": [{"ip_address": "10.9.9.9"}]}, 400),
        ({"fixed_ips": [{"ip_address": "10.1.0.255"}]}, 400),
        ({"fixed_ips": [{"ip_address": "10.1.0.1"}]}, 409),
        ({"fixed_ips": [{}, {}]}, 501),
        ({"mac_address": "01:00:5e:00:00:01"}, 400),
        ({"mac_address": "fa:16:3e:00:00:01\n"}, 400),
        ({"network_id": "00000000-0000-4000-8000-000000000000"}, 404),
        ({"security_groups": ["unknown"]}, 400),
        ({"port_security_enabled": False}, 501),
        ({"allowed_address_pairs": [{"ip_address": "10.1.0.0/24"}]}, 501),
    ],
)
def test_a_port_that_cannot_be_is_refused(neutron: Neutron, field: dict[str, object], status: int) -> None:
    answer = neutron.call("POST", "/v2.0/ports", {"port": {"network_id": neutron.first, **field}})
    assert answer.status_code == status, answer.text
    assert neutron.get("/v2.0/ports")["ports"] == []


def test_ports_are_found_by_device_and_address(neutron: Neutron) -> None:
    neutron.new("port", network_id=neutron.first, name="one", device_id="server-1")
    two = neutron.new("port", network_id=neutron.first, name="two")
    address = two["fixed_ips"][0]["ip_address"]
    assert neutron.names("ports", "device_id=server-1") == ["one"]
    assert neutron.names("ports", f"fixed_ips=ip_address%3D{address}") == ["two"]
    assert neutron.names("ports", "fixed_ips=ip_address%3D10.1.0.200") == []
    assert neutron.names("ports", f"tenant_id={MINE}&name=two") == ["two"]
    assert neutron.names("ports", "status=DOWN") == ["one", "two"]


def test_ports_of_other_projects_are_not_there(neutron: Neutron) -> None:
    port = neutron.new("port", network_id=neutron.first)
    assert neutron.get("/v2.0/ports", who="other")["ports"] == []
    assert neutron.call("GET", f"/v2.0/ports/{port['id']}", who="other").status_code == 404
    assert neutron.call("DELETE", f"/v2.0/ports/{port['id']}", who="other").status_code == 404


def test_a_port_is_changed_and_deleted(neutron: Neutron) -> None:
    port = neutron.new("port", network_id=neutron.first)
    path = f"/v2.0/ports/{port['id']}"
    changed = neutron.call("PUT", path, {"port": {"name": "new", "security_groups": []}})
    assert (changed.json["port"]["name"], changed.json["port"]["security_groups"]) == ("new", [])
    assert neutron.call("PUT", path, {"port": {"device_id": "server-1"}}).status_code == 501
    assert neutron.call("DELETE", path).status_code == 204
    assert neutron.new("port", network_id=neutron.first)["fixed_ips"] == port["fixed_ips"], "the address is free"


def test_a_port_of_a_server_is_not_deleted(neutron: Neutron) -> None:
    port = neutron.new("port", network_id=neutron.first, device_id="server-1")
    answer = neutron.call("DELETE", f"/v2.0/ports/{port['id']}")
    assert answer.status_code == 409
    assert "server-1" in answer.text


def test_each_project_has_its_default_group(neutron: Neutron) -> None:
    mine = neutron.get("/v2.0/security-groups")["security_groups"]
    others = neutron.get("/v2.0/security-groups", who="other")["security_groups"]
    assert [group["name"] for group in mine + others] == ["default", "default"]
    assert mine[0]["id"] != others[0]["id"]
    assert neutron.call("GET", f"/v2.0/security-groups/{mine[0]['id']}", who="other").status_code == 404
    assert len(neutron.get("/v2.0/security-group-rules")["security_group_rules"]) == 4
    assert neutron.get("/v2.0/security-groups")["security_groups"][0]["id"] == mine[0]["id"]
