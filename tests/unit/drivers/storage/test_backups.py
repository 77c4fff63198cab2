"""The store of backups in a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from novalite.drivers.storage.objects import DirectoryObjects
from tests.contracts.backup_store import BackupStoreContract


class TestInADirectory(BackupStoreContract):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> DirectoryObjects:
        return DirectoryObjects(tmp_path / "backups")
