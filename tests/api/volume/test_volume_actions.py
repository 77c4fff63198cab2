"""What is done to volumes that are there."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.identity import quotas
from novalite.cloud.volume import attachments
from novalite.context import internal

from .conftest import UNKNOWN, Cinder


@pytest.fixture(scope="module")
def one(member: Cinder) -> str:
    return str(member.volume(name="one")["id"])


def test_growing(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    member.act(volume_id, "os-extend", {"new_size": "3"})
    assert member.until("volumes", volume_id, "available")["size"] == 3
    for size in (3, 2, 0, -1, "x", 2**40, None):
        assert member.refused("POST", f"/volumes/{volume_id}/action", {"os-extend": {"new_size": size}})[0] == 400
    member.delete("volumes", volume_id)


def test_what_is_in_use_grows_since_3_42(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    member.act(volume_id, "os-attach", {"host_name": "h", "mountpoint": "/dev/vdb"})
    grow = {"os-extend": {"new_size": 2}}
    assert member.refused("POST", f"/volumes/{volume_id}/action", grow, "3.41")[0] == 400
    member.ask(f"/volumes/{volume_id}/action", grow)
    assert member.until("volumes", volume_id, "in-use")["size"] == 2
    member.act(volume_id, "os-detach")
    member.delete("volumes", volume_id)


def test_attaching_by_hand(member: Cinder, one: str) -> None:
    member.act(one, "os-reserve")
    assert member.get(f"/volumes/{one}")["volume"]["status"] == "attaching"
    assert member.refused("POST", f"/volumes/{one}/action", {"os-reserve": None})[0] == 400
    member.act(one, "os-unreserve")
    assert member.get(f"/volumes/{one}")["volume"]["status"] == "available"
    member.act(one, "os-attach", {"instance_uuid": UNKNOWN, "mountpoint": "/dev/vdc", "mode": "rw"})
    (attachment,) = member.until("volumes", one, "in-use")["attachments"]
    assert (attachment["server_id"], attachment["device"], attachment["volume_id"]) == (UNKNOWN, "/dev/vdc", one)
    assert member.refused("DELETE", f"/volumes/{one}")[0] == 400
    member.act(one, "os-begin_detaching")
    member.act(one, "os-roll_detaching")
    assert member.get(f"/volumes/{one}")["volume"]["status"] == "in-use"
    assert member.refused("POST", f"/volumes/{one}/action", {"os-detach": {"attachment_id": UNKNOWN}})[0] == 404
    another = member.volume()["id"]
    member.act(another, "os-attach", {"instance_uuid": UNKNOWN, "mountpoint": "/dev/vdd", "mode": "rw"})
    (foreign,) = member.until("volumes", another, "in-use")["attachments"]
    body = {"os-detach": {"attachment_id": foreign["attachment_id"]}}
    status, why = member.refused("POST", f"/volumes/{one}/action", body)
    assert (status, "not of volume" in why) == (400, True)
    member.act(another, "os-detach")
    member.delete("volumes", another)
    member.act(one, "os-detach", {"attachment_id": attachment["attachment_id"]})
    assert member.until("volumes", one, "available")["attachments"] == []


@pytest.mark.parametrize(
    "body",
    [{}, {"mountpoint": "/dev/vdb"}, {"instance_uuid": "x", "mountpoint": "/dev/vdb"}, {"instance_uuid": UNKNOWN},
     {"instance_uuid": UNKNOWN, "mountpoint": ""}, {"instance_uuid": UNKNOWN, "mountpoint": "/dev/vdb", "mode": "x"}],
)  # fmt: skip
def test_attaching_asks_for_a_place(member: Cinder, one: str, body: dict[str, Any]) -> None:
    assert member.refused("POST", f"/volumes/{one}/action", {"os-attach": body})[0] == 400


def test_a_connection_is_a_file(member: Cinder, one: str) -> None:
    told = member.act(one, "os-initialize_connection", {"connector": {"host": "h"}}, 200)["connection_info"]
    place = member.driver.place(one)
    assert place is not None
    assert (told["driver_volume_type"], told["data"]["device_path"]) == ("local", place.path)
    member.act(one, "os-terminate_connection", {"connector": {"host": "h"}})
    assert member.refused("POST", f"/volumes/{one}/action", {"os-initialize_connection": {}})[0] == 400


def test_bootable_and_read_only(member: Cinder, one: str) -> None:
    member.act(one, "os-set_bootable", {"bootable": "True"}, 200)
    member.act(one, "os-update_readonly_flag", {"readonly": True})
    now = member.get(f"/volumes/{one}")["volume"]
    assert (now["bootable"], now["metadata"]["readonly"]) == ("true", "True")
    attach = {"os-attach": {"host_name": "h", "mountpoint": "/dev/vdb", "mode": "rw"}}
    assert member.refused("POST", f"/volumes/{one}/action", attach)[0] == 400
    member.act(one, "os-update_readonly_flag", {"readonly": "false"})
    assert member.get(f"/volumes/{one}")["volume"]["metadata"]["readonly"] == "False"
    assert member.refused("POST", f"/volumes/{one}/action", {"os-set_bootable": {"bootable": "perhaps"}})[0] == 400
    assert member.refused("POST", f"/volumes/{one}/action", {"os-update_readonly_flag": {}})[0] == 400


def test_image_metadata(member: Cinder, one: str) -> None:
    member.act(one, "os-set_image_metadata", {"metadata": {"hw_disk_bus": "scsi", "os": "x"}}, 200)
    assert member.get(f"/volumes/{one}")["volume"]["volume_image_metadata"] == {"hw_disk_bus": "scsi", "os": "x"}
    member.act(one, "os-unset_image_metadata", {"key": "os"}, 200)
    assert member.act(one, "os-show_image_metadata", None, 200) == {"metadata": {"hw_disk_bus": "scsi"}}
    assert member.refused("POST", f"/volumes/{one}/action", {"os-unset_image_metadata": {"key": "os"}})[0] == 404
    assert member.refused("POST", f"/volumes/{one}/action", {"os-set_image_metadata": {"metadata": {}}})[0] == 400


def test_image_metadata_does_not_grow_without_end(member: Cinder) -> None:
    one = member.volume()["id"]
    for number in range(4):
        facts = {f"fact{number}-{each}": "x" for each in range(64)}
        member.act(one, "os-set_image_metadata", {"metadata": facts}, 200)
    more = {"os-set_image_metadata": {"metadata": {"one": "more"}}}
    assert member.refused("POST", f"/volumes/{one}/action", more)[0] == 413
    known = {"metadata": {"fact3-0": "y"}}
    assert member.act(one, "os-set_image_metadata", known, 200)["metadata"]["fact3-0"] == "y"
    member.act(one, "os-unset_image_metadata", {"key": "fact0-0"}, 200)
    member.act(one, "os-set_image_metadata", {"metadata": {"one": "more"}}, 200)
    member.delete("volumes", one)


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_a_volume_becomes_an_image(member: Cinder, disk_format: str) -> None:
    volume_id = member.volume(imageRef=member.appliance.image())["id"]
    told = member.act(volume_id, "os-volume_upload_image", {"image_name": "up", "disk_format": disk_format})
    image = told["os-volume_upload_image"]
    assert (image["status"], image["visibility"], image["container_format"]) == ("uploading", "shared", "bare")
    member.until("volumes", volume_id, "available")
    made = member.appliance.get(f"/image/v2/images/{image['image_id']}", token=member.token).json
    assert (made["status"], made["disk_format"], made["name"]) == ("active", disk_format, "up")
    member.delete("volumes", volume_id)
    copy = member.volume(imageRef=made["id"])
    member.delete("volumes", copy["id"])


@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, 400), ({"image_name": ""}, 400), ({"image_name": "x", "disk_format": "vhd"}, 400),
     ({"image_name": "x", "force": "perhaps"}, 400), ({"image_name": "x", "visibility": "secret"}, 400),
     ({"image_name": "x", "visibility": "public"}, 403), ({"image_name": "x", "colour": "red"}, 400)],
)  # fmt: skip
def test_bad_uploads(member: Cinder, one: str, fields: dict[str, Any], status: int) -> None:
    assert member.refused("POST", f"/volumes/{one}/action", {"os-volume_upload_image": fields})[0] == status
    assert member.get(f"/volumes/{one}")["volume"]["status"] == "available"


def test_an_upload_over_the_quota_of_images_leaves_none(member: Cinder, one: str) -> None:
    database = member.appliance.built.database
    project = member.get(f"/volumes/{one}")["volume"]["os-vol-tenant-attr:tenant_id"]
    with database.write(internal()) as w:
        quotas.set_limits(w, project, {"image_count_uploading": 0})
    try:
        told = member.act(one, "os-volume_upload_image", {"image_name": "over"})
        assert member.until("volumes", one, "available")
    finally:
        with database.write(internal()) as w:
            quotas.reset(w, project, resources=("image_count_uploading",))
    image_id = told["os-volume_upload_image"]["image_id"]
    assert member.appliance.get(f"/image/v2/images/{image_id}", token=member.token).status_code == 404


def test_an_upload_that_fails_leaves_no_image(member: Cinder, one: str) -> None:
    member.driver.faults["read"] = RuntimeError("broken")
    try:
        told = member.act(one, "os-volume_upload_image", {"image_name": "never", "protected": True})
        member.until("volumes", one, "available")
    finally:
        member.driver.faults.clear()
    image_id = told["os-volume_upload_image"]["image_id"]
    assert member.appliance.get(f"/image/v2/images/{image_id}", token=member.token).status_code == 404
    texts = [each["user_message"] for each in member.get(f"/messages?resource_uuid={one}")["messages"]]
    assert any(text.startswith("copy volume to image:") for text in texts), texts


def test_an_administrator_makes_an_image_of_anothers_volume(member: Cinder, admin: Cinder, one: str) -> None:
    told = admin.act(one, "os-volume_upload_image", {"image_name": "theirs"})
    member.until("volumes", one, "available")
    image_id = told["os-volume_upload_image"]["image_id"]
    assert admin.appliance.get(f"/image/v2/images/{image_id}", token=admin.token).json["status"] == "active"


def test_going_back_to_the_newest_snapshot(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    first, second = member.snapshot(volume_id)["id"], member.snapshot(volume_id)["id"]
    assert member.refused("POST", f"/volumes/{volume_id}/action", {"revert": {"snapshot_id": first}})[0] == 400
    member.act(volume_id, "revert", {"snapshot_id": second})
    member.until("volumes", volume_id, "available")
    assert member.refused("POST", f"/volumes/{volume_id}/action", {"revert": {"snapshot_id": UNKNOWN}})[0] == 404
    assert member.refused("POST", f"/volumes/{volume_id}/action", {"revert": {"snapshot_id": second}}, "3.39")[0] == 404
    member.delete("volumes", volume_id, "?cascade=1")


def test_beginning_anew_from_an_image(member: Cinder) -> None:
    volume_id, image_id = member.volume()["id"], member.appliance.image("other")
    member.act(volume_id, "os-reimage", {"image_id": image_id})
    now = member.until("volumes", volume_id, "available")
    assert (now["volume_image_metadata"]["image_id"], now["bootable"]) == (image_id, "true")
    assert member.refused("POST", f"/volumes/{volume_id}/action", {"os-reimage": {"image_id": UNKNOWN}})[0] == 400
    member.delete("volumes", volume_id)


def test_admins_set_statuses_and_delete_by_force(member: Cinder, admin: Cinder) -> None:
    volume_id = member.volume()["id"]
    assert member.refused("POST", f"/volumes/{volume_id}/action", {"os-reset_status": {"status": "error"}})[0] == 403
    admin.act(volume_id, "os-reset_status", {"status": "error"})
    assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == "error"
    for body in ({}, {"status": "happy"}, {"status": None}):
        assert admin.refused("POST", f"/volumes/{volume_id}/action", {"os-reset_status": body})[0] == 400
    admin.act(volume_id, "os-reset_status", {"status": "deleting"})
    assert member.refused("POST", f"/volumes/{volume_id}/action", {"os-force_delete": {}})[0] == 403
    admin.act(volume_id, "os-force_delete", {})
    member.gone("volumes", volume_id)


def test_admins_end_what_is_left_of_attachments(member: Cinder, admin: Cinder) -> None:
    volume_id, refused = member.volume()["id"], {"os-reset_status": {"attach_status": "attached"}}
    assert admin.refused("POST", f"/volumes/{volume_id}/action", refused)[0] == 400
    for options, status in (({}, "available"), ({"status": "error"}, "error"), ({"status": "in-use"}, "available")):
        member.act(volume_id, "os-attach", {"host_name": "h", "mountpoint": "/dev/vdb"})
        admin.act(volume_id, "os-reset_status", {"attach_status": "attached"})
        assert len(member.get(f"/volumes/{volume_id}")["volume"]["attachments"]) == 1
        admin.act(volume_id, "os-reset_status", {"attach_status": "detached", **options})
        now = member.get(f"/volumes/{volume_id}")["volume"]
        assert (now["status"], now["attachments"]) == (status, [])
        admin.act(volume_id, "os-reset_status", {"status": "available"})
    with member.appliance.built.database.write(internal()) as w:
        attachment_id = attachments.reserve(w, volume_id, UNKNOWN).id
        attachments.attach(w, attachment_id, device="/dev/vdb", host="h")
    body = {"os-reset_status": {"status": "available", "attach_status": "detached"}}
    assert admin.refused("POST", f"/volumes/{volume_id}/action", body)[0] == 409
    assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == "in-use"
    with member.appliance.built.database.write(internal()) as w:
        attachments.detach(w, attachment_id)
    member.delete("volumes", volume_id)


def test_another_type(member: Cinder, admin: Cinder) -> None:
    admin.ask("/types", {"volume_type": {"name": "shared", "extra_specs": {"multiattach": "<is> True"}}}, 200)
    volume_id = member.volume()["id"]
    member.act(volume_id, "os-retype", {"new_type": "shared", "migration_policy": "never"})
    now = member.get(f"/volumes/{volume_id}")["volume"]
    assert (now["volume_type"], now["multiattach"]) == ("shared", True)
    assert member.refused("POST", f"/volumes/{volume_id}/action", {"os-retype": {"new_type": "shared"}})[0] == 400
    assert member.refused("POST", f"/volumes/{volume_id}/action", {"os-retype": {"new_type": "gold"}})[0] == 404
    member.delete("volumes", volume_id)


def test_unknown_actions(member: Cinder, one: str) -> None:
    for body in ({"os-fly": None}, {}, {"os-reserve": None, "os-unreserve": None}, []):
        assert member.refused("POST", f"/volumes/{one}/action", body)[0] == 400
    assert member.refused("POST", f"/volumes/{UNKNOWN}/action", {"os-reserve": None})[0] == 404
