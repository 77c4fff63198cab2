"""Networks and subnets as clients see and make them."""

from __future__ import annotations

import pytest

from tests.api.network.conftest import Neutron


def test_the_version_document_needs_no_token(neutron: Neutron) -> None:
    answer = neutron.get("/", who="")
    assert [version["id"] for version in answer["versions"]] == ["v2.0"]
    assert neutron.call("GET", "/v2.0/networks", who="").status_code == 401


def test_extensions_are_listed_and_probed(neutron: Neutron) -> None:
    aliases = {extension["alias"] for extension in neutron.get("/v2.0/extensions")["extensions"]}
    assert {"security-group", "quotas", "net-mtu"} <= aliases
    assert neutron.get("/v2.0/extensions/quotas")["extension"]["alias"] == "quotas"
    assert neutron.call("GET", "/v2.0/extensions/trunk").status_code == 404


def test_every_project_sees_the_first_network(neutron: Neutron) -> None:
    for who in ("admin", "member", "reader", "other"):
        assert neutron.names("networks", who=who) == ["private"]
    shown = neutron.get(f"/v2.0/networks/{neutron.first}")["network"]
    assert shown["shared"] is True
    assert shown["router:external"] is False
    assert "provider:network_type" not in shown
    assert "provider:network_type" in neutron.get(f"/v2.0/networks/{neutron.first}", who="admin")["network"]
    subnet = neutron.get(f"/v2.0/subnets/{shown['subnets'][0]}")["subnet"]
    assert subnet["gateway_ip"] == "10.1.0.1"
    assert subnet["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.254"}]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=private", ["private"]),
        ("name=nothing", []),
        ("name=nothing&name=private", ["private"]),
        ("shared=True", ["private"]),
        ("shared=False", []),
        ("router:external=true", []),
        ("mtu=1500", ["private"]),
        ("tenant_id=unknown", []),
    ],
)
def test_lists_are_filtered_by_exact_match(neutron: Neutron, query: str, found: list[str]) -> None:
    assert neutron.names("networks", query) == found


def test_fields_cut_the_answer(neutron: Neutron) -> None:
    assert neutron.get("/v2.0/networks?fields=id&fields=name")["networks"] == [{"id": neutron.first, "name": "private"}]


def test_a_name_is_not_an_id(neutron: Neutron) -> None:
    answer = neutron.call("GET", "/v2.0/networks/private")
    assert answer.status_code == 404
    assert answer.json["NeutronError"]["type"] == "NetworkNotFound"


def test_pages_follow_the_marker(neutron: Neutron) -> None:
    for name in ("a", "b", "c"):
        neutron.new("network", name=name)
    first = neutron.get("/v2.0/networks?limit=2&sort_key=name")
    assert [network["name"] for network in first["networks"]] == ["a", "b"]
    following = first["networks_links"][0]["href"].partition("/network/")[2]
    assert [network["name"] for network in neutron.get(f"/{following}")["networks"]] == ["c", "private"]
    assert neutron.call("GET", "/v2.0/networks?marker=nothing").status_code == 400


def test_a_network_with_a_subnet_is_made_on_the_machine(neutron: Neutron) -> None:
    network = neutron.new("network", name="blue")
    assert network["subnets"] == []
    assert network["id"] not in neutron.driver.networks
    subnet = neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24", ip_version=4,
                         dns_nameservers=["192.0.2.1"])  # fmt: skip
    made = neutron.driver.networks[network["id"]]
    (told,) = made.subnets
    assert (told.cidr, told.gateway_ip, told.dns_servers) == ("10.2.0.0/24", "10.2.0.1", ("192.0.2.1",))
    assert (told.server_ip, made.uplink, made.up) == ("10.2.0.254", None, True)
    assert neutron.names("networks", who="other") == ["private"], "a network belongs to its project"
    assert neutron.call("GET", f"/v2.0/subnets/{subnet['id']}", who="other").status_code == 404
    assert neutron.call("DELETE", f"/v2.0/networks/{network['id']}", who="other").status_code == 404
    assert neutron.call("DELETE", f"/v2.0/networks/{network['id']}").status_code == 204
    assert network["id"] not in neutron.driver.networks
    assert neutron.call("GET", f"/v2.0/networks/{network['id']}").status_code == 404


def test_what_the_machine_refuses_is_tried_again(neutron: Neutron) -> None:
    network = neutron.new("network", name="blue")
    neutron.driver.fail_next("ensure_network")
    neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    assert network["id"] not in neutron.driver.networks
    assert neutron.changes.apply()
    assert network["id"] in neutron.driver.networks


@pytest.mark.parametrize(
    ("subnet", "status", "word"),
    [
        ({"cidr": "10.2.0.1/24"}, 400, "10.2.0.1/24"),
        ({"cidr": "nonsense"}, 400, "nonsense"),
        ({"cidr": "10.2.0.1/24"}, 400, "'10.2.0.0/24' is recommended"),
        ({"cidr": "10.2.0.0/31"}, 400, "incompatible with DHCP"),
        ({"cidr": "10.2.0.0/32"}, 400, "incompatible with DHCP"),
        ({"cidr": "224.0.0.0/24"}, 400, "Multicast"),
        ({"cidr": "169.254.169.0/24"}, 400, "link-local"),
        ({"cidr": "fe80::/64", "ip_version": 6}, 400, "link-local"),
        ({"cidr": "0.0.0.0/0"}, 400, "prefix length"),
        ({"cidr": "fd00::/64", "ip_version": 4}, 400, "ip_version"),
        ({"cidr": "10.2.0.0/24", "ip_version": 6}, 400, "ip_version"),
        ({"cidr": "10.2.0.0/24", "ipv6_ra_mode": "slaac"}, 400, "ip_version is set to 4"),
        ({"cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "enable_dhcp": False}, 400, "enable_dhcp is set to False"),
        ({"cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"}, 400, "same value"),
        ({"cidr": "fd00::/60", "ipv6_address_mode": "slaac"}, 400, "prefix to be /64"),
        ({"cidr": "fd00::/64", "ipv6_address_mode": "x"}, 400, "ipv6_address_mode"),
        ({"cidr": "fd00::/64", "gateway_ip": "10.2.0.1"}, 400, "gateway_ip"),
        ({"cidr": "fd00::/64", "dns_nameservers": ["192.0.2.1"]}, 400, "dns_nameservers"),
        ({"cidr": "10.2.0.0/24", "gateway_ip": "10.3.0.1"}, 400, "10.3.0.1"),
        ({"cidr": "10.2.0.0/24", "allocation_pools": [{"start": "10.2.0.9", "end": "10.2.0.3"}]}, 400, "pool"),
        ({"cidr": "10.2.0.0/24", "allocation_pools": [{"start": "10.2.0.9", "end": "10.2.1.3"}]}, 400, "spans beyond"),
        ({"cidr": "10.2.0.0/24", "allocation_pools": [{"start": "10.2.0.1", "end": "10.2.0.9"}]}, 409, "conflicts"),
        (
            {
                "cidr": "10.2.0.0/24",
                "allocation_pools": [
                    {"start": "10.2.0.4", "end": "10.2.0.9"},
                    {"start": "10.2.0.9", "end": "10.2.0.20"},
                ],
            },
            409,
            "overlapping",
        ),
        ({"cidr": "10.2.0.0/24", "host_routes": [{"destination": "0.0.0.0/0"}]}, 400, "nexthop"),
        ({"cidr": "10.2.0.0/24", "host_routes": [{"destination": "x", "nexthop": "10.2.0.2"}]}, 400, "host_routes"),
        ({"cidr": "10.2.0.0/24", "dns_nameservers": ["1.1.1.1\n"]}, 400, "dns_nameservers"),
        ({"cidr": "10.2.0.0/24", "surprise": 1}, 400, "surprise"),
    ],
)
def test_a_subnet_that_cannot_be_is_refused(
    neutron: Neutron, subnet: dict[str, object], status: int, word: str
) -> None:
    network = neutron.new("network", name="blue")
    answer = neutron.call("POST", "/v2.0/subnets", {"subnet": {"network_id": network["id"], **subnet}})
    assert answer.status_code == status, answer.text
    assert word in answer.text


def test_a_network_with_ports_stays(neutron: Neutron) -> None:
    network = neutron.new("network", name="blue")
    subnet = neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    port = neutron.new("port", network_id=network["id"])
    assert neutron.call("DELETE", f"/v2.0/networks/{network['id']}").status_code == 409
    assert neutron.call("DELETE", f"/v2.0/subnets/{subnet['id']}").status_code == 409
    assert network["id"] in neutron.driver.networks
    assert [one["device_owner"] for one in neutron.get(f"/v2.0/ports?network_id={network['id']}")["ports"]] == [
        "network:dhcp", ""]  # fmt: skip
    assert neutron.call("DELETE", f"/v2.0/ports/{port['id']}").status_code == 204
    assert neutron.call("DELETE", f"/v2.0/subnets/{subnet['id']}").status_code == 204
    assert neutron.call("DELETE", f"/v2.0/networks/{network['id']}").status_code == 204


def test_a_removal_that_the_machine_refuses_is_repeated(neutron: Neutron) -> None:
    network = neutron.new("network", name="blue")
    neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    neutron.driver.fail_next("remove_network")
    assert neutron.call("DELETE", f"/v2.0/networks/{network['id']}").status_code == 204
    answer = neutron.call("POST", "/v2.0/ports", {"port": {"network_id": network["id"]}})
    assert answer.status_code == 404, "nothing new comes onto a network that is gone"
    assert neutron.changes.apply()
    assert network["id"] not in neutron.driver.networks


def test_renaming_is_for_owners(neutron: Neutron) -> None:
    path = f"/v2.0/networks/{neutron.first}"
    assert neutron.call("PUT", path, {"network": {"name": "mine"}}, who="other").status_code == 404
    assert neutron.call("PUT", path, {"network": {"name": "mine"}}, who="reader").status_code == 403
    answer = neutron.call("PUT", path, {"network": {"name": "main", "description": "the first"}})
    assert answer.status_code == 200
    assert (answer.json["network"]["name"], answer.json["network"]["revision_number"]) == ("main", 1)


@pytest.mark.parametrize(
    "field",
    [{"vlan_transparent": True}],
)  # fmt: skip
def test_what_is_not_offered_is_said(neutron: Neutron, field: dict[str, object]) -> None:
    answer = neutron.call("POST", "/v2.0/networks", {"network": {"name": "x", **field}}, who="admin")
    assert answer.status_code == 501
    assert next(iter(field)) in answer.text


def test_only_administrators_share(neutron: Neutron) -> None:
    body = {"network": {"name": "all", "shared": True}}
    assert neutron.call("POST", "/v2.0/networks", body).status_code == 403
    assert neutron.call("POST", "/v2.0/networks", body, who="admin").status_code == 201


def test_what_clients_ask_on_their_way_is_answered(neutron: Neutron) -> None:
    for path in ("floatingips", "routers", "subnetpools"):
        assert neutron.get(f"/v2.0/{path}") == {path: []}
    assert neutron.get("/v2.0/availability_zones")["availability_zones"][0]["name"] == "nova"
    assert neutron.call("GET", "/v2.0/floatingips/10.0.0.1").status_code == 404


def test_quotas_tell_what_is_used(neutron: Neutron) -> None:
    project = "11111111-2222-3333-4444-555555555555"
    neutron.new("port", network_id=neutron.first)  # beside the one that the network has itself
    assert neutron.get(f"/v2.0/quotas/{project}")["quota"]["network"] == 100
    assert neutron.get(f"/v2.0/quotas/{project}/details.json")["quota"]["port"] == {
        "limit": 500, "used": 2, "reserved": 0}  # fmt: skip
    assert neutron.call("GET", f"/v2.0/quotas/{project}", who="other").status_code == 403


def test_administrators_set_quotas_and_take_them_back(neutron: Neutron) -> None:
    path = "/v2.0/quotas/11111111-2222-3333-4444-555555555555"
    assert neutron.call("PUT", path, {"quota": {"port": 1}}).status_code == 403
    changed = neutron.call("PUT", path, {"quota": {"port": 2, "router": "-1"}}, who="admin").json["quota"]
    assert (changed["port"], changed["router"]) == (2, -1)
    neutron.new("port", network_id=neutron.first)
    refused = neutron.call("POST", "/v2.0/ports", {"port": {"network_id": neutron.first}})
    assert (refused.status_code, "['port']" in refused.text) == (409, True)
    for bad in ({"pigs": 1}, {"port": -2}, {"port": "x"}):
        assert neutron.call("PUT", path, {"quota": bad}, who="admin").status_code == 400
    assert neutron.call("DELETE", path, who="admin").status_code == 204
    assert neutron.get(path)["quota"] == neutron.get(f"{path}/default")["quota"]


def test_networks_and_subnets_are_made_many_at_once(neutron: Neutron) -> None:
    made = neutron.call("POST", "/v2.0/networks", {"networks": [{"name": "one"}, {"name": "two"}]}).json["networks"]
    asked = [{"network_id": network["id"], "cidr": f"10.{20 + place}.0.0/24"} for place, network in enumerate(made)]
    subnets = neutron.call("POST", "/v2.0/subnets", {"subnets": asked})
    assert [subnet["cidr"] for subnet in subnets.json["subnets"]] == ["10.20.0.0/24", "10.21.0.0/24"]
    third = neutron.new("network", name="three")
    overlapping = [
        {"network_id": third["id"], "cidr": "10.30.0.0/24"},
        {"network_id": made[0]["id"], "cidr": "10.20.0.128/25"},
    ]
    refused = neutron.call("POST", "/v2.0/subnets", {"subnets": overlapping})
    assert (refused.status_code, "overlaps with another subnet" in refused.text) == (400, True)
    assert third["id"] not in neutron.driver.networks, "the one before it went too"
    assert len(neutron.get("/v2.0/subnets")["subnets"]) == 3


def test_what_guests_are_told_changes_with_the_subnet(neutron: Neutron) -> None:
    network = neutron.new("network", name="blue")
    subnet = neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    path = f"/v2.0/subnets/{subnet['id']}"
    change = {
        "name": "new", "dns_nameservers": ["192.0.2.1"], "gateway_ip": "10.2.0.254", "enable_dhcp": False,
        "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.2.0.9"}],
        "allocation_pools": [{"start": "10.2.0.10", "end": "10.2.0.20"}],
    }  # fmt: skip
    changed = neutron.call("PUT", path, {"subnet": change}).json["subnet"]
    assert changed | change == changed
    (told,) = neutron.driver.networks[network["id"]].subnets
    assert (told.gateway_ip, told.dns_servers, told.dhcp) == ("10.2.0.254", ("192.0.2.1",), False)
    assert told.server_ip == "", "nobody serves it"
    assert told.host_routes == (("10.9.0.0/16", "10.2.0.9"),)
    assert neutron.new("port", network_id=network["id"])["fixed_ips"][0]["ip_address"] == "10.2.0.10"
    for bad in ({"gateway_ip": "10.2.0.10"}, {"gateway_ip": "10.3.0.1"}, {"host_routes": [{"nexthop": "x"}]}):
        assert neutron.call("PUT", path, {"subnet": bad}).status_code in (400, 409)
    closed = neutron.call("PUT", path, {"subnet": {"gateway_ip": None}}).json["subnet"]
    assert closed["gateway_ip"] is None
    assert neutron.driver.networks[network["id"]].subnets[0].gateway_ip == ""


def test_external_networks_are_made_by_administrators_and_seen_by_all(neutron: Neutron) -> None:
    body = {"network": {"name": "out", "router:external": True}}
    assert neutron.call("POST", "/v2.0/networks", body).status_code == 403
    made = neutron.call("POST", "/v2.0/networks", body, who="admin").json["network"]
    assert made["router:external"] is True
    assert neutron.names("networks", "router:external=True", who="other") == ["out"]
    port = {"port": {"network_id": made["id"]}}
    assert neutron.call("POST", "/v2.0/ports", port, who="other").status_code == 403
