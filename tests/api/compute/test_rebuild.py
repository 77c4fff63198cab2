"""Rebuild: a server's disks begun anew, with what each microversion lets one change."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import pytest

from novalite.cloud.hosts import hosts
from novalite.context import internal
from novalite.errors import DriverError
from tests.api.conftest import Appliance, wait_for

from .conftest import Cloud


@pytest.fixture
def one(member: Cloud) -> Any:
    server_id = member.boot("standing", metadata={"old": "yes"})
    yield server_id
    member.gone(server_id)


@pytest.fixture(scope="module")
def other_image(appliance: Appliance) -> str:
    return appliance.image("other")


def rebuild(cloud: Cloud, server_id: str, version: str = "2.95", **values: Any) -> Any:
    return cloud.act(server_id, "rebuild", {"imageRef": cloud.image_id, **values}, version)


def replaced(appliance: Appliance) -> int:
    return appliance.driver.calls["replace_disk"]


def test_it_answers_with_the_server_a_password_and_its_place(member: Cloud, one: str, other_image: str) -> None:
    answer = rebuild(member, one, imageRef=other_image, name=" anew ".strip(), metadata={"new": "yes"})
    server = answer.json["server"]
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"http://localhost/compute/v2.1/servers/{one}"
    assert (server["status"], server["name"], server["metadata"]) == ("REBUILD", "anew", {"new": "yes"})
    assert server["image"]["id"] == other_image
    assert len(server["adminPass"]) >= 8
    shown = member.wait(one, "ACTIVE")
    assert (shown["image"]["id"], shown["name"]) == (other_image, "anew")
    assert "adminPass" not in shown


def test_the_disk_is_begun_anew_from_the_image(appliance: Appliance, member: Cloud, one: str, other_image: str) -> None:
    before = replaced(appliance)
    rebuild(member, one, imageRef=other_image)
    member.wait(one, "ACTIVE")
    assert replaced(appliance) == before + 1
    [root] = appliance.driver._guests[one].spec.disks  # type: ignore[union-attr]
    assert root.image is not None
    assert root.image.id == other_image


def test_its_addresses_stay(member: Cloud, one: str) -> None:
    addresses = member.server(one)["addresses"]
    rebuild(member, one)
    assert member.wait(one, "ACTIVE")["addresses"] == addresses


def test_a_stopped_server_stays_stopped(appliance: Appliance, member: Cloud, one: str, other_image: str) -> None:
    member.act(one, "os-stop")
    member.wait(one, "SHUTOFF")
    assert rebuild(member, one, imageRef=other_image).json["server"]["status"] == "REBUILD"
    assert member.wait(one, "SHUTOFF")["image"]["id"] == other_image
    assert appliance.driver._guests[one].power == "off"
    member.act(one, "os-start")
    member.wait(one, "ACTIVE")


def test_what_is_on_the_flavors_own_disks_goes_unless_it_is_to_stay(
    appliance: Appliance, admin: Cloud, member: Cloud
) -> None:
    flavor = {"name": "rich", "id": "rich", "vcpus": 1, "ram": 64, "disk": 1, "OS-FLV-EXT-DATA:ephemeral": 1,
              "swap": 64}  # fmt: skip
    assert admin.call("POST", "/flavors", {"flavor": flavor}, "2.90").status_code == 200
    server_id = member.boot("rich", flavorRef="rich")
    before = replaced(appliance)
    rebuild(member, server_id)
    member.wait(server_id, "ACTIVE")
    assert replaced(appliance) == before + 3
    rebuild(member, server_id, preserve_ephemeral=True)
    member.wait(server_id, "ACTIVE")
    assert replaced(appliance) == before + 4
    member.gone(server_id)


# What each microversion takes, by a value that is right; a version below refuses it.
SINCE = {
    "description": ("2.19", "words"), "key_name": ("2.54", None), "user_data": ("2.57", "aGVsbG8="),
    "trusted_image_certificates": ("2.63", ["one"]), "hostname": ("2.90", "called"),
}  # fmt: skip


@pytest.mark.parametrize("name", SINCE)
def test_each_microversion_takes_more(member: Cloud, one: str, name: str) -> None:
    since, value = SINCE[name]
    below = f"2.{int(since.partition('.')[2]) - 1}"
    refused = rebuild(member, one, below, **{name: value})
    assert refused.status_code == 400
    assert name in refused.json["badRequest"]["message"]
    assert rebuild(member, one, since, **{name: value}).status_code == 202
    member.wait(one, "ACTIVE")


WRONG = [
    ({"imageRef": "no-uuid"}, "imageRef"), ({"imageRef": str(uuid4())}, "Cannot find image for rebuild"),
    ({"name": ""}, "name"), ({"name": " "}, "name"), ({"adminPass": 1}, "adminPass"), ({"metadata": {"a": 1}}, "a"),
    ({"preserve_ephemeral": "maybe"}, "preserve_ephemeral"), ({"OS-DCF:diskConfig": "auto"}, "OS-DCF:diskConfig"),
    ({"accessIPv4": "x"}, "accessIPv4"), ({"accessIPv6": "192.0.2.1"}, "accessIPv6"),
    ({"key_name": "nobody's"}, "Invalid key_name provided"), ({"user_data": "%"}, "user_data"),
    ({"trusted_image_certificates": []}, "trusted_image_certificates"), ({"hostname": "a.b"}, "hostname"),
    ({"flavorRef": "1"}, "flavorRef"), ({"personality": []}, "personality"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "words"), WRONG)
def test_what_is_wrong_is_named_and_changes_nothing(member: Cloud, one: str, values: Any, words: str) -> None:
    answer = rebuild(member, one, "2.93", **values)
    assert answer.status_code == 400
    assert words in answer.json["badRequest"]["message"]
    assert member.server(one)["status"] == "ACTIVE"


def test_the_image_is_required(member: Cloud, one: str) -> None:
    assert member.act(one, "rebuild", {"name": "x"}).status_code == 400
    assert member.act(one, "rebuild", None).status_code == 400


def test_hosts_names_may_have_dots_since_2_94(member: Cloud, one: str) -> None:
    assert rebuild(member, one, "2.94", hostname="a.b").status_code == 202
    assert member.wait(one, "ACTIVE")["OS-EXT-SRV-ATTR:hostname"] == "a.b"


def test_null_takes_key_user_data_and_certificates_away(admin: Cloud, member: Cloud) -> None:
    assert member.call("POST", "/os-keypairs", {"keypair": {"name": "mine"}}, "2.91").status_code == 201
    server_id = member.boot("keyed", key_name="mine", user_data="aGVsbG8=")
    rebuild(member, server_id, description=None, trusted_image_certificates=["a", "b"])
    shown = member.wait(server_id, "ACTIVE")
    assert (shown["key_name"], shown["trusted_image_certificates"]) == ("mine", ["a", "b"])
    assert admin.server(server_id)["OS-EXT-SRV-ATTR:user_data"] == "aGVsbG8="
    answer = rebuild(member, server_id, key_name=None, user_data=None, trusted_image_certificates=None)
    assert (answer.json["server"]["key_name"], answer.json["server"]["user_data"]) == (None, None)
    shown = member.wait(server_id, "ACTIVE")
    assert (shown["key_name"], shown["trusted_image_certificates"]) == (None, None)
    assert admin.server(server_id)["OS-EXT-SRV-ATTR:user_data"] is None
    member.gone(server_id)


SHOWN = {
    "2.53": (set(), {"key_name", "user_data", "OS-EXT-STS:vm_state"}),
    "2.54": ({"key_name"}, {"user_data"}),
    "2.57": ({"key_name", "user_data"}, {"config_drive"}),
    "2.74": (set(), {"config_drive", "OS-EXT-STS:vm_state", "os-extended-volumes:volumes_attached"}),
    "2.75": ({"config_drive", "OS-EXT-STS:vm_state", "user_data", "server_groups"}, {"OS-EXT-SRV-ATTR:user_data"}),
}


@pytest.mark.parametrize("version", SHOWN)
def test_what_each_microversion_answers(admin: Cloud, version: str) -> None:
    server_id = admin.boot("admins")
    there, absent = SHOWN[version]
    keys = set(rebuild(admin, server_id, version).json["server"])
    assert there | {"adminPass", "id", "addresses"} <= keys
    assert not absent & keys
    admin.wait(server_id, "ACTIVE")
    admin.gone(server_id)


def test_files_may_be_given_until_2_56_and_are_counted(member: Cloud, one: str) -> None:
    file = {"path": "/etc/proof", "contents": base64.b64encode(b"x").decode()}
    assert rebuild(member, one, "2.56", personality=[file]).status_code == 202
    member.wait(one, "ACTIVE")
    for files, words in (
        ([file] * 6, "Personality file limit exceeded"),
        ([{**file, "path": "/" + "x" * 255}], "path exceeds maximum 255"),
        ([{**file, "contents": base64.b64encode(bytes(10241)).decode()}], "content exceeds maximum 10240"),
    ):
        answer = rebuild(member, one, "2.56", personality=files)
        assert answer.status_code == 403
        assert words in answer.json["forbidden"]["message"]


def test_metadata_beyond_the_quota_is_refused(member: Cloud, one: str) -> None:
    answer = rebuild(member, one, metadata={f"k{index}": "v" for index in range(129)})
    assert answer.status_code == 403
    assert "Maximum number of metadata items exceeds 128" in answer.json["forbidden"]["message"]


def test_an_image_that_is_too_large_or_not_active_is_refused(appliance: Appliance, member: Cloud, one: str) -> None:
    large = appliance.image("large")
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    body = [{"op": "replace", "path": "/min_disk", "value": 50}]
    assert appliance.call("PATCH", f"/image/v2/images/{large}", json=body, headers=kind).status_code == 200
    assert "disk" in rebuild(member, one, imageRef=large).json["badRequest"]["message"]
    queued = appliance.post("/image/v2/images", {"name": "queued", "visibility": "public"}).json["id"]
    assert "not active" in rebuild(member, one, imageRef=queued).json["badRequest"]["message"]


def test_who_may_and_when(member: Cloud, stranger: Cloud, reader: Cloud, one: str) -> None:
    assert rebuild(stranger, one).status_code == 404
    assert rebuild(reader, one).status_code == 403
    member.act(one, "pause")
    member.wait(one, "PAUSED")
    assert rebuild(member, one).status_code == 409
    member.act(one, "unpause")
    member.wait(one, "ACTIVE")
    member.act(one, "lock")
    assert "locked" in rebuild(member, one).json["conflictingRequest"]["message"]
    member.act(one, "unlock")


def test_an_image_the_host_cannot_run_leaves_the_server_on_its_own(
    appliance: Appliance, member: Cloud, one: str
) -> None:
    strange = appliance.image("strange")
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    body = [{"op": "add", "path": "/hw_architecture", "value": "aarch64"}]
    assert appliance.call("PATCH", f"/image/v2/images/{strange}", json=body, headers=kind).status_code == 200
    before = replaced(appliance)
    assert rebuild(member, one, imageRef=strange).status_code == 202
    failed = member.wait(one, "ERROR")
    assert "aarch64" in failed["fault"]["message"]
    assert failed["image"]["id"] == member.image_id
    assert replaced(appliance) == before
    rebuild(member, one)
    assert "fault" not in member.wait(one, "ACTIVE")


def test_a_server_with_processors_of_its_own_keeps_them(appliance: Appliance, admin: Cloud, member: Cloud) -> None:
    flavor = {"name": "alone", "id": "alone", "vcpus": 1, "ram": 64, "disk": 1}
    assert admin.call("POST", "/flavors", {"flavor": flavor}, "2.90").status_code == 200
    specs = {"extra_specs": {"hw:cpu_policy": "dedicated"}}
    assert admin.call("POST", "/flavors/alone/os-extra_specs", specs).status_code == 200
    server_id = member.boot("alone", flavorRef="alone")
    with appliance.built.database.write(internal()) as w:
        host = hosts.by_name(w, next(iter(appliance.built.hosts)))
        host.report = {**host.report, "free_cpus": 0}
    rebuild(member, server_id)
    member.wait(server_id, "ACTIVE")
    member.gone(server_id)


@pytest.mark.parametrize("op", ["replace_disk", "ensure_guest"])
def test_one_that_fails_can_be_rebooted_hard_and_rebuilt(
    appliance: Appliance, member: Cloud, one: str, op: str
) -> None:
    appliance.driver.fail_next(op, DriverError(op, "no room", code="disk.full"))
    rebuild(member, one)
    assert "no room" in member.wait(one, "ERROR")["fault"]["message"]
    member.act(one, "reboot", {"type": "HARD"})
    member.wait(one, "ACTIVE")
    rebuild(member, one)
    member.wait(one, "ACTIVE")


def test_one_can_be_deleted_meanwhile(appliance: Appliance, member: Cloud) -> None:
    server_id = member.boot("short-lived")
    before = replaced(appliance)
    gate = appliance.driver.hold("replace_disk")
    rebuild(member, server_id)
    wait_for(lambda: replaced(appliance) > before)
    assert member.server(server_id)["OS-EXT-STS:task_state"] == "rebuild_block_device_mapping"
    assert rebuild(member, server_id).status_code == 409
    assert member.call("DELETE", f"/servers/{server_id}").status_code == 204
    gate.set()
    wait_for(lambda: member.get(f"/servers/{server_id}").status_code == 404)
    assert server_id not in appliance.driver._guests
