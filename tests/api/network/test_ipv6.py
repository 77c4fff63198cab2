"""Subnets of IPv6 and several subnets of a network over HTTP, and what the machine is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.network.conftest import Neutron


@pytest.fixture
def network(neutron: Neutron) -> dict[str, Any]:
    return neutron.new("network", name="both")


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateful", "dhcpv6-stateless"])
def test_modes_are_shown_and_told(neutron: Neutron, network: dict[str, Any], mode: str) -> None:
    subnet = neutron.new("subnet", network_id=network["id"], cidr="fd00::/64", ip_version=6, ipv6_ra_mode=mode,
                         ipv6_address_mode=mode, dns_nameservers=["2001:db8::53"],
                         host_routes=[{"destination": "fd09::/48", "nexthop": "fd00::9"}])  # fmt: skip
    assert (subnet["ip_version"], subnet["ipv6_ra_mode"], subnet["ipv6_address_mode"]) == (6, mode, mode)
    assert (subnet["gateway_ip"], subnet["allocation_pools"]) == (
        "fd00::1", [{"start": "fd00::2", "end": "fd00::ffff:ffff:ffff:ffff"}]
    )  # fmt: skip
    (told,) = neutron.driver.networks[network["id"]].subnets
    assert (told.ra_mode, told.address_mode, told.dns_servers) == (mode, mode, ("2001:db8::53",))
    assert told.host_routes == (("fd09::/48", "fd00::9"),)
    port = neutron.new("port", network_id=network["id"], mac_address="fa:16:3e:00:00:01")
    expected = "fd00::2" if mode == "dhcpv6-stateful" else "fd00::f816:3eff:fe00:1"
    assert [one["ip_address"] for one in port["fixed_ips"]] == [expected]
    for change in ({"ipv6_ra_mode": "slaac"}, {"ipv6_address_mode": None}, {"cidr": "fd01::/64"}, {"ip_version": 4}):
        path = f"/v2.0/subnets/{subnet['id']}"
        assert neutron.call("PUT", path, {"subnet": change}).status_code == 400, "not after it was made"
    closed = neutron.call("PUT", f"/v2.0/subnets/{subnet['id']}", {"subnet": {"enable_dhcp": False}})
    assert (closed.status_code, "ipv6 attributes" in closed.text) == (400, True)


@pytest.mark.parametrize(
    "field",
    [
        {"cidr": "fd00::%eth0/64"},
        {"gateway_ip": "fe80::1%eth0"},
        {"dns_nameservers": ["fe80::1%\ndhcp-script=/bin/true"]},
        {"host_routes": [{"destination": "fd09::/48", "nexthop": "fe80::1%\nx"}]},
        {"host_routes": [{"destination": "fd09::%\nx/48", "nexthop": "fd00::9"}]},
        {"allocation_pools": [{"start": "fd00::2%x", "end": "fd00::9%x"}]},
    ],
)
def test_a_zone_which_may_be_any_text_is_refused(
    neutron: Neutron, network: dict[str, Any], field: dict[str, Any]
) -> None:
    body = {"network_id": network["id"], "cidr": "fd00::/64", "ip_version": 6, **field}
    refused = neutron.call("POST", "/v2.0/subnets", {"subnet": body})
    assert (refused.status_code, "%" in refused.text) == (400, True), refused.text


def test_a_zone_is_refused_in_every_other_range(neutron: Neutron) -> None:
    made = neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "g"}})
    group = made.json["security_group"]["id"]
    rule = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv6", "remote_ip_prefix": "fe80::%x/64"}
    router = neutron.new("router", name="r")["id"]
    told = [
        neutron.call("POST", "/v2.0/security-group-rules", {"security_group_rule": rule}),
        neutron.call("POST", "/v2.0/address-groups", {"address_group": {"name": "a", "addresses": ["fe80::%\nx/64"]}}),
        neutron.call("POST", "/v2.0/subnetpools", {"subnetpool": {"name": "p", "prefixes": ["fe80::%\nx/64"]}}),
        neutron.call("PUT", f"/v2.0/routers/{router}", {
            "router": {"routes": [{"destination": "fd09::%\nx/48", "nexthop": "fd00::9"}]}
        }),
    ]  # fmt: skip
    assert [answer.status_code for answer in told] == [400] * 4, [answer.text for answer in told]


def test_a_port_has_addresses_of_both_versions(neutron: Neutron, network: dict[str, Any]) -> None:
    four = neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    six = neutron.new("subnet", network_id=network["id"], cidr="fd00::/64", ip_version=6)
    shown = neutron.get(f"/v2.0/networks/{network['id']}")["network"]["subnets"]
    assert set(shown) == {four["id"], six["id"]}
    port = neutron.new("port", network_id=network["id"], dns_name="box")
    assert port["fixed_ips"] == [
        {"subnet_id": four["id"], "ip_address": "10.2.0.2"},
        {"subnet_id": six["id"], "ip_address": "fd00::2"},
    ]
    assert [one["fqdn"] for one in port["dns_assignment"]] == ["box.openstacklocal."] * 2
    assert neutron.names("ports", "fixed_ips=ip_address%3Dfd00::2") == [""]
    assert neutron.call("DELETE", f"/v2.0/subnets/{six['id']}").status_code == 409
    change = {"port": {"fixed_ips": [{"subnet_id": four["id"]}, {"ip_address": "10.2.0.9"}]}}
    changed = neutron.call("PUT", f"/v2.0/ports/{port['id']}", change).json["port"]
    assert [one["ip_address"] for one in changed["fixed_ips"]] == ["10.2.0.2", "10.2.0.9"]
    assert neutron.call("DELETE", f"/v2.0/subnets/{six['id']}").status_code == 204
    assert [one.cidr for one in neutron.driver.networks[network["id"]].subnets] == ["10.2.0.0/24"]


def test_networks_of_two_projects_may_have_the_same_range(neutron: Neutron, network: dict[str, Any]) -> None:
    neutron.new("subnet", network_id=network["id"], cidr="10.1.0.0/24")
    other = neutron.new("network", name="other", who="other")
    neutron.new("subnet", network_id=other["id"], cidr="10.1.0.0/24", who="other")
    again = {"subnet": {"network_id": network["id"], "cidr": "10.1.0.0/25"}}
    refused = neutron.call("POST", "/v2.0/subnets", again)
    assert (refused.status_code, refused.json["NeutronError"]["message"]) == (
        400,
        f"Invalid input for operation: Requested subnet with cidr: 10.1.0.0/25 for network: {network['id']} overlaps "
        "with another subnet.",
    )


def test_several_pools_are_kept_and_changed(neutron: Neutron, network: dict[str, Any]) -> None:
    pools = [{"start": "10.2.0.10", "end": "10.2.0.12"}, {"start": "10.2.0.20", "end": "10.2.0.22"}]
    subnet = neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24", allocation_pools=pools)
    assert subnet["allocation_pools"] == pools
    path = f"/v2.0/subnets/{subnet['id']}"
    changed = neutron.call("PUT", path, {"subnet": {"allocation_pools": pools[:1]}}).json["subnet"]
    assert (changed["allocation_pools"], changed["revision_number"]) == (pools[:1], 1)
    taken = {"subnet": {"gateway_ip": "10.2.0.11"}}
    refused = neutron.call("PUT", path, taken)
    assert (refused.status_code, refused.json["NeutronError"]["type"]) == (409, "GatewayConflictWithAllocationPools")
    assert "Gateway ip 10.2.0.11 conflicts with allocation pool 10.2.0.10-10.2.0.12" in refused.text


def test_errors_have_neutrons_types(neutron: Neutron, network: dict[str, Any]) -> None:
    subnet = neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/30", enable_dhcp=False)
    port = neutron.new("port", network_id=network["id"])
    body = {"network_id": network["id"]}
    for path, sent, kind in (
        ("ports", {"port": body}, "IpAddressGenerationFailure"),
        ("ports", {"port": {**body, "fixed_ips": [{"ip_address": "10.2.0.2"}]}}, "IpAddressAlreadyAllocated"),
        ("ports", {"port": {**body, "fixed_ips": [{"ip_address": "10.3.0.2"}]}}, "InvalidIpForNetwork"),
        ("ports", {"port": {**body, "mac_address": port["mac_address"]}}, "IpAddressGenerationFailure"),
        ("ports", {"port": {**body, "mac_address": port["mac_address"], "fixed_ips": []}}, "MacAddressInUse"),
        ("subnets", {"subnet": {**body, "cidr": "10.2.0.0/24"}}, "InvalidInput"),
        ("subnets", {"subnet": {**body, "cidr": "nonsense"}}, "HTTPBadRequest"),
    ):
        answer = neutron.call("POST", f"/v2.0/{path}", sent)
        assert answer.json["NeutronError"]["type"] == kind, answer.text
    for path, kind in ((f"subnets/{subnet['id']}", "SubnetInUse"), (f"networks/{network['id']}", "NetworkInUse")):
        answer = neutron.call("DELETE", f"/v2.0/{path}")
        assert (answer.status_code, answer.json["NeutronError"]["type"]) == (409, kind)


def test_a_gateway_that_a_router_has_stays(neutron: Neutron, network: dict[str, Any]) -> None:
    subnet = neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    router = neutron.new("router", name="r")
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    port_id = neutron.call("PUT", path, {"subnet_id": subnet["id"]}).json["port_id"]
    refused = neutron.call("PUT", f"/v2.0/subnets/{subnet['id']}", {"subnet": {"gateway_ip": None}})
    assert (refused.status_code, refused.json["NeutronError"]["message"]) == (
        409,
        f"Current gateway ip 10.2.0.1 already in use by port {port_id}. Unable to update.",
    )


def test_a_port_may_have_the_gateways_address_for_a_router(neutron: Neutron, network: dict[str, Any]) -> None:
    neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    port = neutron.new("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.2.0.1"}])
    router = neutron.new("router", name="r")
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    assert neutron.call("PUT", path, {"port_id": port["id"]}).status_code == 200
    assert neutron.driver.routers[router["id"]].interfaces[0].addresses == ("10.2.0.1/24",)
