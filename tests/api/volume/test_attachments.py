"""Attachments as resources, as who attaches volumes without Compute uses them."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.volume import attachments
from novalite.context import internal

from .conftest import UNKNOWN, Cinder

CONNECTOR = {"host": "h", "ip": "10.0.0.1", "mountpoint": "/dev/vdb"}


def test_the_way_of_an_attachment(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    asked = {"attachment": {"volume_uuid": volume_id, "instance_uuid": UNKNOWN, "mode": "ro"}}
    made = member.ask("/attachments", asked, 200)["attachment"]
    assert (made["status"], made["instance"], made["attach_mode"]) == ("reserved", UNKNOWN, "ro")
    assert made["connection_info"] == {}
    assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == "reserved"
    path = f"/attachments/{made['id']}"
    assert member.refused("POST", f"{path}/action", {"os-complete": None})[0] == 400
    updated = member.call("PUT", path, {"attachment": {"connector": CONNECTOR}}).json["attachment"]
    assert updated["status"] == "attaching"
    assert updated["connection_info"]["data"]["access_mode"] == "ro"
    member.ask(f"{path}/action", {"os-complete": None}, 204)
    (shown,) = member.until("volumes", volume_id, "in-use")["attachments"]
    assert (shown["attachment_id"], shown["device"]) == (made["id"], "/dev/vdb")
    assert member.get("/attachments?volume_id=" + volume_id)["attachments"][0].keys() == {
        "id", "status", "instance", "volume_id"
    }  # fmt: skip
    (listed,) = member.get("/attachments/detail")["attachments"]
    assert listed["attached_at"]
    assert member.get(path)["attachment"]["status"] == "attached"
    assert member.call("DELETE", path).json == {"attachments": []}
    assert member.refused("DELETE", path)[0] == 404
    member.until("volumes", volume_id, "available")
    member.delete("volumes", volume_id)


def test_what_compute_attached_stays(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    with member.appliance.built.database.write(internal()) as w:
        attachment_id = attachments.reserve(w, volume_id, UNKNOWN).id
        attachments.attach(w, attachment_id, device="/dev/vdb", host="h")
    path, action = f"/attachments/{attachment_id}", f"/volumes/{volume_id}/action"
    refusals = [
        member.refused("DELETE", path),
        member.refused("POST", action, {"os-detach": {"attachment_id": attachment_id}}),
        member.refused("POST", action, {"os-terminate_connection": {"connector": CONNECTOR}}),
        member.refused("PUT", path, {"attachment": {"connector": CONNECTOR}}),
    ]
    assert {status for status, _ in refusals} == {409}
    assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == "in-use"
    with member.appliance.built.database.write(internal()) as w:
        attachments.detach(w, attachment_id)
    member.delete("volumes", volume_id)


@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, 400), ({"volume_uuid": "x"}, 400), ({"volume_uuid": UNKNOWN}, 404),
     ({"volume_uuid": UNKNOWN, "mode": "x"}, 400), ({"volume_uuid": UNKNOWN, "colour": 1}, 400),
     ({"volume_uuid": UNKNOWN, "connector": {"mode": {}}}, 400),
     ({"volume_uuid": UNKNOWN, "connector": {"host": "h" * 256}}, 400)],
)  # fmt: skip
def test_bad_input(member: Cinder, fields: dict[str, Any], status: int) -> None:
    assert member.refused("POST", "/attachments", {"attachment": fields})[0] == status


def test_they_came_with_3_27(member: Cinder, other: Cinder) -> None:
    assert member.refused("GET", "/attachments", version="3.26")[0] == 404
    assert other.refused("GET", f"/attachments/{UNKNOWN}")[0] == 404
    assert other.get("/attachments")["attachments"] == []
    assert other.get("/attachments?metadata={'a':'b'}", "3.27")["attachments"] == []
    assert other.refused("GET", "/attachments?metadata={'a':'b'}")[0] == 400
