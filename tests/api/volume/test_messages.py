"""What users are told of things that failed later."""

from __future__ import annotations

from datetime import timedelta

from novalite.cloud.volume import messages
from novalite.context import internal
from tests.api.volume.conftest import UNKNOWN, Cinder


def test_what_fails_later_is_told(member: Cinder, other: Cinder) -> None:
    good = member.volume()["id"]
    member.driver.faults |= dict.fromkeys(("ensure_volume", "ensure_snapshot", "read"), RuntimeError("broken"))
    try:
        volume_id = member.ask("/volumes", {"volume": {"size": 1}})["volume"]["id"]
        member.until("volumes", volume_id, "error")
        snapshot_id = member.ask("/snapshots", {"snapshot": {"volume_id": good}})["snapshot"]["id"]
        member.until("snapshots", snapshot_id, "error")
        backup_id = member.ask("/backups", {"backup": {"volume_id": good}})["backup"]["id"]
        member.until("backups", backup_id, "error")
    finally:
        member.driver.faults.clear()
    found = member.get("/messages")["messages"]
    assert [(one["resource_type"], one["resource_uuid"]) for one in found] == [
        ("VOLUME_BACKUP", backup_id), ("VOLUME_SNAPSHOT", snapshot_id), ("VOLUME", volume_id)
    ]  # fmt: skip
    assert found[2]["event_id"] == "VOLUME_VOLUME_001_001"
    assert found[2]["user_message"].startswith("schedule allocate volume:")
    (one,) = member.get(f"/messages?resource_uuid={snapshot_id}")["messages"]
    assert member.get(f"/messages/{one['id']}")["message"] == one
    assert other.get("/messages")["messages"] == []
    assert (
        other.refused("GET", f"/messages/{one['id']}")[0] == other.refused("DELETE", f"/messages/{one['id']}")[0] == 404
    )
    assert member.call("DELETE", f"/messages/{one['id']}").status_code == 204
    assert member.refused("GET", f"/messages/{one['id']}")[0] == 404
    assert member.refused("GET", f"/messages/{UNKNOWN}")[0] == 404
    assert member.refused("GET", "/messages", version="3.2")[0] == 404
    with member.appliance.built.database.write(internal()) as w:
        assert messages.prune(w, w.now) == 0
        assert messages.prune(w, w.now + timedelta(days=31)) == 2
    member.delete("backups", backup_id)
    for id in (good, volume_id):
        member.delete("volumes", id, "?cascade=true")
