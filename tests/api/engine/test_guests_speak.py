"""What guests do by themselves becomes the state of their servers, at once."""

from __future__ import annotations

import pytest

from tests.api.engine.conftest import House


@pytest.fixture(scope="module", autouse=True)
def only_events(shared_house: House) -> None:
    shared_house.hear_only_events()


def test_a_guest_that_powers_itself_off_is_shutoff_by_its_word_alone(house: House) -> None:
    server_id = house.boot()
    house.driver.guest_powers_itself_off(server_id)
    server = house.wait(server_id, "SHUTOFF")
    assert (server["OS-EXT-STS:power_state"], server["OS-EXT-STS:vm_state"]) == (4, "stopped")
    assert house.act(server_id, "os-start") == 202
    house.wait(server_id, "ACTIVE")
    house.delete(server_id)
    house.assert_empty()


def test_a_guest_that_crashes_is_in_error_and_says_so(house: House) -> None:
    server_id = house.boot()
    house.driver.guest_crashes(server_id)
    server = house.wait(server_id, "ERROR")
    assert "crashed" in server["fault"]["message"]
    assert server["OS-EXT-STS:power_state"] == 6
    assert house.act(server_id, "reboot", {"type": "HARD"}) == 202
    server = house.wait(server_id, "ACTIVE")
    assert "fault" not in server
    house.delete(server_id)
    house.assert_empty()


def test_one_that_wishes_so_comes_up_again_after_a_crash(house: House) -> None:
    server_id = house.boot(metadata={"on_crash": "restart"})
    house.driver.guest_crashes(server_id)
    house.wait(server_id, "ACTIVE")
    assert house.findings() == []
    house.delete(server_id)
    house.assert_empty()


def test_a_guest_that_powers_itself_off_the_moment_it_is_up_is_not_called_active(house: House) -> None:
    reached, go_on = house.stopped_at("spawn:recorded")
    server_id = house.ask()
    assert reached.wait(60)
    house.driver.guest_powers_itself_off(server_id)
    go_on.set()
    house.idle()
    house.wait(server_id, "SHUTOFF")
    house.delete(server_id)
    house.assert_empty()


def test_a_guest_that_crashes_the_moment_it_is_up_is_not_called_active(house: House) -> None:
    reached, go_on = house.stopped_at("spawn:recorded")
    server_id = house.ask()
    assert reached.wait(60)
    house.driver.guest_crashes(server_id)
    go_on.set()
    house.idle()
    house.wait(server_id, "ERROR")
    house.delete(server_id)
    house.assert_empty()


def test_a_guest_that_goes_off_while_it_starts_is_not_called_active(house: House) -> None:
    server_id = house.boot()
    house.act(server_id, "os-stop")
    house.wait(server_id, "SHUTOFF")
    reached, go_on = house.stopped_at("launch:recorded", kind="server.start")
    house.act(server_id, "os-start")
    assert reached.wait(60)
    house.driver.guest_powers_itself_off(server_id)
    go_on.set()
    house.idle()
    house.wait(server_id, "SHUTOFF")
    house.delete(server_id)
    house.assert_empty()


def test_a_guest_that_vanished_is_noticed_when_the_host_says_that_events_were_lost(house: House) -> None:
    server_id = house.boot()
    house.driver.guest_vanishes(server_id)
    house.driver.set_unreachable(True)
    house.driver.set_unreachable(False)
    house.wait(server_id, "SHUTOFF")
    house.delete(server_id)
    house.assert_empty()


def test_stopping_a_guest_that_listens_takes_no_time_and_one_that_does_not_is_cut_off(house: House) -> None:
    deaf, good = house.boot("deaf"), house.boot("good")
    house.driver.ignore_shutdown(deaf)
    assert house.act(good, "os-stop") == 202
    house.wait(good, "SHUTOFF")
    assert house.act(deaf, "os-stop") == 202
    assert house.server(deaf)["OS-EXT-STS:task_state"] == "powering-off"
    house.wait(deaf, "SHUTOFF")
    for server_id in (deaf, good):
        house.delete(server_id)
    house.assert_empty()


def test_every_power_action_and_back(house: House) -> None:
    server_id = house.boot()
    for action, value, status in (
        ("pause", None, "PAUSED"), ("unpause", None, "ACTIVE"), ("suspend", None, "SUSPENDED"),
        ("resume", None, "ACTIVE"), ("reboot", {"type": "SOFT"}, "ACTIVE"), ("reboot", {"type": "HARD"}, "ACTIVE"),
        ("os-stop", None, "SHUTOFF"), ("reboot", {"type": "HARD"}, "ACTIVE"), ("os-stop", None, "SHUTOFF"),
        ("os-start", None, "ACTIVE"),
    ):  # fmt: skip
        assert house.act(server_id, action, value) == 202
        house.wait(server_id, status)
        assert house.findings() == []
    house.delete(server_id)
    house.assert_empty()
