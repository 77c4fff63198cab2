"""Ports of the machine that lead to servers: asked for, told to the machine, gone with their server."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.drivers.network.base import HostForwardSpec, PortForwardSpec
from novalite.drivers.network.fake import FakeNetworkDriver
from tests.api.conftest import Appliance, wait_for


def _driver(appliance: Appliance) -> FakeNetworkDriver:
    driver = appliance.built.network._driver  # type: ignore[attr-defined]
    assert isinstance(driver, FakeNetworkDriver)
    return driver


def _server(appliance: Appliance, token: str = "") -> tuple[str, str]:
    """The id of a new server and its address."""
    flavor = appliance.get("/compute/v2.1/flavors", token=token).json["flavors"][0]["id"]
    body = {"server": {"name": "web", "flavorRef": flavor, "imageRef": appliance.image(), "networks": "auto"}}
    made = appliance.post("/compute/v2.1/servers", body, token=token, version="2.37")
    assert made.status_code == 202, made.text
    path = f"/compute/v2.1/servers/{made.json['server']['id']}"
    wait_for(lambda: appliance.get(path, token=token).json["server"]["status"] == "ACTIVE")
    (addresses,) = appliance.get(path, token=token).json["server"]["addresses"].values()
    return str(made.json["server"]["id"]), str(addresses[0]["addr"])


def _ask(appliance: Appliance, server_id: str, token: str = "", **fields: Any) -> Any:
    asked = {"server_id": server_id, "host_port": 8080, "guest_port": 80, **fields}
    return appliance.post("/admin/forwards", {"forward": asked}, token=token)


def test_a_port_leads_to_a_server_behind_a_router_until_it_goes(appliance: Appliance) -> None:
    server, address = _server(appliance)
    answer = _ask(appliance, server)
    assert answer.status_code == 201, answer.text
    made = answer.json["forward"]
    assert made == {
        "id": made["id"], "project_id": made["project_id"], "protocol": "tcp", "host_port": 8080,
        "server_id": server, "address": address, "guest_port": 80, "let_in": False,
    }  # fmt: skip
    (told,) = wait_for(lambda: _driver(appliance).forwards)
    assert (told.protocol, told.host_port) == ("tcp", 8080)
    assert told == _expected(appliance, address, told)
    rule = {"security_group_id": _default_group(appliance, made["project_id"]), "direction": "ingress",
            "protocol": "tcp", "port_range_min": 80, "port_range_max": 80}  # fmt: skip
    assert appliance.post("/network/v2.0/security-group-rules", {"security_group_rule": rule}).status_code == 201
    assert [one["let_in"] for one in appliance.get("/admin/forwards").json["forwards"]] == [True]
    again = _ask(appliance, server)
    assert (again.status_code, "leads to a server already" in again.text) == (409, True)
    assert _ask(appliance, server, protocol="udp").status_code == 201
    assert appliance.call("DELETE", f"/admin/forwards/{made['id']}").status_code == 204
    assert appliance.call("DELETE", f"/admin/forwards/{made['id']}").status_code == 404
    wait_for(lambda: [spec.protocol for spec in _driver(appliance).forwards] == ["udp"])
    assert appliance.call("DELETE", f"/compute/v2.1/servers/{server}").status_code == 204
    wait_for(lambda: appliance.get("/admin/forwards").json["forwards"] == [])
    wait_for(lambda: not _driver(appliance).forwards)


def _default_group(appliance: Appliance, project_id: str) -> str:
    groups = appliance.get(f"/network/v2.0/security-groups?name=default&project_id={project_id}").json
    return str(groups["security_groups"][0]["id"])


def _expected(appliance: Appliance, address: str, told: HostForwardSpec) -> HostForwardSpec:
    """Directly, or to a port of the router's gateway that leads there."""
    network = appliance.get("/network/v2.0/networks?name=private").json["networks"][0]
    routers = appliance.get("/network/v2.0/routers").json["routers"]
    if not routers:
        assert network
        return HostForwardSpec("tcp", 8080, address, 80)
    gateway = routers[0]["external_gateway_info"]["external_fixed_ips"][0]["ip_address"]
    router = wait_for(lambda: _driver(appliance).routers.get(routers[0]["id"]))
    assert PortForwardSpec("tcp", "", told.port, told.port, address, 80) in router.forwards
    return HostForwardSpec("tcp", 8080, gateway, told.port)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"host_port": 0}, 400),
        ({"guest_port": 65536}, 400),
        ({"protocol": "icmp"}, 400),
        ({"host_port": 22}, 400),
        ({"server_id": "00000000-0000-4000-8000-000000000000"}, 404),
        ({"server_id": "x"}, 400),
        ({"surprise": 1}, 400),
    ],
)
def test_what_cannot_be_is_refused(appliance: Appliance, fields: dict[str, Any], status: int) -> None:
    server = fields.get("server_id") or _any_server(appliance)
    answer = _ask(appliance, **{"server_id": server, **fields})
    assert answer.status_code == status, answer.text
    assert appliance.get("/admin/forwards").json["forwards"] == []


def _any_server(appliance: Appliance) -> str:
    found = appliance.get("/compute/v2.1/servers").json["servers"]
    return str(found[0]["id"]) if found else _server(appliance)[0]


def test_they_are_their_projects(appliance: Appliance) -> None:
    server = _any_server(appliance)
    made = _ask(appliance, server, host_port=8081)
    assert made.status_code == 201, made.text
    other = appliance.member("somebody")
    assert appliance.get("/admin/forwards", token=other).json["forwards"] == []
    path = f"/admin/forwards/{made.json['forward']['id']}"
    assert appliance.call("DELETE", path, token=other).status_code == 404
    assert _ask(appliance, server, token=other, host_port=8082).status_code == 404
    assert appliance.call("DELETE", path).status_code == 204
