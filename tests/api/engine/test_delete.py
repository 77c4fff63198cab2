"""Deleting always works, may be repeated, and leaves nothing: whatever the server was doing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from novalite.errors import DriverError
from tests.api.engine.conftest import House

STEPS = ("place", "wire", "image", "spawn", "finish")


@pytest.mark.parametrize("edge", ["begin", "done", "recorded"])
@pytest.mark.parametrize("step", STEPS)
def test_during_a_boot(house: House, step: str, edge: str) -> None:
    reached, go_on = house.stopped_at(f"{step}:{edge}")
    server_id = house.ask()
    assert reached.wait(60)
    assert house.delete(server_id) == 204
    assert house.delete(server_id) == 204
    server = house.server(server_id)
    assert server is None or server["OS-EXT-STS:task_state"] == "deleting"
    go_on.set()
    house.gone(server_id)
    house.assert_empty()


@pytest.mark.parametrize("step", ["close", "remove", "finish"])
def test_again_during_the_deletion(house: House, step: str) -> None:
    server_id = house.boot()
    reached, go_on = house.stopped_at(f"{step}:begin", kind="server.delete")
    assert house.delete(server_id) == 204
    assert reached.wait(60)
    assert house.delete(server_id) == 204
    go_on.set()
    house.gone(server_id)
    house.idle()
    assert house.delete(server_id) == 404
    house.assert_empty()


def test_a_server_that_waits_for_its_guest_to_shut_down(build: Callable[..., House]) -> None:
    house = build(compute__stop_timeout_seconds=600)
    server_id = house.boot()
    house.driver.ignore_shutdown(server_id)
    house.act(server_id, "os-stop")
    assert house.delete(server_id) == 204
    house.gone(server_id)
    house.assert_empty()


@pytest.mark.parametrize("state", ["SHUTOFF", "PAUSED", "SUSPENDED", "ERROR"])
def test_in_any_state(house: House, state: str) -> None:
    server_id = house.boot()
    if state == "ERROR":
        house.driver.guest_crashes(server_id)
    else:
        house.act(server_id, {"SHUTOFF": "os-stop", "PAUSED": "pause", "SUSPENDED": "suspend"}[state])
    house.wait(server_id, state)
    assert house.delete(server_id) == 204
    house.gone(server_id)
    house.assert_empty()


def test_while_the_host_cannot_be_reached_and_its_guest_goes_when_it_is_back(build: Callable[..., House]) -> None:
    house = build()
    server_id = house.boot()
    house.driver.set_unreachable(True)
    assert house.delete(server_id) == 204
    house.gone(server_id)
    assert set(house.claims().values()) == {(0, 0)}
    house.driver.set_unreachable(False)
    from tests.api.conftest import wait_for

    wait_for(lambda: house.guests() == {}, why="the guest nobody owns is still there")
    house.assert_empty()


def test_a_host_that_cannot_remove_a_guest_leaves_the_server_in_error_and_deleting_may_be_repeated(
    house: House,
) -> None:
    server_id = house.boot()
    house.driver.fail_next("delete_guest", DriverError("delete_guest", "the disk is stuck"))
    assert house.delete(server_id) == 204
    server = house.wait(server_id, "ERROR")
    assert "the disk is stuck" in server["fault"]["message"]
    assert house.delete(server_id) == 204
    house.gone(server_id)
    house.assert_empty()


def test_a_network_that_cannot_forget_a_port_is_asked_again(house: House) -> None:
    server_id = house.boot()
    house.network.fail_next("remove_port", retryable=True)
    assert house.delete(server_id) == 204
    house.gone(server_id)
    house.assert_empty()
