"""Volumes and snapshots as Compute showed them up to 2.35."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import wait_for

from .conftest import Cloud

UNKNOWN = "12345678-1234-1234-1234-123456789abc"


def post(cloud: Cloud, path: str, body: Any, version: str) -> Any:
    return cloud.call("POST", path, body, version)


def until(cloud: Cloud, path: str, key: str) -> dict[str, Any]:
    def there() -> Any:
        now = cloud.get(path, "2.1").json[key]
        return now if now["status"] == "available" else None

    found: dict[str, Any] = wait_for(there)
    return found


def test_a_volume_and_its_snapshot(member: Cloud) -> None:
    body = {"size": "1", "display_name": "v", "display_description": "d", "metadata": {"a": "1"}}
    made = post(member, "/os-volumes", {"volume": body}, "2.1")
    assert made.status_code == 200
    volume_id = made.json["volume"]["id"]
    assert made.headers["Location"].endswith(f"/os-volumes/{volume_id}")
    shown = until(member, f"/os-volumes/{volume_id}", "volume")
    created = shown.pop("createdAt")
    assert created
    assert shown == {
        "id": volume_id, "status": "available", "size": 1, "availabilityZone": "nova", "attachments": [{}],
        "displayName": "v", "displayDescription": "d", "volumeType": "__DEFAULT__", "snapshotId": None,
        "metadata": {"a": "1"},
    }  # fmt: skip
    assert member.get("/os-volumes/detail", "2.35").json == {"volumes": [{**shown, "createdAt": created}]}
    assert member.get("/os-volumes?limit=1&offset=1", "2.1").json == {"volumes": []}
    taken = post(member, "/os-snapshots", {"snapshot": {"volume_id": volume_id, "display_name": "s"}}, "2.1")
    assert taken.status_code == 200
    snapshot_id = taken.json["snapshot"]["id"]
    kept = until(member, f"/os-snapshots/{snapshot_id}", "snapshot")
    assert (kept["volumeId"], kept["size"], kept["displayName"], kept["displayDescription"]) == (
        volume_id,
        1,
        "s",
        None,
    )
    assert [one["id"] for one in member.get("/os-snapshots/detail", "2.1").json["snapshots"]] == [snapshot_id]
    copy = post(member, "/os-volumes", {"volume": {"size": 1, "snapshot_id": snapshot_id}}, "2.1").json["volume"]
    until(member, f"/os-volumes/{copy['id']}", "volume")
    for path in (f"/os-snapshots/{snapshot_id}", f"/os-volumes/{volume_id}", f"/os-volumes/{copy['id']}"):
        assert member.call("DELETE", path, version="2.1").status_code == 202
        wait_for(lambda path=path: member.get(path, "2.1").status_code == 404)


@pytest.mark.parametrize(
    "fields",
    [{}, {"size": "x"}, {"size": 0}, {"size": ""}, {"size": None}, {"size": 1, "colour": "red"},
     {"size": 1, "display_name": 5}, {"size": 1, "metadata": "x"}],
)  # fmt: skip
def test_bad_volumes(member: Cloud, fields: dict[str, Any]) -> None:
    assert post(member, "/os-volumes", {"volume": fields}, "2.1").status_code == 400


def test_unknown_and_gone(member: Cloud) -> None:
    for path in ("/os-volumes", "/os-snapshots"):
        assert member.get(f"{path}/{UNKNOWN}", "2.1").status_code == 404
        assert member.call("DELETE", f"{path}/{UNKNOWN}", version="2.1").status_code == 404
        assert member.get(f"{path}?limit=x", "2.1").status_code == 400
        assert member.get(path, "2.36").status_code == 404
    assert post(member, "/os-snapshots", {"snapshot": {"volume_id": UNKNOWN}}, "2.1").status_code == 404
    assert post(member, "/os-snapshots", {"snapshot": {}}, "2.1").status_code == 400
    assert post(member, "/os-volumes", {"volume": {"size": 5000}}, "2.1").status_code == 403
