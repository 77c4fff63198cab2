"""Another size: what the host is told, what is claimed meanwhile, and how everything comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from novalite.cloud.hosts import hosts
from novalite.context import internal
from novalite.drivers.compute.base import GuestSpec, Power
from novalite.errors import DriverError
from tests.api.conftest import wait_for
from tests.api.engine.conftest import House, V

C = "/compute/v2.1"
TINY, SMALL, HUGE = "1", "2", "5"


def spec(house: House, server_id: str) -> GuestSpec:
    for driver in house.drivers().values():
        guest = driver._guests.get(server_id)
        if guest is not None and guest.spec is not None and guest.spec.name:
            return guest.spec
    raise AssertionError("no host has the guest")


def size(house: House, server_id: str) -> tuple[int, int]:
    """(MiB, GiB of the root disk) of the guest."""
    guest = spec(house, server_id)
    return guest.memory_mib, next(disk.size_gib for disk in guest.disks if disk.name == "root")


def flavor(house: House, name: str, **values: Any) -> str:
    body = {"name": name, "vcpus": 1, "ram": 256, "disk": 1, **values}
    made = house.appliance.post(f"{C}/flavors", {"flavor": body}, version="2.1")
    assert made.status_code == 200, made.text
    return str(made.json["flavor"]["id"])


def resize(house: House, server_id: str, flavor_id: str = SMALL) -> None:
    assert house.act(server_id, "resize", {"flavorRef": flavor_id}) == 202


def resized(house: House, server_id: str, flavor_id: str = SMALL) -> Any:
    resize(house, server_id, flavor_id)
    return house.wait(server_id, "VERIFY_RESIZE")


def move(house: House) -> Any:
    """The latest record of a move."""
    return house.appliance.get(f"{C}/os-migrations?limit=1", version="2.59").json["migrations"][0]


def promised(house: House) -> tuple[int, int, int]:
    """(servers, MiB, GiB) promised on all hosts."""
    with house.database.read(internal()) as w:
        rows = [(host.server_count, host.memory_mib_used, host.disk_gib_used) for host in hosts.everyone(w)]
    return sum(row[0] for row in rows), sum(row[1] for row in rows), sum(row[2] for row in rows)


def last_action(house: House, server_id: str) -> Any:
    path = f"{C}/servers/{server_id}/os-instance-actions"
    newest = house.appliance.get(path, version=V).json["instanceActions"][0]
    return house.appliance.get(f"{path}/{newest['request_id']}", version=V).json["instanceAction"]


def test_a_resize_is_confirmed(house: House) -> None:
    server_id = house.boot()
    before = house.server(server_id)["OS-SRV-USG:launched_at"]
    server = resized(house, server_id)
    assert (server["OS-EXT-STS:vm_state"], server["flavor"]["original_name"]) == ("resized", "m1.small")
    assert server["OS-SRV-USG:launched_at"] > before
    assert size(house, server_id) == (1024, 10)
    assert house.guests() == {server_id: Power.RUNNING}
    assert promised(house) == (1, 256 + 1024, 1 + 10)
    assert (move(house)["status"], move(house)["migration_type"]) == ("finished", "resize")
    house.idle()
    assert house.findings() == []
    assert house.act(server_id, "confirmResize") == 204
    server = house.wait(server_id, "ACTIVE")
    assert server["flavor"]["original_name"] == "m1.small"
    assert promised(house) == (1, 1024, 10)
    assert move(house)["status"] == "confirmed"
    house.idle()
    assert house.findings() == []
    assert house.delete(server_id) == 204
    house.gone(server_id)
    house.assert_empty()


def test_a_resize_is_reverted(house: House) -> None:
    server_id = house.boot()
    resized(house, server_id)
    assert house.act(server_id, "revertResize") == 202
    server = house.wait(server_id, "ACTIVE")
    assert server["flavor"]["original_name"] == "m1.tiny"
    assert size(house, server_id) == (256, 1)
    assert promised(house) == (1, 256, 1)
    assert move(house)["status"] == "reverted"
    assert house.guests() == {server_id: Power.RUNNING}
    house.idle()
    assert house.findings() == []
    resized(house, server_id)  # and again
    assert house.act(server_id, "confirmResize") == 204
    house.wait(server_id, "ACTIVE")


@pytest.mark.parametrize(("end", "flavor_name"), [("confirmResize", "m1.small"), ("revertResize", "m1.tiny")])
def test_a_server_that_was_off_stays_off(house: House, end: str, flavor_name: str) -> None:
    server_id = house.boot()
    assert house.act(server_id, "os-stop") == 202
    house.wait(server_id, "SHUTOFF")
    resized(house, server_id)
    assert house.guests() == {server_id: Power.OFF}
    assert house.act(server_id, end) in (202, 204)
    assert house.wait(server_id, "SHUTOFF")["flavor"]["original_name"] == flavor_name
    assert house.act(server_id, "os-start") == 202
    house.wait(server_id, "ACTIVE")
    assert size(house, server_id) == ((1024, 10) if flavor_name == "m1.small" else (256, 1))


def test_the_guest_of_a_confirmed_server_that_was_turned_off_meanwhile_stays_off(house: House) -> None:
    server_id = house.boot()
    resized(house, server_id)
    house.driver.guest_powers_itself_off(server_id)
    assert house.act(server_id, "confirmResize") == 204
    house.wait(server_id, "SHUTOFF")


def test_other_disks_follow_the_flavor(house: House) -> None:
    more = {"OS-FLV-EXT-DATA:ephemeral": 1, "swap": 64}
    old = flavor(house, "with-disks", **more)
    new = flavor(house, "with-more", **{**more, "OS-FLV-EXT-DATA:ephemeral": 3, "swap": 128, "disk": 2})
    server_id = house.boot(flavorRef=old)
    resized(house, server_id, new)
    assert [(disk.name, disk.size_gib, disk.size_mib) for disk in spec(house, server_id).disks] == [
        ("root", 2, 0), ("ephemeral0", 3, 0), ("swap", 0, 128)]  # fmt: skip
    assert promised(house) == (1, 512, 2 + 5)
    assert house.act(server_id, "revertResize") == 202
    house.wait(server_id, "ACTIVE")
    assert [(disk.name, disk.size_gib, disk.size_mib) for disk in spec(house, server_id).disks] == [
        ("root", 1, 0), ("ephemeral0", 1, 0), ("swap", 0, 64)]  # fmt: skip


def test_the_new_flavors_extra_specs_take_effect(house: House) -> None:
    wide = flavor(house, "wide", vcpus=2)
    specs = {"extra_specs": {"hw:cpu_sockets": "2"}}
    assert house.appliance.post(f"{C}/flavors/{wide}/os-extra_specs", specs).status_code == 200
    server_id = house.boot()
    resized(house, server_id, wide)
    assert spec(house, server_id).properties["hw:cpu_sockets"] == "2"
    assert spec(house, server_id).vcpus == 2


def test_without_room_the_server_stays_what_it_is_and_the_action_tells_why(build: Callable[..., House]) -> None:
    house = build(compute__fake_memory_mib=512 + 1024)
    server_id = house.boot()
    resize(house, server_id)  # beside the old one there is no room for the new
    server = house.wait(server_id, "ACTIVE")
    assert server["flavor"]["original_name"] == "m1.tiny"
    assert "fault" not in server
    assert house.guests() == {server_id: Power.RUNNING}
    house.idle()
    assert move(house)["status"] == "error"
    action = last_action(house, server_id)
    assert (action["action"], action["message"]) == ("resize", "Error")
    assert "No valid host was found. Of 1 host, ram removed 1 of 1 (needs 1024 MiB" in str(action["events"])
    assert promised(house) == (1, 256, 1)
    assert "keep_disks" not in house.driver.calls
    assert house.findings() == []


@pytest.mark.parametrize("op", ["keep_disks", "resize_disk", "ensure_guest"])
def test_what_fails_is_undone_and_the_guest_runs_again_as_it_was(house: House, op: str) -> None:
    server_id = house.boot()
    boots = house.driver._guests[server_id].boots
    house.driver.fail_next(op, DriverError(op, "no space left", code="disk.full"))
    resize(house, server_id)
    server = house.wait(server_id, "ACTIVE")
    house.idle()
    assert server["flavor"]["original_name"] == "m1.tiny"
    assert size(house, server_id) == (256, 1)
    assert house.driver._guests[server_id].boots == boots + 1
    assert house.driver._guests[server_id].kept == {}
    assert promised(house) == (1, 256, 1)
    assert move(house)["status"] == "error"
    assert "no space left" in str(last_action(house, server_id)["events"])
    assert house.findings() == []


def test_a_revert_whose_host_does_not_answer_can_be_asked_for_again(house: House) -> None:
    server_id = house.boot()
    resized(house, server_id)
    house.driver.fail_next("restore_disks", DriverError("restore_disks", "input/output error"))
    assert house.act(server_id, "revertResize") == 202
    house.wait(server_id, "VERIFY_RESIZE")
    house.idle()
    assert house.act(server_id, "revertResize") == 202
    house.wait(server_id, "ACTIVE")
    assert size(house, server_id) == (256, 1)


def test_a_confirmation_that_fails_can_be_asked_for_again(house: House) -> None:
    server_id = house.boot()
    resized(house, server_id)
    house.driver.fail_next("drop_kept_disks", DriverError("drop_kept_disks", "input/output error"))
    assert house.act(server_id, "confirmResize") == 204
    house.idle()
    assert house.server(server_id)["status"] == "VERIFY_RESIZE"
    assert house.act(server_id, "confirmResize") == 204
    house.wait(server_id, "ACTIVE")


@pytest.mark.parametrize("step", ["place", "shutdown", "keep", "switch", "disks", "wire", "launch", "finish"])
def test_deleted_in_the_middle_it_leaves_nothing(house: House, step: str) -> None:
    server_id = house.boot()
    house.at(f"{step}:done", lambda: house.delete(server_id), kind="server.resize")
    resize(house, server_id)
    house.gone(server_id)
    house.assert_empty()


@pytest.mark.parametrize("end", ["", "confirmResize", "revertResize"])
def test_deleted_before_its_end_it_leaves_nothing(house: House, end: str) -> None:
    server_id = house.boot()
    resized(house, server_id)
    if end:
        house.act(server_id, end)
    assert house.delete(server_id) == 204
    house.gone(server_id)
    house.assert_empty()
    assert move(house)["status"] in ("confirmed", "reverted", "error")


def test_a_resize_nobody_confirms_is_confirmed_in_time(build: Callable[..., House]) -> None:
    house = build(compute__resize_confirm_seconds=1)
    server_id = house.boot()
    resize(house, server_id)
    wait_for(lambda: house.server(server_id)["flavor"]["original_name"] == "m1.small")
    house.wait(server_id, "ACTIVE")
    house.idle()
    assert move(house)["status"] == "confirmed"
    assert promised(house) == (1, 1024, 10)


def test_a_server_given_another_state_by_hand_keeps_its_size_and_gives_the_old_room_back(
    build: Callable[..., House],
) -> None:
    house = build(compute__resize_confirm_seconds=1)
    server_id = house.boot()
    reached, go_on = house.stopped_at("claimed", kind="server.confirm_resize")
    resize(house, server_id)
    assert reached.wait(60)
    assert house.act(server_id, "os-resetState", {"state": "active"}) == 202
    go_on.set()
    wait_for(lambda: promised(house) == (1, 1024, 10))
    house.idle()
    assert house.server(server_id)["status"] == "ACTIVE"
    assert house.driver._guests[server_id].kept == {}
    assert house.findings() == []


def test_the_settings_may_forbid_the_old_host(build: Callable[..., House]) -> None:
    house = build(compute__resize_on_same_host=False)
    server_id = house.boot()
    resize(house, server_id)
    house.wait(server_id, "ACTIVE")
    house.idle()
    assert "by the settings a resize leaves the host" in str(last_action(house, server_id)["events"])
