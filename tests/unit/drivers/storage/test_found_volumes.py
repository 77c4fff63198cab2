"""Volumes that lie where somebody else has put them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.storage.base import OfVolume, VolumePlace
from novalite.drivers.storage.found_volumes import FoundVolumes
from novalite.errors import DriverError


@pytest.fixture
def driver(tmp_path: Path) -> FoundVolumes:
    return FoundVolumes(tmp_path / "found")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.img"
    path.write_bytes(os.urandom(1 << 20))
    return path


def test_it_is_where_it_was(driver: FoundVolumes, file: Path) -> None:
    one, other = str(uuid4()), str(uuid4())
    for _ in range(2):
        assert driver.find(one, file, "raw") == VolumePlace(str(file), "raw")
    assert driver.find(other, file, "qcow2") == VolumePlace(str(file), "qcow2")
    assert (driver.place(one), driver.place(str(uuid4()))) == (VolumePlace(str(file), "raw"), None)
    assert driver.volume_ids() == tuple(sorted((one, other)))
    assert driver.ensure_volume(one, 1) == VolumePlace(str(file), "raw")
    driver.clean()
    file.unlink()
    assert (driver.volume_ids(), driver.place(one)) == ((), None)


def test_deleting_forgets_it(driver: FoundVolumes, file: Path) -> None:
    volume_id, before = str(uuid4()), file.read_bytes()
    driver.find(volume_id, file, "raw")
    driver.ends_with(volume_id, True)
    driver.ends_with(volume_id, False)
    for _ in range(2):
        driver.delete_volume(volume_id)
    assert (file.read_bytes(), driver.volume_ids()) == (before, ())


def test_deleting_takes_the_file_when_it_was_asked(driver: FoundVolumes, file: Path) -> None:
    volume_id, next_to = str(uuid4()), file.with_name("neighbour")
    next_to.write_text("stays")
    driver.find(volume_id, file, "raw")
    driver.ends_with(volume_id, True)
    driver.delete_volume(volume_id)
    assert (file.exists(), next_to.exists()) == (False, True)
    driver.find(volume_id, next_to, "raw")
    driver.delete_volume(volume_id)
    assert next_to.exists(), "what was said of one of that id holds no longer"


def test_nothing_is_made_or_begun_anew(driver: FoundVolumes, file: Path) -> None:
    volume_id, before = str(uuid4()), file.read_bytes()
    with pytest.raises(DriverError, match="made here"):
        driver.ensure_volume(volume_id, 1)
    driver.find(volume_id, file, "raw")
    with pytest.raises(DriverError, match="begun anew"):
        driver.ensure_volume(volume_id, 1, anew=True)
    assert (file.read_bytes(), driver.pool().free) == (before, 0)
    with pytest.raises(DriverError, match="not an id"):
        driver.find("../../etc/passwd", file, "raw")


def test_it_grows_and_is_copied(driver: FoundVolumes, file: Path, tmp_path: Path) -> None:
    volume_id, snapshot_id = str(uuid4()), str(uuid4())
    driver.find(volume_id, file, "raw")
    before = file.read_bytes()
    driver.extend_volume(volume_id, 1)
    assert (file.stat().st_size, file.read_bytes()[: 1 << 20]) == (1 << 30, before)
    driver.ensure_snapshot(snapshot_id, OfVolume(volume_id))
    snapshot, plain = tmp_path / "found" / "snapshots" / snapshot_id, tmp_path / "plain"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", snapshot, plain], timeout=60, check=True)
    with plain.open("rb") as content:
        assert content.read(1 << 20) == before
    driver.delete_snapshot(snapshot_id)
    assert driver.snapshot_ids() == ()
