"""Copies that are booted out of sight, to see whether they come up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.compute import protection, protection_tests
from novalite.cloud.compute.protection_records import Protection, ProtectionTest
from novalite.cloud.hosts import hosts
from novalite.cloud.tasks.tasks import Task
from novalite.context import internal
from novalite.drivers.compute.base import Power
from novalite.engine import doctor
from novalite.errors import DriverError
from tests.api.compute.conftest import Cloud
from tests.api.compute.test_protection import _call, _copy, _protect, _runs, _shown
from tests.api.conftest import wait_for
from tests.api.ui.conftest import Browser

WORDS = "boot {boots} of {name}\nready\n\n{name} login: "


@pytest.fixture
def protected(member: Cloud) -> Iterator[str]:
    """A server of which there is one copy."""
    server_id = member.boot("web")
    _protect(member, server_id, "daily, keep 3")
    assert _copy(member, server_id)["result"] == "done"
    yield server_id
    member.appliance.driver.boot_words = WORDS
    member.gone(server_id)


def _wish(cloud: Cloud, resource_id: str, **test: Any) -> Any:
    body = {"protection": {"schedule": "daily, keep 3", "test": test}}
    answer = _call(cloud, "PUT", f"/{resource_id}", body)
    assert answer.status_code == 200, answer.text
    return answer.json["protection"]


def _test(cloud: Cloud, resource_id: str, body: Any = None) -> Any:
    answer = _call(cloud, "POST", f"/{resource_id}/tests", {"test": body})
    assert answer.status_code == 202, answer.text
    return _tested(cloud, resource_id)


def _tested(cloud: Cloud, resource_id: str) -> Any:
    wait_for(lambda: not _shown(cloud, resource_id)["testing"], why="the test did not end")
    return _call(cloud, "GET", f"/{resource_id}/tests").json["tests"][0]


def _in_order(cloud: Cloud, *server_ids: str) -> None:
    """Nothing of a test is left: no guest, no room, no cached image, and doctor is content."""
    built = cloud.appliance.built
    assert {one.id for one in cloud.appliance.driver.list_guests()} == set(server_ids)
    with built.database.read(internal()) as w:
        assert {each.server_id for each in hosts.allocations(w)} == set(server_ids)
    assert [one for one in doctor.examine(built.parts, built.store).findings if one.severity == "error"] == []


def test_a_copy_that_comes_up_passes(member: Cloud, stranger: Cloud, protected: str) -> None:
    used = member.appliance.get("/compute/v2.1/limits", token=member.token).json["limits"]["absolute"]
    hold = member.appliance.driver.hold("console_text")
    assert _call(member, "POST", f"/{protected}/tests", {"test": None}).status_code == 202
    wait_for(lambda: len(member.appliance.driver.list_guests()) == 2)
    [hidden] = [one.id for one in member.appliance.driver.list_guests() if one.id != protected]
    guest = member.appliance.driver._guests[hidden].spec
    assert guest is not None
    assert (guest.nics, guest.vcpus, guest.config_drive) == ((), 1, None)
    with member.appliance.built.database.read(internal()) as w:
        assert {each.server_id for each in hosts.allocations(w)} == {protected, hidden}
    assert member.appliance.get("/compute/v2.1/limits", token=member.token).json["limits"]["absolute"] == used
    listed = member.appliance.get("/compute/v2.1/servers?all_tenants=1", token=member.appliance.token()).json["servers"]
    assert hidden not in {one["id"] for one in listed}
    assert _call(member, "POST", f"/{protected}/tests", {"test": None}).status_code == 409
    assert _shown(member, protected)["testing"]
    hold.set()
    test = _tested(member, protected)
    assert (test["result"], test["id"], test["run_id"]) == ("passed", hidden, _runs(member, protected)[0]["id"])
    assert "login prompt" in test["reason"]
    assert "login:" in test["console"]
    assert _shown(member, protected)["last_test"] == test
    assert _call(stranger, "GET", f"/{protected}/tests").status_code == 404
    assert _call(stranger, "POST", f"/{protected}/tests", {"test": None}).status_code == 404
    _in_order(member, protected)


def test_a_copy_that_does_not_come_up_fails(member: Cloud, protected: str) -> None:
    driver = member.appliance.driver
    driver.boot_words = "Kernel panic - not syncing: no init\n"
    test = _test(member, protected)
    assert (test["result"], "no init" in test["reason"], "no init" in test["console"]) == ("failed", True, True)
    driver.boot_words = ""
    _wish(member, protected, every="weekly", seconds=5)
    test = _test(member, protected)
    assert (test["result"], "Nothing boots" in test["reason"]) == ("failed", True)
    driver.boot_words = "Linux version 6\n"
    assert "did not come up within 5 seconds" in _test(member, protected)["reason"]
    _in_order(member, protected)


def test_what_is_expected_of_a_copy(member: Cloud, protected: str) -> None:
    _wish(member, protected, every="weekly", expect="shop is open", seconds=5)
    test = _test(member, protected)
    assert (test["result"], "did not say 'shop is open'" in test["reason"]) == ("failed", True)
    member.appliance.driver.boot_words = f"{WORDS}\nthe shop is open\n"
    assert _test(member, protected)["result"] == "passed"


def test_a_guest_that_goes_off_fails(member: Cloud, protected: str) -> None:
    driver = member.appliance.driver
    driver.boot_words = ""
    assert _call(member, "POST", f"/{protected}/tests", {"test": {}}).status_code == 202
    wait_for(lambda: len(driver.list_guests()) == 2)
    [hidden] = [one.id for one in driver.list_guests() if one.id != protected]
    driver.guest_powers_itself_off(hidden)
    assert driver.guest(hidden).power is Power.OFF
    test = _tested(member, protected)
    assert (test["result"], test["reason"].startswith("The guest is off")) == ("failed", True)
    _in_order(member, protected)


def test_what_keeps_a_test_from_being_made_says_nothing_of_the_copy(member: Cloud, protected: str) -> None:
    driver = member.appliance.driver
    driver.fail_next("ensure_guest", DriverError("ensure_guest", "no emulator", code="guest.refused"))
    test = _test(member, protected)
    assert (test["result"], "no emulator" in test["reason"]) == ("unknown", True)
    driver.fail_next("ensure_image", DriverError("ensure_image", "not as written", code="image.corrupt"))
    test = _test(member, protected)
    assert (test["result"], "not as written" in test["reason"]) == ("failed", True)
    _in_order(member, protected)


def test_a_full_host_is_not_overcommitted(member: Cloud, protected: str) -> None:
    built = member.appliance.built
    with built.database.write(internal()) as w:
        w.changed(sa.update(hosts.Host).values(reserved_memory_mib=hosts.Host.memory_mib))
    test = _test(member, protected)
    with built.database.write(internal()) as w:
        w.changed(sa.update(hosts.Host).values(reserved_memory_mib=0))
    assert (test["result"], "memory" in test["reason"].lower()) == ("unknown", True)
    _in_order(member, protected)


def test_tests_by_the_clock(member: Cloud, protected: str) -> None:
    told = _wish(member, protected, every="weekly", expect="", seconds=60)
    assert told["test"] == {"every": "weekly", "expect": "", "seconds": 60}
    database = member.appliance.built.database

    def due(**later: float) -> bool:
        with database.write(internal()) as w:
            w.now += timedelta(**later)
            return protected in protection_tests.due(w, most=9) and protection_tests.begin_due(w, protected)

    assert not due()
    at = datetime.fromisoformat(told["next_test_at"])
    assert due(days=8)
    assert not due(days=16), "one at a time"
    assert _tested(member, protected)["result"] == "passed"
    assert datetime.fromisoformat(_shown(member, protected)["next_test_at"]) >= at + timedelta(days=7)
    again = _protect(member, protected, "hourly, keep 2")
    assert again["test"] == told["test"], "another schedule leaves it alone"
    body = {"protection": {"schedule": "hourly, keep 2", "test": None}}
    ended = _call(member, "PUT", f"/{protected}", body).json["protection"]
    assert (ended["test"], ended["next_test_at"]) == (None, None)
    assert not due(days=99)


def test_no_more_at_once_than_the_settings_say(
    member: Cloud, protected: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(protection_tests, "_going_on", lambda w: 1)
    answer = _call(member, "POST", f"/{protected}/tests", {"test": None})
    assert (answer.status_code, "at once" in answer.text) == (409, True)
    assert not _shown(member, protected)["testing"]
    monkeypatch.undo()
    assert _test(member, protected)["result"] == "passed"


def test_what_makes_no_sense_is_refused(member: Cloud, protected: str) -> None:
    for wish in ({}, {"every": "yearly"}, {"every": "daily", "seconds": 4}, {"every": "daily", "seconds": "9"},
                 {"every": "daily", "expect": "x" * 256}, {"every": "daily", "expect": "\0"},
                 {"every": "daily", "x": 1}, "daily", []):  # fmt: skip
        answer = _call(member, "PUT", f"/{protected}", {"protection": {"schedule": "daily, keep 1", "test": wish}})
        assert answer.status_code == 400, wish
        assert "Invalid input for field/attribute" in answer.text
    assert _shown(member, protected)["test"] is None
    assert _call(member, "POST", f"/{protected}/tests", {"test": {"run_id": protected}}).status_code == 404
    bare = member.boot("bare")
    _protect(member, bare, "daily, keep 1")
    assert _call(member, "POST", f"/{bare}/tests", {"test": None}).status_code == 409
    member.gone(bare)


def test_copies_of_volumes_are_tested_too(member: Cloud) -> None:
    call = member.appliance.call

    def volume(**fields: Any) -> str:
        made = call("POST", "/volume/v3/volumes", token=member.token, json={"volume": {"size": 1, **fields}})
        volume_id = str(made.json["volume"]["id"])
        wait_for(lambda: call("GET", f"/volume/v3/volumes/{volume_id}", token=member.token)
                 .json["volume"]["status"] == "available")  # fmt: skip
        return volume_id

    blank, system = volume(), volume(imageRef=member.image_id)
    body = {"protection": {"schedule": "daily, keep 1", "test": {"every": "daily"}}}
    refused = _call(member, "PUT", f"/{blank}", body)
    assert (refused.status_code, "not bootable" in refused.text) == (400, True)
    assert _call(member, "PUT", f"/{system}", body).status_code == 200
    assert _copy(member, system)["result"] == "done"
    driver = member.appliance.driver
    hold = driver.hold("console_text")
    assert _call(member, "POST", f"/{system}/tests", {"test": None}).status_code == 202
    wait_for(lambda: len(driver.list_guests()) == 1)
    [guest] = [each.spec for each in driver._guests.values()]
    assert guest is not None
    [disk] = guest.disks
    assert (disk.path != "", disk.boot_index, disk.image) == (True, 0, None)
    built = member.appliance.built
    assert doctor.examine(built.parts, built.store).findings == ()
    hold.set()
    assert _tested(member, system)["result"] == "passed"
    _in_order(member)
    assert set(built.parts.volumes.of("").volume_ids()) == {blank, system}
    copy = _runs(member, system)[0]["copy_id"]
    assert call("GET", f"/volume/v3/backups/{copy}", token=member.token).json["backup"]["status"] == "available"
    data = built.parts.backups
    data.delete(copy)
    test = _test(member, system)
    assert (test["result"], "there is no backup" in test["reason"]) == ("failed", True)
    for path in (f"volumes/{blank}", f"volumes/{system}", f"backups/{copy}"):
        call("DELETE", f"/volume/v3/{path}", token=member.token)
        wait_for(lambda path=path: call("GET", f"/volume/v3/{path}", token=member.token).status_code == 404)
    _in_order(member)


def test_a_test_that_nothing_will_end_is_ended(member: Cloud, protected: str) -> None:
    built = member.appliance.built
    hold = member.appliance.driver.hold("console_text")
    assert _call(member, "POST", f"/{protected}/tests", {"test": None}).status_code == 202
    wait_for(lambda: len(member.appliance.driver.list_guests()) == 2)
    with built.database.write(internal()) as w:
        test_id = w.session.get_one(Protection, protected).test_id
        test = w.session.get_one(ProtectionTest, test_id)
        w.changed(sa.update(Task).where(Task.id == test.task_id).values(cancel_requested=True))
    hold.set()
    test = _tested(member, protected)
    assert test["result"] in ("passed", "unknown")
    _in_order(member, protected)
    with built.database.write(internal()) as w:
        w.changed(sa.update(Protection).where(Protection.resource_id == protected).values(test_id=test_id))
        assert protection_tests.end_orphans(w) == 1
    assert not _shown(member, protected)["testing"]


def test_old_tests_are_forgotten_but_for_the_newest(member: Cloud, protected: str) -> None:
    first, second = _test(member, protected), _test(member, protected)
    assert first["id"] != second["id"]
    with member.appliance.built.database.write(internal()) as w:
        protection_tests.prune(w, older_than=w.now + timedelta(days=1))
        assert [each.id for each in protection_tests.of(w, protected)] == [second["id"]]
        assert protection.newest_copy(w, protected) is not None


def test_the_page_shows_it(member: Cloud, protected: str) -> None:
    member.appliance.driver.boot_words = "Kernel panic - not syncing: <b>no init</b>\n"
    _wish(member, protected, every="weekly", seconds=60)
    _test(member, protected)
    browser = Browser(member.appliance)
    browser.log_in()
    page = browser.get(f"/servers/{protected}").text
    assert "Restore test" in page
    assert "&lt;b&gt;no init" in page
