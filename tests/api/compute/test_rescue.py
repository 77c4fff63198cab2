"""Rescue: a server booted from another image, its own disks beside it, and back."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from novalite.errors import DriverError
from tests.api.conftest import Appliance, wait_for

from .conftest import Cloud


@pytest.fixture
def one(member: Cloud) -> Any:
    server_id = member.boot("in-need")
    yield server_id
    member.gone(server_id)


def spec(appliance: Appliance, server_id: str) -> Any:
    found = appliance.driver._guests[server_id].spec
    assert found is not None
    return found


def test_a_rescued_server_boots_from_its_image_and_has_its_own_disk_beside(
    appliance: Appliance, member: Cloud, one: str
) -> None:
    answer = member.act(one, "rescue")
    assert answer.status_code == 200
    assert len(answer.json["adminPass"]) >= 8
    assert member.wait(one, "RESCUE")["OS-EXT-STS:vm_state"] == "rescued"
    rescued = spec(appliance, one)
    assert rescued.rescue.image.id == member.image_id
    assert [disk.name for disk in rescued.disks] == ["root"]
    assert member.act(one, "unrescue").status_code == 202
    member.wait(one, "ACTIVE")
    assert spec(appliance, one).rescue is None


def test_another_image_and_a_password_may_be_named(appliance: Appliance, member: Cloud, one: str) -> None:
    other = appliance.image("rescuer")
    answer = member.act(one, "rescue", {"adminPass": "let me in", "rescue_image_ref": other})
    assert answer.json == {"adminPass": "let me in"}
    server = member.wait(one, "RESCUE")
    assert server["image"]["id"] == member.image_id
    assert spec(appliance, one).rescue.image.id == other


def test_a_stopped_server_can_be_rescued_and_runs_afterwards(member: Cloud, one: str) -> None:
    member.act(one, "os-stop")
    member.wait(one, "SHUTOFF")
    assert member.act(one, "rescue").status_code == 200
    assert member.wait(one, "RESCUE")["OS-EXT-STS:power_state"] == 1
    member.act(one, "unrescue")
    member.wait(one, "ACTIVE")


@pytest.mark.parametrize("value", [
    {"rescue_image_ref": "no-uuid"}, {"adminPass": 7}, {"other": 1}, "now", {"rescue_image_ref": str(uuid4())},
])  # fmt: skip
def test_what_cannot_be_asked_for(member: Cloud, one: str, value: Any) -> None:
    assert member.act(one, "rescue", value).status_code == 400
    assert member.server(one)["OS-EXT-STS:task_state"] is None


def test_an_image_of_no_use_is_refused(appliance: Appliance, member: Cloud, one: str) -> None:
    strange = appliance.image("on-floppy")
    body = [{"op": "add", "path": "/hw_rescue_bus", "value": "fdc"}]
    kind = "application/openstack-images-v2.1-json-patch"
    patched = appliance.call("PATCH", f"/image/v2/images/{strange}", json=body, headers={"Content-Type": kind})
    assert patched.status_code == 200, patched.text
    answer = member.act(one, "rescue", {"rescue_image_ref": strange})
    assert answer.status_code == 400
    assert "not supported" in answer.json["badRequest"]["message"]


REFUSED_IN_RESCUE = {
    "os-stop": None, "os-start": None, "pause": None, "suspend": None, "rescue": None, "reboot": {"type": "HARD"},
    "changePassword": {"adminPass": "x"},
}  # fmt: skip


def test_what_a_rescued_server_refuses(member: Cloud, one: str) -> None:
    assert member.act(one, "unrescue").status_code == 409
    member.act(one, "rescue")
    member.wait(one, "RESCUE")
    for action, value in REFUSED_IN_RESCUE.items():
        answer = member.act(one, action, value)
        assert answer.status_code == 409, action
        assert "rescued" in answer.json["conflictingRequest"]["message"]


def test_strangers_and_readers_rescue_nothing(stranger: Cloud, reader: Cloud, member: Cloud, one: str) -> None:
    assert stranger.act(one, "rescue").status_code == 404
    assert reader.act(one, "rescue").status_code == 403
    member.act(one, "lock")
    assert member.act(one, "rescue").status_code == 409
    member.act(one, "unlock")


def test_a_guest_that_powers_itself_off_stays_rescued(appliance: Appliance, member: Cloud, one: str) -> None:
    member.act(one, "rescue")
    member.wait(one, "RESCUE")
    appliance.driver.guest_powers_itself_off(one)
    wait_for(lambda: member.server(one)["OS-EXT-STS:power_state"] == 4)
    assert member.server(one)["status"] == "RESCUE"
    member.act(one, "unrescue")
    member.wait(one, "ACTIVE")


def test_a_rescue_that_fails_leaves_an_error_that_a_hard_reboot_ends(
    appliance: Appliance, member: Cloud, one: str
) -> None:
    appliance.driver.fail_next("ensure_guest", DriverError("ensure_guest", "no room", code="disk.full"))
    member.act(one, "rescue")
    assert "no room" in member.wait(one, "ERROR")["fault"]["message"]
    assert member.act(one, "reboot", {"type": "HARD"}).status_code == 202
    member.wait(one, "ACTIVE")
    assert spec(appliance, one).rescue is None


def test_the_action_log_knows_both(member: Cloud, one: str) -> None:
    member.act(one, "rescue")
    member.wait(one, "RESCUE")
    member.act(one, "unrescue")
    member.wait(one, "ACTIVE")
    found = [each["action"] for each in member.get(f"/servers/{one}/os-instance-actions").json["instanceActions"]]
    assert found == ["unrescue", "rescue", "create"]


def test_its_own_image_may_be_deleted_by_then(appliance: Appliance, member: Cloud) -> None:
    short_lived = appliance.image("short-lived")
    server_id = member.boot("survivor", imageRef=short_lived)
    assert appliance.call("DELETE", f"/image/v2/images/{short_lived}").status_code == 204
    assert member.act(server_id, "rescue", {"rescue_image_ref": short_lived}).status_code == 400
    assert member.act(server_id, "rescue").status_code == 200
    member.wait(server_id, "RESCUE")
    member.gone(server_id)
