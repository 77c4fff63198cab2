"""The store of backups in a directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from novalite.drivers.storage.objects import DirectoryObjects
from tests.contracts.backup_store import BackupStoreContract, opened, refusal
from tests.contracts.volume_driver import new_id


class TestInADirectory(BackupStoreContract):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> DirectoryObjects:
        return DirectoryObjects(tmp_path / "backups")


@pytest.mark.parametrize("change", [
    {"pieces": ["../../precious"]}, {"pieces": ["..", None]}, {"pieces": [5]}, {"pieces": None}, {"pieces": "aa"},
    {"added": "much"}, {"size": -1}, {"piece_bytes": None}, {"facts": []}, {"facts": {"name": ["x"]}},
    {"facts": {"size_gib": "many"}},
])  # fmt: skip
def test_manifests_that_others_have_written_lead_nowhere(tmp_path: Path, change: dict[str, Any]) -> None:
    precious, objects, backup_id = tmp_path / "precious", DirectoryObjects(tmp_path / "backups"), new_id()
    precious.write_text("x")
    store = opened(objects)
    store.save(backup_id, [b"data"], {})
    manifest = json.loads(objects.get(f"manifests/{backup_id}.json") or b"")
    objects.put(f"manifests/{backup_id}.json", json.dumps({**manifest, **change}).encode())
    for act in (store.kept, store.delete, lambda id: b"".join(store.read(id))):
        assert refusal(lambda act=act: act(backup_id)) == "backup.corrupt"  # type: ignore[misc]
    assert precious.exists()
