"""Volumes that go from one project to another."""

from __future__ import annotations

import pytest

from tests.api.volume.conftest import UNKNOWN, Cinder


@pytest.mark.parametrize("collection", ["os-volume-transfer", "volume-transfers"])
def test_a_volume_goes_to_whoever_knows_the_key(member: Cinder, other: Cinder, collection: str) -> None:
    volume_id = member.volume()["id"]
    snapshot_id = member.snapshot(volume_id)["id"]
    made = member.ask(f"/{collection}", {"transfer": {"volume_id": volume_id, "name": "gift"}})["transfer"]
    assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == "awaiting-transfer"
    assert member.refused("DELETE", f"/volumes/{volume_id}")[0] == 400
    assert "auth_key" not in member.get(f"/{collection}/{made['id']}")["transfer"]
    assert [one["id"] for one in member.get(f"/{collection}/detail")["transfers"]] == [made["id"]]
    assert other.get(f"/{collection}")["transfers"] == []
    assert other.refused("GET", f"/{collection}/{made['id']}")[0] == 404
    accept = f"/{collection}/{made['id']}/accept"
    assert other.refused("POST", accept, {"accept": {"auth_key": "wrong"}})[0] == 400
    taken = other.ask(accept, {"accept": {"auth_key": made["auth_key"]}})["transfer"]
    assert taken["volume_id"] == volume_id
    assert other.get(f"/volumes/{volume_id}")["volume"]["status"] == "available"
    assert other.get(f"/snapshots/{snapshot_id}")["snapshot"]["status"] == "available"
    assert member.refused("GET", f"/volumes/{volume_id}")[0] == 404
    assert member.refused("GET", f"/{collection}/{made['id']}")[0] == 404
    other.delete("volumes", volume_id, "?cascade=true")


def test_an_offer_is_taken_back(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    made = member.ask("/volume-transfers", {"transfer": {"volume_id": volume_id}})["transfer"]
    again = {"transfer": {"volume_id": volume_id}}
    assert member.refused("POST", "/volume-transfers", again)[0] == 400
    assert member.call("DELETE", f"/volume-transfers/{made['id']}").status_code == 202
    assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == "available"
    for path in (f"/volume-transfers/{made['id']}", f"/os-volume-transfer/{UNKNOWN}"):
        assert member.refused("GET", path)[0] == 404
    assert member.refused("GET", "/volume-transfers", version="3.54")[0] == 404
    member.delete("volumes", volume_id)


def test_an_offer_whose_status_was_reset_gives_way(member: Cinder, admin: Cinder) -> None:
    volume_id = member.volume()["id"]
    wanted = {"transfer": {"volume_id": volume_id}}
    first = member.ask("/volume-transfers", wanted)["transfer"]
    admin.act(volume_id, "os-reset_status", {"status": "available"})
    second = member.ask("/volume-transfers", wanted)["transfer"]
    assert member.refused("GET", f"/volume-transfers/{first['id']}")[0] == 404
    assert member.call("DELETE", f"/volume-transfers/{second['id']}").status_code == 202
    member.delete("volumes", volume_id)


def test_the_taker_must_have_room(member: Cinder, other: Cinder, admin: Cinder) -> None:
    mine = other.volume()
    project_id = mine["os-vol-tenant-attr:tenant_id"]
    made = member.ask("/volume-transfers", {"transfer": {"volume_id": member.volume()["id"]}})["transfer"]
    admin.call("PUT", f"/os-quota-sets/{project_id}", {"quota_set": {"volumes": 1}})
    try:
        accept = {"accept": {"auth_key": made["auth_key"]}}
        assert other.refused("POST", f"/volume-transfers/{made['id']}/accept", accept)[0] == 413
    finally:
        admin.call("DELETE", f"/os-quota-sets/{project_id}")
    assert member.call("DELETE", f"/volume-transfers/{made['id']}").status_code == 202
    member.delete("volumes", made["volume_id"])
    other.delete("volumes", mine["id"])
