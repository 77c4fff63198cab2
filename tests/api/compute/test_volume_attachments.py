"""Volumes of servers: attached and detached behind the request, whatever the server does meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.compute import block_devices, servers
from novalite.errors import DriverError
from tests.api.compute.conftest import Cloud
from tests.api.compute.volumes import Volumes
from tests.api.conftest import Appliance, wait_for


@pytest.fixture(scope="module")
def mine(member: Cloud) -> Volumes:
    return Volumes(member)


@pytest.fixture
def server(member: Cloud) -> Any:
    made = member.boot()
    yield made
    member.gone(made)


def _attach(cloud: Cloud, server: str, volume: str, version: str = "2.95", **values: Any) -> Any:
    body = {"volumeAttachment": {"volumeId": volume, **values}}
    return cloud.call("POST", f"/servers/{server}/os-volume_attachments", body, version)


def _attached(cloud: Cloud, mine: Volumes, server: str, volume: str, version: str = "2.95", **values: Any) -> Any:
    answer = _attach(cloud, server, volume, version, **values)
    assert answer.status_code == 200, answer.text
    wait_for(lambda: mine.status(volume) == "in-use")
    return answer.json["volumeAttachment"]


def _shown(cloud: Cloud, server: str, volume: str, version: str = "2.95") -> Any:
    return cloud.get(f"/servers/{server}/os-volume_attachments/{volume}", version).json["volumeAttachment"]


def _detach(cloud: Cloud, server: str, volume: str, version: str = "2.95") -> Any:
    return cloud.call("DELETE", f"/servers/{server}/os-volume_attachments/{volume}", version=version)


def _disks(appliance: Appliance, server: str) -> dict[str, str]:
    """Serial -> device of the disks that somebody else makes."""
    spec = appliance.driver._guests[server].spec
    assert spec is not None
    return {disk.serial: disk.device for disk in spec.disks if disk.path}


def test_a_volume_comes_and_goes(appliance: Appliance, member: Cloud, mine: Volumes, server: str) -> None:
    volume = mine.new()
    made = _attached(member, mine, server, volume)
    assert made == {
        "id": volume, "volumeId": volume, "serverId": server, "device": "/dev/vdb", "tag": None,
        "delete_on_termination": False,
    }  # fmt: skip
    assert _disks(appliance, server) == {volume[:20]: "vdb"}
    assert member.server(server)["os-extended-volumes:volumes_attached"] == [
        {"id": volume, "delete_on_termination": False}
    ]
    assert _detach(member, server, volume).status_code == 202
    wait_for(lambda: mine.status(volume) == "available")
    assert _disks(appliance, server) == {}
    assert member.server(server)["os-extended-volumes:volumes_attached"] == []
    assert member.get(f"/servers/{server}/os-volume_attachments/{volume}").status_code == 404
    found = member.get(f"/servers/{server}/os-instance-actions").json["instanceActions"]
    assert [one["action"] for one in found] == ["detach_volume", "attach_volume", "create"]


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("2.1", {"id", "volumeId", "serverId", "device"}),
        ("2.69", {"id", "volumeId", "serverId", "device"}),
        ("2.70", {"id", "volumeId", "serverId", "device", "tag"}),
        ("2.79", {"id", "volumeId", "serverId", "device", "tag", "delete_on_termination"}),
        ("2.89", {"volumeId", "serverId", "device", "tag", "delete_on_termination", "attachment_id", "bdm_uuid"}),
    ],
)
def test_what_each_version_shows(member: Cloud, mine: Volumes, server: str, version: str, keys: set[str]) -> None:
    volume = mine.new()
    _attached(member, mine, server, volume)
    assert set(_shown(member, server, volume, version)) == keys
    [listed] = member.get(f"/servers/{server}/os-volume_attachments", version).json["volumeAttachments"]
    assert listed == _shown(member, server, volume, version)
    attached = member.server(server, version)["os-extended-volumes:volumes_attached"]
    assert set(attached[0]) == ({"id"} if version == "2.1" else {"id", "delete_on_termination"})


def test_what_each_version_takes(member: Cloud, mine: Volumes, server: str) -> None:
    volume = mine.new()
    assert _attach(member, server, volume, "2.48", tag="data").status_code == 400
    assert _attach(member, server, volume, "2.78", delete_on_termination=True).status_code == 400
    answer = _attach(member, server, volume, "2.101", tag="data", delete_on_termination=True)
    assert (answer.status_code, answer.data) == (202, b"")
    wait_for(lambda: mine.status(volume) == "in-use")
    shown = _shown(member, server, volume)
    assert (shown["tag"], shown["delete_on_termination"]) == ("data", True)


def test_names_are_given_or_chosen(appliance: Appliance, member: Cloud, mine: Volumes, server: str) -> None:
    first, second, third, fourth = (mine.new() for _ in range(4))
    assert _attached(member, mine, server, first, device="/dev/vdc")["device"] == "/dev/vdc"
    assert _attached(member, mine, server, second)["device"] == "/dev/vdb"
    assert _attached(member, mine, server, third, device="/dev/sde")["device"] == "/dev/vde"
    for taken in ("/dev/vda", "/dev/vdc", "/dev/xvdb"):
        answer = _attach(member, server, fourth, device=taken)
        assert answer.status_code == 409
        assert taken in answer.text
    assert _attach(member, server, fourth, device="vdd").status_code == 400
    assert mine.status(fourth) == "available"
    before = _disks(appliance, server)
    assert before == {first[:20]: "vdc", second[:20]: "vdb", third[:20]: "vde"}
    assert member.act(server, "reboot", {"type": "HARD"}).status_code == 202
    member.wait(server, "ACTIVE")
    assert _disks(appliance, server) == before


def test_the_list_has_pages(member: Cloud, mine: Volumes, server: str) -> None:
    both = [mine.new(), mine.new()]
    for volume in both:
        _attached(member, mine, server, volume)
    path = f"/servers/{server}/os-volume_attachments"
    for query, expected in (("", both), ("?limit=1", both[:1]), ("?offset=1", both[1:]), ("?limit=0", both)):
        assert [one["volumeId"] for one in member.get(path + query).json["volumeAttachments"]] == expected
    assert member.get(path + "?colour=red").status_code == 400
    assert member.get(path + "?colour=red", "2.74").status_code == 200


def test_what_is_refused(member: Cloud, stranger: Cloud, mine: Volumes, server: str) -> None:
    volume, other = mine.new(), mine.new()
    unknown = "6e0bd4f7-3a58-4d4a-8c65-8a2b1a6a7a11"
    assert _attach(member, server, unknown).status_code == 404
    assert _attach(member, server, Volumes(stranger).new()).status_code == 404
    assert _attach(member, server, "not-an-id").status_code == 400
    assert _attach(stranger, server, volume).status_code == 404
    assert _detach(member, server, unknown).status_code == 404
    assert _detach(member, server, other).status_code == 404
    _attached(member, mine, server, volume)
    assert _attach(member, server, volume).status_code == 400
    second = member.boot("second")
    assert _attach(member, second, volume).status_code == 400
    assert _detach(member, second, volume).status_code == 404
    member.gone(second)
    assert mine.status(volume) == "in-use"
    assert mine.status(other) == "available"


def test_a_shared_volume_needs_its_version(member: Cloud, mine: Volumes, server: str) -> None:
    volume = mine.new(multiattach=True)
    second = member.boot("second")
    old = _attach(member, server, volume, "2.59")
    assert old.status_code == 400
    assert "2.60" in old.text
    for each in (server, second):
        _attached(member, mine, each, volume)
        assert _shown(member, each, volume)
    assert _detach(member, second, volume).status_code == 202
    wait_for(lambda: member.get(f"/servers/{second}/os-volume_attachments").json["volumeAttachments"] == [])
    assert mine.status(volume) == "in-use"
    member.gone(second)


def test_whether_it_goes_with_the_server_can_be_changed(appliance: Appliance, member: Cloud, mine: Volumes) -> None:
    server = member.boot()
    goes, stays = mine.new(), mine.new()
    for volume in (goes, stays):
        _attached(member, mine, server, volume)
    path = f"/servers/{server}/os-volume_attachments/{goes}"
    wish = {"volumeId": goes, "delete_on_termination": True}
    assert member.call("PUT", path, {"volumeAttachment": wish}, "2.84").status_code == 400
    assert member.call("PUT", path, {"volumeAttachment": wish}, "2.85").status_code == 202
    assert _shown(member, server, goes)["delete_on_termination"] is True
    for name, value in (("device", "/dev/vdz"), ("tag", "x"), ("id", stays), ("serverId", stays)):
        answer = member.call("PUT", path, {"volumeAttachment": {"volumeId": goes, name: value}}, "2.85")
        assert answer.status_code == 400
        assert name in answer.text
    same = {"volumeId": goes, "device": "/dev/vdb", "serverId": server, "id": goes}
    assert member.call("PUT", path, {"volumeAttachment": same}, "2.85").status_code == 202
    member.gone(server)
    wait_for(lambda: mine.status(goes) == "gone")
    assert mine.status(stays) == "available"


def test_swapping_is_for_volumes_that_move(member: Cloud, admin: Cloud, mine: Volumes, server: str) -> None:
    volume, other = mine.new(), mine.new()
    _attached(member, mine, server, volume)
    path, body = f"/servers/{server}/os-volume_attachments/{volume}", {"volumeAttachment": {"volumeId": other}}
    for version in ("2.1", "2.95"):
        assert member.call("PUT", path, body, version).status_code == 403
        assert admin.call("PUT", path, body, version).status_code == 409


def test_states_and_locks_decide(member: Cloud, mine: Volumes, server: str) -> None:
    volume = mine.new()
    assert member.act(server, "suspend").status_code == 202
    member.wait(server, "SUSPENDED")
    assert _attach(member, server, volume).status_code == 409
    assert member.act(server, "resume").status_code == 202
    member.wait(server, "ACTIVE")
    assert member.act(server, "lock").status_code == 202
    assert _attach(member, server, volume).status_code == 409
    assert member.act(server, "unlock").status_code == 202
    assert mine.status(volume) == "available"


@pytest.mark.parametrize(
    ("action", "status", "back"), [("os-stop", "SHUTOFF", "os-start"), ("pause", "PAUSED", "unpause")]
)
def test_a_server_that_does_not_run(
    appliance: Appliance, member: Cloud, mine: Volumes, server: str, action: str, status: str, back: str
) -> None:
    volume = mine.new()
    assert member.act(server, action).status_code == 202
    member.wait(server, status)
    _attached(member, mine, server, volume)
    assert member.act(server, back).status_code == 202
    member.wait(server, "ACTIVE")
    assert _disks(appliance, server) == {volume[:20]: "vdb"}


def test_a_host_that_refuses_leaves_the_volume_free(
    appliance: Appliance, member: Cloud, mine: Volumes, server: str
) -> None:
    volume = mine.new()
    appliance.driver.fail_next("attach_disk", DriverError("attach_disk", "no slot is free", code="guest.refused"))
    assert _attach(member, server, volume).status_code == 200
    wait_for(lambda: mine.status(volume) == "available")
    wait_for(lambda: member.get(f"/servers/{server}/os-volume_attachments").json["volumeAttachments"] == [])
    assert member.server(server)["status"] == "ACTIVE"
    assert member.server(server)["os-extended-volumes:volumes_attached"] == []


def test_a_guest_that_does_not_let_go(appliance: Appliance, member: Cloud, mine: Volumes, server: str) -> None:
    volume = mine.new()
    _attached(member, mine, server, volume)
    refused = DriverError("detach_disk", "the guest does not let go", code="guest.refused")
    appliance.driver.fail_next("detach_disk", refused)
    assert _detach(member, server, volume).status_code == 202
    wait_for(lambda: mine.status(volume) == "in-use")
    busy = DriverError("detach_disk", "the guest does not let go", code="device.busy", retryable=True)
    appliance.driver.fail_next("detach_disk", busy, times=2)
    assert _detach(member, server, volume).status_code == 202
    wait_for(lambda: mine.status(volume) == "available")


def test_a_server_has_room_for_26_disks(member: Cloud, mine: Volumes, server: str) -> None:
    volume = mine.new(multiattach=True)
    with mine.database.write(mine.ctx) as w:
        found = servers.get(w, server)
        for letter in "bcdefghijklmnopqrstuvwxyz":
            block_devices.add(w, found, [], source="blank", destination="local", device_name=f"/dev/vd{letter}")
    assert _attach(member, server, volume).status_code == 403


def _shelved(cloud: Cloud, server: str, status: str) -> None:
    assert cloud.act(server, "shelve").status_code == 202
    cloud.wait(server, status)


def test_shelved_servers_have_volumes_since_2_20(
    appliance: Appliance, member: Cloud, mine: Volumes, server: str
) -> None:
    comes, goes, tagged = mine.new(), mine.new(), mine.new()
    _attached(member, mine, server, goes)
    _shelved(member, server, "SHELVED_OFFLOADED")
    for old in (_attach(member, server, comes, "2.19"), _detach(member, server, goes, "2.19")):
        assert (old.status_code, "vm_state" in old.text) == (409, True)
    assert _attach(member, server, tagged, tag="x").status_code == 400
    _attached(member, mine, server, comes, "2.20")
    assert _detach(member, server, goes, "2.20").status_code == 202
    wait_for(lambda: mine.status(goes) == "available")
    assert member.act(server, "unshelve", None).status_code == 202
    member.wait(server, "ACTIVE")
    assert list(_disks(appliance, server)) == [comes[:20]]
    assert mine.status(comes) == "in-use"


def test_a_server_that_has_just_been_resized(
    appliance: Appliance, member: Cloud, admin: Cloud, mine: Volumes, server: str
) -> None:
    flavor = {"name": "larger", "ram": 768, "vcpus": 1, "disk": 1}
    larger = admin.call("POST", "/flavors", {"flavor": flavor}).json["flavor"]["id"]
    before, after = mine.new(), mine.new()
    _attached(member, mine, server, before)
    assert member.act(server, "resize", {"flavorRef": larger}).status_code == 202
    member.wait(server, "VERIFY_RESIZE")
    _attached(member, mine, server, after)
    assert member.act(server, "confirmResize").status_code == 204
    member.wait(server, "ACTIVE")
    assert sorted(_disks(appliance, server)) == sorted([before[:20], after[:20]])


def test_a_shelved_server_on_its_host(fresh: Any) -> None:
    appliance = fresh(compute__shelved_offload_seconds=-1)
    cloud = Cloud(appliance, appliance.token(), appliance.image())
    mine, server = Volumes(cloud), cloud.boot()
    volume = mine.new()
    _shelved(cloud, server, "SHELVED")
    _attached(cloud, mine, server, volume)
    assert list(_disks(appliance, server)) == [volume[:20]]
    assert cloud.act(server, "unshelve", None).status_code == 202
    cloud.wait(server, "ACTIVE")
    assert list(_disks(appliance, server)) == [volume[:20]]
