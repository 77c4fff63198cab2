"""Shelved servers: what they keep, what they give back, and how they come again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novalite.engine.conductor.shelve import offload_in_time
from novalite.errors import DriverError
from tests.api.compute.conftest import Cloud
from tests.api.conftest import Appliance, running, wait_for

IMAGES = "/image/v2/images"
SHELVED, OFFLOADED = "SHELVED", "SHELVED_OFFLOADED"


def _images(cloud: Cloud, name: str) -> list[Any]:
    found: list[Any] = cloud.appliance.get(f"{IMAGES}?name={name}", token=cloud.token).json["images"]
    return found


def _shelve(cloud: Cloud, server_id: str, until: str = OFFLOADED) -> Any:
    answer = cloud.act(server_id, "shelve")
    assert (answer.status_code, answer.data) == (202, b"")
    return cloud.wait(server_id, until)


def _unshelve(cloud: Cloud, server_id: str, value: Any = None, version: str = "2.95") -> Any:
    answer = cloud.act(server_id, "unshelve", value, version)
    assert answer.status_code == 202, answer.text
    return cloud.wait(server_id, "ACTIVE")


def _promised(admin: Cloud) -> int:
    [host] = admin.get("/os-hypervisors/detail", "2.50").json["hypervisors"]
    return int(host["memory_mb_used"])


def _hold(cloud: Cloud, operation: str) -> threading.Event:
    gate = cloud.appliance.driver.hold(operation)
    gate.clear()
    return gate


def _doctor(admin: Cloud) -> Any:
    """What is wrong once all tasks have ended: an image is looked for in two places."""
    wait_for(lambda: not admin.appliance.get("/admin/status").json["tasks"], why="tasks do not end")
    return admin.appliance.get("/admin/doctor").json["findings"]


@pytest.fixture(scope="module")
def never(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud that offloads only when it is told to."""
    with running(tmp_path_factory.mktemp("never"), compute__shelved_offload_seconds=-1) as appliance:
        yield Cloud(appliance, appliance.token(), appliance.image())


def test_a_server_is_put_away_and_comes_again(admin: Cloud, member: Cloud) -> None:
    server_id = member.boot("away")
    before, room = member.server(server_id), _promised(admin)
    shown = _shelve(member, server_id)
    assert (shown["status"], shown["OS-EXT-STS:vm_state"]) == (OFFLOADED, "shelved_offloaded")
    assert shown["OS-EXT-STS:power_state"] == 4
    assert shown["hostId"] == ""
    assert shown["addresses"] == before["addresses"], "the ports stay"
    assert "progress" not in shown
    as_admin = admin.server(server_id)
    assert as_admin["OS-EXT-SRV-ATTR:host"] is None
    assert as_admin["OS-EXT-SRV-ATTR:hypervisor_hostname"] is None
    assert as_admin["host_status"] == ""
    assert _promised(admin) == room - member.get("/flavors/1").json["flavor"]["ram"]
    assert server_id not in member.appliance.driver._guests
    [image] = _images(member, "away-shelved")
    assert (image["status"], image["image_type"], image["instance_uuid"]) == ("active", "snapshot", server_id)
    assert _doctor(admin) == []

    after = _unshelve(member, server_id)
    assert after["image"] == before["image"], "it is still a server of its own image"
    assert after["addresses"] == before["addresses"]
    assert after["hostId"] == before["hostId"]
    assert _promised(admin) == room
    wait_for(lambda: not _images(member, "away-shelved"), why="the image stayed")
    [disk] = [disk for disk in member.appliance.driver._guests[server_id].spec.disks if disk.name == "root"]
    assert disk.image.id == image["id"], "its disk goes on from the image"
    assert member.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    member.wait(server_id, "ACTIVE")
    assert _doctor(admin) == []
    actions = [one["action"] for one in member.get(f"/servers/{server_id}/os-instance-actions").json["instanceActions"]]
    assert actions == ["reboot", "unshelve", "shelve", "create"]
    member.gone(server_id)
    assert image["id"] not in member.appliance.driver._images, "the host forgets what was this server's alone"


def test_again_and_again(member: Cloud) -> None:
    server_id = member.boot("often")
    for _ in range(2):
        _shelve(member, server_id)
        assert len(_images(member, "often-shelved")) == 1
        _unshelve(member, server_id)
        wait_for(lambda: not _images(member, "often-shelved"))
    member.gone(server_id)


@pytest.mark.parametrize(("before", "status"), [("os-stop", "SHUTOFF"), ("pause", "PAUSED"), ("suspend", "SUSPENDED")])
def test_from_other_states(member: Cloud, before: str, status: str) -> None:
    server_id = member.boot(before)
    assert member.act(server_id, before).status_code == 202
    member.wait(server_id, status)
    _shelve(member, server_id)
    _unshelve(member, server_id)
    member.gone(server_id)


def test_states_on_the_way(member: Cloud) -> None:
    server_id = member.boot("slow")

    def doing() -> Any:
        return member.server(server_id)["OS-EXT-STS:task_state"]

    copying, reading, removing = (_hold(member, name) for name in ("take_snapshot", "read_snapshot", "delete_guest"))
    assert member.act(server_id, "shelve").status_code == 202
    wait_for(lambda: doing() == "shelving_image_pending_upload")
    assert member.server(server_id)["status"] == "ACTIVE"
    assert member.act(server_id, "shelve").status_code == 409
    copying.set()
    wait_for(lambda: doing() == "shelving_image_uploading")
    reading.set()
    wait_for(lambda: doing() == "shelving_offloading")
    assert member.server(server_id)["status"] == SHELVED
    removing.set()
    member.wait(server_id, OFFLOADED)
    spawning = _hold(member, "ensure_guest")
    assert member.act(server_id, "unshelve").status_code == 202
    wait_for(lambda: doing() == "spawning")
    assert member.server(server_id)["status"] == OFFLOADED
    spawning.set()
    member.wait(server_id, "ACTIVE")
    member.gone(server_id)


def test_offloading_when_told_to(never: Cloud) -> None:
    server_id = never.boot("kept")
    shown = _shelve(never, server_id, SHELVED)
    assert (shown["OS-EXT-STS:power_state"], shown["OS-EXT-STS:vm_state"]) == (4, "shelved")
    assert shown["OS-EXT-SRV-ATTR:host"], "it still has its host"
    assert never.act(server_id, "os-start").status_code == 409
    refused = never.act(server_id, "unshelve", {"availability_zone": "nova"})
    assert refused.status_code == 409
    assert "must be SHELVED_OFFLOADED" in refused.json["conflictingRequest"]["message"]
    answer = never.act(server_id, "shelveOffload")
    assert (answer.status_code, answer.data) == (202, b"")
    never.wait(server_id, OFFLOADED)
    assert never.act(server_id, "shelveOffload").status_code == 409
    _unshelve(never, server_id)
    never.gone(server_id)


def test_what_has_lost_its_image_is_not_offloaded(never: Cloud) -> None:
    server_id = never.boot("last-copy")
    _shelve(never, server_id, SHELVED)
    [image] = _images(never, "last-copy-shelved")
    assert never.appliance.call("DELETE", f"{IMAGES}/{image['id']}", token=never.token).status_code == 204
    assert never.act(server_id, "shelveOffload").status_code == 202
    actions = f"/servers/{server_id}/os-instance-actions"
    wait_for(lambda: never.get(actions).json["instanceActions"][0]["message"] == "Error")
    never.wait(server_id, SHELVED)
    _unshelve(never, server_id)
    never.gone(server_id)


def test_coming_back_to_the_host_it_is_still_on(never: Cloud) -> None:
    server_id = never.boot("near")
    boots = never.appliance.driver._guests[server_id].boots
    _shelve(never, server_id, SHELVED)
    _unshelve(never, server_id)
    assert never.appliance.driver._guests[server_id].boots == boots + 1
    wait_for(lambda: not _images(never, "near-shelved"))
    never.gone(server_id)


def test_offloading_after_a_while(tmp_path: Path) -> None:
    with running(tmp_path, compute__shelved_offload_seconds=3600) as appliance:
        cloud = Cloud(appliance, appliance.token(), appliance.image())
        server_id = cloud.boot("patient")
        _shelve(cloud, server_id, SHELVED)
        assert offload_in_time(appliance.built.parts) == []
    with running(tmp_path, compute__shelved_offload_seconds=1) as appliance:
        cloud = Cloud(appliance, appliance.token(), "")
        wait_for(lambda: offload_in_time(appliance.built.parts) == [server_id], why="it was not its time")
        cloud.wait(server_id, OFFLOADED)
        _unshelve(cloud, server_id)


@pytest.mark.parametrize("until", [SHELVED, OFFLOADED])
def test_deleting_what_is_shelved(never: Cloud, until: str) -> None:
    server_id = never.boot("gone")
    _shelve(never, server_id, SHELVED)
    if until == OFFLOADED:
        assert never.act(server_id, "shelveOffload").status_code == 202
        never.wait(server_id, OFFLOADED)
    [image] = _images(never, "gone-shelved")
    never.gone(server_id)
    assert _images(never, "gone-shelved") == []
    assert not (Path(never.appliance.built.settings.state_dir) / "images" / image["id"]).exists()
    assert _doctor(never) == []


def test_deleting_while_it_is_put_away(admin: Cloud, member: Cloud) -> None:
    server_id = member.boot("hasty")
    copying = _hold(member, "take_snapshot")
    assert member.act(server_id, "shelve").status_code == 202
    wait_for(lambda: member.server(server_id)["OS-EXT-STS:task_state"] == "shelving_image_pending_upload")
    assert member.call("DELETE", f"/servers/{server_id}").status_code == 204
    copying.set()
    wait_for(lambda: member.get(f"/servers/{server_id}").status_code == 404)
    assert _images(member, "hasty-shelved") == []
    assert _doctor(admin) == []


def test_deleting_while_it_comes_back(admin: Cloud, member: Cloud) -> None:
    server_id = member.boot("hesitant")
    _shelve(member, server_id)
    spawning = _hold(member, "ensure_guest")
    assert member.act(server_id, "unshelve").status_code == 202
    wait_for(lambda: member.server(server_id)["OS-EXT-STS:task_state"] == "spawning")
    assert member.call("DELETE", f"/servers/{server_id}").status_code == 204
    spawning.set()
    wait_for(lambda: member.get(f"/servers/{server_id}").status_code == 404)
    assert _images(member, "hesitant-shelved") == []
    assert server_id not in member.appliance.driver._guests
    assert _doctor(admin) == []


def test_a_copy_that_fails_leaves_the_server(member: Cloud) -> None:
    server_id = member.boot("unlucky")
    error = DriverError("take_snapshot", "no room", code="disk.full")
    member.appliance.driver.fail_next("take_snapshot", error)
    assert member.act(server_id, "shelve").status_code == 202
    member.wait(server_id, "SHUTOFF")
    assert _images(member, "unlucky-shelved") == []
    assert member.act(server_id, "os-start").status_code == 202
    member.wait(server_id, "ACTIVE")
    member.gone(server_id)


def test_no_room_to_come_back(admin: Cloud, member: Cloud) -> None:
    server_id = member.boot("crowded-out")
    _shelve(member, server_id)
    [service] = [one for one in admin.get("/os-services").json["services"] if one["binary"] == "nova-compute"]
    assert admin.call("PUT", f"/os-services/{service['id']}", {"status": "disabled"}).status_code == 200
    assert member.act(server_id, "unshelve").status_code == 202
    shown = member.wait(server_id, OFFLOADED)
    assert "fault" not in shown
    assert len(_images(member, "crowded-out-shelved")) == 1
    assert admin.call("PUT", f"/os-services/{service['id']}", {"status": "enabled"}).status_code == 200
    _unshelve(member, server_id)
    member.gone(server_id)


def test_an_image_that_is_gone(member: Cloud) -> None:
    server_id = member.boot("hollow")
    _shelve(member, server_id)
    [image] = _images(member, "hollow-shelved")
    assert member.appliance.call("DELETE", f"{IMAGES}/{image['id']}", token=member.token).status_code == 204
    assert member.act(server_id, "unshelve").status_code == 202
    shown = member.wait(server_id, "ERROR")
    assert "cannot be found" in shown["fault"]["message"]
    member.gone(server_id)


def test_a_locked_server(admin: Cloud, member: Cloud) -> None:
    server_id = member.boot("locked")
    assert member.act(server_id, "lock").status_code == 202
    assert member.act(server_id, "shelve").status_code == 409
    assert admin.act(server_id, "shelve").status_code == 202
    member.wait(server_id, OFFLOADED)
    assert member.act(server_id, "unshelve").status_code == 409
    assert member.act(server_id, "unlock").status_code == 202
    member.gone(server_id)


def test_who_may(member: Cloud, stranger: Cloud) -> None:
    server_id = member.boot("mine")
    for action in ("shelve", "unshelve"):
        assert stranger.act(server_id, action).status_code == 404
    assert member.act(server_id, "shelveOffload").status_code == 403
    _shelve(member, server_id)
    refused = member.act(server_id, "unshelve", {"host": "vm"})
    assert refused.status_code == 403
    assert "unshelve_to_host" in refused.json["forbidden"]["message"]
    member.gone(server_id)


@pytest.fixture(scope="module")
def offloaded(admin: Cloud) -> Iterator[str]:
    server_id = admin.boot("waiting")
    _shelve(admin, server_id)
    yield server_id
    admin.gone(server_id)


@pytest.mark.parametrize(
    ("version", "value"),
    [
        ("2.77", {}),
        ("2.77", {"availability_zone": None}),
        ("2.77", {"availability_zone": ""}),
        ("2.77", {"availability_zone": "nova", "host": "x"}),
        ("2.77", "nova"),
        ("2.77", {"availability_zone": "nowhere"}),
        ("2.90", {"host": "x"}),
        ("2.91", {"availability_zone": 5}),
        ("2.91", {"host": None}),
        ("2.91", {"other": "x"}),
        ("2.91", {"host": "unknown-host"}),
        ("2.91", {"availability_zone": "nowhere"}),
    ],
)
def test_destinations_that_are_refused(admin: Cloud, offloaded: str, version: str, value: Any) -> None:
    answer = admin.act(offloaded, "unshelve", value, version)
    assert answer.status_code == 400, answer.text
    assert admin.server(offloaded)["OS-EXT-STS:task_state"] is None


def _host(admin: Cloud) -> str:
    [host] = admin.get("/os-hypervisors", "2.50").json["hypervisors"]
    return str(host["hypervisor_hostname"])


def test_a_host_outside_the_zone(admin: Cloud) -> None:
    server_id = admin.boot("pinned", availability_zone="nova")
    _shelve(admin, server_id)
    host, zone = _host(admin), {"aggregate": {"name": "other", "availability_zone": "elsewhere"}}
    number = admin.call("POST", "/os-aggregates", zone).json["aggregate"]["id"]
    added = admin.call("POST", f"/os-aggregates/{number}/action", {"add_host": {"host": host}})
    assert added.status_code == 200, added.text
    refused = admin.act(server_id, "unshelve", {"host": host})
    assert refused.status_code == 409
    assert refused.json["conflictingRequest"]["message"] == f'Host "{host}" is not in the availability zone "nova".'
    assert admin.act(server_id, "unshelve").status_code == 202
    admin.wait(server_id, OFFLOADED)
    shown = _unshelve(admin, server_id, {"availability_zone": None, "host": host}, "2.96")
    assert shown["OS-EXT-AZ:availability_zone"] == "elsewhere"
    assert admin.server(server_id, "2.96")["pinned_availability_zone"] is None
    _shelve(admin, server_id)
    _unshelve(admin, server_id, {"availability_zone": "elsewhere"}, "2.77")
    assert admin.server(server_id, "2.96")["pinned_availability_zone"] == "elsewhere"
    admin.gone(server_id)
    assert admin.call("POST", f"/os-aggregates/{number}/action", {"remove_host": {"host": host}}).status_code == 200
    assert admin.call("DELETE", f"/os-aggregates/{number}").status_code == 200


def test_the_old_body(admin: Cloud) -> None:
    """Before 2.77 whatever stands behind the action means nothing."""
    server_id = admin.boot("old-fashioned")
    _shelve(admin, server_id)
    _unshelve(admin, server_id, {"availability_zone": "nowhere"}, "2.76")
    admin.gone(server_id)


def test_a_restart_leaves_an_offloaded_server_alone(tmp_path: Path) -> None:
    with running(tmp_path) as appliance:
        cloud = Cloud(appliance, appliance.token(), appliance.image())
        server_id = cloud.boot("sleeping")
        _shelve(cloud, server_id)
    with running(tmp_path) as again:
        cloud = Cloud(again, again.token(), "")
        assert cloud.server(server_id)["status"] == OFFLOADED
        assert again.get("/admin/doctor").json["findings"] == []
        _unshelve(cloud, server_id)


def test_what_is_counted(appliance: Appliance, member: Cloud) -> None:
    """A shelved server is still the project's."""
    server_id = member.boot("counted")
    used = member.get("/limits").json["limits"]["absolute"]
    _shelve(member, server_id)
    assert member.get("/limits").json["limits"]["absolute"] == used
    member.gone(server_id)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud of three hosts."""
    with running(tmp_path_factory.mktemp("wide"), compute__fake_hosts=3) as appliance:
        yield Cloud(appliance, appliance.token(), appliance.image())


def _drivers(cloud: Cloud) -> dict[str, Any]:
    built = cloud.appliance.built
    return {name: built.links.driver(name)._driver for name in built.hosts}  # type: ignore[attr-defined]


def test_coming_back_on_another_host(wide: Cloud) -> None:
    server_id = wide.boot("wanderer")
    for _ in range(2):
        was = wide.server(server_id)["OS-EXT-SRV-ATTR:host"]
        other = next(name for name in _drivers(wide) if name != was)
        _shelve(wide, server_id)
        shown = _unshelve(wide, server_id, {"host": other})
        assert shown["OS-EXT-SRV-ATTR:host"] == other
        assert [name for name, driver in _drivers(wide).items() if server_id in driver._guests] == [other]
        assert wide.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
        wide.wait(server_id, "ACTIVE")
    assert _doctor(wide) == []
    wide.gone(server_id)
    assert {len(driver._images) for driver in _drivers(wide).values()} <= {0, 1}, "only what others may start from"


def test_a_host_that_fails_is_left_out(wide: Cloud) -> None:
    server_id = wide.boot("second-choice")
    _shelve(wide, server_id)
    drivers = _drivers(wide)
    for name in list(drivers)[:2]:
        drivers[name].fail_next("ensure_guest", DriverError("ensure_guest", "broken", code="guest.refused"))
    shown = _unshelve(wide, server_id)
    there = [name for name, driver in drivers.items() if server_id in driver._guests]
    assert there == [shown["OS-EXT-SRV-ATTR:host"]]
    assert _doctor(wide) == []
    wide.gone(server_id)
    for name in list(drivers)[:2]:  # what was not met
        drivers[name]._faults._failures.clear()


def test_its_host_dies_later(wide: Cloud) -> None:
    """What it was shelved as is gone by then: it begins from its own image."""
    server_id = wide.boot("bereft")
    _shelve(wide, server_id)
    was = _unshelve(wide, server_id)["OS-EXT-SRV-ATTR:host"]
    wait_for(lambda: not _images(wide, "bereft-shelved"))
    [service] = wide.get(f"/os-services?binary=nova-compute&host={was}").json["services"]
    assert wide.call("PUT", f"/os-services/{service['id']}", {"forced_down": True}).status_code == 200
    assert wide.act(server_id, "evacuate", {}, "2.94").status_code == 200
    wait_for(lambda: wide.server(server_id)["OS-EXT-SRV-ATTR:host"] != was)
    shown = wide.wait(server_id, "ACTIVE")
    [disk] = _drivers(wide)[shown["OS-EXT-SRV-ATTR:host"]]._guests[server_id].spec.disks
    assert disk.image.id == wide.image_id
    assert wide.call("PUT", f"/os-services/{service['id']}", {"forced_down": False}).status_code == 200
    assert wide.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    wide.wait(server_id, "ACTIVE")
    wide.gone(server_id)
