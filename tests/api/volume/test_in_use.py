"""Volumes that a server has: they are copied and grow where its guest runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import wait_for

from .conftest import Cinder

C = "/compute/v2.1"


class Server:
    """A running server and what is attached to it."""

    def __init__(self, member: Cinder, **fields: Any) -> None:
        self.member = member
        fields = fields or {"imageRef": member.appliance.image("boot")}
        body = {"name": "s", "flavorRef": "1", "networks": "auto", **fields}
        answer = self.ask("POST", "/servers", {"server": body})
        assert answer.status_code == 202, answer.text
        self.id = str(answer.json["server"]["id"])
        wait_for(lambda: self.ask("GET", f"/servers/{self.id}").json["server"]["status"] == "ACTIVE")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        more = {} if body is None else {"json": body}
        return self.member.appliance.call(method, C + path, token=self.member.token, version="2.60", **more)

    def attach(self, volume_id: str) -> None:
        path = f"/servers/{self.id}/os-volume_attachments"
        assert self.ask("POST", path, {"volumeAttachment": {"volumeId": volume_id}}).status_code == 200
        self.member.until("volumes", volume_id, "in-use")

    def detach(self, volume_id: str) -> None:
        assert self.ask("DELETE", f"/servers/{self.id}/os-volume_attachments/{volume_id}").status_code == 202
        self.member.until("volumes", volume_id, "available")


@pytest.fixture(scope="module")
def server(member: Cinder) -> Server:
    return Server(member)


@pytest.fixture
def volume(member: Cinder, server: Server) -> str:
    volume_id = str(member.volume(name="used")["id"])
    server.attach(volume_id)
    return volume_id


def away(member: Cinder, server: Server, volume_id: str) -> None:
    server.detach(volume_id)
    member.delete("volumes", volume_id, "?cascade=True")


def test_the_view_names_server_and_device(member: Cinder, admin: Cinder, server: Server, volume: str) -> None:
    (attachment,) = member.get(f"/volumes/{volume}")["volume"]["attachments"]
    assert (attachment["server_id"], attachment["device"][:5]) == (server.id, "/dev/")
    assert attachment["host_name"] is None
    (attachment,) = admin.get(f"/volumes/{volume}")["volume"]["attachments"]
    assert attachment["host_name"]
    away(member, server, volume)


def test_a_snapshot_is_a_copy_of_the_running_guests_disk(member: Cinder, server: Server, volume: str) -> None:
    made = member.snapshot(volume)
    assert member.driver.snapshot_ids() == (made["id"],)
    copy = member.volume(snapshot_id=made["id"])
    clone = member.volume(source_volid=volume)
    assert member.appliance.driver._guests[server.id].snapshots == {}
    for volume_id in (copy["id"], clone["id"]):
        member.delete("volumes", volume_id)
    away(member, server, volume)


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_an_image_of_it(member: Cinder, server: Server, volume: str, disk_format: str) -> None:
    body = {"image_name": "up", "disk_format": disk_format, "force": True}
    image_id = member.act(volume, "os-volume_upload_image", body)["os-volume_upload_image"]["image_id"]
    member.until("volumes", volume, "in-use")
    made = member.appliance.get(f"/image/v2/images/{image_id}", token=member.token).json
    assert (made["status"], made["disk_format"]) == ("active", disk_format)
    assert member.driver.snapshot_ids() == ()
    assert member.appliance.driver._guests[server.id].snapshots == {}
    away(member, server, volume)


def test_it_grows_in_the_guest(member: Cinder, server: Server, volume: str) -> None:
    member.act(volume, "os-extend", {"new_size": 3})
    assert member.until("volumes", volume, "in-use")["size"] == 3
    spec = member.appliance.driver._guests[server.id].spec
    assert spec is not None
    assert {disk.serial: disk.size_gib for disk in spec.disks}[volume[:20]] == 3
    listed = server.ask("GET", f"/servers/{server.id}/os-instance-actions").json["instanceActions"]
    assert "extend_volume" in [one["action"] for one in listed]
    away(member, server, volume)


def test_nobody_takes_it_from_the_guest(member: Cinder, server: Server, volume: str) -> None:
    assert member.refused("DELETE", f"/volumes/{volume}")[0] == 400
    assert member.refused("POST", f"/volumes/{volume}/action", {"os-detach": {}})[0] == 409
    away(member, server, volume)
