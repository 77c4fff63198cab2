"""Backups: made, put back, exported, taken over, given up."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.volume import services
from novalite.cloud.volume.records import Backup, Volume
from novalite.context import internal
from novalite.engine import doctor, volume_files
from tests.api.conftest import running
from tests.api.volume.conftest import UNKNOWN, Cinder
from tests.api.volume.test_in_use import Server


def backup(member: Cinder, volume_id: str, **fields: Any) -> dict[str, Any]:
    made = member.ask("/backups", {"backup": {"volume_id": volume_id, **fields}})["backup"]
    found = member.until("backups", made["id"], "available")
    member.until("volumes", volume_id, "available")
    return found


def test_a_backup_is_put_into_a_new_volume(member: Cinder, other: Cinder) -> None:
    image_id = member.appliance.image()
    volume_id = member.volume(name="data", size=2, imageRef=image_id, metadata={"k": "v"})["id"]
    made = backup(member, volume_id, name="first", metadata={"a": "b"})
    assert (made["size"], made["is_incremental"], made["metadata"]) == (2, False, {"a": "b"})
    assert other.refused("GET", f"/backups/{made['id']}")[0] == 404
    assert member.get("/backups?name=first")["backups"][0]["id"] == made["id"]
    assert member.get("/backups/detail?status=error")["backups"] == []
    told = member.ask(f"/backups/{made['id']}/restore", {"restore": {"name": "again"}})["restore"]
    new = member.until("volumes", told["volume_id"], "available")
    assert (new["name"], new["size"], new["bootable"]) == ("again", 2, "true")
    assert (new["volume_image_metadata"]["image_id"], new["metadata"]) == (image_id, {"k": "v"})
    assert member.until("backups", made["id"], "available")["fail_reason"] is None
    by_create = member.volume(backup_id=made["id"], size=3)
    for one in (new["id"], by_create["id"], volume_id):
        member.delete("volumes", one)
    member.delete("backups", made["id"])
    assert member.appliance.built.parts.backups.ids() == ()


def test_nothing_is_done_with_backups_while_their_service_is_disabled(member: Cinder, admin: Cinder) -> None:
    volume_id = member.volume()["id"]
    made = backup(member, volume_id)
    path = f"/backups/{made['id']}"
    (service,) = admin.get("/os-services?binary=cinder-backup")["services"]
    which = {"binary": "cinder-backup", "host": service["host"]}
    database = member.appliance.built.database
    with database.write(internal()) as w:
        services.set_disabled(w, "cinder-backup", "what-this-machine-was-called", True)
    assert admin.call("PUT", "/os-services/disable", which).status_code == 200
    try:
        failed = member.ask("/backups", {"backup": {"volume_id": volume_id}})["backup"]
        told = member.get(f"/backups/{failed['id']}")["backup"]
        assert (told["status"], told["fail_reason"]) == ("error", "Service not found for creating backup.")
        assert any(each["resource_uuid"] == failed["id"] for each in member.get("/messages")["messages"])
        assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == "available"
        new = {"volume": {"size": 1, "backup_id": made["id"]}}
        for refused in (
            member.refused("POST", f"{path}/restore", {"restore": {}}), member.refused("DELETE", path),
            admin.refused("POST", f"{path}/action", {"os-force_delete": {}}), member.refused("POST", "/volumes", new),
        ):  # fmt: skip
            assert (refused[0], "Service cinder-backup could not be found." in refused[1]) == (404, True)
        assert member.get(path)["backup"]["status"] == "available"
    finally:
        assert admin.call("PUT", "/os-services/enable", which).status_code == 200
    for each in (made["id"], failed["id"], backup(member, volume_id)["id"]):
        member.delete("backups", each)
    member.delete("volumes", volume_id)


def test_a_backup_is_put_into_a_volume_that_is_there(member: Cinder) -> None:
    large, small = member.volume(size=2)["id"], member.volume(size=1)["id"]
    made = backup(member, large)
    path, into = f"/backups/{made['id']}/restore", {"restore": {"volume_id": small}}
    assert member.refused("POST", path, into)[0] == 400
    assert member.get(f"/backups/{made['id']}")["backup"]["status"] == "available"
    told = member.ask(path, {"restore": {"volume_id": large}})["restore"]
    assert told["volume_id"] == large
    member.until("volumes", large, "available")
    member.until("backups", made["id"], "available")
    member.driver.faults["ensure_volume"] = RuntimeError("broken")
    try:
        member.ask(path, {"restore": {"volume_id": large}})
        member.until("volumes", large, "error_restoring")
    finally:
        member.driver.faults.clear()
    member.until("backups", made["id"], "available")
    for one in (large, small):
        member.delete("volumes", one)
    member.delete("backups", made["id"])


def test_increments_name_their_parent_and_need_none(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    body = {"backup": {"volume_id": volume_id, "incremental": True}}
    assert member.refused("POST", "/backups", body)[0] == 400
    assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == "available"
    first = backup(member, volume_id)
    second = backup(member, volume_id, incremental=True)
    assert second["is_incremental"] is True
    member.delete("backups", first["id"])
    told = member.ask(f"/backups/{second['id']}/restore", {"restore": None})["restore"]
    for one in (told["volume_id"], volume_id):
        member.until("volumes", one, "available")
        member.delete("volumes", one)
    member.until("backups", second["id"], "available")
    member.delete("backups", second["id"])


def test_snapshots_and_volumes_in_use_are_backed_up(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    snapshot_id = member.snapshot(volume_id)["id"]
    of_snapshot = backup(member, volume_id, snapshot_id=snapshot_id)
    assert of_snapshot["snapshot_id"] == snapshot_id
    assert member.refused("POST", "/backups", {"backup": {"volume_id": volume_id, "snapshot_id": UNKNOWN}})[0] == 404
    server = Server(member)
    server.attach(volume_id)
    assert member.refused("POST", "/backups", {"backup": {"volume_id": volume_id}})[0] == 400
    made = member.ask("/backups", {"backup": {"volume_id": volume_id, "force": True}})["backup"]
    member.until("backups", made["id"], "available")
    member.until("volumes", volume_id, "in-use")
    assert member.driver.snapshot_ids() == (snapshot_id,)
    server.detach(volume_id)
    member.delete("volumes", volume_id, "?cascade=true")
    for one in (made, of_snapshot):
        member.delete("backups", one["id"])


@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, 400), ({"volume_id": "x"}, 400), ({"volume_id": UNKNOWN}, 404), ({"volume_id": UNKNOWN, "colour": 1}, 400),
     ({"volume_id": UNKNOWN, "force": "perhaps"}, 400), ({"volume_id": UNKNOWN, "name": "n" * 256}, 400)],
)  # fmt: skip
def test_bad_requests(member: Cinder, fields: dict[str, Any], status: int) -> None:
    assert member.refused("POST", "/backups", {"backup": fields})[0] == status


def test_quotas_and_limits_count_backups(member: Cinder, admin: Cinder) -> None:
    volume = member.volume()
    path = f"/os-quota-sets/{volume['os-vol-tenant-attr:tenant_id']}"
    made = backup(member, volume["id"])
    assert member.get(f"{path}?usage=True")["quota_set"]["backups"]["in_use"] == 1
    assert member.get("/limits")["limits"]["absolute"]["totalBackupGigabytesUsed"] == 1
    admin.call("PUT", path, {"quota_set": {"backups": 1}})
    assert member.refused("POST", "/backups", {"backup": {"volume_id": volume["id"]}})[0] == 413
    admin.call("DELETE", path)
    changed = member.call("PUT", f"/backups/{made['id']}", {"backup": {"name": "n", "metadata": {"k": "v"}}})
    assert changed.json["backup"]["name"] == "n"
    assert member.refused("PUT", f"/backups/{made['id']}", {"backup": {}})[0] == 400
    member.delete("volumes", volume["id"])
    member.delete("backups", made["id"])


def test_what_fails_is_told_and_leaves_nothing(member: Cinder, admin: Cinder) -> None:
    volume_id = member.volume()["id"]
    member.driver.faults["read"] = RuntimeError("broken")
    try:
        made = member.ask("/backups", {"backup": {"volume_id": volume_id}})["backup"]
        found = member.until("backups", made["id"], "error")
    finally:
        member.driver.faults.clear()
    assert "unexpected" in found["fail_reason"]
    member.until("volumes", volume_id, "available")
    assert member.appliance.built.parts.backups.ids() == ()
    admin.ask(f"/backups/{made['id']}/action", {"os-reset_status": {"status": "available"}})
    told = member.ask(f"/backups/{made['id']}/restore", {"restore": {}})["restore"]
    member.until("volumes", told["volume_id"], "error")
    member.until("backups", made["id"], "available")
    for one in (told["volume_id"], volume_id):
        member.delete("volumes", one)
    admin.ask(f"/backups/{made['id']}/action", {"os-force_delete": {}})
    member.gone("backups", made["id"])


def test_states_that_nothing_ends_get_a_way_out(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    made = {status: backup(member, volume_id)["id"] for status in ("creating", "restoring", "deleting")}
    with member.appliance.built.database.write(internal()) as w:
        old = w.now - timedelta(hours=1)
        for status, backup_id in made.items():
            w.changed(sa.update(Backup).where(Backup.id == backup_id).values(status=status, updated_at=old))
        w.changed(sa.update(Volume).where(Volume.id == volume_id).values(status="backing-up", updated_at=old))
    mended = volume_files.end_unowned(member.appliance.built.database, older_than_seconds=60)
    assert sorted(mended) == sorted([volume_id, *made.values()])
    assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == "available"
    now = {status: member.get(f"/backups/{backup_id}")["backup"]["status"] for status, backup_id in made.items()}
    assert now == {"creating": "error", "restoring": "available", "deleting": "error"}
    for backup_id in made.values():
        member.delete("backups", backup_id)
    member.delete("volumes", volume_id)


def test_another_cloud_takes_a_backup_over(member: Cinder, admin: Cinder, tmp_path: Path) -> None:
    volume_id = member.volume(name="precious")["id"]
    made = backup(member, volume_id)
    record = admin.get(f"/backups/{made['id']}/export_record")
    assert member.refused("GET", f"/backups/{made['id']}/export_record")[0] == 403
    assert admin.refused("POST", "/backups/import_record", record)[0] == 409
    store = admin.appliance.built.parts.backups.place()
    told = json.loads(base64.b64decode(record["backup-record"]["backup_url"]))
    second_id = "22222222-2222-4222-8222-222222222222"
    url = base64.b64encode(json.dumps({**told, "id": second_id}).encode()).decode()
    admin.ask("/backups/import_record", {"backup-record": {**record["backup-record"], "backup_url": url}}, 201)
    admin.until("backups", second_id, "available")
    admin.delete("backups", second_id)
    assert made["id"] in admin.appliance.built.parts.backups.ids()
    with running(tmp_path, backups__directory=store) as second:
        there = Cinder(second, second.token())
        taken = there.ask("/backups/import_record", record, 201)["backup"]
        assert there.until("backups", taken["id"], "available")["volume_id"] == volume_id
        told = there.ask(f"/backups/{taken['id']}/restore", {"restore": {}})["restore"]
        there.until("volumes", told["volume_id"], "available")
        broken = json.loads(base64.b64decode(record["backup-record"]["backup_url"]))
        for field, value in (
            ("id", "../x"),
            ("size", 0),
            ("data_at", "now"),
            ("metadata", None),
            ("name", "x" * 300),
            ("metadata", {"n": 1}),
            ("volume_facts", {"image_metadata": [1, 2]}),
            ("volume_facts", {"metadata": "x"}),
        ):
            url = base64.b64encode(json.dumps({**broken, field: value}).encode()).decode()
            bad = {"backup-record": {**record["backup-record"], "backup_url": url}}
            assert there.refused("POST", "/backups/import_record", bad)[0] == 400
        lost = base64.b64encode(json.dumps({**broken, "id": UNKNOWN, "volume_facts": {}}).encode()).decode()
        body = {"backup-record": {**record["backup-record"], "backup_url": lost}}
        assert there.ask("/backups/import_record", body, 201)["backup"]["id"] == UNKNOWN
        assert "there is no backup" in there.until("backups", UNKNOWN, "error")["fail_reason"]
    member.delete("volumes", volume_id)
    member.delete("backups", made["id"])


def test_doctor_compares_backups(member: Cinder) -> None:
    volume_id = member.volume()["id"]
    made = backup(member, volume_id)
    parts = member.appliance.built.parts

    def found() -> list[tuple[str, str]]:
        return [(one.severity, one.id) for one in doctor.examine(parts, member.appliance.built.store).findings
                if one.kind == "backup"]  # fmt: skip

    assert found() == []
    parts.backups.delete(made["id"])
    parts.backups.save(UNKNOWN, [b"x"], {})
    assert found() == [("error", made["id"]), ("warning", UNKNOWN)]
    parts.backups.delete(UNKNOWN)
    member.delete("volumes", volume_id)
    member.delete("backups", made["id"])
