"""The store of backups without the records of the appliance that filled it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from novalite.errors import DriverError
from tests.api.conftest import Appliance, running
from tests.api.volume.conftest import UNKNOWN, Cinder
from tests.api.volume.test_backups import backup
from tests.contracts.volume_driver import new_id

STORE = "/admin/backup-store"


def store(appliance: Appliance) -> Any:
    answer = appliance.call("GET", STORE, token=appliance.token())
    assert answer.status_code == 200, answer.text
    return answer.json["backup_store"]


def taken(appliance: Appliance, backup_id: str) -> int:
    answer = appliance.call("POST", f"{STORE}/backups/{backup_id}/import", token=appliance.token())
    return int(answer.status_code)


def test_a_new_machine_finds_what_the_old_one_kept(member: Cinder, tmp_path: Path) -> None:
    image_id = member.appliance.image()
    volume_id = member.volume(name="precious", size=2, imageRef=image_id, metadata={"k": "v"})["id"]
    made = backup(member, volume_id, name="nightly", metadata={"a": "b"})
    old = member.appliance
    told = store(old)
    assert (told["ours"], told["encrypted"], told["writer"] != "") == (True, False, True)
    assert [(one["id"], one["known"], one["name"], one["size_gib"]) for one in told["backups"]] == [
        (made["id"], True, "nightly", 2)
    ]
    assert taken(old, made["id"]) == 409
    with running(tmp_path, backups__directory=told["place"]) as new:
        there = Cinder(new, new.token())
        found = store(new)
        assert (found["ours"], found["writer"]) == (False, told["writer"])
        assert [(one["id"], one["known"]) for one in found["backups"]] == [(made["id"], False)]
        assert (taken(new, UNKNOWN), taken(new, "x")) == (404, 404)
        assert taken(new, made["id"]) == 202
        again = there.until("backups", made["id"], "available")
        facts = ("name", "size", "volume_id", "metadata", "data_timestamp", "object_count")
        assert {name: again[name] for name in facts} == {name: made[name] for name in facts}
        restored = there.ask(f"/backups/{made['id']}/restore", {"restore": {"name": "precious"}})["restore"]
        volume = there.until("volumes", restored["volume_id"], "available")
        assert (volume["size"], volume["bootable"], volume["metadata"]) == (2, "true", {"k": "v"})
        other_id = there.volume()["id"]
        refused = there.ask("/backups", {"backup": {"volume_id": other_id}})["backup"]["id"]
        assert "another appliance" in there.until("backups", refused, "error")["fail_reason"]
        there.delete("backups", refused)
        assert new.call("POST", f"{STORE}/take-over", token=new.token()).status_code == 204
        assert (store(new)["ours"], store(old)["ours"]) == (True, False)
        assert backup(there, other_id)["status"] == "available"
    assert old.call("POST", f"{STORE}/take-over", token=old.token()).status_code == 204
    member.delete("volumes", volume_id)
    member.delete("backups", made["id"])
    for left in old.built.parts.backups.ids():
        old.built.parts.backups.delete(left)


def test_what_is_damaged_or_tells_nothing_is_said(member: Cinder) -> None:
    parts, appliance = member.appliance.built.parts, member.appliance
    parts.backups.save(UNKNOWN, [b"x"], {"volume_id": UNKNOWN})
    answer = appliance.call("POST", f"{STORE}/backups/{UNKNOWN}/import", token=appliance.token())
    assert answer.status_code == 400
    assert "does not tell" in answer.text
    manifest = Path(parts.backups.place()) / "manifests" / f"{UNKNOWN}.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(b"{")
    assert taken(appliance, UNKNOWN) == 409
    assert "damaged" in store(appliance)["backups"][0]["problem"]
    manifest.write_bytes(whole)
    parts.backups.delete(UNKNOWN)


def test_of_a_large_store_only_a_page_is_read(member: Cinder, monkeypatch: Any) -> None:
    appliance, backups = member.appliance, member.appliance.built.parts.backups
    ids = sorted(new_id() for _ in range(3))
    for each in ids:
        backups.save(each, [b"x"], {"volume_id": UNKNOWN})
    read: list[str] = []
    kept = backups._driver.kept  # type: ignore[attr-defined]
    monkeypatch.setattr(backups._driver, "kept", lambda each: (read.append(each), kept(each))[1])  # type: ignore[attr-defined]

    def page(query: str) -> tuple[list[str], bool]:
        read.clear()
        answer = appliance.call("GET", f"{STORE}?{query}", token=appliance.token())
        assert answer.status_code == 200, answer.text
        found = [each["id"] for each in answer.json["backup_store"]["backups"]]
        assert read == found
        return found, "backups_links" in answer.json

    assert page("limit=2") == (ids[:2], True)
    assert page(f"limit=2&marker={ids[1]}") == (ids[2:], False)
    assert page("limit=3") == (ids, False)
    assert page("limit=0") == ([], False)
    for wrong in ("limit=x", f"marker={new_id()}"):
        assert appliance.call("GET", f"{STORE}?{wrong}", token=appliance.token()).status_code == 400, wrong
    for each in ids:
        backups.delete(each)


def test_a_store_that_does_not_answer_is_a_503(member: Cinder, monkeypatch: Any) -> None:
    appliance = member.appliance

    def away() -> None:
        raise DriverError("backup", "no route")

    monkeypatch.setattr(appliance.built.parts.backups._driver, "keeper", away)  # type: ignore[attr-defined]
    answer = appliance.call("GET", STORE, token=appliance.token())
    assert answer.status_code == 503
    assert "no route" in answer.text
