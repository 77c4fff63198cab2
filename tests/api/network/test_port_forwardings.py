"""Forwarded ports of floating addresses."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from novalite.drivers.network.base import PortForwardSpec
from tests.api.network.test_routers import FLOATING, Site
from tests.api.network.test_routers import site as site


def _path(floating: dict[str, Any]) -> str:
    return f"{FLOATING}/{floating['id']}/port_forwardings"


def _ask(site: Site, floating: dict[str, Any], port: dict[str, Any], *, who: str = "member", **fields: Any) -> Any:
    asked = {"internal_port_id": port["id"], "protocol": "tcp", "external_port": 8080, "internal_port": 80} | fields
    return site.neutron.call("POST", _path(floating), {"port_forwarding": asked}, who=who)


def test_a_port_of_a_floating_address_leads_to_a_guests(site: Site) -> None:
    floating, port = site.floating(), site.port()
    fixed = port["fixed_ips"][0]["ip_address"]
    answer = _ask(site, floating, port, description="web")
    assert answer.status_code == 201, answer.text
    made = answer.json["port_forwarding"]
    assert made == {
        "id": made["id"], "protocol": "tcp", "description": "web", "internal_port_id": port["id"],
        "internal_ip_address": fixed, "external_port": 8080, "external_port_range": "8080:8080", "internal_port": 80,
        "internal_port_range": "80:80",
    }  # fmt: skip
    address = floating["floating_ip_address"]
    assert site.told()[0].forwards == (PortForwardSpec("tcp", address, 8080, 8080, fixed, 80),)
    shown = site.neutron.get(f"{FLOATING}/{floating['id']}")["floatingip"]
    assert (shown["router_id"], shown["port_id"], len(shown["port_forwardings"])) == (site.router["id"], None, 1)
    one = f"{_path(floating)}/{made['id']}"
    changed = site.change(one, "port_forwarding", internal_port=81, protocol="udp").json["port_forwarding"]
    assert (changed["internal_port"], changed["external_port"], changed["protocol"]) == (81, 8080, "udp")
    assert site.neutron.get(_path(floating))["port_forwardings"] == [changed]
    assert site.neutron.call("DELETE", one).status_code == 204
    assert site.neutron.call("GET", one).status_code == 404
    assert site.told()[0].forwards == ()
    assert site.neutron.get(f"{FLOATING}/{floating['id']}")["floatingip"]["router_id"] is None


def test_ranges_lead_to_ranges_of_the_same_size(site: Site) -> None:
    floating, port = site.floating(), site.port()
    answer = _ranges(site, floating, port, "9000:9009", "90:99")
    assert answer.status_code == 201, answer.text
    made = answer.json["port_forwarding"]
    assert (made["external_port"], made["external_port_range"], made["internal_port_range"]) == (
        None, "9000:9009", "90:99",
    )  # fmt: skip
    for outside, inside, status in (
        ("9100:9109", "90:98", 400), ("9010:9009", "90:91", 400), ("0:1", "1:2", 400), ("70000", "1", 400),
        ("9009:9010", "190:191", 409), ("9100:9101", "99:100", 409), ("x", "1", 400),
    ):  # fmt: skip
        assert _ranges(site, floating, port, outside, inside).status_code == status, (outside, inside)
    assert _ranges(site, floating, port, "9009:9010", "190:191", protocol="udp").status_code == 201


def _ranges(site: Site, floating: dict[str, Any], port: dict[str, Any], outside: str, inside: str,
            protocol: str = "tcp") -> Any:  # fmt: skip
    asked = {"internal_port_id": port["id"], "protocol": protocol, "external_port_range": outside,
             "internal_port_range": inside}  # fmt: skip
    return site.neutron.call("POST", _path(floating), {"port_forwarding": asked})


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"protocol": "icmp"}, 400),
        ({"external_port": 0}, 400),
        ({"external_port_range": "1:2"}, 400),
        ({"internal_port_id": "x"}, 400),
        ({"internal_port_id": str(uuid4())}, 404),
        ({"internal_ip_address": "10.2.0.250"}, 400),
        ({"surprise": 1}, 400),
    ],
)
def test_one_that_cannot_be_is_refused(site: Site, fields: dict[str, Any], status: int) -> None:
    floating, port = site.floating(), site.port()
    assert _ask(site, floating, port, **fields).status_code == status
    assert site.neutron.get(_path(floating))["port_forwardings"] == []


def test_an_address_leads_whole_or_by_ports(site: Site) -> None:
    floating, whole, port = site.floating(), site.floating(), site.port()
    assert _ask(site, floating, port).status_code == 201
    led = site.change(f"{FLOATING}/{floating['id']}", "floatingip", port_id=site.port()["id"])
    assert (led.status_code, "in use by Port Forwarding" in led.text) == (409, True)
    assert site.change(f"{FLOATING}/{whole['id']}", "floatingip", port_id=port["id"]).status_code == 400
    other = site.port()
    assert site.change(f"{FLOATING}/{whole['id']}", "floatingip", port_id=other["id"]).status_code == 200
    assert _ask(site, whole, port, external_port=1).status_code == 409
    assert _ask(site, floating, other, external_port=1).status_code == 409


def test_what_forwards_need_stays_and_they_go_with_their_port(site: Site) -> None:
    floating, port = site.floating(), site.port()
    _ask(site, floating, port)
    assert site.interface("remove", subnet_id=site.subnet["id"]).status_code == 409
    assert site.change(f"/v2.0/routers/{site.router['id']}", "router", external_gateway_info=None).status_code == 409
    assert site.neutron.call("DELETE", f"/v2.0/ports/{port['id']}").status_code == 204
    assert site.neutron.get(_path(floating))["port_forwardings"] == []
    second = site.port()
    _ask(site, floating, second)
    assert site.neutron.call("DELETE", f"{FLOATING}/{floating['id']}").status_code == 204
    assert site.told()[0].forwards == ()


def test_others_have_nothing_of_it(site: Site) -> None:
    floating, port = site.floating(), site.port()
    assert _ask(site, floating, port, who="other").status_code == 404
    assert _ask(site, floating, port, who="reader").status_code == 403
    made = _ask(site, floating, port).json["port_forwarding"]
    assert site.neutron.call("GET", f"{_path(floating)}/{made['id']}", who="other").status_code == 404
    theirs = site.neutron.new("floatingip", floating_network_id=site.public["id"], who="other")
    assert _ask(site, theirs, port, who="other").status_code == 404
