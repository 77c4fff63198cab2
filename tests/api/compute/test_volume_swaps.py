"""Another volume in place of one that a server has: the guest goes on, the records follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from novalite.cloud.compute import facts, servers
from novalite.cloud.volume import volumes
from novalite.context import internal
from novalite.errors import DriverError
from tests.api.compute.conftest import Cloud
from tests.api.compute.volumes import Volumes
from tests.api.conftest import Appliance, running, wait_for


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with running(tmp_path_factory.mktemp("state"), volumes__swap_directly=True) as made:
        yield made


@pytest.fixture(scope="module")
def mine(member: Cloud) -> Volumes:
    return Volumes(member)


@pytest.fixture
def server(member: Cloud) -> Iterator[str]:
    made = member.boot()
    yield made
    member.gone(made)


def _attach(cloud: Cloud, mine: Volumes, server: str, volume: str, **values: Any) -> None:
    body = {"volumeAttachment": {"volumeId": volume, **values}}
    assert cloud.call("POST", f"/servers/{server}/os-volume_attachments", body, "2.95").status_code == 200
    wait_for(lambda: mine.status(volume) == "in-use")


def _swap(cloud: Cloud, server: str, old: str, new: str, version: str = "2.95") -> Any:
    body = {"volumeAttachment": {"volumeId": new}}
    return cloud.call("PUT", f"/servers/{server}/os-volume_attachments/{old}", body, version)


def _devices(cloud: Cloud, server: str) -> dict[str, Any]:
    rows = cloud.get(f"/servers/{server}/os-volume_attachments", "2.95").json["volumeAttachments"]
    return {row["volumeId"]: row for row in rows}


def _disks(appliance: Appliance, server: str) -> dict[str, tuple[str, str, int]]:
    """Serial -> name of the file, device, size."""
    spec = appliance.driver._guests[server].spec
    assert spec is not None
    return {disk.serial: (disk.path.rpartition("/")[2], disk.device, disk.size_gib) for disk in spec.disks if disk.path}


@pytest.mark.parametrize("version", ["2.1", "2.95"])
def test_the_guest_goes_on_with_the_other(
    appliance: Appliance, member: Cloud, admin: Cloud, mine: Volumes, server: str, version: str
) -> None:
    old, new = mine.new(), mine.new(size_gib=2)
    _attach(member, mine, server, old, delete_on_termination=True, tag="data")
    assert member_is_refused(_swap(member, server, old, new))
    assert _swap(admin, server, old, new, version).status_code == 202
    wait_for(lambda: list(_devices(member, server)) == [new], why="the attachment did not move")
    wait_for(lambda: (mine.status(old), mine.status(new)) == ("available", "in-use"))
    row = _devices(member, server)[new]
    assert (row["device"], row["tag"], row["delete_on_termination"]) == ("/dev/vdb", "data", True)
    assert _disks(appliance, server) == {old[:20]: (new, "vdb", 2)}, "the guest knows the disk as before"
    with appliance.built.database.read(internal()) as w:
        (told,) = facts.guest_facts(w, servers.get(w, server)).disks
    assert (told.serial, told.tag) == (old[:20], "data"), "the guest is told of a disk that it does not see"
    actions = member.get(f"/servers/{server}/os-instance-actions").json["instanceActions"]
    assert "swap_volume" in {one["action"] for one in actions}
    _attach(member, mine, server, old)
    serials = {name: serial for serial, (name, _, _) in _disks(appliance, server).items()}
    assert serials[new] == old[:20]
    assert serials[old] != old[:20], "two disks of one serial"
    for volume in (old, new):
        path = f"/servers/{server}/os-volume_attachments/{volume}"
        assert member.call("DELETE", path, version="2.95").status_code == 202
        wait_for(lambda volume=volume: mine.status(volume) == "available")
    assert _disks(appliance, server) == {}


def member_is_refused(answer: Any) -> bool:
    return bool(answer.status_code == 403)


def test_later_actions_find_the_disk(
    appliance: Appliance, member: Cloud, admin: Cloud, mine: Volumes, server: str
) -> None:
    old, new = mine.new(), mine.new()
    _attach(member, mine, server, old)
    assert _swap(admin, server, old, new).status_code == 202
    wait_for(lambda: mine.status(new) == "in-use")
    mine.snapshot(new)
    member.act(server, "reboot", {"type": "HARD"})
    member.wait(server, "ACTIVE")
    assert _disks(appliance, server) == {old[:20]: (new, "vdb", 1)}, "the serial stays over a restart"


def test_what_cannot_take_the_place_is_refused(member: Cloud, admin: Cloud, mine: Volumes, server: str) -> None:
    old, used, small = mine.new(size_gib=2), mine.new(size_gib=2), mine.new()
    for volume in (old, used):
        _attach(member, mine, server, volume)
    unknown = "12345678-1234-1234-1234-123456789abc"
    for volume, wanted, status, why in (
        (old, used, 400, "must be detached"),
        (old, old, 400, "must be detached"),
        (old, small, 400, "same size or larger"),
        (old, unknown, 400, "could not be found"),
        (unknown, small, 404, "could not be found"),
        (small, small, 404, "not attached"),
    ):
        answer = _swap(admin, server, volume, wanted, "2.1")
        assert (answer.status_code, why in answer.text) == (status, True), answer.text
    free = mine.new(size_gib=2)
    member.act(server, "os-stop")
    member.wait(server, "SHUTOFF")
    assert _swap(admin, server, old, free).status_code == 409
    assert (mine.status(old), mine.status(free)) == ("in-use", "available")


def test_only_files_are_larger_than_what_they_take_the_place_of(
    appliance: Appliance, member: Cloud, admin: Cloud, mine: Volumes, server: str
) -> None:
    old, large, alike = mine.new(), mine.new(size_gib=2), mine.new()
    _attach(member, mine, server, old)
    for volume in (large, alike):
        with appliance.built.database.write(internal()) as w:
            volumes.change(w, volume, {"location": {"path": "rbd:pool/image:conf=/c", "format": "raw"}})
    answer = _swap(admin, server, old, large)
    assert (answer.status_code, "must have 1 GiB" in answer.text) == (400, True), answer.text
    assert (mine.status(old), mine.status(large)) == ("in-use", "available")
    assert _swap(admin, server, old, alike).status_code == 202
    wait_for(lambda: (mine.status(old), mine.status(alike)) == ("available", "in-use"))


def test_a_copy_that_fails_leaves_all_as_it_was(
    appliance: Appliance, member: Cloud, admin: Cloud, mine: Volumes, server: str
) -> None:
    old, new = mine.new(), mine.new()
    _attach(member, mine, server, old)
    appliance.driver.fail_next("swap_disk", DriverError("swap_disk", "no", code="driver.failed"))
    assert _swap(admin, server, old, new).status_code == 202
    wait_for(lambda: (mine.status(old), mine.status(new)) == ("in-use", "available"))
    assert _disks(appliance, server) == {old[:20]: (old, "vdb", 1)}
    assert list(_devices(member, server)) == [old]
    assert member.get(f"/servers/{server}").json["server"]["status"] == "ACTIVE"


def test_deleting_the_server_ends_it(appliance: Appliance, member: Cloud, admin: Cloud, mine: Volumes) -> None:
    server, old, new = member.boot(), mine.new(), mine.new()
    _attach(member, mine, server, old)
    gate = appliance.driver.hold("swap_disk")
    try:
        assert _swap(admin, server, old, new).status_code == 202
        wait_for(lambda: (mine.status(old), mine.status(new)) == ("detaching", "attaching"))
        assert member.call("DELETE", f"/servers/{server}").status_code == 204
        wait_for(lambda: appliance.driver.calls.get("end_swap"), why="the copying was not called off")
    finally:
        gate.set()
        appliance.driver._faults._gates.clear()
    wait_for(lambda: member.call("GET", f"/servers/{server}").status_code == 404)
    wait_for(lambda: (mine.status(old), mine.status(new)) == ("available", "available"))
