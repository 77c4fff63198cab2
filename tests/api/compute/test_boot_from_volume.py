"""Servers whose disks are asked for one by one: volumes made by the boot or there already, swap and ephemeral
disks."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.identity import quotas
from novalite.drivers.compute.base import DiskSpec
from novalite.errors import DriverError
from tests.api.compute.conftest import Cloud
from tests.api.compute.volumes import Volumes
from tests.api.conftest import Appliance, wait_for

UNKNOWN = "6e0bd4f7-3a58-4d4a-8c65-8a2b1a6a7a11"


@pytest.fixture(scope="module")
def mine(member: Cloud) -> Volumes:
    return Volumes(member)


@pytest.fixture(scope="module")
def flavor(admin: Cloud) -> str:
    """One with room for swap and ephemeral disks."""
    body = {"name": "roomy", "ram": 256, "vcpus": 1, "disk": 1, "OS-FLV-EXT-DATA:ephemeral": 2, "swap": 256}
    answer = admin.call("POST", "/flavors", {"flavor": body})
    return str(answer.json["flavor"]["id"])


def _boot(cloud: Cloud, devices: list[dict[str, Any]], **values: Any) -> str:
    return cloud.boot(block_device_mapping_v2=devices, **{"imageRef": "", **values})


def _disks(appliance: Appliance, server: str) -> tuple[DiskSpec, ...]:
    spec = appliance.driver._guests[server].spec
    assert spec is not None
    return spec.disks


def _root(**more: Any) -> dict[str, Any]:
    return {"boot_index": 0, "destination_type": "volume", **more}


def _of_image(cloud: Cloud, **more: Any) -> dict[str, Any]:
    return _root(source_type="image", uuid=cloud.image_id, volume_size=1, **more)


def _shown(cloud: Cloud, server: str) -> list[Any]:
    found: list[Any] = cloud.server(server)["os-extended-volumes:volumes_attached"]
    return found


def test_a_root_volume_of_an_image_goes_with_its_server(appliance: Appliance, member: Cloud, mine: Volumes) -> None:
    server = _boot(member, [_of_image(member, delete_on_termination=True)])
    shown = member.server(server)
    [attached] = shown["os-extended-volumes:volumes_attached"]
    assert shown["image"] == ""
    assert attached["delete_on_termination"] is True
    volume = mine.find(attached["id"])
    assert (volume.status, volume.size_gib, volume.bootable) == ("in-use", 1, True)
    [disk] = _disks(appliance, server)
    assert (disk.device, disk.serial, disk.boot_index, disk.image) == ("vda", volume.id[:20], 0, None)
    assert disk.path
    path = f"/servers/{server}/os-volume_attachments"
    [listed] = member.get(path).json["volumeAttachments"]
    assert (listed["device"], listed["volumeId"]) == ("/dev/vda", volume.id)
    refused = member.call("DELETE", f"{path}/{volume.id}")
    assert refused.status_code == 400
    assert "root" in refused.text
    member.gone(server)
    wait_for(lambda: mine.status(volume.id) == "gone")


def test_a_volume_that_is_there_stays(appliance: Appliance, member: Cloud, mine: Volumes) -> None:
    volume = mine.new(image_id=member.image_id)
    server = _boot(member, [_root(source_type="volume", uuid=volume, tag="system")])
    assert _shown(member, server) == [{"id": volume, "delete_on_termination": False}]
    [listed] = member.get(f"/servers/{server}/os-volume_attachments").json["volumeAttachments"]
    assert listed["tag"] == "system"
    assert listed["attachment_id"]
    assert listed["bdm_uuid"]
    assert mine.status(volume) == "in-use"
    member.gone(server)
    assert mine.status(volume) == "available"


def test_a_root_volume_of_a_snapshot(member: Cloud, mine: Volumes) -> None:
    origin = mine.new(image_id=member.image_id)
    server = _boot(member, [_root(source_type="snapshot", uuid=mine.snapshot(origin), delete_on_termination=True)])
    [attached] = _shown(member, server)
    assert mine.find(attached["id"]).snapshot_id
    member.gone(server)


def test_all_kinds_together(appliance: Appliance, member: Cloud, mine: Volumes, flavor: str) -> None:
    data = mine.new()
    devices = [
        {"source_type": "image", "destination_type": "local", "uuid": member.image_id, "boot_index": 0},
        {"source_type": "volume", "destination_type": "volume", "uuid": data, "boot_index": -1, "device_name": "vdf"},
        {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "delete_on_termination": True},
        {"source_type": "blank", "destination_type": "local", "guest_format": "swap", "volume_size": 128},
        {"source_type": "blank", "destination_type": "local", "guest_format": "vfat", "volume_size": 1},
    ]
    server = _boot(member, devices, imageRef=member.image_id, flavorRef=flavor)
    disks = {disk.name.partition("-")[0]: disk for disk in _disks(appliance, server) if disk.serial != data[:20]}
    assert disks["root"].device == "vda"
    assert disks["root"].image is not None
    assert (disks["swap"].size_mib, disks["swap"].content) == (128, "swap")
    assert (disks["ephemeral0"].size_gib, disks["ephemeral0"].content) == (1, "vfat")
    devices_used = [disk.device for disk in _disks(appliance, server)]
    assert len(set(devices_used)) == 5
    assert "vdf" in devices_used
    assert member.server(server)["image"]["id"] == member.image_id
    assert {each["id"] for each in _shown(member, server)} >= {data}
    assert len(_shown(member, server)) == 2
    member.gone(server)
    assert mine.status(data) == "available"


def test_the_flavor_gives_what_is_not_asked_for(appliance: Appliance, member: Cloud, flavor: str) -> None:
    server = _boot(member, [_of_image(member, delete_on_termination=True)], flavorRef=flavor)
    by_name = {disk.name.partition("-")[0]: disk for disk in _disks(appliance, server)}
    assert by_name["ephemeral0"].size_gib == 2
    assert by_name["swap"].size_mib == 256
    assert by_name["volume"].device == "vda"
    member.gone(server)


def test_the_older_form(member: Cloud, mine: Volumes) -> None:
    root, data = mine.new(image_id=member.image_id), mine.new()
    old = [
        {"volume_id": root, "device_name": "/dev/vda"},
        {"volume_id": data, "device_name": "vdc", "delete_on_termination": "true"},
    ]
    server = member.boot(imageRef="", block_device_mapping=old)
    assert member.server(server)["image"] == ""
    found = member.get(f"/servers/{server}/os-volume_attachments").json["volumeAttachments"]
    assert {one["volumeId"]: one["device"] for one in found} == {root: "/dev/vda", data: "/dev/vdc"}
    member.gone(server)
    wait_for(lambda: mine.status(data) == "gone")
    assert mine.status(root) == "available"


def test_the_older_form_beside_an_image(appliance: Appliance, member: Cloud, mine: Volumes) -> None:
    data = mine.new()
    server = member.boot(block_device_mapping=[{"volume_id": data, "device_name": "vdb"}])
    assert member.server(server)["image"]["id"] == member.image_id
    assert [disk.device for disk in _disks(appliance, server)] == ["vda", "vdb"]
    member.gone(server)


def test_an_image_may_bring_its_own_devices(appliance: Appliance, member: Cloud, mine: Volumes) -> None:
    snapshot = mine.snapshot(mine.new(image_id=member.image_id))
    image = appliance.image("with-devices")
    mapping = (
        '[{"source_type": "snapshot", "destination_type": "volume", "boot_index": 0, "volume_size": 1,'
        f' "snapshot_id": "{snapshot}", "delete_on_termination": true, "device_name": "/dev/vda"}}]'
    )
    change = [
        {"op": "add", "path": "/block_device_mapping", "value": mapping},
        {"op": "add", "path": "/bdm_v2", "value": "True"},
    ]
    media = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    answer = appliance.call("PATCH", f"/image/v2/images/{image}", json=change, headers=media)
    assert answer.status_code == 200, answer.text
    for own in ([], [{"source_type": "image", "destination_type": "local", "uuid": image, "boot_index": 0}]):
        server = _boot(member, own, imageRef=image)
        [attached] = _shown(member, server)
        assert mine.find(attached["id"]).snapshot_id == snapshot
        member.gone(server)


def test_volumes_survive_stops_and_reboots(appliance: Appliance, member: Cloud) -> None:
    server = _boot(member, [_of_image(member, delete_on_termination=True)])
    before = _disks(appliance, server)
    for name, value, status in (("os-stop", None, "SHUTOFF"), ("os-start", None, "ACTIVE"),
                                ("reboot", {"type": "HARD"}, "ACTIVE")):  # fmt: skip
        assert member.act(server, name, value).status_code == 202
        member.wait(server, status)
    assert _disks(appliance, server) == before
    member.gone(server)


def test_the_versions_of_tags_and_types(member: Cloud) -> None:
    tagged, typed = _of_image(member, tag="x"), _of_image(member, volume_type="no-such-type")
    for version, status in (("2.31", 400), ("2.32", 202), ("2.33", 400), ("2.41", 400), ("2.42", 202)):
        answer = member.new(imageRef="", version=version, block_device_mapping_v2=[tagged])
        assert answer.status_code == status, (version, answer.text)
        if status == 202:
            server = answer.json["server"]["id"]
            member.wait(server, "ACTIVE")
            member.gone(server)
    old = member.new(imageRef="", version="2.66", block_device_mapping_v2=[typed])
    assert old.status_code == 400
    assert "Additional properties" in old.text
    new = member.new(imageRef="", version="2.67", block_device_mapping_v2=[typed])
    assert new.status_code == 400
    assert "no-such-type" in new.text


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ([_root(source_type="volume", uuid=UNKNOWN)], "failed to get volume"),
        ([_root(source_type="snapshot", uuid=UNKNOWN)], "failed to get snapshot"),
        ([_root(source_type="image", uuid=UNKNOWN, volume_size=1)], "failed to get image"),
        ([_root(source_type="image")], "Missing device UUID"),
        ([_root(source_type="blank", uuid=UNKNOWN)], "Invalid device UUID"),
        ([_root(source_type="blank")], "non-zero"),
        ([_root()], "required fields"),
        ([{"source_type": "blank", "destination_type": "volume", "volume_size": 1}], "Boot sequence"),
        ([_root(source_type="blank", volume_size=0)], "volume_size"),
        ([_root(source_type="tape", uuid=UNKNOWN)], "source_type"),
        ([{**_root(source_type="blank", volume_size=1), "boot_index": "first"}], "boot_index"),
        ([{**_root(source_type="blank", volume_size=1), "boot_index": 1}], "Boot sequence"),
        ([_root(source_type="blank", volume_size=1), _root(source_type="blank", volume_size=1)], "Boot sequence"),
        ([_root(source_type="blank", volume_size=1, disk_bus="pigeon")], "disk bus"),
        ([_root(source_type="blank", volume_size=1, device_type="floppy")], "device_type"),
        ([_root(source_type="blank", volume_size=1),
          {"source_type": "blank", "destination_type": "local", "volume_size": 5}], "phemeral"),
        ([_root(source_type="blank", volume_size=1),
          {"source_type": "blank", "destination_type": "local", "volume_size": 5, "guest_format": "swap"}], "Swap"),
        ([{"source_type": "image", "destination_type": "local", "uuid": UNKNOWN, "boot_index": 0}], "not supported"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(member: Cloud, mine: Volumes, devices: Any, words: str) -> None:
    before = mine.all()
    answer = member.new(imageRef="", block_device_mapping_v2=devices)
    assert (answer.status_code, words in answer.text) == (400, True), answer.text
    assert mine.all() == before


def test_what_does_not_fit_is_refused(member: Cloud, stranger: Cloud, mine: Volumes) -> None:
    data, theirs = mine.new(), Volumes(stranger).new()
    root = {"source_type": "image", "destination_type": "local", "uuid": member.image_id, "boot_index": 0}
    volume = {"source_type": "volume", "destination_type": "volume", "uuid": data}
    for values, words in (
        ({"block_device_mapping_v2": [root, {**volume, "uuid": theirs}]}, "failed to get volume"),
        ({"block_device_mapping_v2": [root, volume], "max_count": 2}, "multiple"),
        ({"block_device_mapping_v2": [root, {**volume, "device_name": "/dev/vda"}]}, "root device"),
        ({"block_device_mapping_v2": [root], "block_device_mapping": [{"volume_id": data}]}, "different"),
        ({"block_device_mapping_v2": [{**volume, "boot_index": 0}], "imageRef": ""}, "not bootable"),
        ({"block_device_mapping": [{"volume_id": data, "device_name": "vdb"}], "imageRef": ""}, "Boot sequence"),
        ({"imageRef": ""}, "imageRef"),
    ):
        answer = member.new(**values)
        assert (answer.status_code, words in answer.text) == (400, True), (values, answer.text)
    assert mine.status(data) == "available"
    server = member.boot(block_device_mapping_v2=[root, volume])
    again = member.new(block_device_mapping_v2=[root, volume])
    assert again.status_code == 400
    assert "volume" in again.text
    member.gone(server)


def test_a_boot_without_a_host_gives_its_volumes_back(appliance: Appliance, member: Cloud, mine: Volumes) -> None:
    data, before = mine.new(image_id=member.image_id), mine.all()
    appliance.driver.fail_next("ensure_guest", DriverError("ensure_guest", "no", code="guest.refused"), times=3)
    devices = [
        _root(source_type="volume", uuid=data),
        {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "delete_on_termination": True},
    ]
    server = member.new(imageRef="", block_device_mapping_v2=devices).json["server"]["id"]
    shown = member.wait(server, "ERROR")
    assert shown["fault"]
    assert shown["os-extended-volumes:volumes_attached"] == []
    wait_for(lambda: sorted(mine.all()) == sorted([*before, data]) or mine.all() == before)
    wait_for(lambda: mine.status(data) == "available")
    appliance.driver._faults._failures.clear()
    member.gone(server)


def test_volumes_count(appliance: Appliance, member: Cloud, mine: Volumes) -> None:
    used = len(mine.all())
    with mine.database.write(mine.ctx) as w:
        quotas.set_limits(w, mine.ctx.project_id, {"volumes": used})
    server = member.new(imageRef="", block_device_mapping_v2=[_of_image(member)]).json["server"]["id"]
    assert "volumes" in member.wait(server, "ERROR")["fault"]["message"]
    assert len(mine.all()) == used
    with mine.database.write(mine.ctx) as w:
        quotas.set_limits(w, mine.ctx.project_id, {"volumes": -1})
    member.gone(server)


def test_the_other_name_of_servers(member: Cloud, stranger: Cloud) -> None:
    body = {"server": {"name": "alias", "flavorRef": "1", "imageRef": "", "networks": "auto",
                       "block_device_mapping_v2": [_of_image(member, delete_on_termination=True)]}}  # fmt: skip
    made = member.call("POST", "/os-volumes_boot", body, "2.102")
    assert made.status_code == 202, made.text
    server = made.json["server"]["id"]
    member.wait(server, "ACTIVE")
    path = f"/os-volumes_boot/{server}"
    assert member.get(path, "2.102").json == member.get(f"/servers/{server}", "2.102").json
    assert member.call("PUT", path, {"server": {"name": "changed"}}, "2.1").json["server"]["name"] == "changed"
    assert server in [one["id"] for one in member.get("/os-volumes_boot", "2.1").json["servers"]]
    assert server in [one["id"] for one in member.get("/os-volumes_boot/detail", "2.1").json["servers"]]
    assert member.call("POST", f"{path}/action", {"os-stop": None}, "2.1").status_code == 202
    member.wait(server, "SHUTOFF")
    assert stranger.get(path, "2.1").status_code == 404
    assert member.get(path, "2.103").status_code == 404
    assert member.call("DELETE", path, version="2.1").status_code == 204
    wait_for(lambda: member.get(f"/servers/{server}").status_code == 404)
