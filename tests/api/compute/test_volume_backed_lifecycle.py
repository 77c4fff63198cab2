"""Rebuild and rescue of servers that boot from a volume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from novalite.errors import DriverError
from tests.api.conftest import Appliance, wait_for

from .conftest import Cloud
from .volumes import Volumes


@pytest.fixture(scope="module")
def mine(member: Cloud) -> Volumes:
    return Volumes(member)


@pytest.fixture
def one(member: Cloud) -> Any:
    root = {
        "boot_index": 0, "source_type": "image", "uuid": member.image_id, "destination_type": "volume",
        "volume_size": 1, "delete_on_termination": True,
    }  # fmt: skip
    server_id = member.boot("on-a-volume", imageRef="", block_device_mapping_v2=[root])
    yield server_id
    member.gone(server_id)


def root_of(cloud: Cloud, server_id: str) -> str:
    [attached] = cloud.server(server_id)["os-extended-volumes:volumes_attached"]
    return str(attached["id"])


def scribble(mine: Volumes, volume_id: str) -> Path:
    """What a guest would have written, and the file it is in."""
    path = Path(mine.find(volume_id).location["path"])
    with path.open("ab") as file:
        file.write(b"written by the guest")
    return path


def rebuild(cloud: Cloud, server_id: str, image_id: str, version: str) -> Any:
    return cloud.act(server_id, "rebuild", {"imageRef": image_id}, version)


def test_before_2_93_only_the_same_image_is_taken_and_the_volume_stays(
    appliance: Appliance, member: Cloud, mine: Volumes, one: str
) -> None:
    path = scribble(mine, root_of(member, one))
    refused = rebuild(member, one, appliance.image("another"), "2.92")
    assert refused.status_code == 400
    assert "different image for a volume-backed server" in refused.json["badRequest"]["message"]
    assert rebuild(member, one, member.image_id, "2.92").status_code == 202
    assert member.wait(one, "ACTIVE")["image"] == ""
    assert path.read_bytes().endswith(b"written by the guest")
    assert mine.status(root_of(member, one)) == "in-use"


def test_since_2_93_the_volume_is_begun_anew(appliance: Appliance, member: Cloud, mine: Volumes, one: str) -> None:
    volume_id, other = root_of(member, one), appliance.image("another")
    path = scribble(mine, volume_id)
    answer = rebuild(member, one, other, "2.93")
    assert (answer.status_code, answer.json["server"]["image"]) == (202, "")
    member.wait(one, "ACTIVE")
    assert root_of(member, one) == volume_id
    volume = mine.find(volume_id)
    assert (volume.status, volume.image_metadata["image_id"]) == ("in-use", other)
    assert not path.read_bytes().endswith(b"written by the guest")


def test_an_image_larger_than_the_volume_is_refused(appliance: Appliance, member: Cloud, one: str) -> None:
    large = appliance.image("large")
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    body = [{"op": "replace", "path": "/min_disk", "value": 2}]
    assert appliance.call("PATCH", f"/image/v2/images/{large}", json=body, headers=kind).status_code == 200
    assert rebuild(member, one, large, "2.93").status_code == 400


def test_one_that_fails_can_be_rebuilt_again(appliance: Appliance, member: Cloud, mine: Volumes, one: str) -> None:
    appliance.driver.fail_next("ensure_guest", DriverError("ensure_guest", "no", code="guest.refused"))
    rebuild(member, one, member.image_id, "2.93")
    member.wait(one, "ERROR")
    rebuild(member, one, member.image_id, "2.93")
    member.wait(one, "ACTIVE")
    wait_for(lambda: mine.status(root_of(member, one)) == "in-use")


def test_a_volume_that_cannot_be_filled_is_told(
    appliance: Appliance, member: Cloud, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*asked: Any, **more: Any) -> None:
        raise DriverError("ensure_volume", "the pool is full", code="volume.full")

    with monkeypatch.context() as patch:
        patch.setattr(appliance.built.parts.volumes.of(""), "ensure_volume", refuse)
        rebuild(member, one, member.image_id, "2.93")
        assert "the pool is full" in member.wait(one, "ERROR")["fault"]["message"]
    rebuild(member, one, member.image_id, "2.93")
    member.wait(one, "ACTIVE")


def test_certificates_are_refused(member: Cloud, one: str) -> None:
    body = {"imageRef": member.image_id, "trusted_image_certificates": ["a"]}
    answer = member.act(one, "rebuild", body, "2.93")
    assert answer.status_code == 400
    assert "not supported for volume-backed servers" in answer.json["badRequest"]["message"]


def test_rescue_takes_an_image_that_says_where_it_stands_since_2_87(
    appliance: Appliance, member: Cloud, one: str
) -> None:
    rescuer = appliance.image("rescuer")
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    wishes = {"hw_rescue_bus": "usb", "hw_rescue_device": "disk"}
    body = [{"op": "add", "path": f"/{name}", "value": value} for name, value in wishes.items()]
    assert appliance.call("PATCH", f"/image/v2/images/{rescuer}", json=body, headers=kind).status_code == 200
    asked = {"rescue_image_ref": rescuer}
    for value, version in ((None, "2.87"), ({"rescue_image_ref": member.image_id}, "2.87"), (asked, "2.86")):
        answer = member.act(one, "rescue", value, version)
        assert answer.status_code == 400
        assert "Cannot rescue a volume-backed instance" in answer.json["badRequest"]["message"]
    assert member.act(one, "rescue", asked, "2.87").status_code == 200
    member.wait(one, "RESCUE")
    spec = appliance.driver._guests[one].spec
    assert spec is not None
    assert spec.rescue is not None
    assert (spec.rescue.bus, [disk.boot_index for disk in spec.disks]) == ("usb", [0])
    member.act(one, "unrescue")
    member.wait(one, "ACTIVE")


def test_its_size_is_that_of_its_volume_whatever_the_flavor(member: Cloud, one: str) -> None:
    assert member.act(one, "resize", {"flavorRef": "2"}).status_code == 202
    member.wait(one, "VERIFY_RESIZE")
    guest = member.appliance.driver._known("test", one)
    assert guest.spec is not None
    [root] = guest.spec.disks
    assert (bool(root.path), root.size_gib, guest.spec.memory_mib) == (True, 1, 1024)
    assert member.act(one, "confirmResize").status_code == 204
    member.wait(one, "ACTIVE")
    assert member.act(one, "resize", {"flavorRef": "1"}).status_code == 202  # that one's disk is smaller
    member.wait(one, "VERIFY_RESIZE")
    assert member.act(one, "revertResize").status_code == 202
    assert member.wait(one, "ACTIVE")["flavor"]["original_name"] == "m1.small"
