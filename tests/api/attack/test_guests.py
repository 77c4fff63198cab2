"""Attacks through what guests and their hosts read: names for DHCP, metadata, user data, forged addresses."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from novalite.api.metadata.app import metadata_app
from novalite.api.metadata.guests import SERVERS as GUESTS
from novalite.drivers.network import dhcp_files
from novalite.drivers.network.base import NetworkSpec, PortSpec
from tests.api.attack.conftest import server_body
from tests.api.conftest import Appliance, wait_for

C, N = "/compute/v2.1", "/network/v2.0"
NAMES = (
    "a\nb",
    "a,b",
    "x,10.0.0.1,set:y",
    "a b",
    "-a",
    "\x1b[0m",
    "é",
    "a" * 63,
    "..",
    "'; reboot",
    "a\r\nid:*,1.2.3.4",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_dns_name_does_not_write_into_the_reservations(appliance: Appliance, mallory: str, name: str) -> None:
    net = appliance.get(f"{N}/networks?name=private").json["networks"][0]["id"]
    answer = appliance.post(f"{N}/ports", {"port": {"network_id": net, "dns_name": name}}, token=mallory)
    assert answer.status_code in (201, 400)
    if answer.status_code == 201:
        port = answer.json["port"]
        address = port["fixed_ips"][0]["ip_address"]
        spec = PortSpec(port["id"], net, port["mac_address"], (address,), hostname=name)
        text = dhcp_files.host(dhcp_files.ranges(NetworkSpec(net, "private")), spec)
        assert len(text.splitlines()) == 2
        assert text.splitlines()[1].count(",") <= 2
        appliance.call("DELETE", f"{N}/ports/{port['id']}", token=mallory)


@pytest.mark.parametrize(
    "more",
    [
        {"metadata": {"a\nb": "c"}},
        {"metadata": {"../x": "c"}},
        {"metadata": {"": "c"}},
        {"metadata": {"k": "v" * 256}},
        {"metadata": {"k": 1}},
        {"metadata": {"k" * 256: "v"}},
        {"metadata": {f"k{n}": "v" for n in range(500)}},
        {"user_data": "not base64!"},
        {"user_data": "QQ==" * 20000},
        {"hostname": "a\nb"},
        {"hostname": "a,b"},
        {"hostname": "-a"},
        {"name": "a\nb"},
        {"name": ""},
        {"name": " "},
        {"name": "a" * 256},
        {"name": None},
        {"key_name": "\u0000"},
        {"tags": ["a"]},
        {"unknown": 1},
        {"flavorRef": {}},
        {"networks": [{"uuid": "x"}]},
        {"networks": [{"fixed_ip": "999.1.1.1"}]},
        {"min_count": 0},
        {"max_count": -1},
        {"min_count": 5, "max_count": 2},
        {"max_count": 10**30},
        {"adminPass": "x" * 256},
        {"description": "x" * 256},
        {"config_drive": "maybe"},
    ],
)
def test_a_server_that_makes_no_sense_is_refused(appliance: Appliance, flavor: str, more: dict[str, Any]) -> None:
    image = appliance.image()
    before = appliance.get(f"{N}/ports").json
    version = "2.42" if "tags" in more else "2.90"
    answer = appliance.post(f"{C}/servers", server_body(flavor, image, **more), version=version)
    assert answer.status_code in (400, 403), answer.text
    assert appliance.get(f"{N}/ports").json == before


@pytest.fixture(scope="module")
def guest(appliance: Appliance, flavor: str) -> dict[str, Any]:
    data = base64.b64encode(bytes(range(256))).decode()
    body = server_body(flavor, appliance.image(), metadata={"odd: key.-_": "\x01\x1b<&>'\"\n"}, user_data=data)
    server = appliance.post(f"{C}/servers", body, version="2.90").json["server"]["id"]
    wait_for(lambda: appliance.get(f"{C}/servers/{server}").json["server"]["status"] == "ACTIVE")
    port: dict[str, Any] = appliance.get(f"{N}/ports?device_id={server}").json["ports"][0]
    return {"server": server, "network": port["network_id"], "address": port["fixed_ips"][0]["ip_address"]}


def ask(appliance: Appliance, network: str, address: str, path: str, method: str = "GET", **headers: str) -> Any:
    """(status, body) of the metadata service for a caller at ``address``."""
    told: list[str] = []
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": address, **headers}
    app = metadata_app(appliance.built.database, network, GUESTS)
    body = b"".join(app(environ, lambda status, _: told.append(status)))
    return int(told[0].split()[0]), body


def test_only_the_address_says_who_asks(appliance: Appliance, guest: dict[str, Any]) -> None:
    path = "/openstack/latest/meta_data.json"
    status, body = ask(appliance, guest["network"], guest["address"], path)
    assert status == 200
    assert json.loads(body)["uuid"] == guest["server"]
    assert json.loads(body)["meta"] == {"odd: key.-_": "\x01\x1b<&>'\"\n"}
    forged = {"HTTP_X_FORWARDED_FOR": guest["address"], "HTTP_X_INSTANCE_ID": guest["server"],
              "HTTP_X_REAL_IP": guest["address"], "HTTP_FORWARDED": f"for={guest['address']}"}  # fmt: skip
    assert ask(appliance, guest["network"], "10.255.255.254", path, **forged)[0] == 404
    assert ask(appliance, "00000000-0000-0000-0000-000000000000", guest["address"], path, **forged)[0] == 404


def test_user_data_come_as_they_were_sent(appliance: Appliance, guest: dict[str, Any]) -> None:
    for path in ("/openstack/latest/user_data", "/latest/user-data"):
        assert ask(appliance, guest["network"], guest["address"], path) == (200, bytes(range(256)))


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/latest/../..", "//", "/\x00", "/latest/" + "x/" * 3000, "/openstack/9999/password",
             "/latest/meta-data/public-keys/0=", "/é", "/latest/meta-data/hostname/x"]
)  # fmt: skip
def test_metadata_paths_lead_nowhere_else(appliance: Appliance, guest: dict[str, Any], path: str) -> None:
    status, body = ask(appliance, guest["network"], guest["address"], path)
    assert status in (200, 404)
    assert b"root:" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "CONNECT"])
def test_metadata_are_not_written(appliance: Appliance, guest: dict[str, Any], method: str) -> None:
    assert ask(appliance, guest["network"], guest["address"], "/latest/meta-data", method)[0] == 405
