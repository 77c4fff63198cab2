"""Hosts whose disk fills up: told before it is full, no server placed where there is no room, and guests that go on."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.drivers.compute.base import PowerAction
from novalite.engine import heartbeat
from tests.api.engine.conftest import House

_GIB = 1024


def _report(house: House, free_mib: int, written_mib: int = 0) -> None:
    house.driver.measure_disk(free_mib, written_mib)
    heartbeat.beat_all(house.database, house.appliance.built.links)


def _flavor(house: House, disk: int) -> str:
    body = {"name": f"disk-{disk}", "ram": 64, "vcpus": 1, "disk": disk}
    answer = house.appliance.post("/compute/v2.1/flavors", {"flavor": body})
    assert answer.status_code == 200, answer.text
    return str(answer.json["flavor"]["id"])


def _actions(house: House, server_id: str) -> list[tuple[str, str | None]]:
    found = house.appliance.get(f"/compute/v2.1/servers/{server_id}/os-instance-actions", version="2.95").json
    return [(each["action"], each["message"]) for each in found["instanceActions"]]


def test_no_server_is_placed_where_there_is_no_room_by_measurement(house: House) -> None:
    small, large = _flavor(house, 3), _flavor(house, 5)
    _report(house, 5 * _GIB)  # of which 1 GiB is kept free
    refused = house.ask(flavorRef=large)
    fault = house.wait(refused, "ERROR")["fault"]["message"]
    assert "needs 5 GiB of disk, 4 free: 5.0 GiB of disk are free, 1 GiB are to be kept free" in fault
    assert "a flavor of at most 4 GiB of disk" in fault
    first = house.boot(flavorRef=small)
    # What is promised and not written yet is not free, whatever the file system says.
    second = house.ask(flavorRef=small)
    fault = house.wait(second, "ERROR")["fault"]["message"]
    assert "needs 3 GiB of disk, 1 free: 5.0 GiB of disk are free" in fault
    assert "3.0 GiB more are promised to its servers" in fault
    _report(house, 5 * _GIB, written_mib=3 * _GIB)  # it has written all it was promised
    third = house.boot(flavorRef=small)
    for server_id in (refused, first, second, third):
        house.delete(server_id)
    house.assert_empty()


def test_servers_without_disks_of_their_own_need_no_room(house: House) -> None:
    _report(house, 100)
    server_id = house.boot(flavorRef=_flavor(house, 0))
    house.delete(server_id)


def test_a_disk_that_is_nearly_full_is_told(house: House) -> None:
    _report(house, 5 * _GIB)
    assert house.findings() == []
    _report(house, 600)
    [finding] = house.findings()
    assert finding.endswith("is nearly full.")
    [machine] = house.appliance.get("/admin/status").json["hosts"]
    assert machine["problem"] == "0.6 GiB of disk are free, 1 GiB are to be kept free"
    [hypervisor] = house.appliance.get("/compute/v2.1/os-hypervisors/detail").json["hypervisors"]
    assert hypervisor["disk_available_least"] == 0
    _report(house, 5 * _GIB)
    assert house.findings() == []


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_guest_that_finds_no_room_stands_still_and_goes_on(house: House, by_itself: bool) -> None:
    server_id = house.boot()
    house.driver.guest_finds_no_room(server_id)
    house.wait(server_id, "PAUSED")
    assert _actions(house, server_id)[0] == ("pause", "Error")
    assert "disk of its host is full" in _why(house, server_id)
    assert house.findings() == []
    if by_itself:
        house.driver.set_power(server_id, PowerAction.UNPAUSE)
    else:
        assert house.act(server_id, "unpause") == 202
    house.wait(server_id, "ACTIVE")
    assert _actions(house, server_id)[0] == ("unpause", None)
    house.delete(server_id)
    house.assert_empty()


def _why(house: House, server_id: str) -> str:
    actions: Any = house.appliance.get(f"/compute/v2.1/servers/{server_id}/os-instance-actions", version="2.95").json
    request_id = actions["instanceActions"][0]["request_id"]
    path = f"/compute/v2.1/servers/{server_id}/os-instance-actions/{request_id}"
    events = house.appliance.get(path, version="2.95").json["instanceAction"]["events"]
    return " ".join(str(event["details"]) for event in events)
