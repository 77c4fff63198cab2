"""Servers that are copied together with their volumes, and come back with new ones."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.identity import quotas
from novalite.cloud.volume import backups
from novalite.context import internal
from novalite.engine import doctor
from novalite.errors import DriverError
from tests.api.compute.conftest import Cloud
from tests.api.compute.test_protection import _call, _copy, _ended, _protect, _runs, _shown
from tests.api.compute.test_protection_tests import _test
from tests.api.compute.volumes import Volumes
from tests.api.conftest import wait_for


@pytest.fixture
def volumes(member: Cloud) -> Volumes:
    return Volumes(member)


def _backup(cloud: Cloud, backup_id: str) -> Any:
    return cloud.appliance.call("GET", f"/volume/v3/backups/{backup_id}", token=cloud.token)


def _attached(cloud: Cloud, server_id: str) -> list[tuple[str, str]]:
    """Device and volume of each, by device."""
    answer = cloud.get(f"/servers/{server_id}/os-volume_attachments", "2.95")
    return sorted((each["device"], each["volumeId"]) for each in answer.json["volumeAttachments"])


def _of_volume(cloud: Cloud, *more: dict[str, Any]) -> str:
    root = {"boot_index": 0, "source_type": "image", "destination_type": "volume", "volume_size": 1,
            "uuid": cloud.image_id, "delete_on_termination": True}  # fmt: skip
    return cloud.boot("of-volumes", imageRef="", block_device_mapping_v2=[root, *more])


def test_a_server_and_its_volumes_are_copied_and_come_back(member: Cloud, volumes: Volumes) -> None:
    data_id = volumes.new(size_gib=2, name="data")
    server_id = member.boot("shop")
    body = {"volumeAttachment": {"volumeId": data_id}}
    assert member.call("POST", f"/servers/{server_id}/os-volume_attachments", body).status_code == 200
    wait_for(lambda: volumes.status(data_id) == "in-use")
    _protect(member, server_id, "daily, keep 1")
    old, new = _copy(member, server_id), _copy(member, server_id)
    assert (old["result"], new["result"], new["problem"]) == ("done", "done", "")
    [backup_id] = new["backup_ids"]
    assert _backup(member, backup_id).json["backup"]["volume_id"] == data_id
    wait_for(lambda: _backup(member, old["backup_ids"][0]).status_code == 404)
    assert [run["id"] for run in _runs(member, server_id)] == [new["id"]], "image and backup of the old one went"
    image = member.appliance.get(f"/image/v2/images/{new['copy_id']}", token=member.token).json
    assert new["size_bytes"] == image["size"] + _backup(member, backup_id).json["backup"].get("size_bytes", 0)
    assert (volumes.status(data_id), member.server(server_id)["status"]) == ("in-use", "ACTIVE")
    made = _call(member, "POST", f"/{server_id}/restore", {"restore": {"name": "back"}}).json["restored"]["id"]
    after = member.wait(made, "ACTIVE")
    assert after["image"]["id"] == new["copy_id"]
    [(device, volume_id)] = _attached(member, made)
    assert (device, volume_id != data_id) == (_attached(member, server_id)[0][0], True)
    restored = volumes.find(volume_id)
    assert (restored.name, restored.size_gib, restored.backup_id) == ("data", 2, backup_id)
    wait_for(lambda: _backup(member, backup_id).json["backup"]["status"] == "available")
    for each in (server_id, made):
        member.gone(each)
    assert volumes.status(volume_id) == "available", "it stays as the one it was made after would"


def test_a_copy_that_is_just_put_back_is_waited_for(member: Cloud, volumes: Volumes) -> None:
    """Two servers may be made of one copy at once."""
    data_id, server_id = volumes.new(size_gib=1, name="data"), member.boot("twice")
    body = {"volumeAttachment": {"volumeId": data_id}}
    assert member.call("POST", f"/servers/{server_id}/os-volume_attachments", body).status_code == 200
    wait_for(lambda: volumes.status(data_id) == "in-use")
    _protect(member, server_id, "daily, keep 1")
    [backup_id] = _copy(member, server_id)["backup_ids"]

    def now(status: str) -> None:
        with member.appliance.built.database.write(internal()) as w:
            backups.change(w, backup_id, {"status": status})

    now("restoring")
    made = _call(member, "POST", f"/{server_id}/restore", {"restore": {"name": "again"}}).json["restored"]["id"]
    wait_for(lambda: member.server(made)["OS-EXT-STS:task_state"] == "block_device_mapping")
    now("available")
    member.wait(made, "ACTIVE")
    for each in (server_id, made):
        member.gone(each)


def test_keep_says_how_many_copies_there_are_and_not_the_quotas(member: Cloud, volumes: Volumes) -> None:
    """Not even when nobody may have an image or a backup otherwise."""
    server_id, data_id, other_id = member.boot("shop"), volumes.new(size_gib=2), volumes.new(size_gib=2)
    body = {"volumeAttachment": {"volumeId": data_id}}
    assert member.call("POST", f"/servers/{server_id}/os-volume_attachments", body).status_code == 200
    wait_for(lambda: volumes.status(data_id) == "in-use")
    before = _used(member)
    limits = {"image_count_total": 0, "backups": 0, "backup_gigabytes": before["backup_gigabytes"] + 2}
    with volumes.database.write(volumes.ctx) as w:
        quotas.set_limits(w, volumes.ctx.project_id, limits)
    try:
        _protect(member, server_id, "daily, keep 3")
        copies = [_copy(member, server_id) for _ in range(3)]
        assert [(each["result"], each["problem"]) for each in copies] == [("done", "")] * 3
        used = _used(member)
        assert used == {**before, "image_size_total": used["image_size_total"],
                        "backup_gigabytes": before["backup_gigabytes"] + 2}  # fmt: skip
        images = member.appliance.get("/image/v2/images", token=member.token).json["images"]
        sizes = sum(each["size"] for each in images if each["id"] in [copy["copy_id"] for copy in copies])
        assert used["image_size_total"] - before["image_size_total"] in (sizes >> 20, (sizes >> 20) + 1)
        refused = member.appliance.call("POST", "/volume/v3/backups", token=member.token,
                                        json={"backup": {"volume_id": other_id}})  # fmt: skip
        assert (refused.status_code, "backups" in refused.text) == (413, True), refused.text
        _protect(member, other_id, "daily, keep 3")
        failed = _copy(member, other_id)
        assert (failed["result"], "backup_gigabytes" in failed["problem"]) == ("failed", True), "its data have no room"
    finally:
        with volumes.database.write(volumes.ctx) as w:
            quotas.reset(w, volumes.ctx.project_id, resources=limits)
    _protect(member, server_id, "daily, keep 1")
    assert _copy(member, server_id)["result"] == "done"
    wait_for(lambda: len(_runs(member, server_id)) == 1, why="older copies did not go")
    assert _copy(member, other_id)["result"] == "done"


def _used(cloud: Cloud) -> dict[str, int]:
    """Of the quotas that copies may count against."""
    images = cloud.appliance.get("/image/v2/info/usage", token=cloud.token).json["usage"]
    limits = cloud.appliance.get("/volume/v3/limits", token=cloud.token).json["limits"]["absolute"]
    return {
        "backups": limits["totalBackupsUsed"], "backup_gigabytes": limits["totalBackupGigabytesUsed"],
        **{name: images[name]["usage"] for name in ("image_count_total", "image_size_total")},
    }  # fmt: skip


def test_a_server_that_boots_from_a_volume(member: Cloud, volumes: Volumes) -> None:
    data_id = volumes.new(name="data")
    beside = {"source_type": "volume", "destination_type": "volume", "uuid": data_id, "boot_index": -1, "tag": "d"}
    server_id = _of_volume(member, beside)
    _protect(member, server_id, "daily, keep 2")
    run = _copy(member, server_id)
    assert (run["result"], run["problem"], len(run["backup_ids"])) == ("done", "", 2)
    assert run["copy_id"] == run["backup_ids"][0], "the root disk comes first"
    test = _test(member, server_id)
    assert test["result"] == "passed", test["reason"]
    before = _attached(member, server_id)
    member.gone(server_id)
    made = _call(member, "POST", f"/{server_id}/restore", {"restore": {"name": "back"}})
    assert made.status_code == 202, made.text
    back = made.json["restored"]["id"]
    member.wait(back, "ACTIVE")
    after = _attached(member, back)
    assert [device for device, _ in after] == [device for device, _ in before]
    assert not {volume_id for _, volume_id in after} & {volume_id for _, volume_id in before}
    guest = member.appliance.driver._guests[back].spec
    assert guest is not None
    assert [(disk.boot_index, disk.path != "") for disk in guest.disks] == [(0, True), (-1, True)]
    assert volumes.find(after[0][1]).bootable
    member.gone(back)
    (_, root_id), (_, beside_id) = after
    wait_for(lambda: volumes.status(root_id) == "gone")
    assert volumes.status(beside_id) == "available", "each as it was asked for"
    built = member.appliance.built
    assert [one for one in doctor.examine(built.parts, built.store).findings if one.severity == "error"] == []


def test_a_part_that_cannot_be_copied_leaves_none(member: Cloud) -> None:
    server_id = _of_volume(member)
    _protect(member, server_id, "daily, keep 2")
    assert _copy(member, server_id)["result"] == "done"
    member.appliance.driver.fail_next(
        "take_snapshot", DriverError("take_snapshot", "The disk is full.", code="disk.full")
    )
    run = _copy(member, server_id)
    assert (run["result"], "The disk is full." in run["problem"], run["copy_id"]) == ("failed", True, None)
    assert _shown(member, server_id)["copies"] == 1
    assert _copy(member, server_id)["result"] == "done"
    member.gone(server_id)


def test_a_copy_of_which_a_part_is_gone_is_none(member: Cloud, volumes: Volumes) -> None:
    data_id = volumes.new()
    server_id = _of_volume(member, {"source_type": "volume", "destination_type": "volume", "uuid": data_id,
                                    "boot_index": -1})  # fmt: skip
    _protect(member, server_id, "daily, keep 5")
    run = _copy(member, server_id)
    gone, left = run["backup_ids"][1], run["backup_ids"][0]
    assert member.appliance.call("DELETE", f"/volume/v3/backups/{gone}", token=member.token).status_code == 202
    wait_for(lambda: _backup(member, gone).status_code == 404)
    assert _call(member, "POST", f"/{server_id}/restore", {"restore": {"name": "x"}}).status_code == 409
    assert _call(member, "POST", f"/{server_id}/tests", {"test": None}).status_code == 409
    assert (_shown(member, server_id)["copies"], _runs(member, server_id)[0]["copy_id"]) == (0, None)
    assert _copy(member, server_id)["result"] == "done"
    wait_for(lambda: _backup(member, left).status_code == 404)
    member.gone(server_id)


def test_no_room_in_the_quota_is_told_before_anything_is_made(member: Cloud, volumes: Volumes) -> None:
    server_id = _of_volume(member)
    _protect(member, server_id, "daily, keep 1")
    assert _copy(member, server_id)["result"] == "done"
    body = {"quota_set": {"volumes": len(volumes.all())}}
    path = f"/volume/v3/os-quota-sets/{volumes.ctx.project_id}"
    assert member.appliance.call("PUT", path, token=member.appliance.token(), json=body).status_code == 200
    refused = _call(member, "POST", f"/{server_id}/restore", {"restore": {"name": "back"}})
    assert (refused.status_code, "volumes" in refused.text) == (403, True)
    member.gone(server_id)


def test_the_disks_of_a_guest_that_runs_are_copied_at_one_moment(member: Cloud, volumes: Volumes) -> None:
    data_id = volumes.new()
    server_id = member.boot("shop")
    body = {"volumeAttachment": {"volumeId": data_id}}
    assert member.call("POST", f"/servers/{server_id}/os-volume_attachments", body).status_code == 200
    wait_for(lambda: volumes.status(data_id) == "in-use")
    _protect(member, server_id, "daily, keep 3")
    driver = member.appliance.driver
    before = driver.calls.get("take_snapshots", 0)
    gate = driver.hold("take_snapshots")
    assert _call(member, "POST", f"/{server_id}/runs").status_code == 202
    wait_for(lambda: driver.calls.get("take_snapshots", 0) == before + 1)
    singly = driver.calls.get("take_snapshot", 0)
    assert member.server(server_id)["OS-EXT-STS:task_state"] == "image_snapshot_pending", "nothing is begun before"
    gate.set()
    run = _ended(member, server_id)
    assert (run["result"], run["problem"]) == ("done", "")
    assert driver.calls["take_snapshots"] == before + 1
    assert driver.calls["take_snapshot"] > singly, "the tasks take what is there"
    assert driver._guests[server_id].snapshots == {}
    driver.fail_next("take_snapshots", DriverError("take_snapshots", "not here", code="driver.unsupported"))
    run = _copy(member, server_id)
    assert (run["result"], run["problem"]) == ("done", "The disks are not of one moment: take_snapshots: not here")
    assert member.act(server_id, "os-stop").status_code == 202
    member.wait(server_id, "SHUTOFF")
    assert (_copy(member, server_id)["problem"], driver.calls["take_snapshots"]) == ("", before + 2)
    member.gone(server_id)
