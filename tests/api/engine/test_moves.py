"""Servers that go to other hosts, by order or because theirs is down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.drivers.compute.base import Power
from novalite.engine import reconcile
from novalite.errors import DriverError
from tests.api.conftest import wait_for
from tests.api.engine.conftest import House, V
from tests.api.engine.test_resize import TINY, C, last_action, move, promised, resized

HOST = "OS-EXT-SRV-ATTR:host"


@pytest.fixture
def two(build: Callable[..., House]) -> House:
    return build(compute__fake_hosts=2)


def where(house: House, server_id: str) -> dict[str, Power]:
    """host -> what its guest of that id does."""
    return {
        name: guest.power
        for name, driver in house.drivers().items()
        for guest in driver.artifacts()
        if guest.id == server_id
    }


def other(house: House, host: str) -> str:
    return next(name for name in house.drivers() if name != host)


def force_down(house: House, host: str) -> None:
    service = next(
        row for row in house.appliance.get(f"{C}/os-services", version=V).json["services"]
        if row["host"] == host and row["binary"] == "nova-compute"
    )  # fmt: skip
    path = f"{C}/os-services/{service['id']}"
    answer = house.appliance.call("PUT", path, json={"forced_down": True}, version=V)
    assert answer.status_code == 200, answer.text


def test_a_server_migrates_with_its_disks(two: House) -> None:
    server_id = two.boot()
    source = two.server(server_id)[HOST]
    dest = other(two, source)
    assert two.act(server_id, "migrate", {"host": dest}) == 202
    server = two.wait(server_id, "VERIFY_RESIZE")
    assert server[HOST] == dest
    assert where(two, server_id) == {source: Power.OFF, dest: Power.RUNNING}
    assert two.drivers()[dest].calls["adopt_disk"] == 1
    assert promised(two) == (1, 512, 2)
    assert (move(two)["migration_type"], move(two)["status"]) == ("migration", "finished")
    assert (move(two)["source_compute"], move(two)["dest_compute"]) == (source, dest)
    two.idle()
    assert two.findings() == []
    assert two.act(server_id, "confirmResize") == 204
    two.wait(server_id, "ACTIVE")
    assert where(two, server_id) == {dest: Power.RUNNING}
    assert promised(two) == (1, 256, 1)
    two.idle()
    assert two.findings() == []


def test_a_migration_is_reverted(two: House) -> None:
    server_id = two.boot()
    source = two.server(server_id)[HOST]
    assert two.act(server_id, "migrate") == 202
    two.wait(server_id, "VERIFY_RESIZE")
    assert two.act(server_id, "revertResize") == 202
    assert two.wait(server_id, "ACTIVE")[HOST] == source
    assert where(two, server_id) == {source: Power.RUNNING}
    assert promised(two) == (1, 256, 1)
    assert two.drivers()[source].calls.get("drop_kept_disks") is None
    two.idle()
    assert two.findings() == []


def test_there_is_no_way_back_to_a_host_that_has_lost_the_server(two: House) -> None:
    server_id = two.boot()
    source = two.server(server_id)[HOST]
    assert two.act(server_id, "migrate") == 202
    dest = two.wait(server_id, "VERIFY_RESIZE")[HOST]
    two.drivers()[source].delete_guest(server_id)
    assert two.act(server_id, "revertResize") == 202
    two.idle()
    assert two.wait(server_id, "VERIFY_RESIZE")[HOST] == dest
    assert set(where(two, server_id)) == {dest}
    assert two.act(server_id, "confirmResize") == 204
    two.wait(server_id, "SHUTOFF")
    two.idle()
    assert two.findings() == []


def test_a_confirmation_that_is_late_leaves_no_way_back_to_disks_that_are_gone(two: House) -> None:
    server_id = two.boot()
    assert two.act(server_id, "migrate") == 202
    dest = two.wait(server_id, "VERIFY_RESIZE")[HOST]

    def too_late() -> None:
        with two.database.write(internal()) as w:
            late = sa.update(tasks.Task).where(tasks.Task.kind == "server.confirm_resize")
            w.changed(late.values(deadline_at=w.now))
        with two.database.write(internal()) as w:
            assert tasks.expire(w) == 1

    two.at("drop:done", too_late, kind="server.confirm_resize")
    assert two.act(server_id, "confirmResize") == 204
    assert two.wait(server_id, "ACTIVE")[HOST] == dest
    assert move(two)["status"] == "confirmed"
    assert where(two, server_id) == {dest: Power.RUNNING}
    two.idle()
    assert two.findings() == []


@pytest.mark.parametrize("op", ["ensure_image", "write_disk", "adopt_disk", "ensure_guest"])
def test_a_migration_that_fails_leaves_the_server_where_it_was(two: House, op: str) -> None:
    server_id = two.boot()
    source = two.server(server_id)[HOST]
    dest = other(two, source)
    two.drivers()[dest].fail_next(op, DriverError(op, "no space left", code="disk.full"))
    assert two.act(server_id, "migrate", {"host": dest}) == 202
    assert two.wait(server_id, "ACTIVE")[HOST] == source
    two.idle()
    assert where(two, server_id) == {source: Power.RUNNING}
    assert promised(two) == (1, 256, 1)
    assert move(two)["status"] == "error"
    assert two.findings() == []


@pytest.mark.parametrize("step", ["keep", "switch", "disks", "launch", "finish"])
def test_deleted_on_its_way_it_leaves_nothing_on_either_host(two: House, step: str) -> None:
    server_id = two.boot()
    two.at(f"{step}:done", lambda: two.delete(server_id), kind="server.migrate")
    assert two.act(server_id, "migrate") == 202
    two.gone(server_id)
    two.assert_empty()


def test_deleted_before_its_confirmation_it_leaves_nothing_on_either_host(two: House) -> None:
    server_id = two.boot()
    assert two.act(server_id, "migrate") == 202
    two.wait(server_id, "VERIFY_RESIZE")
    assert two.delete(server_id) == 204
    two.gone(server_id)
    two.assert_empty()


def test_a_server_that_is_off_migrates_and_starts_there(two: House) -> None:
    server_id = two.boot()
    assert two.act(server_id, "os-stop") == 202
    source = two.wait(server_id, "SHUTOFF")[HOST]
    assert two.act(server_id, "migrate") == 202
    two.wait(server_id, "VERIFY_RESIZE")
    assert two.act(server_id, "confirmResize") == 204
    assert two.wait(server_id, "SHUTOFF")[HOST] != source
    two.idle()
    assert two.findings() == []
    resized(two, server_id)  # its guest is not defined there yet
    assert two.act(server_id, "confirmResize") == 204
    two.wait(server_id, "SHUTOFF")
    assert two.act(server_id, "os-start") == 202
    two.wait(server_id, "ACTIVE")


def test_the_only_host_is_no_place_to_migrate_to(house: House) -> None:
    server_id = house.boot()
    assert house.act(server_id, "migrate") == 202
    server = house.wait(server_id, "ACTIVE")
    assert "fault" not in server
    house.idle()
    assert move(house)["status"] == "error"
    events = str(last_action(house, server_id)["events"])
    assert "allowed_host removed 1 of 1 (the server is there already)" in events
    assert promised(house) == (1, 256, 1)


def test_no_host_takes_a_running_guest_yet(two: House) -> None:
    server_id = two.boot()
    source = two.server(server_id)[HOST]
    assert two.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"}) == 202
    assert two.wait(server_id, "ACTIVE")[HOST] == source
    two.idle()
    assert (move(two)["migration_type"], move(two)["status"]) == ("live-migration", "error")
    assert "cannot take a running guest" in str(last_action(two, server_id)["events"])
    assert where(two, server_id) == {source: Power.RUNNING}


@pytest.mark.parametrize("asked", ["2.94", "2.95"])
def test_a_server_is_evacuated_from_a_host_that_is_down(two: House, asked: str) -> None:
    server_id = two.boot()
    source = two.server(server_id)[HOST]
    force_down(two, source)
    two.drivers()[source].set_unreachable(True)
    path = f"{C}/servers/{server_id}/action"
    answer = two.appliance.post(path, {"evacuate": {}}, version=asked)
    assert (answer.status_code, answer.text) == (200, "")
    server = two.wait(server_id, "ACTIVE" if asked == "2.94" else "SHUTOFF")
    assert server[HOST] == other(two, source)
    two.idle()
    assert (move(two)["migration_type"], move(two)["status"]) == ("evacuation", "done")
    assert promised(two) == (1, 256, 1)
    two.drivers()[source].set_unreachable(False)
    reconcile.every_host(two.database, two.appliance.built.links)
    assert source not in where(two, server_id)
    assert two.findings() == []


def test_from_the_only_host_there_is_no_way_out(build: Callable[..., House]) -> None:
    house = build()
    server_id = house.boot()
    force_down(house, house.server(server_id)[HOST])
    assert house.act(server_id, "evacuate", {}) == 200
    server = house.wait(server_id, "ERROR")
    assert "No valid host was found" in server["fault"]["message"]
    house.idle()
    assert move(house)["status"] == "error"
    assert promised(house) == (1, 256, 1)


def test_what_hangs_on_a_dead_host_does_not_keep_a_server_from_leaving(two: House) -> None:
    server_id = two.boot()
    source = two.server(server_id)[HOST]
    two.drivers()[source].set_unreachable(True)
    assert two.act(server_id, "reboot", {"type": "HARD"}) == 202
    force_down(two, source)
    assert two.act(server_id, "evacuate", {}) == 200
    wait_for(lambda: two.server(server_id)[HOST] != source)


def test_a_group_of_unfriendly_servers_may_resize_in_place(build: Callable[..., House]) -> None:
    house = build()
    group = house.appliance.post(
        f"{C}/os-server-groups", {"server_group": {"name": "g", "policy": "anti-affinity"}}, version=V
    ).json["server_group"]["id"]
    body = {"name": "s", "imageRef": house.appliance.image(), "flavorRef": TINY, "networks": "auto"}
    hints: dict[str, Any] = {"server": body, "os:scheduler_hints": {"group": group}}
    server_id = house.appliance.post(f"{C}/servers", hints, version=V).json["server"]["id"]
    house.wait(server_id, "ACTIVE")
    resized(house, server_id)
