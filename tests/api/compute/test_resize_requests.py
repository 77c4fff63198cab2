"""Resize, its confirmation and its way back: what requests may say, and who may ask when."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Cloud

TINY, SMALL = "1", "2"


@pytest.fixture(scope="module")
def one(member: Cloud) -> str:
    return member.boot("resized", flavorRef=SMALL)


def made(admin: Cloud, name: str, **values: Any) -> str:
    body = {"name": name, "vcpus": 1, "ram": 1024, "disk": 10, **values}
    return str(admin.call("POST", "/flavors", {"flavor": body}, "2.1").json["flavor"]["id"])


def why(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(next(iter(answer.json.values()))["message"])


@pytest.mark.parametrize("version", ["2.1", "2.104"])
@pytest.mark.parametrize(
    "body",
    [None, {}, [], "2", {"flavorRef": ""}, {"flavorRef": None}, {"flavorRef": "2", "disk": 1}, {"flavorRef": {}},
     {"flavorRef": "2", "OS-DCF:diskConfig": "NONE"}],
)  # fmt: skip
def test_malformed_requests(member: Cloud, one: str, body: Any, version: str) -> None:
    assert member.act(one, "resize", body, version).status_code == 400


def test_flavors_that_will_not_do(admin: Cloud, member: Cloud, one: str) -> None:
    assert "Flavor none could not be found" in why(member.act(one, "resize", {"flavorRef": "none"}), 400)
    assert "must change flavor" in why(member.act(one, "resize", {"flavorRef": 2}), 400)
    smaller = "Server disk was unable to be resized because: Unable to resize disk down."
    assert why(member.act(one, "resize", {"flavorRef": TINY}), 400) == smaller
    none = made(admin, "no-disk", disk=0)
    assert "Resize to zero disk flavor is not allowed." in why(member.act(one, "resize", {"flavorRef": none}), 400)
    private = made(admin, "private", **{"os-flavor-access:is_public": False})
    assert "could not be found" in why(member.act(one, "resize", {"flavorRef": private}), 400)
    assert member.server(one)["status"] == "ACTIVE"
    assert admin.get("/os-migrations").json["migrations"] == []


def test_an_ephemeral_disk_does_not_shrink(admin: Cloud, member: Cloud) -> None:
    large = made(admin, "ephemeral-2", **{"OS-FLV-EXT-DATA:ephemeral": 2})
    small = made(admin, "ephemeral-1", **{"OS-FLV-EXT-DATA:ephemeral": 1})
    server_id = member.boot("ephemeral", flavorRef=large)
    assert "Unable to resize disk down" in why(member.act(server_id, "resize", {"flavorRef": small}), 400)
    member.gone(server_id)


def test_nobody_else(stranger: Cloud, reader: Cloud, member: Cloud, one: str) -> None:
    for action, value in (("resize", {"flavorRef": TINY}), ("confirmResize", None), ("revertResize", None)):
        assert stranger.act(one, action, value).status_code == 404
        assert reader.act(one, action, value).status_code in (403, 404)


def test_what_is_not_resized_cannot_be_confirmed(member: Cloud, one: str) -> None:
    for action in ("confirmResize", "revertResize"):
        text = why(member.act(one, action), 409)
        assert text == f"Cannot '{action}' instance {one} while it is in vm_state active"


def test_a_locked_server_is_not_resized(member: Cloud, one: str) -> None:
    assert member.act(one, "lock").status_code == 202
    assert "is locked" in why(member.act(one, "resize", {"flavorRef": "3"}), 409)
    assert member.act(one, "unlock").status_code == 202


def test_the_larger_flavor_must_be_within_the_quota(admin: Cloud, member: Cloud) -> None:
    server_id = member.boot("poor", flavorRef=SMALL)
    project = member.server(server_id)["tenant_id"]
    used = member.get("/limits").json["limits"]["absolute"]
    quota = {"quota_set": {"cores": used["totalCoresUsed"], "ram": used["totalRAMUsed"] + 512}}
    assert admin.call("PUT", f"/os-quota-sets/{project}", quota).status_code == 200
    text = why(member.act(server_id, "resize", {"flavorRef": "3"}), 403)
    cores, ram = used["totalCoresUsed"], used["totalRAMUsed"]
    assert text == (
        f"Quota exceeded for cores, ram: Requested 1, 1024, but already used {cores}, {ram} of {cores}, {ram + 512} "
        "cores, ram"
    )
    assert member.server(server_id)["OS-EXT-STS:task_state"] is None
    member.gone(server_id)
    assert admin.call("DELETE", f"/os-quota-sets/{project}").status_code == 202


def test_going_back_to_a_larger_size_must_be_within_the_quota(admin: Cloud, member: Cloud) -> None:
    wide = made(admin, "wide", vcpus=4)
    server_id = member.boot("narrowed", flavorRef=wide)
    project = member.server(server_id)["tenant_id"]
    assert member.act(server_id, "resize", {"flavorRef": SMALL}).status_code == 202
    member.wait(server_id, "VERIFY_RESIZE")
    used = member.get("/limits").json["limits"]["absolute"]["totalCoresUsed"]
    assert admin.call("PUT", f"/os-quota-sets/{project}", {"quota_set": {"cores": used}}).status_code == 200
    assert "Quota exceeded for cores: Requested 3" in why(member.act(server_id, "revertResize"), 403)
    assert admin.call("DELETE", f"/os-quota-sets/{project}").status_code == 202
    assert member.act(server_id, "revertResize").status_code == 202
    member.wait(server_id, "ACTIVE")
    member.gone(server_id)


def test_states_while_a_resize_waits(member: Cloud, one: str) -> None:
    assert member.act(one, "resize", {"flavorRef": "3", "OS-DCF:diskConfig": "AUTO"}).status_code == 202
    shown = member.wait(one, "VERIFY_RESIZE")
    assert (shown["OS-DCF:diskConfig"], shown["flavor"]["original_name"]) == ("AUTO", "m1.medium")
    assert member.get("/servers?status=VERIFY_RESIZE").json["servers"][0]["id"] == one
    for action, value in (("resize", {"flavorRef": "4"}), ("os-stop", None), ("pause", None), ("rescue", None)):
        assert "while it is in vm_state resized" in why(member.act(one, action, value), 409)
    assert member.act(one, "confirmResize").status_code == 204
    member.wait(one, "ACTIVE")


def test_a_host_that_is_down_resizes_nothing(admin: Cloud, member: Cloud, one: str) -> None:
    services = admin.get("/os-services?binary=nova-compute").json["services"]
    path = f"/os-services/{services[0]['id']}"
    assert admin.call("PUT", path, {"forced_down": True}).status_code == 200
    assert why(member.act(one, "resize", {"flavorRef": "4"}), 409) == "Service is unavailable at this time."
    assert why(admin.act(one, "migrate"), 409) == "Service is unavailable at this time."
    assert admin.call("PUT", path, {"forced_down": False}).status_code == 200


def test_a_resize_that_was_given_up_by_hand_is_no_resize(admin: Cloud, member: Cloud) -> None:
    server_id = member.boot("by-hand")
    assert member.act(server_id, "resize", {"flavorRef": SMALL}).status_code == 202
    member.wait(server_id, "VERIFY_RESIZE")
    assert admin.act(server_id, "os-resetState", {"state": "error"}).status_code == 202
    assert member.act(server_id, "confirmResize").status_code == 409
    member.gone(server_id)
