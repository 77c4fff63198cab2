"""Deleting with a time to think it over: put aside, restored, deleted at once, reclaimed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from novalite.cloud.compute import soft_delete
from novalite.context import internal
from novalite.drivers.compute.base import Power
from novalite.errors import DriverError
from tests.api.conftest import Appliance, running, wait_for

from .conftest import Cloud


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    directory: Path = tmp_path_factory.mktemp("state")
    with running(directory, compute__reclaim_instance_interval_seconds=3600) as made:
        yield made


@pytest.fixture
def one(member: Cloud) -> Any:
    server_id = member.boot("dispensable")
    yield server_id
    member.act(server_id, "forceDelete")
    wait_for(lambda: member.get(f"/servers/{server_id}").status_code == 404)


def put_aside(cloud: Cloud, server_id: str) -> Any:
    assert cloud.call("DELETE", f"/servers/{server_id}").status_code == 204
    return cloud.wait(server_id, "SOFT_DELETED")


def ids(cloud: Cloud, query: str = "") -> set[str]:
    answer = cloud.get(f"/servers?{query}")
    assert answer.status_code == 200, answer.text
    return {server["id"] for server in answer.json["servers"]}


def reclaim(appliance: Appliance, *, age_seconds: float) -> list[str]:
    with appliance.built.database.write(internal()) as w:
        return soft_delete.reclaim(w, put_aside_before=w.now - timedelta(seconds=age_seconds))


def test_a_deleted_server_is_off_and_keeps_what_it_has(appliance: Appliance, member: Cloud, one: str) -> None:
    addresses = member.server(one)["addresses"]
    shown = put_aside(member, one)
    assert (shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:power_state"]) == ("soft-delete", 4)
    assert shown["addresses"] == addresses
    assert appliance.driver.guest(one).power is Power.OFF


def test_only_admins_who_ask_see_it_in_lists(admin: Cloud, member: Cloud, one: str) -> None:
    put_aside(member, one)
    assert one not in ids(member)
    assert one not in ids(member, "soft_deleted=1&deleted=1&status=soft_deleted")
    assert one not in ids(admin, "all_tenants=1")
    assert one not in ids(admin, "all_tenants=1&status=SOFT_DELETED")
    asked = (
        "soft_deleted=1",
        "soft_deleted=True&status=SOFT_DELETED",
        "deleted=True",
        "deleted=1&vm_state=soft-delete",
    )
    for query in asked:
        assert one in ids(admin, f"all_tenants=1&{query}"), query
    assert one in ids(member, "changes-since=2026-01-01T00:00:00Z")


def test_it_comes_back(appliance: Appliance, member: Cloud, one: str) -> None:
    put_aside(member, one)
    assert member.act(one, "restore").status_code == 202
    assert member.wait(one, "ACTIVE")["OS-EXT-STS:power_state"] == 1
    assert appliance.driver.guest(one).power is Power.RUNNING
    assert one in ids(member)
    actions = member.get(f"/servers/{one}/os-instance-actions").json["instanceActions"]
    assert [each["action"] for each in actions] == ["restore", "delete", "create"]


def test_only_what_is_deleted_can_be_restored(member: Cloud, one: str) -> None:
    answer = member.act(one, "restore")
    assert answer.status_code == 409
    assert answer.json["conflictingRequest"]["message"] == (
        f"Cannot 'restore' instance {one} while it is in vm_state active"
    )


def test_deleting_it_again_changes_nothing(member: Cloud, one: str) -> None:
    before = put_aside(member, one)["updated"]
    assert member.call("DELETE", f"/servers/{one}").status_code == 204
    assert member.server(one)["updated"] == before


def test_locked_servers_are_neither_deleted_nor_restored(member: Cloud, one: str) -> None:
    member.act(one, "lock")
    assert member.call("DELETE", f"/servers/{one}").status_code == 409
    assert member.act(one, "forceDelete").status_code == 409
    member.act(one, "unlock")
    put_aside(member, one)
    member.act(one, "lock")
    assert member.act(one, "restore").status_code == 409
    member.act(one, "unlock")


def test_strangers_and_readers_restore_nothing(member: Cloud, stranger: Cloud, reader: Cloud, one: str) -> None:
    put_aside(member, one)
    for action in ("restore", "forceDelete"):
        assert stranger.act(one, action).status_code == 404
        assert reader.act(one, action).status_code == 403


def test_it_does_not_count_until_it_is_restored(appliance: Appliance, member: Cloud) -> None:
    project = member.server(member.boot("counted"))["tenant_id"]
    [first] = ids(member)
    limits = {"quota_set": {"instances": 1}}
    assert appliance.call("PUT", f"/compute/v2.1/os-quota-sets/{project}", json=limits).status_code == 200
    put_aside(member, first)
    assert member.get("/limits").json["limits"]["absolute"]["totalInstancesUsed"] == 0
    second = member.boot("in-its-place")
    answer = member.act(first, "restore")
    assert answer.status_code == 403
    assert "Quota exceeded for instances" in answer.json["forbidden"]["message"]
    assert member.server(first)["status"] == "SOFT_DELETED"
    put_aside(member, second)
    answers = race(*(lambda each=each: member.act(each, "restore").status_code for each in (first, second)))
    assert answers == [202, 403]
    for server_id in (first, second):
        member.act(server_id, "forceDelete")
        wait_for(lambda gone=server_id: member.get(f"/servers/{gone}").status_code == 404)
    assert appliance.call("DELETE", f"/compute/v2.1/os-quota-sets/{project}").status_code == 202


def race(*calls: Any) -> list[int]:
    found: list[int] = []
    threads = [threading.Thread(target=lambda call=call: found.append(call())) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


def test_it_can_be_deleted_at_once(appliance: Appliance, member: Cloud) -> None:
    for aside in (False, True):
        server_id = member.boot("unloved")
        if aside:
            put_aside(member, server_id)
        assert member.act(server_id, "forceDelete").status_code == 202
        wait_for(lambda gone=server_id: member.get(f"/servers/{gone}").status_code == 404)
        assert server_id not in appliance.driver._guests


def test_what_never_ran_goes_at_once(appliance: Appliance, member: Cloud) -> None:
    appliance.driver.fail_next("ensure_guest", DriverError("ensure_guest", "no", code="guest.refused"))
    server_id = member.new("stillborn").json["server"]["id"]
    member.wait(server_id, "ERROR")
    member.gone(server_id)


def test_a_stopped_or_rescued_server_comes_back_running(member: Cloud, one: str) -> None:
    member.act(one, "os-stop")
    member.wait(one, "SHUTOFF")
    put_aside(member, one)
    member.act(one, "restore")
    member.wait(one, "ACTIVE")
    member.act(one, "rescue")
    member.wait(one, "RESCUE")
    put_aside(member, one)
    member.act(one, "restore")
    member.wait(one, "RESCUE")


@pytest.mark.parametrize("offload_seconds", [-1, 0])
def test_a_shelved_server_comes_back_shelved(tmp_path: Path, offload_seconds: int) -> None:
    given = {"compute__reclaim_instance_interval_seconds": 3600, "compute__shelved_offload_seconds": offload_seconds}
    with running(tmp_path, **given) as other:
        cloud = Cloud(other, other.token(), other.image())
        server_id = cloud.boot("on-the-shelf")
        assert cloud.act(server_id, "shelve").status_code == 202
        status = "SHELVED" if offload_seconds else "SHELVED_OFFLOADED"
        cloud.wait(server_id, status)
        put_aside(cloud, server_id)
        assert cloud.act(server_id, "restore").status_code == 202
        cloud.wait(server_id, status)
        cloud.act(server_id, "unshelve")
        cloud.wait(server_id, "ACTIVE")


def test_a_resized_server_comes_back_to_be_confirmed(admin: Cloud, member: Cloud, one: str) -> None:
    flavor = {"name": "wider", "id": "wider", "vcpus": 1, "ram": 300, "disk": 1}
    assert admin.call("POST", "/flavors", {"flavor": flavor}, "2.90").status_code == 200
    assert member.act(one, "resize", {"flavorRef": "wider"}).status_code == 202
    member.wait(one, "VERIFY_RESIZE")
    put_aside(member, one)
    member.act(one, "restore")
    member.wait(one, "VERIFY_RESIZE")
    assert member.act(one, "confirmResize").status_code == 204
    member.wait(one, "ACTIVE")


def test_its_time_comes(appliance: Appliance, member: Cloud) -> None:
    late, early = member.boot("late"), member.boot("early")
    put_aside(member, late)
    assert reclaim(appliance, age_seconds=3600) == []
    assert reclaim(appliance, age_seconds=-1) == [late]
    wait_for(lambda: member.get(f"/servers/{late}").status_code == 404)
    assert member.server(early)["status"] == "ACTIVE"
    member.act(early, "forceDelete")
    wait_for(lambda: member.get(f"/servers/{early}").status_code == 404)


def test_the_clock_asks_for_it(appliance: Appliance) -> None:
    [job] = [each for each in appliance.engine.periodic._jobs if each.name == "reclaim"]
    assert job.seconds == 60
    job.run()


def test_one_that_cannot_be_put_aside_says_why_and_stays(appliance: Appliance, member: Cloud, one: str) -> None:
    appliance.driver.fail_next("set_power", DriverError("set_power", "it clings", code="guest.state"))
    member.call("DELETE", f"/servers/{one}")
    assert member.wait(one, "ACTIVE")["OS-EXT-STS:task_state"] is None
    put_aside(member, one)


def test_one_that_cannot_be_restored_stays_aside(appliance: Appliance, member: Cloud, one: str) -> None:
    put_aside(member, one)
    appliance.driver.fail_next("ensure_guest", DriverError("ensure_guest", "no", code="guest.refused"))
    member.act(one, "restore")
    member.wait(one, "SOFT_DELETED")
    member.act(one, "restore")
    member.wait(one, "ACTIVE")


def test_by_itself_it_goes_when_its_time_is_up(tmp_path: Path) -> None:
    with running(tmp_path, compute__reclaim_instance_interval_seconds=1) as other:
        cloud = Cloud(other, other.token(), other.image())
        server_id = cloud.boot("short-lived")
        assert cloud.call("DELETE", f"/servers/{server_id}").status_code == 204
        wait_for(lambda: cloud.get(f"/servers/{server_id}").status_code == 404)
        assert other.driver._guests == {}
