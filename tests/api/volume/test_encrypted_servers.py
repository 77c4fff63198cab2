"""Servers that boot from encrypted volumes: their copies stay encrypted, and leave nothing in plain."""

from __future__ import annotations

from tests.api.conftest import wait_for
from tests.api.volume.conftest import Cinder
from tests.api.volume.test_encryption import is_open_to, of
from tests.api.volume.test_in_use import Server


def _root(server: Server) -> str:
    (there,) = server.ask("GET", f"/servers/{server.id}/os-volume_attachments").json["volumeAttachments"]
    return str(there["volumeId"])


def _turn(server: Server, action: str, status: str) -> None:
    assert server.ask("POST", f"/servers/{server.id}/action", {action: None}).status_code == 202
    wait_for(lambda: server.ask("GET", f"/servers/{server.id}").json["server"]["status"] == status)


def test_an_image_of_one_names_an_encrypted_snapshot(member: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks, imageRef=member.appliance.image())["id"]
    device = {"boot_index": 0, "source_type": "volume", "uuid": volume_id, "destination_type": "volume"}
    server = Server(member, block_device_mapping_v2=[{**device, "delete_on_termination": True}])
    for action, status in (("shelve", "SHELVED_OFFLOADED"), ("unshelve", "ACTIVE")):
        _turn(server, action, status)
    assert is_open_to(member, of(member, _root(server)))
    made = server.ask("POST", f"/servers/{server.id}/action", {"createImage": {"name": "of it"}})
    assert made.status_code == 202, made.text
    image_id = made.json["image_id"]
    path = f"/image/v2/images/{image_id}"
    wait_for(lambda: member.appliance.get(path, token=member.token).json["status"] == "active")
    (snapshot,) = member.get("/snapshots")["snapshots"]
    image = member.appliance.get(path, token=member.token).json
    assert snapshot["id"] in image["block_device_mapping"]
    assert "cinder_encryption_key_id" not in image
    copy = Server(member, imageRef=image_id)
    assert _root(copy) != _root(server)
    assert is_open_to(member, of(member, _root(copy)))
    exported = member.appliance.call(
        "POST", "/admin/exports", token=member.token, json={"export": {"server_id": server.id, "format": "qcow2"}}
    )
    assert exported.status_code == 400, exported.text
    assert "is encrypted" in exported.text
    roots = [_root(one) for one in (server, copy)]
    for one in (copy, server):
        assert one.ask("DELETE", f"/servers/{one.id}").status_code == 204
    member.gone("volumes", roots[1])
    assert member.appliance.call("DELETE", path, token=member.token).status_code == 204
    member.delete("snapshots", snapshot["id"])
    member.until("volumes", roots[0], "available")
    member.delete("volumes", roots[0])
