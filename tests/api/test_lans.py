"""A LAN of the machine as a network for servers: attached at the command line, used, given back."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.drivers.network.base import LanSpec, UplinkSpec
from novalite.errors import DriverError
from tests.api.conftest import Appliance, wait_for

LAN = LanSpec("eth9", "br-eth9", ("192.168.7.20/24",), "192.168.7.1")


def _driver(appliance: Appliance) -> Any:
    return appliance.built.network._driver  # type: ignore[attr-defined]


def test_a_server_is_on_the_lan_with_an_address_that_was_seen_there(appliance: Appliance) -> None:
    driver = _driver(appliance)
    driver.lans["eth9"] = LAN
    made = appliance.post("/admin/lans", {"lan": {"interface": "eth9", "name": "home"}})
    assert made.status_code == 201, made.text
    network_id = made.json["lan"]["network_id"]
    wait_for(lambda: network_id in driver.networks)
    assert driver.networks[network_id].uplink == UplinkSpec("flat", "eth9", nat=False)
    assert appliance.post("/admin/lans", {"lan": {"interface": "eth9", "name": "home"}}).status_code == 201
    body = {
        "server": {"name": "s", "flavorRef": "1", "imageRef": appliance.image(), "networks": [{"uuid": network_id}]}
    }
    server_id = appliance.post("/compute/v2.1/servers", body).json["server"]["id"]

    def shown() -> Any:
        return appliance.get(f"/compute/v2.1/servers/{server_id}").json["server"]

    wait_for(lambda: shown()["status"] == "ACTIVE")
    assert shown()["addresses"] == {}
    (port,) = appliance.get(f"/network/v2.0/ports?device_id={server_id}").json["ports"]
    assert (port["fixed_ips"], port["ip_allocation"]) == ([], "deferred")
    driver.learn(port["id"], "192.168.7.77")
    wait_for(lambda: [one["addr"] for one in shown()["addresses"].get("home", ())] == ["192.168.7.77"])
    assert appliance.call("DELETE", "/admin/lans/home").status_code == 409, "a server is on it"
    appliance.call("DELETE", f"/compute/v2.1/servers/{server_id}")
    wait_for(lambda: appliance.get(f"/compute/v2.1/servers/{server_id}").status_code == 404)
    assert appliance.call("DELETE", "/admin/lans/home").status_code == 204
    assert (network_id in driver.networks, driver.attached) == (False, set())
    assert appliance.get("/admin/lans").json == {"lans": []}
    assert appliance.call("DELETE", "/admin/lans/home").status_code == 404


def test_a_lan_that_cannot_be_attached_leaves_nothing(appliance: Appliance) -> None:
    _driver(appliance).fail_next("attach_lan")
    assert appliance.post("/admin/lans", {"lan": {"interface": "eth8"}}).status_code == 500
    assert appliance.get("/admin/lans").json == {"lans": []}
    for bad in (
        {},
        {"interface": "a b"},
        {"interface": "eth8", "name": "../x"},
        {"interface": "eth8", "wait_seconds": 0},
    ):
        assert appliance.post("/admin/lans", {"lan": bad}).status_code == 400


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("driver.forbidden", 403),
        ("network.no_interface", 400),
        ("network.interface_in_use", 409),
    ],
)
def test_what_the_machine_refuses_is_told_as_what_it_is(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    def refuse(interface: str, *, wait_seconds: float) -> None:
        raise DriverError("attach_lan", f"{interface} is refused", code=code, hint="Do this.")

    monkeypatch.setattr(_driver(appliance), "attach_lan", refuse)
    answer = appliance.post("/admin/lans", {"lan": {"interface": "eth9"}})
    assert answer.status_code == status
    assert "eth9 is refused" in answer.text
