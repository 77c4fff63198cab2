"""The store of backups, as an operator at a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from novalite.api.admin import backup_store
from tests.contracts.volume_driver import new_id


def test_backups_are_found_and_taken(novalite: Any, appliance: Any) -> None:
    backups = appliance.built.parts.backups
    backup_id, volume_id = new_id(), new_id()
    record = {
        "id": backup_id, "volume_id": volume_id, "name": "left", "description": None, "size": 1, "size_bytes": 0,
        "object_count": 0, "container": "", "data_at": "2026-01-01T00:00:00+00:00", "metadata": {}, "volume_facts": {},
    }  # fmt: skip
    assert novalite("backup", "import", "--all") == 0, novalite.err
    assert "nothing" in novalite.err
    backups.save(backup_id, [b"x"], {"volume_id": volume_id, "name": "left", "record": json.dumps(record)})
    assert novalite("backup", "list") == 0, novalite.err
    assert backup_id in novalite.out
    assert "this appliance" in novalite.err
    assert novalite("backup", "import") != 0
    assert novalite("backup", "import", new_id()) == 3
    assert novalite("backup", "import", "--all") == 0, novalite.err
    assert "1 taken" in novalite.err
    assert [each["known"] for each in novalite.json("backup", "list")["backups"]] == [True]
    assert novalite("backup", "take-over", "--yes") == 0, novalite.err
    assert "already" in novalite.err
    mark = Path(backups.place()) / "store.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "writer": new_id()}))
    assert novalite("backup", "take-over", "--yes") == 0, novalite.err
    assert novalite.json("backup", "list")["ours"]


def test_a_large_store_is_shown_page_by_page(novalite: Any, appliance: Any, monkeypatch: Any) -> None:
    backups = appliance.built.parts.backups
    before = set(backups.ids())
    ids = [new_id() for _ in range(3)]
    for each in ids:
        backups.save(each, [b"x"], {"volume_id": new_id()})
    monkeypatch.setattr(backup_store, "limit", lambda call: 1)
    assert {each["id"] for each in novalite.json("backup", "list")["backups"]} == {*before, *ids}
    for each in ids:
        backups.delete(each)
