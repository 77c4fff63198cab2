"""More addresses for a server's card, and addresses that are kept back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.compute.conftest import Cloud
from tests.api.conftest import wait_for

OLD, OLD_ACTION = "2.35", "2.43"


@pytest.fixture
def server(member: Cloud) -> Any:
    made = member.boot()
    yield made
    member.gone(made)


def _card(cloud: Cloud, server: str) -> Any:
    [card] = cloud.get(f"/servers/{server}/os-interface").json["interfaceAttachments"]
    return card


def _ips(cloud: Cloud, server: str) -> list[str]:
    return [one["ip_address"] for one in _card(cloud, server)["fixed_ips"]]


def _told(cloud: Cloud, server: str) -> tuple[str, ...]:
    """The addresses that the machine lets the card speak from."""
    network: Any = cloud.appliance.built.network
    card = _card(cloud, server)
    return tuple(network._driver.ports[card["net_id"], card["port_id"]].addresses)


def test_a_card_has_one_more_address_and_one_less(member: Cloud, server: str) -> None:
    before, network = _ips(member, server), _card(member, server)["net_id"]
    assert member.act(server, "addFixedIp", {"networkId": network}, OLD_ACTION).status_code == 202
    after = _ips(member, server)
    assert after[:1] == before
    assert len(after) == 2
    [shown] = member.server(server)["addresses"].values()
    assert [(one["addr"], one["OS-EXT-IPS:type"]) for one in shown] == [(ip, "fixed") for ip in after]
    wait_for(lambda: _told(member, server) == tuple(after))
    assert member.act(server, "reboot", {"type": "HARD"}).status_code == 202
    member.wait(server, "ACTIVE")
    assert _told(member, server) == tuple(after)
    assert member.act(server, "removeFixedIp", {"address": after[1]}, OLD_ACTION).status_code == 202
    assert _ips(member, server) == before
    wait_for(lambda: _told(member, server) == tuple(before))


def test_what_is_refused(member: Cloud, stranger: Cloud, server: str) -> None:
    [ip], network = _ips(member, server), _card(member, server)["net_id"]
    for status, name, value in (
        (404, "addFixedIp", {"networkId": "6e0bd4f7-3a58-4d4a-8c65-8a2b1a6a7a11"}),
        (400, "addFixedIp", {}),
        (400, "removeFixedIp", {"address": "10.99.99.99"}),
        (400, "removeFixedIp", {"address": "no-address"}),
        (400, "removeFixedIp", {"address": ip}),
    ):
        assert member.act(server, name, value, OLD_ACTION).status_code == status, (name, value)
    assert stranger.act(server, "addFixedIp", {"networkId": network}, OLD_ACTION).status_code == 404
    assert member.act(server, "addFixedIp", {"networkId": network}, "2.44").status_code == 404
    assert _ips(member, server) == [ip]


def test_addresses_are_shown_and_kept_back(admin: Cloud, member: Cloud, server: str) -> None:
    [ip] = _ips(member, server)
    shown = admin.get(f"/os-fixed-ips/{ip}", OLD).json["fixed_ip"]
    assert (shown["address"], shown["hostname"], shown["reserved"]) == (ip, "one", False)
    assert shown["host"] == admin.server(server)["OS-EXT-SRV-ATTR:host"]
    assert "reserved" not in admin.get(f"/os-fixed-ips/{ip}", "2.3").json["fixed_ip"]
    path = f"/os-fixed-ips/{ip}/action"
    assert admin.call("POST", path, {"reserve": None}, OLD).status_code == 409
    free = ip.rpartition(".")[0] + ".250"
    path = f"/os-fixed-ips/{free}/action"
    for name, reserved in (("reserve", True), ("reserve", True), ("unreserve", False), ("unreserve", False)):
        assert admin.call("POST", path, {name: None}, OLD).status_code == 202
        assert admin.get(f"/os-fixed-ips/{free}", OLD).json["fixed_ip"]["reserved"] is reserved
    assert member.get(f"/os-fixed-ips/{ip}", OLD).status_code == 403
    assert admin.get("/os-fixed-ips/192.0.2.1", OLD).status_code == 404
    assert admin.get("/os-fixed-ips/no-address", OLD).status_code == 400
    assert admin.get(f"/os-fixed-ips/{ip}", "2.36").status_code == 404


@pytest.mark.parametrize(
    "path", ["os-floating-ip-dns", "os-security-group-default-rules", "os-floating-ip-dns/d/entries/n"]
)
def test_what_nothing_keeps_is_gone(admin: Cloud, member: Cloud, path: str) -> None:
    assert admin.get(f"/{path}", OLD).status_code == 410
    assert member.get(f"/{path}", OLD).status_code == 403
    assert admin.get(f"/{path}", "2.36").status_code == 404
