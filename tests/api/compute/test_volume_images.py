"""Servers that boot from volumes: their images are snapshots, and shelved they keep their volumes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.api.compute.conftest import Cloud
from tests.api.compute.volumes import Volumes
from tests.api.conftest import wait_for

IMAGES = "/image/v2/images"


@pytest.fixture(scope="module")
def mine(member: Cloud) -> Volumes:
    return Volumes(member)


@pytest.fixture(scope="module")
def server(member: Cloud, mine: Volumes) -> Iterator[str]:
    """A server that boots from one volume and has another."""
    devices = [
        {"boot_index": 0, "source_type": "image", "destination_type": "volume", "uuid": member.image_id,
         "volume_size": 1, "delete_on_termination": True},
        {"boot_index": -1, "source_type": "volume", "destination_type": "volume", "uuid": mine.new(),
         "delete_on_termination": False},
    ]  # fmt: skip
    server_id = member.boot("on-volumes", imageRef="", block_device_mapping_v2=devices)
    yield server_id
    member.gone(server_id)


def _volumes(cloud: Cloud, server_id: str) -> list[str]:
    return [one["id"] for one in cloud.server(server_id)["os-extended-volumes:volumes_attached"]]


def _snapshots(cloud: Cloud) -> list[Any]:
    found: list[Any] = cloud.appliance.get("/volume/v3/snapshots", token=cloud.token).json["snapshots"]
    return found


def test_an_image_names_snapshots_of_all_volumes(member: Cloud, mine: Volumes, server: str) -> None:
    host = member.appliance.driver
    before = host.calls.get("take_snapshots", 0), host.calls.get("take_snapshot", 0)
    answer = member.act(server, "createImage", {"name": "kept", "metadata": {"purpose": "test"}})
    assert answer.status_code == 202, answer.text
    path = f"{IMAGES}/{answer.json['image_id']}"
    wait_for(lambda: member.appliance.get(path, token=member.token).json["status"] == "active", why="no image")
    member.wait(server, "ACTIVE")
    image = member.appliance.get(path, token=member.token).json
    assert (image["size"], image["purpose"], image["bdm_v2"]) == (0, "test", "True")
    now = host.calls.get("take_snapshots", 0), host.calls.get("take_snapshot", 0)
    assert now == (before[0] + 1, before[1]), "they are not of one moment"
    assert host._guests[server].snapshots == {}, "copies stay on the host"
    assert "image_type" not in image
    assert member.appliance.get(f"{path}/file", token=member.token).status_code == 204
    root, other = msgspec.json.decode(image["block_device_mapping"])
    made = {one["id"]: one for one in _snapshots(member)}
    assert [made[one["snapshot_id"]]["volume_id"] for one in (root, other)] == _volumes(member, server)
    assert {one["status"] for one in made.values()} == {"available"}
    assert [root["boot_index"], root["source_type"], root["destination_type"]] == [0, "snapshot", "volume"]

    second = member.boot("of-snapshots", imageRef=image["id"])
    found = [mine.find(volume_id).snapshot_id for volume_id in _volumes(member, second)]
    assert found == [root["snapshot_id"], other["snapshot_id"]]
    member.gone(second)
    assert member.appliance.get("/admin/doctor").json["findings"] == []


def test_no_backups(member: Cloud, server: str) -> None:
    answer = member.act(server, "createBackup", {"name": "x", "backup_type": "daily", "rotation": 1})
    assert answer.status_code == 400
    assert answer.json["badRequest"]["message"] == "Backup is not supported for volume-backed instances."


def test_put_away_and_back(admin: Cloud, member: Cloud, mine: Volumes, server: str) -> None:
    """There is nothing to make an image of: the server is let go of at once."""
    before = _volumes(member, server)
    images = len(member.appliance.get(IMAGES, token=member.token).json["images"])
    assert member.act(server, "shelve").status_code == 202
    member.wait(server, "SHELVED_OFFLOADED")
    assert len(member.appliance.get(IMAGES, token=member.token).json["images"]) == images
    assert server not in member.appliance.driver._guests
    assert _volumes(member, server) == before
    assert [mine.status(volume_id) for volume_id in before] == ["in-use", "in-use"]
    assert admin.appliance.get("/admin/doctor").json["findings"] == []
    assert member.act(server, "unshelve").status_code == 202
    member.wait(server, "ACTIVE")
    assert _volumes(member, server) == before
    spec = member.appliance.driver._guests[server].spec
    assert spec is not None
    assert [disk.name for disk in spec.disks] == [f"volume-{volume_id}" for volume_id in before]


def test_volumes_come_and_go_meanwhile(member: Cloud, mine: Volumes, server: str) -> None:
    assert member.act(server, "shelve").status_code == 202
    member.wait(server, "SHELVED_OFFLOADED")
    volume, path = mine.new(), f"/servers/{server}/os-volume_attachments"
    attached = member.call("POST", path, {"volumeAttachment": {"volumeId": volume}})
    assert attached.status_code == 200, attached.text
    wait_for(lambda: mine.status(volume) == "in-use")
    assert member.act(server, "unshelve").status_code == 202
    member.wait(server, "ACTIVE")
    [shown] = [one for one in member.get(path).json["volumeAttachments"] if one["volumeId"] == volume]
    assert shown["device"]
    spec = member.appliance.driver._guests[server].spec
    assert spec is not None
    assert f"volume-{volume}" in [disk.name for disk in spec.disks]
    assert member.call("DELETE", f"{path}/{volume}").status_code == 202
    wait_for(lambda: mine.status(volume) == "available")
