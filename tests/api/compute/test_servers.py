"""A server's life as its owner sees it, and what each microversion shows of it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.api.conftest import wait_for

from .conftest import Cloud


@pytest.fixture(scope="module")
def one(member: Cloud) -> str:
    """A running server that stories only look at."""
    return member.boot("looked-at", metadata={"a": "b"}, tags=["red", "blue"], description="words")


def test_a_create_answers_with_the_id_and_a_password(member: Cloud) -> None:
    answer = member.new("made", adminPass="secret-one")
    server = answer.json["server"]
    assert answer.status_code == 202
    assert set(server) == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert server["adminPass"] == "secret-one"
    assert answer.headers["Location"] == f"http://localhost/compute/v2.1/servers/{server['id']}"
    shown = member.wait(server["id"], "ACTIVE")
    assert "adminPass" not in shown
    member.gone(server["id"])


def test_what_a_server_looks_like(member: Cloud, one: str) -> None:
    server = member.server(one)
    (address,) = server["addresses"]["private"]
    assert server["name"] == "looked-at"
    assert server["status"] == "ACTIVE"
    assert server["image"]["id"] == member.image_id
    assert server["flavor"]["original_name"] == "m1.tiny"
    assert (address["version"], address["OS-EXT-IPS:type"]) == (4, "fixed")
    assert server["security_groups"] == [{"name": "default"}]
    assert (server["metadata"], server["tags"], server["description"]) == ({"a": "b"}, ["blue", "red"], "words")
    assert len(server["hostId"]) == 56
    assert server["OS-EXT-STS:power_state"] == 1
    assert server["created"].endswith("Z")
    assert "." in server["OS-SRV-USG:launched_at"]
    assert not [key for key in server if key.startswith("OS-EXT-SRV-ATTR") and not key.endswith(":hostname")]


def test_admins_see_where_it_runs(admin: Cloud, one: str) -> None:
    server = admin.server(one)
    assert server["OS-EXT-SRV-ATTR:host"] == server["OS-EXT-SRV-ATTR:hypervisor_hostname"] != ""
    assert server["host_status"] == "UP"


WINDOWS = {
    "2.1": ({"accessIPv4", "OS-EXT-STS:vm_state", "key_name"}, {"locked", "description", "tags"}),
    "2.8": (set(), {"locked"}),
    "2.9": ({"locked"}, {"description"}),
    "2.18": (set(), {"description"}),
    "2.19": ({"description"}, {"tags"}),
    "2.26": ({"tags"}, {"trusted_image_certificates"}),
    "2.63": ({"trusted_image_certificates"}, {"server_groups"}),
    "2.71": ({"server_groups"}, {"locked_reason"}),
    "2.73": ({"locked_reason"}, {"OS-EXT-SRV-ATTR:hostname"}),
    "2.90": ({"OS-EXT-SRV-ATTR:hostname"}, {"pinned_availability_zone"}),
    "2.96": ({"pinned_availability_zone"}, {"scheduler_hints"}),
    "2.100": ({"pinned_availability_zone", "scheduler_hints"}, set()),
}


@pytest.mark.parametrize("version", WINDOWS)
def test_each_version_has_its_keys(member: Cloud, one: str, version: str) -> None:
    there, absent = WINDOWS[version]
    keys = set(member.server(one, version))
    assert there <= keys
    assert not absent & keys


def test_the_flavor_is_a_link_until_2_46_and_a_copy_after(member: Cloud, one: str) -> None:
    assert set(member.server(one, "2.46")["flavor"]) == {"id", "links"}
    assert set(member.server(one, "2.47")["flavor"]) == {
        "vcpus", "ram", "disk", "ephemeral", "swap", "original_name", "extra_specs",
    }  # fmt: skip


def test_the_zone_asked_for_is_the_pinned_one(member: Cloud, one: str) -> None:
    server_id = member.boot("pinned", availability_zone="nova")
    assert member.server(server_id, "2.96")["pinned_availability_zone"] == "nova"
    free = member.server(one, "2.96")
    assert (free["pinned_availability_zone"], free["OS-EXT-AZ:availability_zone"]) == (None, "nova")
    assert "properties" not in member.server(one, "2.97")["image"]
    assert member.server(one, "2.98")["image"]["properties"] == {}
    member.gone(server_id)


def test_put_shows_less_before_2_75(member: Cloud, one: str) -> None:
    old = member.call("PUT", f"/servers/{one}", {"server": {"name": "looked-at"}}, "2.74").json["server"]
    new = member.call("PUT", f"/servers/{one}", {"server": {"name": "looked-at"}}, "2.75").json["server"]
    assert "OS-EXT-STS:vm_state" not in old
    assert "OS-EXT-IPS:type" not in old["addresses"]["private"][0]
    assert set(new) == set(member.server(one, "2.75"))


def test_a_server_can_be_renamed_and_described(member: Cloud, one: str) -> None:
    body = {"server": {"name": "renamed", "description": None, "accessIPv4": "192.0.2.7", "hostname": "h"}}
    changed = member.call("PUT", f"/servers/{one}", body).json["server"]
    assert (changed["name"], changed["description"], changed["accessIPv4"]) == ("renamed", None, "192.0.2.7")
    assert changed["OS-EXT-SRV-ATTR:hostname"] == "h"
    back = {"server": {"name": "looked-at", "description": "words"}}
    assert member.call("PUT", f"/servers/{one}", back).json["server"]["name"] == "looked-at"
    assert member.call("PUT", f"/servers/{one}", {"server": {"accessIPv4": None}}).status_code == 400


def test_power_actions_walk_the_states(member: Cloud) -> None:
    server_id = member.boot("walker")
    for action, value, status in (
        ("os-stop", None, "SHUTOFF"),
        ("os-start", None, "ACTIVE"),
        ("reboot", {"type": "SOFT"}, "ACTIVE"),
        ("reboot", {"type": "hard"}, "ACTIVE"),
        ("pause", None, "PAUSED"),
        ("unpause", None, "ACTIVE"),
        ("suspend", None, "SUSPENDED"),
        ("resume", None, "ACTIVE"),
    ):
        assert member.act(server_id, action, value).status_code == 202, action
        member.wait(server_id, status)
    log = member.get(f"/servers/{server_id}/os-instance-actions").json["instanceActions"]
    assert [entry["action"] for entry in log] == [
        "resume", "suspend", "unpause", "pause", "reboot", "reboot", "start", "stop", "create",
    ]  # fmt: skip
    member.gone(server_id)


@pytest.mark.parametrize(
    ("action", "value"),
    [("os-start", None), ("unpause", None), ("resume", None)],
)
def test_an_action_in_the_wrong_state_is_409(member: Cloud, one: str, action: str, value: Any) -> None:
    answer = member.act(one, action, value)
    assert answer.status_code == 409
    assert f"instance {one} while it is in vm_state active" in answer.json["conflictingRequest"]["message"]


def test_a_locked_server_is_left_alone(member: Cloud, admin: Cloud) -> None:
    server_id = member.boot("locked")
    assert member.act(server_id, "lock", {"locked_reason": "mine"}).status_code == 202
    assert (member.server(server_id)["locked"], member.server(server_id)["locked_reason"]) == (True, "mine")
    assert member.act(server_id, "os-stop").status_code == 409
    assert member.call("DELETE", f"/servers/{server_id}").status_code == 409
    assert "is locked" in member.act(server_id, "pause").json["conflictingRequest"]["message"]
    assert member.act(server_id, "unlock").status_code == 202
    assert admin.act(server_id, "lock").status_code == 202
    assert member.act(server_id, "unlock").status_code == 403
    assert admin.act(server_id, "unlock").status_code == 202
    assert admin.act(server_id, "os-resetState", {"state": "error"}).status_code == 202
    assert member.server(server_id)["status"] == "ERROR"
    assert member.act(server_id, "forceDelete").status_code == 202
    wait_for(lambda: member.get(f"/servers/{server_id}").status_code == 404)


def test_deleting_twice_is_fine_until_it_is_gone(member: Cloud) -> None:
    server_id = member.boot("brief")
    assert member.call("DELETE", f"/servers/{server_id}").status_code == 204
    assert member.call("DELETE", f"/servers/{server_id}").status_code in (204, 404)
    wait_for(lambda: member.get(f"/servers/{server_id}").status_code == 404)
    assert member.call("DELETE", f"/servers/{server_id}").status_code == 404


def test_servers_of_others_do_not_exist(stranger: Cloud, one: str) -> None:
    asked = [
        ("GET", f"/servers/{one}", None), ("PUT", f"/servers/{one}", {"server": {"name": "x"}}),
        ("DELETE", f"/servers/{one}", None), ("POST", f"/servers/{one}/action", {"os-stop": None}),
        ("POST", f"/servers/{one}/action", {"os-getConsoleOutput": {}}), ("GET", f"/servers/{one}/metadata", None),
        ("POST", f"/servers/{one}/remote-consoles", {"remote_console": {"protocol": "vnc", "type": "novnc"}}),
        ("GET", f"/servers/{one}/os-instance-actions", None), ("GET", f"/servers/{one}/ips", None),
        ("GET", f"/servers/{one}/tags", None),
    ]  # fmt: skip
    for method, path, body in asked:
        answer = stranger.call(method, path, body)
        assert (answer.status_code, list(answer.json)) == (404, ["itemNotFound"]), path
    assert stranger.get("/servers").json["servers"] == []
    assert stranger.get("/servers?all_tenants=1").status_code == 403


def test_several_at_once_get_numbers(member: Cloud) -> None:
    answer = member.new("many", min_count=2, max_count="2", return_reservation_id=True)
    reservation = answer.json["reservation_id"]
    found = member.get(f"/servers?reservation_id={reservation}").json["servers"]
    assert sorted(server["name"] for server in found) == ["many-1", "many-2"]
    for server in found:
        member.wait(server["id"], "ACTIVE")
        member.gone(server["id"])


def test_user_data_and_keys_reach_the_record(member: Cloud, admin: Cloud) -> None:
    made = member.call("POST", "/os-keypairs", {"keypair": {"name": "k"}}, "2.2")
    assert made.status_code == 201
    data = base64.b64encode(b"#!/bin/sh\n").decode()
    server_id = member.boot("keyed", key_name="k", user_data=data, config_drive=True)
    assert member.server(server_id)["key_name"] == "k"
    assert member.server(server_id)["config_drive"] == "True"
    assert admin.server(server_id)["OS-EXT-SRV-ATTR:user_data"] == data
    member.gone(server_id)


def test_metadata_item_by_item(member: Cloud) -> None:
    server_id = member.boot("labelled", metadata={"a": "1"})
    path = f"/servers/{server_id}/metadata"
    assert member.get(path).json == {"metadata": {"a": "1"}}
    assert member.call("POST", path, {"metadata": {"b": "2"}}).json["metadata"] == {"a": "1", "b": "2"}
    assert member.call("PUT", f"{path}/c", {"meta": {"c": "3"}}).json == {"meta": {"c": "3"}}
    assert member.call("PUT", f"{path}/c", {"meta": {"d": "3"}}).status_code == 400
    assert member.get(f"{path}/c").json == {"meta": {"c": "3"}}
    assert member.call("DELETE", f"{path}/a").status_code == 204
    assert member.get(f"{path}/a").status_code == 404
    assert member.call("PUT", path, {"metadata": {}}).json == {"metadata": {}}
    for bad in ({"x" * 256: "v"}, {"k": "x" * 256}, {"k": 5}, {"k/": "v"}, []):
        assert member.call("POST", path, {"metadata": bad}).status_code == 400, bad
    member.gone(server_id)


def test_tags_one_by_one(member: Cloud, one: str) -> None:
    path = f"/servers/{one}/tags"
    added = member.call("PUT", f"{path}/green")
    assert (added.status_code, added.headers["Location"].endswith("/tags/green")) == (201, True)
    assert member.call("PUT", f"{path}/green").status_code == 204
    assert member.get(f"{path}/green").status_code == 204
    assert member.call("DELETE", f"{path}/green").status_code == 204
    assert member.get(f"{path}/green").status_code == 404
    assert member.call("PUT", f"{path}/a,b").status_code == 400
    assert member.call("PUT", path, {"tags": ["x"] * 51}).status_code == 400
    assert member.call("PUT", path, {"tags": ["red", "blue"]}).json == {"tags": ["blue", "red"]}
    assert member.get(path, "2.25").status_code == 404


def test_addresses_by_label(member: Cloud, one: str) -> None:
    found = member.get(f"/servers/{one}/ips").json["addresses"]
    assert set(found["private"][0]) == {"version", "addr"}
    assert member.get(f"/servers/{one}/ips/private").json == {"private": found["private"]}
    assert member.get(f"/servers/{one}/ips/none").status_code == 404


def test_console_text_and_addresses(member: Cloud, one: str) -> None:
    text = member.act(one, "os-getConsoleOutput", {}).json["output"]
    assert "login:" in text
    last = member.act(one, "os-getConsoleOutput", {"length": 1}).json["output"]
    assert len(last.splitlines()) == 1
    assert text.rstrip().endswith(last.rstrip())
    assert member.act(one, "os-getConsoleOutput", {"length": "x"}).status_code == 400
    path = f"/servers/{one}/remote-consoles"
    console = member.call("POST", path, {"remote_console": {"protocol": "vnc", "type": "novnc"}}).json
    assert "token" in console["remote_console"]["url"]
    serial = member.call("POST", path, {"remote_console": {"protocol": "serial", "type": "serial"}}).json
    assert serial["remote_console"]["url"].startswith("ws://")
    spice = member.call("POST", path, {"remote_console": {"protocol": "spice", "type": "spice-html5"}})
    assert (spice.status_code, "Unavailable console type" in spice.text) == (400, True)
    old = member.act(one, "os-getVNCConsole", {"type": "novnc"}, "2.5")
    assert old.json["console"]["type"] == "novnc"
    assert member.act(one, "os-getVNCConsole", {"type": "novnc"}, "2.6").status_code == 404
    assert member.call("POST", path, {"remote_console": {"protocol": "vnc", "type": "novnc"}}, "2.5").status_code == 404


def test_the_log_of_actions_tells_events(member: Cloud, admin: Cloud, one: str) -> None:
    path = f"/servers/{one}/os-instance-actions"
    (entry,) = [row for row in member.get(path).json["instanceActions"] if row["action"] == "create"]
    shown = member.get(f"{path}/{entry['request_id']}").json["instanceAction"]
    assert {event["result"] for event in shown["events"]} == {"Success"}
    whole, *steps = shown["events"]
    assert whole["event"] == "compute__do_build_and_run_instance", "programs wait for Nova's own name"
    assert whole["finish_time"] >= max(step["finish_time"] for step in steps)
    assert "traceback" not in shown["events"][0]
    assert "host" in admin.get(f"{path}/{entry['request_id']}").json["instanceAction"]["events"][0]
    assert "events" not in member.get(f"{path}/{entry['request_id']}", "2.50").json["instanceAction"]
    assert member.get(f"{path}/req-none").status_code == 404


def test_deleted_servers_keep_their_log_from_2_21(member: Cloud) -> None:
    server_id = member.boot("remembered")
    member.gone(server_id)
    assert member.get(f"/servers/{server_id}/os-instance-actions", "2.20").status_code == 404
    log = member.get(f"/servers/{server_id}/os-instance-actions").json["instanceActions"]
    assert [entry["action"] for entry in log] == ["delete", "create"]


@pytest.mark.parametrize(
    ("name", "hostname"),
    [("web 1.example.com", "web-1-example-com"), ("a_b", "a-b"), ("Ünïcode", "ncode"), ("-x-", "x"), ("...", "server")],
)
def test_the_host_name_comes_from_the_name(member: Cloud, name: str, hostname: str) -> None:
    server = member.server(member.boot(name), version="2.90")
    assert server["OS-EXT-SRV-ATTR:hostname"] == hostname


def test_trusted_certificates_are_kept_and_shown(member: Cloud) -> None:
    made = member.new("trusted", "2.63", trusted_image_certificates=["one", "two"])
    assert made.status_code == 202, made.text
    shown = member.server(made.json["server"]["id"], "2.63")
    assert shown["trusted_image_certificates"] == ["one", "two"]
    assert member.new("again", "2.63", trusted_image_certificates=["a", "a"]).status_code == 400
    assert member.new("older", "2.62", trusted_image_certificates=["a"]).status_code == 400
