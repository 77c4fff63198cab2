"""Routers and floating addresses over HTTP, as Neutron's clients and Tempest's isolated networks use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from novalite.cloud.network import routing
from novalite.context import internal
from novalite.drivers.network.base import RouterSpec
from tests.api.network.conftest import Neutron

ROUTERS, FLOATING = "/v2.0/routers", "/v2.0/floatingips"


@dataclass
class Site:
    """An external network, and a member's own network with its router between them."""

    neutron: Neutron
    public: dict[str, Any]
    network: dict[str, Any]
    subnet: dict[str, Any]
    router: dict[str, Any]

    def port(self, **more: Any) -> dict[str, Any]:
        return self.neutron.new("port", network_id=self.network["id"], **more)

    def floating(self, **more: Any) -> dict[str, Any]:
        return self.neutron.new("floatingip", floating_network_id=self.public["id"], **more)

    def change(self, path: str, key: str, *, who: str = "member", **fields: Any) -> Any:
        return self.neutron.call("PUT", path, {key: fields}, who=who)

    def interface(self, verb: str, **fields: Any) -> Any:
        path = f"{ROUTERS}/{self.router['id']}/{verb}_router_interface"
        return self.neutron.call("PUT", path, fields)

    def told(self) -> tuple[RouterSpec, ...]:
        with self.neutron.database.read(internal()) as w:
            return routing.specs(w)


@pytest.fixture
def site(neutron: Neutron) -> Site:
    public = neutron.new("network", name="public", **{"router:external": True}, who="admin")
    neutron.new("subnet", network_id=public["id"], cidr="10.9.0.0/28", who="admin")
    network = neutron.new("network", name="mine")
    subnet = neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    router = neutron.new("router", name="r", external_gateway_info={"network_id": public["id"]})
    found = Site(neutron, public, network, subnet, router)
    answer = found.interface("add", subnet_id=subnet["id"])
    assert answer.status_code == 200, answer.text
    return found


def test_a_router_is_shown_with_its_gateway(site: Site) -> None:
    shown = site.neutron.get(f"{ROUTERS}/{site.router['id']}")["router"]
    info = shown["external_gateway_info"]
    assert (info["network_id"], info["enable_snat"]) == (site.public["id"], True)
    assert info["external_fixed_ips"][0]["ip_address"].startswith("10.9.0.")
    assert (shown["status"], shown["admin_state_up"], shown["routes"]) == ("ACTIVE", True, [])
    assert "distributed" not in shown
    assert "distributed" in site.neutron.get(f"{ROUTERS}/{site.router['id']}", who="admin")["router"]
    assert site.neutron.names("routers", "name=r") == ["r"]


def test_the_machine_is_told_of_routers_that_are_up(site: Site) -> None:
    (told,) = site.told()
    (card,), gateway = told.interfaces, told.gateway
    assert (card.network_id, card.addresses) == (site.network["id"], ("10.2.0.1/24",))
    assert gateway is not None
    assert (gateway.network_id, gateway.addresses, told.next_hops) == (
        site.public["id"], ("10.9.0.2/28",), ("10.9.0.1",)
    )  # fmt: skip
    site.change(f"{ROUTERS}/{site.router['id']}", "router", admin_state_up=False)
    assert site.told() == ()


def test_a_router_is_changed_and_loses_its_gateway(site: Site) -> None:
    path = f"{ROUTERS}/{site.router['id']}"
    changed = site.change(path, "router", name="new", external_gateway_info={}).json["router"]
    assert (changed["name"], changed["external_gateway_info"]) == ("new", None)
    assert site.told()[0].gateway is None
    again = site.change(path, "router", external_gateway_info={"network_id": site.public["id"]}).json["router"]
    assert again["external_gateway_info"]["network_id"] == site.public["id"]
    for bad, status in (({"network_id": site.network["id"]}, 400), ({"network_id": str(uuid4())}, 404),
                        ({"enable_snat": False}, 400)):  # fmt: skip
        assert site.change(path, "router", external_gateway_info=bad).status_code == status
    snat = {"network_id": site.public["id"], "enable_snat": False}
    assert site.change(path, "router", external_gateway_info=snat).status_code == 403
    shown = site.change(path, "router", who="admin", external_gateway_info=snat).json["router"]
    assert shown["external_gateway_info"]["enable_snat"] is False


def test_a_subnet_is_joined_once_and_left(site: Site) -> None:
    assert site.interface("add", subnet_id=site.subnet["id"]).status_code == 400
    (port,) = site.neutron.ports(f"device_id={site.router['id']}&network_id={site.network['id']}")
    assert (port["device_owner"], port["fixed_ips"][0]["ip_address"]) == ("network:router_interface", "10.2.0.1")
    assert site.neutron.call("DELETE", f"/v2.0/ports/{port['id']}").status_code == 409
    assert site.neutron.call("DELETE", f"/v2.0/subnets/{site.subnet['id']}").status_code == 409
    assert site.neutron.call("DELETE", f"{ROUTERS}/{site.router['id']}").status_code == 409
    left = site.interface("remove", subnet_id=site.subnet["id"])
    assert (left.status_code, left.json["port_id"], left.json["subnet_ids"]) == (200, port["id"], [site.subnet["id"]])
    assert site.interface("remove", subnet_id=site.subnet["id"]).status_code == 404
    assert site.interface("add", subnet_id=site.subnet["id"]).status_code == 200, "the gateway address is free again"


def test_a_network_is_joined_by_a_port_too(site: Site) -> None:
    second = site.neutron.new("network", name="second")
    site.neutron.new("subnet", network_id=second["id"], cidr="10.3.0.0/24")
    port = site.neutron.new("port", network_id=second["id"])
    assert site.interface("add", port_id=port["id"], subnet_id=site.subnet["id"]).status_code == 400
    assert site.interface("add").status_code == 400
    assert site.interface("add", port_id=str(uuid4())).status_code == 404
    assert site.interface("add", port_id=port["id"]).json["port_id"] == port["id"]
    assert {card.network_id for card in site.told()[0].interfaces} == {site.network["id"], second["id"]}
    used = site.port(device_id="server-1")
    assert site.interface("add", port_id=used["id"]).status_code in (400, 409)
    assert site.interface("remove", port_id=port["id"]).status_code == 200
    assert site.neutron.call("GET", f"/v2.0/ports/{port['id']}").status_code == 404


def test_everything_is_taken_down_again(site: Site) -> None:
    """What Tempest does at the end of each class, and nothing is left."""
    floating = site.floating()
    for method, path in (
        ("DELETE", f"{FLOATING}/{floating['id']}"),
        ("PUT", f"{ROUTERS}/{site.router['id']}/remove_router_interface"),
        ("DELETE", f"{ROUTERS}/{site.router['id']}"),
        ("DELETE", f"/v2.0/subnets/{site.subnet['id']}"),
        ("DELETE", f"/v2.0/networks/{site.network['id']}"),
    ):
        body = {"subnet_id": site.subnet["id"]} if method == "PUT" else None
        assert site.neutron.call(method, path, body).status_code in (200, 204), path
    assert site.neutron.ports(who="admin") == []
    assert site.told() == ()
    for path in (f"/v2.0/subnets/{site.neutron.get('/v2.0/subnets', who='admin')['subnets'][-1]['id']}",
                 f"/v2.0/networks/{site.public['id']}"):  # fmt: skip
        assert site.neutron.call("DELETE", path, who="admin").status_code == 204


def test_a_floating_address_leads_to_a_port_and_back(site: Site) -> None:
    port, floating = site.port(name="p"), site.floating(description="mine")
    assert (floating["status"], floating["port_id"], floating["description"]) == ("DOWN", None, "mine")
    path = f"{FLOATING}/{floating['id']}"
    led = site.change(path, "floatingip", port_id=port["id"]).json["floatingip"]
    fixed = port["fixed_ips"][0]["ip_address"]
    assert (led["status"], led["fixed_ip_address"], led["router_id"]) == ("ACTIVE", fixed, site.router["id"])
    assert led["port_details"]["name"] == "p"
    (told,) = site.told()[0].floating
    assert (told.address, told.fixed_address) == (floating["floating_ip_address"], fixed)
    assert [one["id"] for one in site.neutron.get(f"{FLOATING}?port_id={port['id']}")["floatingips"]] == [led["id"]]
    assert site.change(path, "floatingip", description="x").json["floatingip"]["port_id"] == port["id"]
    freed = site.change(path, "floatingip", port_id=None).json["floatingip"]
    assert (freed["status"], freed["port_id"], freed["fixed_ip_address"], freed["router_id"]) == (
        "DOWN",
        None,
        None,
        None,
    )
    assert site.neutron.call("DELETE", path).status_code == 204
    assert site.neutron.call("GET", path).status_code == 404


def test_a_floating_address_may_be_led_at_once_and_what_needs_it_stays(site: Site) -> None:
    port = site.port()
    floating = site.floating(port_id=port["id"], fixed_ip_address=port["fixed_ips"][0]["ip_address"])
    assert floating["router_id"] == site.router["id"]
    again = {"floatingip": {"floating_network_id": site.public["id"], "port_id": port["id"]}}
    assert site.neutron.call("POST", FLOATING, again).status_code == 409
    assert site.interface("remove", subnet_id=site.subnet["id"]).status_code == 409
    assert site.change(f"{ROUTERS}/{site.router['id']}", "router", external_gateway_info=None).status_code == 409
    assert site.neutron.call("DELETE", f"/v2.0/ports/{port['id']}").status_code == 204
    shown = site.neutron.get(f"{FLOATING}/{floating['id']}")["floatingip"]
    assert (shown["status"], shown["port_id"]) == ("DOWN", None), "it outlives its port"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"floating_network_id": "NETWORK"}, 400),
        ({"floating_network_id": str(uuid4())}, 404),
        ({"floating_network_id": "x"}, 400),
        ({"floating_network_id": "PUBLIC", "port_id": str(uuid4())}, 404),
        ({"floating_network_id": "PUBLIC", "floating_ip_address": "10.9.0.9"}, 403),
        ({"floating_network_id": "PUBLIC", "surprise": 1}, 400),
        ({}, 400),
    ],
)
def test_a_floating_address_that_cannot_be_is_refused(site: Site, fields: dict[str, Any], status: int) -> None:
    known = {"NETWORK": site.network["id"], "PUBLIC": site.public["id"]}
    asked = {name: known.get(str(value), value) for name, value in fields.items()}
    assert site.neutron.call("POST", FLOATING, {"floatingip": asked}).status_code == status
    assert site.neutron.get(FLOATING)["floatingips"] == []


def test_there_must_be_a_router_between_them(site: Site) -> None:
    lonely = site.neutron.new("network", name="lonely")
    site.neutron.new("subnet", network_id=lonely["id"], cidr="10.4.0.0/24")
    port = site.neutron.new("port", network_id=lonely["id"])
    asked = {"floatingip": {"floating_network_id": site.public["id"], "port_id": port["id"]}}
    assert site.neutron.call("POST", FLOATING, asked).status_code == 404
    assert site.neutron.get(FLOATING)["floatingips"] == []


def test_addresses_run_out(site: Site) -> None:
    for _ in range(11):  # of 14: the machine, the router and the network's own port have one
        site.floating()
    answer = site.neutron.call("POST", FLOATING, {"floatingip": {"floating_network_id": site.public["id"]}})
    assert (answer.status_code, "No more IP addresses" in answer.text) == (409, True)
    assert len(site.neutron.get(FLOATING)["floatingips"]) == 11


def test_routers_and_floating_addresses_are_counted(site: Site) -> None:
    project = site.router["project_id"]
    site.change(f"/v2.0/quotas/{project}", "quota", who="admin", router=1, floatingip=0)
    for kind, fields in (("router", {}), ("floatingip", {"floating_network_id": site.public["id"]})):
        answer = site.neutron.call("POST", f"/v2.0/{kind}s", {kind: fields})
        assert (answer.status_code, kind in answer.text) == (409, True)


def test_others_see_none_of_it_and_readers_change_nothing(site: Site) -> None:
    floating = site.floating()
    for path in (f"{ROUTERS}/{site.router['id']}", f"{FLOATING}/{floating['id']}"):
        for method in ("GET", "DELETE"):
            assert site.neutron.call(method, path, who="other").status_code == 404
        assert site.neutron.call("DELETE", path, who="reader").status_code == 403
        assert site.neutron.call("GET", path, who="reader").status_code == 200
    assert site.neutron.get(ROUTERS, who="other")["routers"] == []
    assert site.neutron.get(FLOATING, who="other")["floatingips"] == []
    other = {"port_id": site.port()["id"]}
    mine = site.neutron.new("floatingip", floating_network_id=site.public["id"], who="other")
    assert site.change(f"{FLOATING}/{mine['id']}", "floatingip", who="other", **other).status_code == 404


def _routes(site: Site, *routes: tuple[str, str], verb: str = "", who: str = "member") -> Any:
    body = {"router": {"routes": [{"destination": to, "nexthop": by} for to, by in routes]}}
    path = f"{ROUTERS}/{site.router['id']}" + (f"/{verb}_extraroutes" if verb else "")
    return site.neutron.call("PUT", path, body, who=who)


def test_static_routes_lead_by_hosts_on_the_routers_subnets(site: Site) -> None:
    answer = _routes(site, ("192.0.2.0/24", "10.2.0.9"), ("198.51.100.0/24", "10.9.0.5"))
    assert answer.status_code == 200, answer.text
    assert answer.json["router"]["routes"] == [
        {"destination": "192.0.2.0/24", "nexthop": "10.2.0.9"},
        {"destination": "198.51.100.0/24", "nexthop": "10.9.0.5"},
    ]
    assert site.told()[0].routes == (("192.0.2.0/24", "10.2.0.9"), ("198.51.100.0/24", "10.9.0.5"))
    left = site.interface("remove", subnet_id=site.subnet["id"])
    assert (left.status_code, "required by one or more routes" in left.text) == (409, True)
    gone = site.change(f"{ROUTERS}/{site.router['id']}", "router", external_gateway_info=None)
    assert gone.status_code == 409
    assert _routes(site).json["router"]["routes"] == []
    assert site.interface("remove", subnet_id=site.subnet["id"]).status_code == 200


@pytest.mark.parametrize(
    ("to", "by", "why"),
    [
        ("192.0.2.0/24", "10.77.0.9", "the nexthop is not connected with router"),
        ("192.0.2.0/24", "10.2.0.1", "the nexthop is used by router"),
        ("192.0.2.0/24", "x", "routes"),
        ("x", "10.2.0.9", "routes"),
        ("2001:db8::/64", "10.2.0.9", "IP version"),
    ],
)
def test_a_route_that_leads_nowhere_is_refused(site: Site, to: str, by: str, why: str) -> None:
    """A router that is its own next hop would be a loop."""
    for verb in ("", "add"):
        answer = _routes(site, (to, by), verb=verb)
        assert (answer.status_code, why in answer.text) == (400, True), answer.text
    assert site.told()[0].routes == ()


def test_routes_are_added_and_removed_one_by_one(site: Site) -> None:
    first, second = ("192.0.2.0/24", "10.2.0.9"), ("198.51.100.0/24", "10.2.0.9")
    _routes(site, first)
    assert len(_routes(site, first, second, verb="add").json["router"]["routes"]) == 2
    assert len(_routes(site, first, ("203.0.113.0/24", "10.2.0.9"), verb="remove").json["router"]["routes"]) == 1
    assert site.told()[0].routes == (second,)
    assert _routes(site, first, first).status_code == 400, "the same twice"
    many = [(f"192.0.{number}.0/24", "10.2.0.9") for number in range(31)]
    assert _routes(site, *many).status_code == 400
    assert _routes(site, first, verb="add", who="other").status_code == 404
    assert _routes(site, first, verb="add", who="reader").status_code == 403


def test_ranges_on_one_router_do_not_overlap(site: Site) -> None:
    other = site.neutron.new("network", name="other")
    beside = site.neutron.new("subnet", network_id=other["id"], cidr="10.2.0.0/25")
    answer = site.interface("add", subnet_id=beside["id"])
    assert (answer.status_code, "overlaps with cidr 10.2.0.0/24" in answer.text) == (400, True)
    outside = site.neutron.new("network", name="o2")
    like_the_gateway = site.neutron.new("subnet", network_id=outside["id"], cidr="10.9.0.0/24")
    assert site.interface("add", subnet_id=like_the_gateway["id"]).status_code == 400
    port = site.neutron.new("port", network_id=other["id"])
    assert site.interface("add", port_id=port["id"]).status_code == 400
    assert len(site.told()[0].interfaces) == 1


def test_ipv6_subnets_of_a_network_share_a_port(site: Site) -> None:
    six = [
        site.neutron.new("subnet", network_id=site.network["id"], ip_version=6, cidr=f"2001:db8:{number}::/64",
                         ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
        for number in (1, 2)
    ]  # fmt: skip
    first, second = (site.interface("add", subnet_id=subnet["id"]) for subnet in six)
    assert (first.status_code, second.status_code) == (200, 200), second.text
    assert first.json["port_id"] == second.json["port_id"]
    assert second.json["subnet_ids"] == [six[1]["id"]]
    (told,) = site.told()
    assert sorted(card.addresses for card in told.interfaces) == [
        ("10.2.0.1/24",), ("2001:db8:1::1/64", "2001:db8:2::1/64"),
    ]  # fmt: skip
    extra = site.port(fixed_ips=[{"subnet_id": six[0]["id"]}])
    assert site.interface("add", port_id=extra["id"]).status_code == 400
    assert site.interface("remove", subnet_id=six[0]["id"]).json["port_id"] == first.json["port_id"]
    assert site.neutron.call("GET", f"/v2.0/ports/{first.json['port_id']}").status_code == 200, "it has the other"
    assert site.interface("remove", subnet_id=six[1]["id"]).status_code == 200
    assert site.neutron.call("GET", f"/v2.0/ports/{first.json['port_id']}").status_code == 404


def test_a_port_that_is_not_on_the_subnet_is_not_removed_for_it(site: Site) -> None:
    (port,) = site.neutron.get(f"/v2.0/ports?device_id={site.router['id']}&device_owner=network:router_interface")[
        "ports"
    ]
    other = site.neutron.new("subnet", network_id=site.network["id"], cidr="10.12.0.0/24")
    assert site.interface("remove", subnet_id=other["id"], port_id=port["id"]).status_code == 400
    assert site.interface("remove", subnet_id=site.subnet["id"], port_id=port["id"]).status_code == 200


def test_a_gateway_has_an_address_of_each_version_or_those_asked_for(site: Site) -> None:
    site.neutron.new("subnet", network_id=site.public["id"], ip_version=6, cidr="2001:db8:9::/64", who="admin")
    router = site.neutron.new("router", name="two", external_gateway_info={"network_id": site.public["id"]})
    given = [one["ip_address"] for one in router["external_gateway_info"]["external_fixed_ips"]]
    assert sorted(":" in address for address in given) == [False, True]
    path = f"{ROUTERS}/{router['id']}"
    wanted = {"network_id": site.public["id"], "external_fixed_ips": [{"ip_address": "10.9.0.12"}]}
    assert site.change(path, "router", external_gateway_info=wanted).status_code == 403
    changed = site.change(path, "router", who="admin", external_gateway_info=wanted)
    assert changed.status_code == 200, changed.text
    moved = changed.json["router"]["external_gateway_info"]["external_fixed_ips"]
    assert [one["ip_address"] for one in moved] == ["10.9.0.12"]
    taken = {"network_id": site.public["id"], "external_fixed_ips": [{"ip_address": "10.9.0.12"}]}
    answer = site.neutron.call("POST", ROUTERS, {"router": {"external_gateway_info": taken}}, who="admin")
    assert answer.status_code == 409


def test_a_floating_address_is_of_ipv4_and_of_the_subnet_asked_for(site: Site) -> None:
    six = site.neutron.new("subnet", network_id=site.public["id"], cidr="2001:db8:9::/64", who="admin")
    second = site.neutron.new("subnet", network_id=site.public["id"], cidr="10.19.0.0/28", who="admin")
    assert site.floating(subnet_id=second["id"])["floating_ip_address"].startswith("10.19.0.")
    assert all(":" not in site.floating()["floating_ip_address"] for _ in range(15)), (
        "the second when the first is full"
    )
    asked = {"floatingip": {"floating_network_id": site.public["id"], "subnet_id": six["id"]}}
    assert site.neutron.call("POST", FLOATING, asked).status_code == 400


def test_a_router_that_joins_nothing_yet_is_made_on_the_machine_too(neutron: Neutron) -> None:
    router = neutron.new("router", name="lonely")
    assert neutron.changes.apply()
    assert router["id"] in neutron.driver.routers
