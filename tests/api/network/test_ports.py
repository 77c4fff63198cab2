"""Ports and security groups as clients see and make them."""

from __future__ import annotations

from typing import Any

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
        ({"fixed_ips": [{"ip_address": "10.1.0.7"}] * 2}, 400),
        ({"fixed_ips": [{}] * 6}, 400),
        ({"binding:host_id": "h"}, 403),
        ({"mac_address": "01:00:5e:00:00:01"}, 400),
        ({"mac_address": "fa:16:3e:00:00:01\n"}, 400),
        ({"mac_address": "00:00:00:00:00:00"}, 400),
        ({"allowed_address_pairs": [{"ip_address": "fe80::1%\nx"}]}, 400),
        ({"network_id": "00000000-0000-4000-8000-000000000000"}, 404),
        ({"security_groups": ["unknown"]}, 400),
        ({"device_owner": "network:router_interface"}, 501),
        ({"device_owner": "network:dhcp"}, 501),
        ({"device_owner": "network:mine"}, 403),
        ({"allowed_address_pairs": [{"ip_address": "nonsense"}]}, 400),
        ({"allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:01"}]}, 400),
        ({"allowed_address_pairs": [{"ip_address": "10.1.0.9"}] * 2}, 400),
        ({"allowed_address_pairs": [{"ip_address": f"10.1.0.{n}"} for n in range(11)]}, 400),
        (
            {
                "allowed_address_pairs": [{"ip_address": "10.1.0.9"}],
                "port_security_enabled": False,
                "security_groups": [],
            },
            409,
        ),
        ({"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "a\nb"}]}, 400),
        ({"extra_dhcp_opts": [{"opt_name": "a b", "opt_value": "x"}]}, 400),
        ({"binding:profile": {"a": "b"}}, 403),
        ({"dns_name": "not_a_name"}, 400),
    ],
)
def test_a_port_that_cannot_be_is_refused(neutron: Neutron, field: dict[str, object], status: int) -> None:
    answer = neutron.call("POST", "/v2.0/ports", {"port": {"network_id": neutron.first, **field}})
    assert answer.status_code == status, answer.text
    assert neutron.ports() == []


def test_ports_are_found_by_device_and_address(neutron: Neutron) -> None:
    neutron.new("port", network_id=neutron.first, name="one", device_id="server-1")
    two = neutron.new("port", network_id=neutron.first, name="two")
    address = two["fixed_ips"][0]["ip_address"]
    assert neutron.names("ports", "device_id=server-1") == ["one"]
    assert neutron.names("ports", f"fixed_ips=ip_address%3D{address}") == ["two"]
    assert neutron.names("ports", "fixed_ips=ip_address%3D10.1.0.200") == []
    assert neutron.names("ports", f"tenant_id={MINE}&name=two") == ["two"]
    assert neutron.names("ports", "status=DOWN") == ["one", "two"]
    assert neutron.names("ports", "fixed_ips=ip_address_substr%3D.0.3") == ["two"]
    assert neutron.call("GET", "/v2.0/ports?fixed_ips=mac%3Dx").status_code == 400


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
    led = neutron.call("PUT", path, {"port": {"device_id": "box-1", "device_owner": "mine:box"}}).json["port"]
    assert (led["device_id"], led["device_owner"], led["revision_number"]) == ("box-1", "mine:box", 2)
    assert neutron.call("PUT", path, {"port": {"device_id": "", "device_owner": ""}}).status_code == 200
    assert neutron.call("PUT", path, {"port": {"device_owner": "network:dhcp"}}).status_code == 501
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


def test_only_who_owns_a_network_switches_port_security_off(neutron: Neutron) -> None:
    network = neutron.new("network", name="mine")
    neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    port = neutron.new("port", network_id=network["id"], port_security_enabled=False)
    assert (port["port_security_enabled"], port["security_groups"]) == (False, [])
    body = {"port": {"network_id": neutron.first, "port_security_enabled": False}}
    assert neutron.call("POST", "/v2.0/ports", body, who="other").status_code == 403
    guarded = neutron.new("port", network_id=network["id"])
    path = f"/v2.0/ports/{guarded['id']}"
    assert neutron.call("PUT", path, {"port": {"port_security_enabled": False}}).status_code == 409
    change = {"port": {"port_security_enabled": False, "security_groups": []}}
    assert neutron.call("PUT", path, change).json["port"]["port_security_enabled"] is False


def test_ports_are_made_many_at_once_or_none(neutron: Neutron) -> None:
    bare = neutron.new("network", name="bare")
    asked = [{"network_id": neutron.first, "name": "one"}, {"network_id": bare["id"], "name": "two"}]
    made = neutron.call("POST", "/v2.0/ports", {"ports": asked})
    assert made.status_code == 201
    assert [(port["name"], len(port["fixed_ips"])) for port in made.json["ports"]] == [("one", 1), ("two", 0)]
    broken = [{"network_id": neutron.first, "name": "three"}, {"network_id": MINE}]
    assert neutron.call("POST", "/v2.0/ports", {"ports": broken}).status_code == 404
    for body in ({"ports": []}, {"ports": [{"name": "x"}]}, {"ports": asked, "port": asked[0]}, {"ports": "x"}):
        assert neutron.call("POST", "/v2.0/ports", body).status_code == 400
    assert sorted(port["name"] for port in neutron.ports()) == ["one", "two"]


def test_a_port_has_several_addresses_and_changes_them(neutron: Neutron) -> None:
    port = neutron.new("port", network_id=neutron.first, fixed_ips=[{"ip_address": "10.1.0.70"}, {}])  # type: ignore[arg-type]
    path = f"/v2.0/ports/{port['id']}"

    def addresses(wanted: list[str]) -> Any:
        answer = neutron.call("PUT", path, {"port": {"fixed_ips": [{"ip_address": one} for one in wanted]}})
        return [one["ip_address"] for one in answer.json["port"]["fixed_ips"]] if answer.status_code == 200 else answer

    assert len(port["fixed_ips"]) == 2
    assert addresses(["10.1.0.80", "10.1.0.70"]) == ["10.1.0.80", "10.1.0.70"], "in the order asked for"
    other = neutron.new("port", network_id=neutron.first, fixed_ips=[{"ip_address": "10.1.0.90"}])  # type: ignore[arg-type]
    assert other["fixed_ips"]
    assert addresses(["10.1.0.90"]).status_code == 409
    assert addresses(["10.1.0.1"]).status_code == 409
    assert addresses(["10.9.0.1"]).status_code == 400
    assert addresses([]) == []
    assert addresses(["10.1.0.70"]) == ["10.1.0.70"]


def test_administrators_say_where_a_port_is(neutron: Neutron) -> None:
    body = {"port": {"network_id": neutron.first, "binding:host_id": "h"}}
    port = neutron.call("POST", "/v2.0/ports", body, who="admin").json["port"]
    assert (port["binding:host_id"], port["status"]) == ("h", "ACTIVE")
    assert "binding:host_id" not in neutron.get(f"/v2.0/ports/{port['id']}")["port"]
    change = {"port": {"binding:host_id": ""}}
    assert neutron.call("PUT", f"/v2.0/ports/{port['id']}", change).status_code == 403
    changed = neutron.call("PUT", f"/v2.0/ports/{port['id']}", change, who="admin").json["port"]
    assert changed["status"] == "DOWN"


def _plugged(neutron: Neutron, **more: Any) -> dict[str, Any]:
    """A server's port that is plugged in."""
    body = {"network_id": neutron.first, "device_id": "server-1", "device_owner": "compute:nova", **more}
    answer = neutron.call("POST", "/v2.0/ports", {"port": {**body, "binding:host_id": "h"}}, who="admin")
    assert answer.status_code == 201, answer.text
    return dict(answer.json["port"])


def test_what_is_said_of_a_plugged_port_reaches_the_machine(neutron: Neutron) -> None:
    port = _plugged(neutron, dns_name="box")
    path, key = f"/v2.0/ports/{port['id']}", (neutron.first, port["id"])
    change = {
        "allowed_address_pairs": [{"ip_address": "10.1.0.100"}, {"ip_address": "10.9.0.7/16", "mac_address":
                                                                  "FA:16:3E:00:00:09"}],
        "extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "x.efi"},
                            {"opt_name": "dns-server", "opt_value": "fd00::1", "ip_version": 6}],
    }  # fmt: skip
    changed = neutron.call("PUT", path, {"port": change}, who="admin").json["port"]
    assert changed["allowed_address_pairs"] == [
        {"ip_address": "10.1.0.100", "mac_address": port["mac_address"]},
        {"ip_address": "10.9.0.0/16", "mac_address": "fa:16:3e:00:00:09"},
    ]
    told = neutron.driver.ports[key]
    assert told.pairs == (("", "10.1.0.100"), ("fa:16:3e:00:00:09", "10.9.0.0/16"))
    assert told.dhcp_options == (("bootfile-name", "x.efi", 4), ("dns-server", "fd00::1", 6))
    assert (told.hostname, told.up, told.secured) == ("box", True, True)
    fewer = {"admin_state_up": False, "extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": None}]}
    changed = neutron.call("PUT", path, {"port": fewer}, who="admin").json["port"]
    assert [one["opt_name"] for one in changed["extra_dhcp_opts"]] == ["dns-server"]
    assert (changed["status"], neutron.driver.ports[key].up) == ("DOWN", False)
    refused = neutron.call("PUT", path, {"port": {"port_security_enabled": False, "security_groups": []}}, who="admin")
    assert (refused.status_code, "allowed address pairs" in refused.text) == (409, True)


def test_only_who_owns_a_network_allows_more_addresses(neutron: Neutron) -> None:
    body = {"port": {"network_id": neutron.first, "allowed_address_pairs": [{"ip_address": "10.1.0.9"}]}}
    assert neutron.call("POST", "/v2.0/ports", body, who="other").status_code == 403
    assert neutron.call("POST", "/v2.0/ports", body).status_code == 201


def test_administrators_change_a_mac_address_that_is_not_plugged_in(neutron: Neutron) -> None:
    port, other = neutron.new("port", network_id=neutron.first), neutron.new("port", network_id=neutron.first)
    path = f"/v2.0/ports/{port['id']}"
    change = {"port": {"mac_address": "fa:16:3e:00:00:42"}}
    assert neutron.call("PUT", path, change).status_code == 403
    assert neutron.call("PUT", path, change, who="admin").json["port"]["mac_address"] == "fa:16:3e:00:00:42"
    taken = {"port": {"mac_address": other["mac_address"]}}
    assert neutron.call("PUT", path, taken, who="admin").status_code == 409
    bound = neutron.call("PUT", f"/v2.0/ports/{_plugged(neutron)['id']}", taken, who="admin")
    assert (bound.status_code, "port is already bound" in bound.text) == (409, True)


def test_a_port_without_addresses_says_so(neutron: Neutron) -> None:
    assert neutron.new("port", network_id=neutron.first)["ip_allocation"] == "immediate"
    bare = neutron.new("port", network_id=neutron.first, fixed_ips=[])  # type: ignore[arg-type]
    assert (bare["fixed_ips"], bare["ip_allocation"]) == ([], "none")


def test_owners_of_networks_see_the_ports_on_them(neutron: Neutron) -> None:
    guest = neutron.new("port", network_id=neutron.first, name="theirs", who="other")
    assert guest["id"] in [port["id"] for port in neutron.ports()]
    own = [port for port in neutron.get("/v2.0/ports")["ports"] if port["device_owner"] == "network:dhcp"]
    assert (own[0]["status"], own[0]["fixed_ips"][0]["ip_address"]) == ("ACTIVE", "10.1.0.254")


def test_a_networks_own_port_that_is_deleted_is_made_anew(neutron: Neutron) -> None:
    network = neutron.new("network", name="mine")
    subnets = [
        neutron.new("subnet", network_id=network["id"], cidr=cidr)["id"] for cidr in ("10.7.0.0/28", "10.8.0.0/28")
    ]
    query = f"/v2.0/ports?network_id={network['id']}"
    (old,) = neutron.get(query)["ports"]
    assert neutron.call("DELETE", f"/v2.0/ports/{old['id']}", who="other").status_code == 404
    assert neutron.call("DELETE", f"/v2.0/ports/{old['id']}").status_code == 204
    assert neutron.call("GET", f"/v2.0/ports/{old['id']}").status_code == 404
    (new,) = neutron.get(query)["ports"]
    assert new["device_owner"] == "network:dhcp"
    assert {fixed["subnet_id"] for fixed in new["fixed_ips"]} == set(subnets)
    spec = neutron.driver.networks[network["id"]]
    assert {subnet.server_ip for subnet in spec.subnets} == {fixed["ip_address"] for fixed in new["fixed_ips"]}
    assert neutron.call("DELETE", f"/v2.0/networks/{network['id']}").status_code == 204


def test_ports_made_at_once_have_groups_each_by_its_own_security(neutron: Neutron) -> None:
    network = neutron.new("network", name="mine")["id"]
    wanted = [{"network_id": network, "port_security_enabled": secured} for secured in (False, True)]
    made = neutron.call("POST", "/v2.0/ports", {"ports": wanted}).json["ports"]
    assert [len(port["security_groups"]) for port in made] == [0, 1]


def test_only_who_owns_a_network_chooses_the_mac_address_of_a_port(neutron: Neutron) -> None:
    """On a shared network somebody's choice might be the address of what the others depend on."""
    network = neutron.call("POST", "/v2.0/networks", {"network": {"name": "all", "shared": True}}, who="admin").json[
        "network"
    ]
    chosen = {"port": {"network_id": network["id"], "mac_address": "fa:16:3e:00:00:07"}}
    answer = neutron.call("POST", "/v2.0/ports", chosen, who="other")
    assert (answer.status_code, "mac_address" in answer.text) == (403, True)
    assert neutron.call("POST", "/v2.0/ports", chosen, who="admin").status_code == 201
