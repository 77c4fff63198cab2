"""Snapshots of volumes."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.volume import volumes
from novalite.context import internal
from novalite.errors import DriverError

from .conftest import UNKNOWN, Cinder


@pytest.fixture(scope="module")
def volume(member: Cinder) -> str:
    return str(member.volume(size=2)["id"])


def test_the_life_of_a_snapshot(member: Cinder, volume: str) -> None:
    made = member.snapshot(volume, name="s", description="d", metadata={"a": "1"})
    assert (made["size"], made["volume_id"], made["metadata"]) == (2, volume, {"a": "1"})
    assert made["os-extended-snapshot-attributes:progress"] == "100%"
    assert "user_id" not in member.get(f"/snapshots/{made['id']}", "3.40")["snapshot"]
    path = f"/snapshots/{made['id']}"
    assert member.call("PUT", path, {"snapshot": {"name": "t"}}).json["snapshot"]["name"] == "t"
    assert member.call("PUT", f"{path}/metadata", {"metadata": {"b": "2"}}).json == {"metadata": {"b": "2"}}
    assert member.get(f"{path}/metadata/b") == {"meta": {"b": "2"}}
    (listed,) = member.get("/snapshots/detail?name=t")["snapshots"]
    assert listed["id"] == made["id"]
    assert member.get("/snapshots?volume_id=" + UNKNOWN)["snapshots"] == []
    assert member.driver.snapshot_ids() == (made["id"],)
    member.delete("snapshots", made["id"])
    assert member.driver.snapshot_ids() == ()


def test_pages(member: Cinder, volume: str) -> None:
    ids = [member.snapshot(volume, name=name)["id"] for name in "abc"]
    page = member.get("/snapshots?limit=2&sort=name:asc&with_count=true")
    assert ([one["name"] for one in page["snapshots"]], page["count"]) == (["a", "b"], 3)
    assert "marker=" + ids[1] in page["snapshots_links"][0]["href"]
    for snapshot_id in ids:
        member.delete("snapshots", snapshot_id)


def test_what_is_in_use_is_copied_by_force_or_since_3_66(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    member.act(volume_id, "os-attach", {"host_name": "h", "mountpoint": "/dev/vdb"})
    body: dict[str, Any] = {"snapshot": {"volume_id": volume_id}}
    assert member.refused("POST", "/snapshots", body, "3.65")[0] == 400
    forced = {"snapshot": {**body["snapshot"], "force": True}}
    for given, version in ((forced, "3.65"), (body, "3.66"), (forced, "3.66")):
        made = member.ask("/snapshots", given, 202, version)["snapshot"]
        member.until("snapshots", made["id"], "available")
    assert member.refused("POST", "/snapshots", {"snapshot": {**body["snapshot"], "force": False}})[0] == 400
    member.act(volume_id, "os-detach")
    member.delete("volumes", volume_id, "?cascade=True")


@pytest.mark.parametrize(
    "fields",
    [{}, {"volume_id": "x"}, {"volume_id": 5}, {"volume_id": UNKNOWN, "colour": "red"},
     {"volume_id": UNKNOWN, "force": "perhaps"}, {"volume_id": UNKNOWN, "metadata": {"a": 1}}],
)  # fmt: skip
def test_bad_input(member: Cinder, fields: dict[str, Any]) -> None:
    assert member.refused("POST", "/snapshots", {"snapshot": fields})[0] == 400


def test_others_see_none_of_it(member: Cinder, other: Cinder, reader: Cinder, volume: str) -> None:
    made = member.snapshot(volume)
    assert other.refused("GET", f"/snapshots/{made['id']}")[0] == 404
    assert other.refused("DELETE", f"/snapshots/{made['id']}")[0] == 404
    assert other.refused("POST", "/snapshots", {"snapshot": {"volume_id": volume}})[0] == 404
    assert other.refused("POST", "/volumes", {"volume": {"size": 2, "snapshot_id": made["id"]}})[0] == 404
    assert reader.refused("POST", "/snapshots", {"snapshot": {"volume_id": volume}})[0] == 403
    member.delete("snapshots", made["id"])


def test_a_snapshot_that_could_not_be_made(member: Cinder, admin: Cinder, volume: str) -> None:
    member.driver.faults["ensure_snapshot"] = DriverError("create_snapshot", "no room", code="disk.full")
    try:
        made = member.ask("/snapshots", {"snapshot": {"volume_id": volume}})["snapshot"]
        member.until("snapshots", made["id"], "error")
    finally:
        member.driver.faults.clear()
    assert member.refused("POST", "/volumes", {"volume": {"size": 2, "snapshot_id": made["id"]}})[0] == 400
    path = f"/snapshots/{made['id']}/action"
    assert member.refused("POST", path, {"os-reset_status": {"status": "available"}})[0] == 403
    admin.ask(path, {"os-reset_status": {"status": "error_deleting"}})
    assert member.refused("DELETE", f"/snapshots/{made['id']}")[0] == 400
    assert admin.refused("POST", path, {"os-reset_status": {"status": "happy"}})[0] == 400
    admin.ask(path, {"os-force_delete": {}})
    member.gone("snapshots", made["id"])


@pytest.mark.parametrize("force", [False, True])
def test_a_snapshot_of_which_a_volume_is_made_does_not_go_with_its_volume(
    member: Cinder, admin: Cinder, force: bool
) -> None:
    volume_id = member.volume()["id"]
    copy_id = member.volume(snapshot_id=member.snapshot(volume_id)["id"])["id"]

    def now(status: str) -> None:
        with member.appliance.built.database.write(internal()) as w:
            volumes.change(w, copy_id, {"status": status})

    now("creating")
    query = "?cascade=true" + ("&force=true" if force else "")
    status, told = admin.refused("DELETE", f"/volumes/{volume_id}{query}")
    assert (status, "snapshot" in told) == (400, True)
    now("available")
    admin.delete("volumes", volume_id, query)
    member.delete("volumes", copy_id)
