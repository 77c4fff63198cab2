"""Images and backups of servers: what is asked for, what comes of it, and what is left when it fails."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novalite.cloud.identity import quotas
from novalite.cloud.image import images
from novalite.context import internal
from novalite.drivers.storage.inspect import check
from novalite.errors import DependencyDown, DriverError, HostUnreachable
from tests.api.compute.conftest import Cloud
from tests.api.conftest import Appliance, running, wait_for

IMAGES = "/image/v2/images"


def _image(cloud: Cloud, image_id: str) -> Any:
    return cloud.appliance.get(f"{IMAGES}/{image_id}", token=cloud.token)


def _active(cloud: Cloud, image_id: str) -> Any:
    def arrived() -> Any:
        image = _image(cloud, image_id).json
        return image if image["status"] == "active" else None

    return wait_for(arrived, why="the image did not become active")


def _gone(cloud: Cloud, image_id: str) -> None:
    wait_for(lambda: _image(cloud, image_id).status_code == 404, why="the image stayed")


def _snapshot(cloud: Cloud, server_id: str, name: str = "snap", version: str = "2.95", **more: Any) -> str:
    answer = cloud.act(server_id, "createImage", {"name": name, **more}, version)
    assert answer.status_code == 202, answer.text
    return str(answer.json["image_id"])


def _hold(cloud: Cloud, operation: str) -> threading.Event:
    """Let the host stand still there until the event is set."""
    gate = cloud.appliance.driver.hold(operation)
    gate.clear()
    return gate


@pytest.fixture(scope="module")
def server(member: Cloud) -> Iterator[str]:
    server_id = member.boot("snapped")
    yield server_id
    member.gone(server_id)


def test_an_image_of_a_running_server(member: Cloud, server: str) -> None:
    image_id = _snapshot(member, server, " two  words".strip(), metadata={"purpose": "test"})
    image = _active(member, image_id)
    member.wait(server, "ACTIVE")
    assert image["name"] == "two words"
    assert (image["disk_format"], image["container_format"], image["visibility"]) == ("qcow2", "bare", "private")
    assert (image["min_disk"], image["min_ram"]) == (1, 0)
    assert image["image_type"] == "snapshot"
    assert image["instance_uuid"] == server
    assert image["base_image_ref"] == member.image_id
    assert image["purpose"] == "test"
    assert image["image_location"] == "snapshot"
    assert image["owner"] == image["owner_id"] == member.server(server)["tenant_id"]
    assert image["user_id"] == member.server(server)["user_id"]
    assert image["virtual_size"] == 1 << 30
    kept = Path(member.appliance.built.settings.state_dir) / "images" / image_id
    assert check(kept, "qcow2", max_virtual_size=1 << 40) == 1 << 30
    data = kept.read_bytes()
    assert len(data) == image["size"] > 0
    assert hashlib.md5(data, usedforsecurity=False).hexdigest() == image["checksum"]
    assert hashlib.sha512(data).hexdigest() == image["os_hash_value"]
    host = member.appliance.driver
    assert host._guests[server].snapshots == {}


def test_the_answer_names_the_image(member: Cloud, server: str) -> None:
    old = member.act(server, "createImage", {"name": "old"}, "2.44")
    assert (old.status_code, old.data) == (202, b"")
    image_id = old.headers["Location"].rpartition("/")[2]
    assert _active(member, image_id)["name"] == "old"
    member.wait(server, "ACTIVE")
    new = member.act(server, "createImage", {"name": "new"}, "2.45")
    assert (new.status_code, set(new.json)) == (202, {"image_id"})
    assert "Location" not in new.headers
    _active(member, new.json["image_id"])
    member.wait(server, "ACTIVE")


def test_a_database_that_is_away_when_it_ends_is_waited_for(
    member: Cloud, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away_once(name: str) -> None:
        real, away = getattr(images, name), iter([True])

        def act(*arguments: Any, **more: Any) -> Any:
            if next(away, False):
                raise DependencyDown("The database does not answer.")
            return real(*arguments, **more)

        monkeypatch.setattr(images, name, act)

    away_once("finish_upload")
    away_once("fail_upload")
    _active(member, _snapshot(member, server, "patient"))
    member.wait(server, "ACTIVE")


@pytest.mark.parametrize("quota", ["image_count_uploading", "image_size_total"])
def test_a_quota_of_images_ends_it_and_leaves_nothing(member: Cloud, server: str, quota: str) -> None:
    project = member.server(server)["tenant_id"]
    with member.appliance.built.database.write(internal()) as w:
        quotas.set_limits(w, project, {quota: 0})
    try:
        image_id = _snapshot(member, server, "over")
        _gone(member, image_id)
        member.wait(server, "ACTIVE")
    finally:
        with member.appliance.built.database.write(internal()) as w:
            quotas.reset(w, project, resources=(quota,))
    assert not (Path(member.appliance.built.settings.state_dir) / "images" / image_id).exists()
    assert member.appliance.driver._guests[server].snapshots == {}
    told = member.get(f"/servers/{server}/os-instance-actions").json["instanceActions"]
    events = member.get(f"/servers/{server}/os-instance-actions/{told[0]['request_id']}").json["instanceAction"]
    assert told[0]["action"] == "createImage"
    assert events["message"] == "Error"


def test_states_on_the_way(member: Cloud, server: str) -> None:
    copying, reading = _hold(member, "take_snapshot"), _hold(member, "read_snapshot")

    def doing() -> Any:
        return member.server(server)["OS-EXT-STS:task_state"]

    image_id = _snapshot(member, server, "slow")
    wait_for(lambda: doing() == "image_snapshot")
    shown = member.get(f"/images/{image_id}", "2.35").json["image"]
    assert (shown["status"], shown["progress"], shown["server"]["id"]) == ("SAVING", 25, server)
    assert member.server(server)["status"] == "ACTIVE"
    refused = member.act(server, "createImage", {"name": "again"})
    assert refused.status_code == 409
    assert "Cannot 'createImage' instance" in refused.json["conflictingRequest"]["message"]
    assert member.act(server, "reboot", {"type": "SOFT"}).status_code == 409
    copying.set()
    wait_for(lambda: doing() == "image_uploading")
    wait_for(lambda: _image(member, image_id).json["status"] == "saving")
    assert member.get(f"/images/{image_id}", "2.35").json["image"]["progress"] == 50
    reading.set()
    _active(member, image_id)
    member.wait(server, "ACTIVE")
    done = member.get(f"/images/{image_id}", "2.35").json["image"]
    assert (done["status"], done["progress"]) == ("ACTIVE", 100)


def test_the_listing_of_a_servers_images(member: Cloud, server: str) -> None:
    image_id = _snapshot(member, server, "listed")
    _active(member, image_id)
    member.wait(server, "ACTIVE")
    by_server = member.get(f"/images/detail?server={server}&name=listed", "2.35").json["images"]
    assert [one["id"] for one in by_server] == [image_id]
    by_type = member.get("/images?type=snapshot&name=listed", "2.35").json["images"]
    assert [one["id"] for one in by_type] == [image_id]
    assert member.get("/images?type=backup&name=listed", "2.35").json["images"] == []
    assert member.call("DELETE", f"/images/{image_id}", version="2.35").status_code == 204
    assert _image(member, image_id).status_code == 404


@pytest.mark.parametrize(
    ("before", "status", "after"),
    [("os-stop", "SHUTOFF", "os-start"), ("pause", "PAUSED", "unpause"), ("suspend", "SUSPENDED", "resume")],
)
def test_a_server_that_does_not_run(member: Cloud, server: str, before: str, status: str, after: str) -> None:
    assert member.act(server, before).status_code == 202
    member.wait(server, status)
    _active(member, _snapshot(member, server, before))
    member.wait(server, status)
    assert member.act(server, after).status_code == 202
    member.wait(server, "ACTIVE")


def test_another_server_boots_from_it(member: Cloud, server: str) -> None:
    image_id = _snapshot(member, server, "seed")
    _active(member, image_id)
    member.wait(server, "ACTIVE")
    second = member.boot("second", imageRef=image_id)
    assert member.server(second)["image"]["id"] == image_id
    member.gone(second)


def test_properties_that_are_handed_down(admin: Cloud, member: Cloud) -> None:
    base = admin.appliance.image("with-properties")
    properties = {"hw_disk_bus": "scsi", "img_signature": "x", "os_glance_y": "y", "cache_in_nova": "z"}
    with admin.appliance.built.database.write(internal()) as w:
        images.update(w, base, {"properties": properties})
    server_id = member.boot("scsi", imageRef=base)
    image = _active(member, _snapshot(member, server_id, metadata={"image_type": "mine"}))
    assert image["hw_disk_bus"] == "scsi"
    assert image["image_type"] == "mine"
    assert not {"img_signature", "os_glance_y", "cache_in_nova"} & set(image)
    member.gone(server_id)


def test_an_admins_image_of_somebodys_server(admin: Cloud, member: Cloud, server: str) -> None:
    answer = admin.act(server, "createImage", {"name": "by-admin"})
    image_id = answer.json["image_id"]
    image = _active(admin, image_id)
    assert (image["visibility"], image["instance_owner"]) == ("shared", member.server(server)["tenant_id"])
    assert _image(member, image_id).status_code == 200, "the server's owner is offered the image"
    member.wait(server, "ACTIVE")


def test_a_locked_server(member: Cloud, server: str) -> None:
    assert member.act(server, "lock").status_code == 202
    _active(member, _snapshot(member, server, "locked"))
    member.wait(server, "ACTIVE")
    assert member.act(server, "unlock").status_code == 202


def test_nobody_elses_server(stranger: Cloud, server: str) -> None:
    assert stranger.act(server, "createImage", {"name": "x"}).status_code == 404
    body = {"name": "x", "backup_type": "daily", "rotation": 1}
    assert stranger.act(server, "createBackup", body).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "x", "metadata": {"k" * 256: "v"}}, "metadata"),
        ({"name": "x", "metadata": {"k": "v" * 256}}, "k"),
        ({"name": "x", "metadata": []}, "metadata"),
        ({"name": "x", "other": 1}, "other"),
    ],
)
def test_bodies_that_are_refused(member: Cloud, server: str, body: dict[str, Any], field: str) -> None:
    answer = member.act(server, "createImage", body)
    assert answer.status_code == 400
    assert field in answer.json["badRequest"]["message"]


def test_metadata_is_counted_before_2_39(member: Cloud, server: str) -> None:
    many = {f"key{number}": "v" for number in range(129)}
    for action, more in (("createImage", {}), ("createBackup", {"backup_type": "d", "rotation": 1})):
        answer = member.act(server, action, {"name": "x", "metadata": many, **more}, "2.38")
        assert answer.status_code == 403
        assert answer.json["forbidden"]["message"] == "Image metadata limit exceeded"


def test_a_host_that_cannot_copy(member: Cloud, server: str) -> None:
    host = member.appliance.driver
    host.fail_next("take_snapshot", DriverError("take_snapshot", "no room", code="disk.full"))
    image_id = _snapshot(member, server, "fails")
    _gone(member, image_id)
    shown = member.wait(server, "ACTIVE")
    assert "fault" not in shown
    action = member.get(f"/servers/{server}/os-instance-actions").json["instanceActions"][0]
    assert (action["action"], action["message"]) == ("createImage", "Error")


def test_a_host_that_is_away_for_a_moment(member: Cloud, server: str) -> None:
    host = member.appliance.driver
    host.fail_next("read_snapshot", HostUnreachable("gone for now"))
    _active(member, _snapshot(member, server, "patient"))
    member.wait(server, "ACTIVE")


def test_an_image_that_is_deleted_meanwhile(member: Cloud, server: str) -> None:
    host = member.appliance.driver
    copying = _hold(member, "take_snapshot")
    image_id = _snapshot(member, server, "unwanted")
    wait_for(lambda: member.server(server)["OS-EXT-STS:task_state"] == "image_snapshot")
    assert member.appliance.call("DELETE", f"{IMAGES}/{image_id}", token=member.token).status_code == 204
    copying.set()
    member.wait(server, "ACTIVE")
    assert host._guests[server].snapshots == {}
    assert not (Path(member.appliance.built.settings.state_dir) / "images" / image_id).exists()


def test_a_server_that_is_deleted_meanwhile(member: Cloud) -> None:
    server_id = member.boot("short")
    copying = _hold(member, "take_snapshot")
    image_id = _snapshot(member, server_id, "orphan")
    wait_for(lambda: member.server(server_id)["OS-EXT-STS:task_state"] == "image_snapshot")
    assert member.call("DELETE", f"/servers/{server_id}").status_code == 204
    copying.set()
    wait_for(lambda: member.get(f"/servers/{server_id}").status_code == 404)
    _gone(member, image_id)


def test_a_guest_that_ends_meanwhile_is_seen_afterwards(member: Cloud) -> None:
    host = member.appliance.driver
    server_id = member.boot("ends")
    reading = _hold(member, "read_snapshot")
    image_id = _snapshot(member, server_id, "before the end")
    wait_for(lambda: member.server(server_id)["OS-EXT-STS:task_state"] == "image_uploading")
    host.guest_powers_itself_off(server_id)
    reading.set()
    _active(member, image_id)
    member.wait(server_id, "SHUTOFF")
    member.gone(server_id)


# Backups


def _backup(cloud: Cloud, server_id: str, name: str, rotation: Any, kind: str = "daily", version: str = "2.95") -> Any:
    body = {"name": name, "backup_type": kind, "rotation": rotation}
    answer = cloud.act(server_id, "createBackup", body, version)
    assert answer.status_code == 202, answer.text
    cloud.wait(server_id, "ACTIVE")
    return answer


def _names(cloud: Cloud, server_id: str) -> list[str]:
    found = cloud.appliance.get(f"{IMAGES}?instance_uuid={server_id}&sort=created_at", token=cloud.token).json
    return sorted(image["name"] for image in found["images"])


def test_backups_rotate(member: Cloud) -> None:
    server_id = member.boot("backed-up")
    first = _backup(member, server_id, "one", 2).json["image_id"]
    assert (_image(member, first).json["image_type"], _image(member, first).json["backup_type"]) == ("backup", "daily")
    _backup(member, server_id, "two", "2")
    _backup(member, server_id, "week", 1, "weekly")
    _active(member, _snapshot(member, server_id, "snapshot"))
    member.wait(server_id, "ACTIVE")
    third = _backup(member, server_id, "three", 2, version="2.44")
    assert third.headers["Location"].rpartition("/")[2]
    assert _names(member, server_id) == ["snapshot", "three", "two", "week"]
    assert not (Path(member.appliance.built.settings.state_dir) / "images" / first).exists()
    none = _backup(member, server_id, "none", 0, version="2.44")
    assert "Location" not in none.headers
    assert _names(member, server_id) == ["snapshot", "week"]
    member.gone(server_id)


def test_another_servers_backups_stay(member: Cloud) -> None:
    servers = [member.boot(name) for name in ("left", "right")]
    for server_id in servers:
        _backup(member, server_id, "only", 1)
    _backup(member, servers[0], "newer", 1)
    assert [_names(member, server_id) for server_id in servers] == [["newer"], ["only"]]
    for server_id in servers:
        member.gone(server_id)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "backup_type": "daily"},
        {"name": "x", "rotation": 1},
        {"backup_type": "daily", "rotation": 1},
        {"name": "x", "backup_type": "daily", "rotation": -1},
        {"name": "x", "backup_type": "daily", "rotation": "many"},
        {"name": "x", "backup_type": 5, "rotation": 1},
        {"name": "x", "backup_type": "daily", "rotation": 1, "more": 1},
    ],
)
def test_backups_that_are_refused(member: Cloud, server: str, body: dict[str, Any]) -> None:
    assert member.act(server, "createBackup", body).status_code == 400


# Compute's own way to images


def test_metadata_of_images(member: Cloud, server: str) -> None:
    image_id = _snapshot(member, server, "described")
    _active(member, image_id)
    member.wait(server, "ACTIVE")
    path = f"/images/{image_id}/metadata"
    merged = member.call("POST", path, {"metadata": {"colour": "red"}}, "2.38").json["metadata"]
    assert (merged["colour"], merged["instance_uuid"]) == ("red", server)
    assert member.call("PUT", f"{path}/colour", {"meta": {"colour": "blue"}}, "2.38").json == {
        "meta": {"colour": "blue"}
    }
    assert member.call("PUT", f"{path}/colour", {"meta": {"other": "blue"}}, "2.38").status_code == 400
    assert member.get(f"{path}/colour", "2.38").json == {"meta": {"colour": "blue"}}
    assert member.call("DELETE", f"{path}/colour", version="2.38").status_code == 204
    assert member.get(f"{path}/colour", "2.38").status_code == 404
    many = {f"key{number}": "v" for number in range(129)}
    for method in ("POST", "PUT"):
        assert member.call(method, path, {"metadata": many}, "2.38").status_code == 403
    assert member.call("PUT", path, {"metadata": {"only": "this"}}, "2.38").json == {"metadata": {"only": "this"}}
    for method, where, body in (
        ("GET", path, None),
        ("POST", path, {"metadata": {}}),
        ("DELETE", f"{path}/only", None),
    ):
        assert member.call(method, where, body, "2.39").status_code == 404, "gone since 2.39"


def test_nobody_elses_images(member: Cloud, stranger: Cloud, server: str) -> None:
    image_id = _snapshot(member, server, "private")
    _active(member, image_id)
    member.wait(server, "ACTIVE")
    path = f"/images/{image_id}"
    assert stranger.get(path, "2.35").status_code == 404
    assert stranger.call("DELETE", path, version="2.35").status_code == 404
    assert stranger.call("POST", f"{path}/metadata", {"metadata": {"a": "b"}}, "2.35").status_code == 404
    public = f"/images/{member.image_id}"
    assert member.call("DELETE", public, version="2.35").status_code == 403
    assert member.call("POST", f"{public}/metadata", {"metadata": {"a": "b"}}, "2.35").status_code == 403


def test_an_image_cut_off_by_a_restart(tmp_path: Path) -> None:
    """The process ends while the copy is being kept: the next one begins it anew."""
    with running(tmp_path) as appliance:
        cloud = Cloud(appliance, appliance.token(), appliance.image())
        server_id = cloud.boot("lasting")
        appliance.driver.delay("read_snapshot", 0.2)
        image_id = _snapshot(cloud, server_id)
        wait_for(lambda: _image(cloud, image_id).json["status"] == "saving")
    with running(tmp_path) as again:
        cloud = Cloud(again, again.token(), "")
        _active(cloud, image_id)
        cloud.wait(server_id, "ACTIVE")


def test_who_may(appliance: Appliance, member: Cloud, server: str) -> None:
    reader = Cloud(appliance, appliance.member("images-reader", "reader"), member.image_id)
    assert reader.act(server, "createImage", {"name": "x"}).status_code in (403, 404)
