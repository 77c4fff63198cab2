"""Network cards of servers that run: plugged in within the request, pulled out behind it."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.errors import DriverError
from tests.api.compute.conftest import Cloud
from tests.api.conftest import Appliance, wait_for

N = "/network/v2.0"


@pytest.fixture(scope="module")
def network(appliance: Appliance) -> str:
    """A second network, which everybody sees."""
    made = appliance.post(f"{N}/networks", {"network": {"name": "second", "shared": True}}).json["network"]["id"]
    subnet = {"network_id": made, "cidr": "10.77.0.0/29", "ip_version": 4}
    assert appliance.post(f"{N}/subnets", {"subnet": subnet}).status_code == 201
    return str(made)


@pytest.fixture(scope="module")
def first(appliance: Appliance, network: str) -> str:
    """The network that servers are booted on."""
    found = appliance.get(f"{N}/networks").json["networks"]
    return next(str(one["id"]) for one in found if one["name"] == "private")


@pytest.fixture
def server(member: Cloud, first: str) -> Any:
    made = member.boot(networks=[{"uuid": first}])
    yield made
    member.gone(made)


def _attach(cloud: Cloud, server: str, version: str = "2.95", **values: Any) -> Any:
    return cloud.call("POST", f"/servers/{server}/os-interface", {"interfaceAttachment": values}, version)


def _cards(cloud: Cloud, server: str) -> Any:
    return cloud.get(f"/servers/{server}/os-interface").json["interfaceAttachments"]


def _detach(cloud: Cloud, server: str, port_id: str) -> None:
    assert cloud.call("DELETE", f"/servers/{server}/os-interface/{port_id}").status_code == 202
    wait_for(lambda: port_id not in [one["port_id"] for one in _cards(cloud, server)])


def _macs(appliance: Appliance, server: str) -> list[str]:
    """What the host has plugged in."""
    spec = appliance.driver._guests[server].spec
    assert spec is not None
    return [nic.mac_address for nic in spec.nics]


def _port(cloud: Cloud, network: str, **values: Any) -> str:
    body = {"port": {"network_id": network, **values}}
    answer = cloud.appliance.post(f"{N}/ports", body, token=cloud.token)
    assert answer.status_code == 201, answer.text
    return str(answer.json["port"]["id"])


def test_a_card_on_a_network_is_there_when_the_answer_is(
    appliance: Appliance, member: Cloud, server: str, network: str
) -> None:
    answer = _attach(member, server, net_id=network)
    assert answer.status_code == 200, answer.text
    card = answer.json["interfaceAttachment"]
    assert card["net_id"] == network
    assert card["port_state"] == "ACTIVE"
    assert card["tag"] is None
    assert _macs(appliance, server)[1] == card["mac_addr"]
    [ip] = [one["ip_address"] for one in card["fixed_ips"]]
    shown = member.server(server)["addresses"]["second"]
    assert [(one["addr"], one["OS-EXT-IPS-MAC:mac_addr"]) for one in shown] == [(ip, card["mac_addr"])]
    assert member.get(f"/servers/{server}/os-interface/{card['port_id']}").json["interfaceAttachment"] == card
    old = member.get(f"/servers/{server}/os-virtual-interfaces", "2.43").json["virtual_interfaces"]
    assert [one["mac_address"] for one in old][1] == card["mac_addr"]
    _detach(member, server, card["port_id"])
    assert card["mac_addr"] not in _macs(appliance, server)
    assert "second" not in member.server(server)["addresses"]
    assert appliance.get(f"{N}/ports/{card['port_id']}").status_code == 404


def test_the_history_names_both_actions(member: Cloud, server: str, network: str) -> None:
    _detach(member, server, _attach(member, server, net_id=network).json["interfaceAttachment"]["port_id"])
    wait_for(lambda: len(member.get(f"/servers/{server}/os-instance-actions").json["instanceActions"]) == 3)
    found = member.get(f"/servers/{server}/os-instance-actions").json["instanceActions"]
    assert [one["action"] for one in found] == ["detach_interface", "attach_interface", "create"]


def test_an_own_port_keeps_its_place_and_is_free_afterwards(
    appliance: Appliance, member: Cloud, server: str, network: str
) -> None:
    port_id = _port(member, network)
    card = _attach(member, server, port_id=port_id, tag="backup").json["interfaceAttachment"]
    assert (card["port_id"], card["tag"]) == (port_id, "backup")
    before = _macs(appliance, server)
    assert member.act(server, "reboot", {"type": "HARD"}).status_code == 202
    member.wait(server, "ACTIVE")
    assert _macs(appliance, server) == before
    _detach(member, server, port_id)
    port = appliance.get(f"{N}/ports/{port_id}").json["port"]
    assert (port["device_id"], port["device_owner"]) == ("", "")
    assert appliance.call("DELETE", f"{N}/ports/{port_id}", token=member.token).status_code == 204


def test_an_address_may_be_chosen_once(member: Cloud, server: str, network: str) -> None:
    wanted: Any = {"net_id": network, "fixed_ips": [{"ip_address": "10.77.0.4"}]}
    card = _attach(member, server, **wanted).json["interfaceAttachment"]
    assert [one["ip_address"] for one in card["fixed_ips"]] == ["10.77.0.4"]
    again = _attach(member, server, **wanted)
    assert again.status_code == 409, again.text
    assert len(_cards(member, server)) == 2


@pytest.mark.parametrize("body", [None, {}, {"interfaceAttachment": {}}])
def test_with_several_networks_one_must_be_named(member: Cloud, server: str, network: str, body: Any) -> None:
    answer = member.call("POST", f"/servers/{server}/os-interface", body)
    assert answer.status_code == 400
    assert answer.json["badRequest"]["message"].startswith("Multiple possible networks found")


def test_the_only_network_needs_no_name(fresh: Any) -> None:
    appliance = fresh()
    cloud = Cloud(appliance, appliance.token(), appliance.image())
    server = cloud.boot()
    assert cloud.call("POST", f"/servers/{server}/os-interface").status_code == 200
    assert len(_cards(cloud, server)) == 2


def test_what_is_refused(member: Cloud, stranger: Cloud, server: str, network: str, first: str) -> None:
    mine, foreign = _cards(member, server)[0]["port_id"], _port(stranger, first)
    unknown = "6e0bd4f7-3a58-4d4a-8c65-8a2b1a6a7a11"
    for status, values in (
        (409, {"port_id": mine}),
        (404, {"port_id": foreign}),
        (404, {"port_id": unknown}),
        (404, {"net_id": unknown}),
        (400, {"net_id": first, "port_id": mine}),
        (400, {"fixed_ips": [{"ip_address": "10.77.0.3"}]}),
        (400, {"net_id": network, "fixed_ips": [{"ip_address": "10.99.0.3"}]}),
        (400, {"net_id": network, "fixed_ips": []}),
        (400, {"net_id": "not-an-id"}),
        (400, {"colour": "red"}),
    ):
        answer = _attach(member, server, **values)
        assert answer.status_code == status, (values, answer.text)
    assert _attach(member, server, "2.48", net_id=network, tag="x").status_code == 400
    assert _attach(stranger, server, net_id=network).status_code == 404
    assert stranger.call("DELETE", f"/servers/{server}/os-interface/{mine}").status_code == 404
    assert member.call("DELETE", f"/servers/{server}/os-interface/{unknown}").status_code == 404
    assert len(_cards(member, server)) == 1


def test_a_full_network_is_a_bad_request(member: Cloud, server: str, network: str) -> None:
    ports = [_port(member, network) for _ in range(4)]  # beside the network's own
    assert _attach(member, server, net_id=network).status_code == 400
    for port_id in ports:
        assert member.appliance.call("DELETE", f"{N}/ports/{port_id}", token=member.token).status_code == 204


def test_a_reader_may_look_only(member: Cloud, reader: Cloud, server: str, network: str) -> None:
    assert _attach(reader, server, net_id=network).status_code in (403, 404)


def test_states_and_locks_decide(member: Cloud, server: str, network: str) -> None:
    assert member.act(server, "suspend").status_code == 202
    member.wait(server, "SUSPENDED")
    answer = _attach(member, server, net_id=network)
    assert answer.status_code == 409
    assert "attach_interface" in answer.json["conflictingRequest"]["message"]
    assert member.act(server, "resume").status_code == 202
    member.wait(server, "ACTIVE")
    assert member.act(server, "lock").status_code == 202
    assert _attach(member, server, net_id=network).status_code == 409
    assert member.act(server, "unlock").status_code == 202


def test_a_stopped_server_has_the_card_when_it_starts(
    appliance: Appliance, member: Cloud, server: str, network: str
) -> None:
    assert member.act(server, "os-stop").status_code == 202
    member.wait(server, "SHUTOFF")
    card = _attach(member, server, net_id=network).json["interfaceAttachment"]
    assert member.act(server, "os-start").status_code == 202
    member.wait(server, "ACTIVE")
    assert _macs(appliance, server)[1] == card["mac_addr"]


def test_a_host_that_refuses_leaves_nothing_behind(
    appliance: Appliance, member: Cloud, server: str, network: str
) -> None:
    port_id = _port(member, network)
    for values in ({"net_id": network}, {"port_id": port_id}):
        appliance.driver.fail_next("attach_nic", DriverError("attach_nic", "no slot is free", code="guest.refused"))
        answer = _attach(member, server, **values)
        assert answer.status_code == 500
        assert "no slot is free" in answer.text
        assert len(_cards(member, server)) == 1
    assert member.server(server)["status"] == "ACTIVE"
    assert appliance.get(f"{N}/ports/{port_id}").json["port"]["device_id"] == ""
    assert appliance.call("DELETE", f"{N}/ports/{port_id}", token=member.token).status_code == 204


def test_a_guest_that_does_not_let_go_is_asked_again(
    appliance: Appliance, member: Cloud, server: str, network: str
) -> None:
    port_id = _attach(member, server, net_id=network).json["interfaceAttachment"]["port_id"]
    busy = DriverError("detach_nic", "the guest does not let go", code="device.busy", retryable=True)
    appliance.driver.fail_next("detach_nic", busy, times=2)
    _detach(member, server, port_id)
    assert len(_macs(appliance, server)) == 1


def test_a_deleted_server_ends_what_was_plugged_in(
    appliance: Appliance, member: Cloud, first: str, network: str
) -> None:
    server = member.boot(networks=[{"uuid": first}])
    port_id = _port(member, network)
    assert _attach(member, server, port_id=port_id).status_code == 200
    member.gone(server)
    assert appliance.get(f"{N}/ports/{port_id}").json["port"]["device_id"] == ""
    assert appliance.call("DELETE", f"{N}/ports/{port_id}", token=member.token).status_code == 204
