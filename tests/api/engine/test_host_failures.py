"""A host that fails a boot is left, another is tried, and the fault tells what was tried when none is left."""

from __future__ import annotations

from collections.abc import Callable

from novalite.errors import DriverError, HostUnreachable
from tests.api.engine.conftest import House

BROKEN = DriverError("ensure_guest", "the hypervisor said no", code="guest.refused")


def _break(house: House, op: str = "ensure_guest", error: Exception = BROKEN, times: int = 99) -> None:
    for driver in house.drivers().values():
        driver.fail_next(op, error, times)  # type: ignore[arg-type]


def test_a_boot_goes_to_another_host_when_the_first_fails(build: Callable[..., House]) -> None:
    house = build(compute__fake_hosts=2)
    first, second = house.drivers().values()
    first.fail_next("ensure_guest", BROKEN, 99)
    ids = [house.boot(f"s{n}") for n in range(4)]
    assert first.calls.get("ensure_guest"), "no boot has tried the host that fails"
    assert {guest.id for guest in second.list_guests()} == set(ids)
    assert first.artifacts() == ()
    assert sorted(house.claims().values()) == [(0, 0), (4, 1024)]
    assert house.findings() == []


def test_the_fault_names_each_host_and_why_when_none_is_left(build: Callable[..., House]) -> None:
    house = build(compute__fake_hosts=2)
    _break(house)
    server_id = house.ask()
    fault = house.wait(server_id, "ERROR")["fault"]["message"]
    assert "No valid host was found" in fault
    assert "the hypervisor said no" in fault
    house.delete(server_id)
    house.gone(server_id)
    house.assert_empty()


def test_no_more_hosts_are_tried_than_the_setting_allows(build: Callable[..., House]) -> None:
    house = build(compute__fake_hosts=5, scheduler__max_attempts=3)
    _break(house)
    server_id = house.ask()
    fault = house.wait(server_id, "ERROR")["fault"]["message"]
    assert sum(driver.calls.get("ensure_guest", 0) for driver in house.drivers().values()) == 3
    assert "the hypervisor said no" in fault
    assert set(house.claims().values()) == {(0, 0)}
    house.delete(server_id)
    house.gone(server_id)
    house.assert_empty()


def test_a_hiccup_is_no_reason_to_leave_a_host(house: House) -> None:
    hiccup = DriverError("ensure_guest", "try again", retryable=True)
    house.driver.fail_next("ensure_guest", hiccup)
    server_id = house.boot()
    house.delete(server_id)
    house.assert_empty()


def test_an_unreachable_host_is_waited_for_a_little(house: House) -> None:
    house.driver.fail_next("ensure_guest", HostUnreachable("no answer"), 2)
    server_id = house.boot()
    house.delete(server_id)
    house.assert_empty()


def test_a_corrupt_image_is_corrupt_on_every_host(build: Callable[..., House]) -> None:
    house = build(compute__fake_hosts=3)
    _break(house, "ensure_image", DriverError("ensure_image", "does not match its checksum", code="image.corrupt"))
    server_id = house.ask()
    assert "checksum" in house.wait(server_id, "ERROR")["fault"]["message"]
    assert sum(driver.calls.get("ensure_image", 0) for driver in house.drivers().values()) == 1


def test_an_image_whose_data_are_gone_is_a_clear_fault(build: Callable[..., House]) -> None:
    house = build()
    house.image_id = house.appliance.image()
    house.appliance.built.store.delete(house.image_id)
    fault = house.wait(house.ask(), "ERROR")["fault"]["message"]
    assert "missing" in fault
    assert "Upload the image again" in fault
    assert set(house.claims().values()) == {(0, 0)}
    assert house.guests() == {}


def test_a_network_that_cannot_be_made_is_undone_and_told(build: Callable[..., House]) -> None:
    house = build()
    house.image_id = house.appliance.image()
    house.network.fail_next("ensure_port", times=99)
    server_id = house.ask()
    assert "failure asked for by a test" in house.wait(server_id, "ERROR")["fault"]["message"]
    assert set(house.claims().values()) == {(0, 0)}


def test_starting_that_fails_is_an_error_and_stopping_that_fails_leaves_the_server_as_it_is(house: House) -> None:
    server_id = house.boot()
    house.driver.fail_next("set_power", DriverError("set_power", "the button is stuck"))
    assert house.act(server_id, "pause") == 202
    server = house.wait(server_id, "ACTIVE")
    assert server["OS-EXT-STS:power_state"] == 1
    assert house.act(server_id, "os-stop") == 202
    house.wait(server_id, "SHUTOFF")
    house.driver.fail_next("ensure_guest", BROKEN)
    assert house.act(server_id, "os-start") == 202
    assert "the hypervisor said no" in house.wait(server_id, "ERROR")["fault"]["message"]
    assert house.act(server_id, "reboot", {"type": "HARD"}) == 202
    house.wait(server_id, "ACTIVE")
    house.delete(server_id)
    house.assert_empty()
