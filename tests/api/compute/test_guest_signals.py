"""What guests are told: passwords, crash dumps, their networks; and operators' words on states and locks."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.errors import DriverError, HostUnreachable
from tests.api.conftest import Appliance, wait_for

from .conftest import Cloud


@pytest.fixture
def one(member: Cloud) -> Any:
    server_id = member.boot("spoken-to")
    yield server_id
    member.gone(server_id)


def actions(cloud: Cloud, server_id: str) -> list[tuple[str, str | None]]:
    found = cloud.get(f"/servers/{server_id}/os-instance-actions").json["instanceActions"]
    return [(each["action"], each["message"]) for each in found]


def test_a_password_is_set_when_the_answer_comes(
    appliance: Appliance, member: Cloud, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, ...]] = []
    seen: list[str] = []

    def listen(guest_id: str, user: str, password: str) -> None:
        seen.append(member.server(guest_id)["status"])
        told.append((guest_id, user, password))

    monkeypatch.setattr(appliance.driver, "set_password", listen)
    answer = member.act(one, "changePassword", {"adminPass": "sesame"})
    assert (answer.status_code, answer.text) == (202, "")
    assert told == [(one, "root", "sesame")]
    assert seen == ["PASSWORD"]
    assert member.server(one)["OS-EXT-STS:task_state"] is None
    assert actions(member, one)[0] == ("changePassword", None)


def test_the_image_says_whose_password_it_is(
    appliance: Appliance, member: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    users: list[str] = []
    monkeypatch.setattr(appliance.driver, "set_password", lambda guest_id, user, password: users.append(user))
    for properties, user in (({"os_admin_user": "cloud"}, "cloud"), ({"os_type": "windows"}, "Administrator")):
        image = described(appliance, properties)
        server_id = member.boot("with-agent", imageRef=image)
        member.act(server_id, "changePassword", {"adminPass": "x"})
        assert users.pop() == user
        member.gone(server_id)


def described(appliance: Appliance, properties: dict[str, str]) -> str:
    image = appliance.image("-".join(properties))
    body = [{"op": "add", "path": f"/{name}", "value": value} for name, value in properties.items()]
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    assert appliance.call("PATCH", f"/image/v2/images/{image}", json=body, headers=kind).status_code == 200
    return image


def test_without_an_agent_it_is_refused(appliance: Appliance, member: Cloud, one: str) -> None:
    appliance.driver.lose_agent(one)
    answer = member.act(one, "changePassword", {"adminPass": "x"})
    assert answer.status_code == 409
    assert "agent is not enabled" in answer.json["conflictingRequest"]["message"]
    assert actions(member, one)[0] == ("changePassword", "Error")
    promised = member.boot("promised", imageRef=described(appliance, {"hw_qemu_guest_agent": "yes"}))
    appliance.driver.lose_agent(promised)
    answer = member.act(promised, "changePassword", {"adminPass": "x"})
    assert answer.status_code == 501
    assert "Unable to set password on instance" in answer.json["notImplemented"]["message"]
    member.gone(promised)


@pytest.mark.parametrize(("error", "status"), [
    (DriverError("set_password", "no such user", code="guest.agent_refused"), 409),
    (HostUnreachable("The host does not answer."), 503),
])  # fmt: skip
def test_a_refusal_ends_the_task_state_too(
    appliance: Appliance, member: Cloud, one: str, error: Any, status: int
) -> None:
    appliance.driver.fail_next("set_password", error)
    assert member.act(one, "changePassword", {"adminPass": "x"}).status_code == status
    assert member.server(one)["OS-EXT-STS:task_state"] is None
    assert member.act(one, "changePassword", {"adminPass": "x"}).status_code == 202


@pytest.mark.parametrize("value", [None, {}, {"adminPass": 1}, {"adminPass": None}, {"adminPass": "x", "user": "y"}])
def test_passwords_that_cannot_be_asked_for(member: Cloud, one: str, value: Any) -> None:
    assert member.act(one, "changePassword", value).status_code == 400


def test_who_sets_passwords_and_when(member: Cloud, stranger: Cloud, reader: Cloud, one: str) -> None:
    body = {"adminPass": "x"}
    assert stranger.act(one, "changePassword", body).status_code == 404
    assert reader.act(one, "changePassword", body).status_code == 403
    member.act(one, "lock")
    assert member.act(one, "changePassword", body).status_code == 409
    member.act(one, "unlock")
    member.act(one, "os-stop")
    member.wait(one, "SHUTOFF")
    assert member.act(one, "changePassword", body).status_code == 409


def test_a_crash_dump_is_an_nmi(appliance: Appliance, member: Cloud, one: str) -> None:
    assert member.act(one, "trigger_crash_dump", None, "2.16").status_code == 404
    assert member.act(one, "trigger_crash_dump", {}, "2.17").status_code == 400
    assert member.act(one, "trigger_crash_dump", None, "2.17").status_code == 202
    wait_for(lambda: b"NMI" in appliance.driver.console_text(one, 1 << 16))
    assert member.server(one)["status"] == "ACTIVE"
    assert actions(member, one)[0] == ("trigger_crash_dump", None)
    member.act(one, "os-stop")
    member.wait(one, "SHUTOFF")
    assert member.act(one, "trigger_crash_dump").status_code == 409


def test_networks_are_made_anew(appliance: Appliance, admin: Cloud, member: Cloud, one: str) -> None:
    driver = appliance.built.network._driver  # type: ignore[attr-defined]
    before = dict(driver.ports)
    driver.ports.clear()
    assert member.act(one, "injectNetworkInfo").status_code == 403
    assert admin.act(one, "injectNetworkInfo").status_code == 202
    wait_for(lambda: driver.ports == before)
    assert [name for name, _ in actions(member, one)] == ["create"]


def test_operators_say_what_a_server_is(admin: Cloud, member: Cloud, one: str) -> None:
    assert member.act(one, "os-resetState", {"state": "error"}).status_code == 403
    assert admin.act(one, "os-resetState", {"state": "gone"}).status_code == 400
    assert admin.act(one, "os-resetState", {"state": "error"}).status_code == 202
    assert member.server(one)["status"] == "ERROR"
    assert admin.act(one, "os-resetState", {"state": "active"}).status_code == 202
    assert member.server(one)["status"] == "ACTIVE"
    assert [name for name, _ in actions(member, one)] == ["resetState", "resetState", "create"]


def test_a_rescued_server_said_to_be_active_boots_from_its_own_disk(
    appliance: Appliance, admin: Cloud, member: Cloud, one: str
) -> None:
    member.act(one, "rescue")
    member.wait(one, "RESCUE")
    admin.act(one, "os-resetState", {"state": "active"})
    member.act(one, "reboot", {"type": "HARD"})
    member.wait(one, "ACTIVE")
    assert appliance.driver._guests[one].spec.rescue is None  # type: ignore[union-attr]


def test_a_stuck_state_is_ended(appliance: Appliance, admin: Cloud, member: Cloud, one: str) -> None:
    gate = appliance.driver.hold("replace_disk")
    member.act(one, "rebuild", {"imageRef": member.image_id})
    wait_for(lambda: member.server(one)["OS-EXT-STS:task_state"] == "rebuild_block_device_mapping")
    admin.act(one, "os-resetState", {"state": "error"})
    gate.set()
    member.wait(one, "ERROR")
    member.act(one, "reboot", {"type": "HARD"})
    member.wait(one, "ACTIVE")


def test_whose_a_lock_is(admin: Cloud, member: Cloud, one: str) -> None:
    member.act(one, "lock", {"locked_reason": "mine"})
    member.act(one, "lock", {"locked_reason": "still mine"})
    assert member.server(one)["locked_reason"] == "mine"
    admin.act(one, "lock", {"locked_reason": "ours"})
    assert member.server(one)["locked_reason"] == "ours"
    refused = member.act(one, "unlock")
    assert refused.status_code == 403
    assert "os-lock-server:unlock:unlock_override" in refused.json["forbidden"]["message"]
    assert admin.act(one, "unlock").status_code == 202
    shown = member.server(one)
    assert (shown["locked"], shown["locked_reason"]) == (False, None)


@pytest.mark.parametrize("value", [{"locked_reason": ""}, {"locked_reason": "x" * 256}, {"reason": "x"}, "because"])
def test_reasons_that_are_none(member: Cloud, one: str, value: Any) -> None:
    assert member.act(one, "lock", value).status_code == 400
    assert member.act(one, "lock", value, "2.72").status_code == 202
    member.act(one, "unlock")


LOCKED_OUT = {
    "os-stop": None, "reboot": {"type": "SOFT"}, "pause": None, "suspend": None, "rescue": None, "unrescue": None,
    "rebuild": {"imageRef": ""}, "changePassword": {"adminPass": "x"}, "trigger_crash_dump": None,
    "forceDelete": None, "restore": None,
}  # fmt: skip


def test_a_lock_keeps_its_owner_out_and_lets_admins_in(admin: Cloud, member: Cloud, one: str) -> None:
    member.act(one, "lock")
    for action, value in LOCKED_OUT.items():
        body = {"imageRef": member.image_id} if action == "rebuild" else value
        answer = member.act(one, action, body)
        assert answer.status_code == 409, action
        assert answer.json["conflictingRequest"]["message"].startswith(f"Instance {one} is locked"), action
    assert member.call("DELETE", f"/servers/{one}").status_code == 409
    assert admin.act(one, "os-stop").status_code == 202
    member.wait(one, "SHUTOFF")
    member.act(one, "unlock")
