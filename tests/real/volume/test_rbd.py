"""Volumes in a real Ceph of one node, where its programs are installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from novalite.drivers.storage.base import OfImage, OfSnapshot, OfVolume, VolumeDriver
from novalite.drivers.storage.rbd import RbdVolumes
from novalite.errors import DriverError
from tests.contracts.volume_driver import VolumeDriverContract, new_id
from tests.real.volume import ceph

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(ceph.missing()), reason=ceph.missing()),
]


@pytest.fixture(scope="module")
def config() -> Iterator[Path]:
    with ceph.cluster() as found:
        yield found


@pytest.fixture
def driver(config: Path, tmp_path: Path) -> Iterator[RbdVolumes]:
    made = RbdVolumes("rbd", tmp_path / "spool", config=str(config))
    yield made
    for volume_id in made.volume_ids():
        made.delete_volume(volume_id)
    for snapshot_id in made.snapshot_ids():
        made.delete_snapshot(snapshot_id)


class TestRbd(VolumeDriverContract):
    def test_there_is_room(self, driver: VolumeDriver) -> None:
        """Only a manager counts it, and this cluster has none: then that is told, and no figure made up."""
        with pytest.raises(DriverError, match="does not tell its room"):
            driver.pool()
        driver.clean()


def test_data_come_through_snapshots_and_growth(driver: RbdVolumes, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"begin" + bytes(range(256)) * 4096)
    first, second, snapshot_id = new_id(), new_id(), new_id()
    driver.ensure_volume(first, 1, OfImage(image, "raw"))
    driver.ensure_snapshot(snapshot_id, OfVolume(first))
    driver.extend_volume(first, 2)
    driver.ensure_volume(second, 2, OfSnapshot(snapshot_id))
    for volume_id in (first, second):
        assert next(iter(driver.read(OfVolume(volume_id), "raw")))[: 1 << 20] == image.read_bytes()[: 1 << 20]
    assert list((tmp_path / "spool").iterdir()) == []
