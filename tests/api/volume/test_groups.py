"""Groups of volumes: types, members, snapshots of all at one moment, groups made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from novalite.errors import DriverError
from tests.api.conftest import wait_for
from tests.api.volume.conftest import UNKNOWN, Cinder
from tests.api.volume.test_in_use import Server


@pytest.fixture(scope="module")
def kind(admin: Cinder) -> str:
    made = admin.ask("/group_types", {"group_type": {"name": "together"}}, 202)["group_type"]
    return str(made["id"])


@pytest.fixture
def group(member: Cinder, kind: str) -> Iterator[str]:
    body = {"name": "g", "group_type": kind, "volume_types": ["__DEFAULT__"]}
    group_id = str(member.ask("/groups", {"group": body})["group"]["id"])
    yield group_id
    member.ask(f"/groups/{group_id}/action", {"delete": {"delete-volumes": True}})
    member.gone("groups", group_id)


def members(member: Cinder, group_id: str) -> list[str]:
    found = member.get(f"/groups/{group_id}?list_volume=true")["group"]
    return list(found["volumes"])


def test_types_of_groups_have_specs(admin: Cinder, member: Cinder) -> None:
    body = {"name": "t", "description": "d", "group_specs": {"a": "b"}}
    made = admin.ask("/group_types", {"group_type": body}, 202)["group_type"]
    path = f"/group_types/{made['id']}"
    assert (made["is_public"], made["group_specs"]) == (True, {"a": "b"})
    assert admin.ask(f"{path}/group_specs", {"group_specs": {"c": "d"}}, 202) == {"group_specs": {"c": "d"}}
    assert admin.call("PUT", f"{path}/group_specs/a", {"a": "z"}).json == {"a": "z"}
    assert admin.get(f"{path}/group_specs/a") == {"a": "z"}
    assert admin.call("DELETE", f"{path}/group_specs/c").status_code == 202
    assert admin.refused("GET", f"{path}/group_specs/c")[0] == 404
    assert admin.get(f"{path}/group_specs")["group_specs"] == {"a": "z"}
    changed = admin.call("PUT", path, {"group_type": {"name": "u", "is_public": False}}).json["group_type"]
    assert (changed["name"], changed["is_public"]) == ("u", False)
    assert member.refused("GET", path)[0] == 404
    assert admin.refused("POST", "/group_types", {"group_type": {"name": "u"}})[0] == 409
    assert member.refused("GET", "/group_types/default")[0] == 404
    assert admin.refused("PUT", path, {"group_type": {}})[0] == 400
    assert "u" in [one["name"] for one in admin.get("/group_types?is_public=None")["group_types"]]
    assert admin.call("DELETE", path).status_code == 202
    assert admin.refused("GET", "/group_types", version="3.10")[0] == 404


def test_volumes_come_and_go(member: Cinder, other: Cinder, admin: Cinder, group: str, kind: str) -> None:
    first = member.volume(group_id=group, volume_type="__DEFAULT__")
    assert first["group_id"] == group
    second = member.volume()["id"]
    change = {"name": "h", "add_volumes": second}
    assert member.call("PUT", f"/groups/{group}", {"group": change}).status_code == 202
    assert set(members(member, group)) == {first["id"], second}
    assert member.refused("DELETE", f"/volumes/{second}")[0] == 400
    assert member.refused("POST", "/volume-transfers", {"transfer": {"volume_id": second}})[0] == 400
    assert member.refused("PUT", f"/groups/{group}", {"group": {"add_volumes": second}})[0] == 400
    assert member.call("PUT", f"/groups/{group}", {"group": {"remove_volumes": second}}).status_code == 202
    assert member.refused("PUT", f"/groups/{group}", {"group": {"remove_volumes": second}})[0] == 400
    assert member.refused("PUT", f"/groups/{group}", {"group": {}})[0] == 400
    assert other.refused("GET", f"/groups/{group}")[0] == 404
    assert [one["name"] for one in member.get("/groups/detail?name=h")["groups"]] == ["h"]
    assert member.refused("POST", f"/groups/{group}/action", {"delete": {"delete-volumes": False}})[0] == 400
    assert admin.refused("DELETE", f"/group_types/{kind}")[0] == 400
    gold = admin.ask("/types", {"volume_type": {"name": "other"}}, 200)["volume_type"]["id"]
    stranger = member.volume(volume_type="other")["id"]
    assert member.refused("PUT", f"/groups/{group}", {"group": {"add_volumes": stranger}})[0] == 400
    bad = {"volume": {"size": 1, "volume_type": "other", "group_id": group}}
    assert member.refused("POST", "/volumes", bad)[0] == 400
    admin.ask(f"/groups/{group}/action", {"reset_status": {"status": "error"}})
    assert member.refused("POST", "/volumes", {"volume": {"size": 1, "group_id": group}})[0] == 400
    admin.ask(f"/groups/{group}/action", {"reset_status": {"status": "available"}})
    for one in (second, stranger):
        member.delete("volumes", one)
    admin.call("DELETE", f"/types/{gold}")


def test_all_are_kept_at_one_moment_and_come_back_together(member: Cinder, admin: Cinder, group: str) -> None:
    assert member.refused("POST", "/group_snapshots", {"group_snapshot": {"group_id": group}})[0] == 400
    ids = {member.volume(group_id=group, volume_type="__DEFAULT__")["id"] for _ in range(2)}
    made = member.ask("/group_snapshots", {"group_snapshot": {"group_id": group, "name": "s"}})["group_snapshot"]
    kept = member.until("group_snapshots", made["id"], "available")
    assert (kept["group_id"], kept["name"]) == (group, "s")
    parts = [one for one in member.get("/snapshots/detail")["snapshots"] if one["group_snapshot_id"] == made["id"]]
    assert {one["volume_id"] for one in parts} == ids
    assert member.refused("DELETE", f"/snapshots/{parts[0]['id']}")[0] == 400
    source = {"create-from-src": {"group_snapshot_id": made["id"], "name": "copy"}}
    copy = member.ask("/groups/action", source)["group"]["id"]
    for volume_id in members(member, copy):
        assert member.until("volumes", volume_id, "available")["snapshot_id"] in {one["id"] for one in parts}
    source = {"create-from-src": {"source_group_id": copy, "group_snapshot_id": None}}
    third = member.ask("/groups/action", source)["group"]["id"]
    assert member.get(f"/groups/{third}")["group"]["source_group_id"] == copy
    for volume_id in members(member, third):
        member.until("volumes", volume_id, "available")
    for both in ({}, {"source_group_id": copy, "group_snapshot_id": made["id"]}):
        assert member.refused("POST", "/groups/action", {"create-from-src": both})[0] == 400
    for group_id in (copy, third):
        member.ask(f"/groups/{group_id}/action", {"delete": {"delete-volumes": True}})
        member.gone("groups", group_id)
    assert member.refused("POST", f"/groups/{group}/action", {"delete": {"delete-volumes": True}})[0] == 400
    path = f"/group_snapshots/{made['id']}"
    assert member.call("PUT", path, {"group_snapshot": {"name": "n"}}).json["group_snapshot"]["name"] == "n"
    admin.ask(f"{path}/action", {"reset_status": {"status": "creating"}})
    assert member.refused("DELETE", path)[0] == 400
    admin.ask(f"{path}/action", {"reset_status": {"status": "error"}})
    assert [one["id"] for one in member.get("/group_snapshots")["group_snapshots"]] == [made["id"]]
    member.delete("group_snapshots", made["id"])
    assert member.driver.snapshot_ids() == ()


def _ids(member: Cinder, group_snapshot_id: str) -> list[str]:
    found = member.get("/snapshots/detail")["snapshots"]
    return [one["id"] for one in found if one["group_snapshot_id"] == group_snapshot_id]


def test_what_a_guest_has_is_copied_at_one_moment(member: Cinder, group: str) -> None:
    """Two disks of it in one go, and one that is free beside; nothing of the copies stays on the host."""
    first, second, free = (member.volume(group_id=group, volume_type="__DEFAULT__")["id"] for _ in range(3))
    server, host = Server(member), member.appliance.driver
    for volume_id in (first, second):
        server.attach(volume_id)
    before = host.calls.get("take_snapshots", 0), host.calls.get("take_snapshot", 0)
    made = member.ask("/group_snapshots", {"group_snapshot": {"group_id": group}})["group_snapshot"]["id"]
    member.until("group_snapshots", made, "available")
    assert (host.calls["take_snapshots"], host.calls.get("take_snapshot", 0)) == (before[0] + 1, before[1])
    assert set(member.driver.snapshot_ids()) == set(_ids(member, made))
    assert len(_ids(member, made)) == 3
    wait_for(lambda: host._guests[server.id].snapshots == {}, why="copies stay on the host")
    assert {member.get(f"/volumes/{one}")["volume"]["status"] for one in (first, second)} == {"in-use"}
    member.delete("group_snapshots", made)
    server.detach(first)
    other = Server(member)
    other.attach(first)
    code, why = member.refused("POST", "/group_snapshots", {"group_snapshot": {"group_id": group}})
    assert (code, "several servers" in why) == (400, True)
    assert member.get("/group_snapshots")["group_snapshots"] == []
    server.detach(second)
    other.detach(first)
    assert free


@pytest.mark.parametrize("where", ["host", "backend"])
def test_a_moment_that_fails_leaves_nothing(member: Cinder, group: str, where: str) -> None:
    volume_id, _ = (member.volume(group_id=group, volume_type="__DEFAULT__")["id"] for _ in range(2))
    server = Server(member)
    server.attach(volume_id)
    broken = DriverError("copy", "it broke off", code="driver.failed")
    if where == "host":
        member.appliance.driver.fail_next("take_snapshots", broken)
    else:
        member.driver.faults["ensure_snapshot"] = broken
    try:
        made = member.ask("/group_snapshots", {"group_snapshot": {"group_id": group}})["group_snapshot"]["id"]
        member.until("group_snapshots", made, "error")
    finally:
        member.driver.faults.clear()
    assert {member.get(f"/snapshots/{one}")["snapshot"]["status"] for one in _ids(member, made)} == {"error"}
    assert member.driver.snapshot_ids() == ()
    assert member.appliance.driver._guests[server.id].snapshots == {}
    member.delete("group_snapshots", made)
    server.detach(volume_id)


def test_a_part_that_fails_makes_the_whole_an_error(member: Cinder, group: str) -> None:
    for _ in range(2):
        member.volume(group_id=group, volume_type="__DEFAULT__")
    member.driver.faults["ensure_snapshot"] = RuntimeError("broken")
    try:
        made = member.ask("/group_snapshots", {"group_snapshot": {"group_id": group}})["group_snapshot"]
        member.until("group_snapshots", made["id"], "error")
    finally:
        member.driver.faults.clear()

    def settled() -> bool:
        found: list[dict[str, Any]] = member.get("/snapshots/detail")["snapshots"]
        return all(one["status"] != "creating" for one in found)

    wait_for(settled, why="a snapshot goes on")
    member.driver.faults["delete_snapshot"] = RuntimeError("broken")
    try:
        assert member.call("DELETE", f"/group_snapshots/{made['id']}").status_code == 202
        wait_for(
            lambda: [one["status"] for one in member.get("/snapshots/detail")["snapshots"]] == 2 * ["error_deleting"]
        )
    finally:
        member.driver.faults.clear()
    member.delete("group_snapshots", made["id"])


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"group_type": "x"}, 400), ({"group_type": "nothing", "volume_types": ["__DEFAULT__"]}, 404),
     ({"group_type": "together", "volume_types": ["nothing"]}, 404),
     ({"group_type": "together", "volume_types": []}, 400),
     ({"group_type": "together", "volume_types": ["__DEFAULT__"], "availability_zone": "mars"}, 400)],
)  # fmt: skip
def test_bad_groups(member: Cinder, kind: str, body: dict[str, Any], status: int) -> None:
    assert member.refused("POST", "/groups", {"group": body})[0] == status


def test_groups_count(member: Cinder, admin: Cinder, group: str, kind: str) -> None:
    project_id = member.get(f"/groups/{group}")["group"]["project_id"]
    admin.call("PUT", f"/os-quota-sets/{project_id}", {"quota_set": {"groups": 1}})
    body = {"group_type": kind, "volume_types": ["__DEFAULT__"]}
    assert member.refused("POST", "/groups", {"group": body})[0] == 413
    used = member.get(f"/os-quota-sets/{project_id}?usage=True")["quota_set"]["groups"]
    assert used == {"limit": 1, "in_use": 1, "reserved": 0}
    admin.call("DELETE", f"/os-quota-sets/{project_id}")
    assert member.refused("GET", f"/groups/{UNKNOWN}")[0] == 404
    assert member.refused("POST", "/volumes", {"volume": {"size": 1, "group_id": UNKNOWN}})[0] == 404
    assert member.refused("GET", "/groups", version="3.12")[0] == 404
