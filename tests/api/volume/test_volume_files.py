"""Records against what is stored, and statuses that no task will end."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from novalite.cloud.volume import attachments, volumes
from novalite.cloud.volume.records import Snapshot, Volume, VolumeAttachment
from novalite.context import internal
from novalite.engine import doctor, volume_files

from .conftest import Cinder


def findings(cloud: Cinder) -> list[tuple[str, str, str]]:
    found = doctor.examine(cloud.appliance.built.parts, cloud.appliance.built.store).findings
    return [(one.severity, one.kind, one.id) for one in found if one.kind in ("volume", "snapshot")]


def end_unowned(cloud: Cinder) -> list[str]:
    return volume_files.end_unowned(cloud.appliance.built.database, older_than_seconds=60)


def test_doctor_finds_what_leaked_and_what_is_missing(member: Cinder) -> None:
    volume_id, leaked = member.volume()["id"], str(uuid4())
    snapshot_id = member.snapshot(volume_id)["id"]
    assert findings(member) == []
    member.driver.ensure_volume(leaked, 1)
    member.driver.delete_volume(volume_id)
    member.driver.delete_snapshot(snapshot_id)
    expected = [("error", "volume", volume_id), ("warning", "volume", leaked), ("error", "snapshot", snapshot_id)]
    assert findings(member) == expected
    member.driver.delete_volume(leaked)
    member.delete("volumes", volume_id, "?cascade=True")
    assert findings(member) == []


def test_statuses_that_no_task_ends_get_a_way_out(member: Cinder) -> None:
    ends = {"creating": "error", "downloading": "error", "reverting": "error", "extending": "error_extending",
            "deleting": "error_deleting", "uploading": "available"}  # fmt: skip
    ids = {status: member.volume()["id"] for status in ends}
    snapshot_id = member.snapshot(ids["uploading"])["id"]
    young = member.volume()["id"]
    with member.appliance.built.database.write(internal()) as w:
        volumes.change(w, young, {"status": "creating"})
        for status, volume_id in ids.items():
            volumes.change(w, volume_id, {"status": status})
        w.changed(sa.update(Snapshot).where(Snapshot.id == snapshot_id).values(status="creating"))
        long_ago = {"updated_at": w.now - timedelta(hours=1)}
        w.changed(sa.update(Volume).where(Volume.id.in_(ids.values())).values(long_ago))
        w.changed(sa.update(Snapshot).where(Snapshot.id == snapshot_id).values(long_ago))
    assert sorted(end_unowned(member)) == sorted([*ids.values(), snapshot_id])
    assert end_unowned(member) == []
    for status, volume_id in ids.items():
        assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == ends[status]
    assert member.get(f"/snapshots/{snapshot_id}")["snapshot"]["status"] == "error"
    assert member.get(f"/volumes/{young}")["volume"]["status"] == "creating"
    admin = Cinder(member.appliance, member.appliance.token())
    for volume_id in (*ids.values(), young):
        admin.call("DELETE", f"/volumes/{volume_id}?force=True&cascade=True")
        member.gone("volumes", volume_id)


def test_what_a_server_had_that_is_no_more_is_free_again(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    with member.appliance.built.database.write(internal()) as w:
        made = attachments.reserve(w, volume_id, str(uuid4()))
        attachments.attach(w, made.id, device="/dev/vdb")
    assert end_unowned(member) == []
    with member.appliance.built.database.write(internal()) as w:
        old = w.now - timedelta(hours=1)
        w.changed(sa.update(VolumeAttachment).where(VolumeAttachment.id == made.id).values(created_at=old))
    assert end_unowned(member) == [made.id]
    member.until("volumes", volume_id, "available")
    member.delete("volumes", volume_id)


def test_a_directory_that_has_moved_is_found_again(member: Cinder, monkeypatch: pytest.MonkeyPatch) -> None:
    volume_id, built = member.volume()["id"], member.appliance.built
    with built.database.write(internal()) as w:
        here = dict(volumes.get(w, volume_id).location)
        volumes.change(w, volume_id, {"location": {**here, "path": "/elsewhere"}})
    with monkeypatch.context() as patch:
        patch.setattr(built.parts.volumes.of(""), "place", None)  # a program for each of them on some backends
        volume_files.mend(built.database, built.parts.volumes)
    with built.database.read(internal()) as w:
        assert volumes.disk(w, volume_id).path == here["path"]
    member.delete("volumes", volume_id)
