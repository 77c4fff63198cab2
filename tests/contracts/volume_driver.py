"""What every keeper of volumes must do."""

from __future__ import annotations

from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest

from novalite.drivers.compute.qcow2 import empty_qcow2
from novalite.drivers.storage import qemu_img, sealed_images
from novalite.drivers.storage.base import (
    IMAGE_FORMATS,
    OfImage,
    OfSnapshot,
    OfStream,
    OfVolume,
    TakesOver,
    VolumeDriver,
    VolumeKey,
)
from novalite.errors import DriverError


def new_id() -> str:
    return str(uuid4())


MARK = b"nobody may find this text on a disk"
KEY, OTHER_KEY = VolumeKey("11" * 32), VolumeKey("22" * 32, key_size=128)


class VolumeDriverContract:
    """Subclasses give the fixture ``driver``. ``keeps_data`` tells that what is read is what was written."""

    keeps_data = True

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """LUKS writes all that it is made of: gigabytes of 16 MiB tell as much."""
        for module in ("volumes", "block_volumes", "found_files", "sealed_images"):
            monkeypatch.setattr(f"novalite.drivers.storage.{module}.GIB", 16 << 20)

    def _content(self, driver: VolumeDriver, source: OfVolume | OfSnapshot) -> bytes:
        """The beginning, of what is encrypted by way of a volume that is not."""
        if source.key is None:
            return next(iter(driver.read(source, "raw")))
        plain = new_id()
        driver.ensure_volume(plain, 2, source)
        found = self._content(driver, OfVolume(plain))
        driver.delete_volume(plain)
        return found

    def _holds(self, driver: VolumeDriver, source: OfVolume | OfSnapshot) -> None:
        """What it was made of is there, and found only with the key."""
        assert not self.keeps_data or self._content(driver, source).startswith(MARK)
        if source.key is not None:
            kept = driver.stream(source)
            assert kept.key == source.key
            assert all(MARK not in chunk for chunk in kept.chunks)

    @pytest.mark.parametrize("shared", [False, True])
    def test_what_is_encrypted_is_nowhere_in_plain(self, driver: VolumeDriver, tmp_path: Path, shared: bool) -> None:
        image = tmp_path / "image"
        image.write_bytes(MARK + bytes(1 << 20))
        first, snapshot_id = new_id(), new_id()
        place = driver.ensure_volume(first, 1, OfImage(image, "raw"), shared=shared, key=KEY)
        assert driver.ensure_volume(first, 1, shared=shared, key=KEY) == place
        driver.ensure_snapshot(snapshot_id, OfVolume(first, KEY))
        sources: list[OfVolume | OfSnapshot] = [OfVolume(first, KEY), OfSnapshot(snapshot_id, KEY)]
        for source, key in zip(tuple(sources), (OTHER_KEY, None), strict=True):
            copy = new_id()
            driver.ensure_volume(copy, 1, source, key=key)
            sources.append(OfVolume(copy, key))
        streamed = new_id()
        driver.ensure_volume(streamed, 1, driver.stream(OfSnapshot(snapshot_id, KEY)), key=OTHER_KEY)
        sources.append(OfVolume(streamed, OTHER_KEY))
        for number, form in enumerate(("raw", "qcow2")):
            kept, again = tmp_path / f"image.{form}", new_id()
            told = driver.stream(sources[number], form)
            kept.write_bytes(b"".join(told.chunks))
            assert (told.format, told.key) == (form, KEY)
            assert sealed_images.check(kept, form, max_virtual_size=1 << 40) > 0
            assert MARK not in kept.read_bytes()
            driver.ensure_volume(again, 1, OfImage(kept, form, KEY), key=OTHER_KEY)
            sources.append(OfVolume(again, OTHER_KEY))
        for source in sources:
            self._holds(driver, source)

    def test_what_is_encrypted_opens_with_its_key_alone(self, driver: VolumeDriver) -> None:
        volume_id = new_id()
        driver.ensure_volume(volume_id, 1, key=KEY)
        for wrong in (None, OTHER_KEY):
            with pytest.raises(DriverError):
                self._take_in(driver, volume_id, wrong)
        with pytest.raises(DriverError) as refused:
            list(driver.read(OfVolume(volume_id, KEY), "raw"))
        assert refused.value.code == "volume.refused"
        assert driver.volume_ids() == (volume_id,)

    def _take_in(self, driver: VolumeDriver, volume_id: str, key: VolumeKey | None) -> None:
        """Stores that grow below the encryption need no key for it, but whoever reads does."""
        driver.extend_volume(volume_id, 2, key=key)
        driver.ensure_volume(new_id(), 2, OfVolume(volume_id, OTHER_KEY), key=KEY)

    def test_what_is_encrypted_grows_and_begins_anew(self, driver: VolumeDriver, tmp_path: Path) -> None:
        image = tmp_path / "image"
        image.write_bytes(MARK + bytes(1 << 20))
        volume_id = new_id()
        driver.ensure_volume(volume_id, 1, key=KEY)
        for _ in range(2):
            driver.extend_volume(volume_id, 2, key=KEY)
        driver.ensure_volume(volume_id, 2, OfImage(image, "raw"), anew=True, key=KEY)
        self._holds(driver, OfVolume(volume_id, KEY))

    def test_what_is_given_up_is_taken_over_again(self, driver: VolumeDriver, tmp_path: Path) -> None:
        image = tmp_path / "image"
        image.write_bytes(MARK + bytes(1 << 20))
        taker, volume_id, snapshot_id = cast(TakesOver, driver), new_id(), new_id()
        driver.ensure_volume(volume_id, 2, OfImage(image, "raw"))
        driver.ensure_snapshot(snapshot_id, OfVolume(volume_id))
        for _ in range(2):
            taker.give_volume(volume_id)
            taker.give_snapshot(snapshot_id)
        assert driver.place(volume_id) is None
        assert (volume_id in driver.volume_ids(), snapshot_id in driver.snapshot_ids()) == (False, False)
        volume, snapshot = f"volume-{volume_id}", f"snapshot-{snapshot_id}"
        assert (volume, True) in {(one.reference, not one.refusal) for one in taker.found_volumes()}
        assert (snapshot, True) in {(one.reference, not one.refusal) for one in taker.found_snapshots()}
        first, second = new_id(), new_id()
        assert {taker.take_volume(first, volume) for _ in range(2)} == {2}
        assert {taker.take_snapshot_over(second, snapshot) for _ in range(2)} == ({2} if self.keeps_data else {1})
        for source in (OfVolume(first), OfSnapshot(second)):
            self._holds(driver, source)
        for name in (volume, "nothing", "../etc/passwd", ""):
            with pytest.raises(DriverError) as caught:
                taker.take_volume(new_id(), name)
            assert caught.value.code == "volume.not_found"
        assert volume not in {one.reference for one in taker.found_volumes()}
        driver.delete_volume(first)
        driver.delete_snapshot(second)

    def test_a_volume_is_made_once(self, driver: VolumeDriver) -> None:
        volume_id = new_id()
        assert driver.place(volume_id) is None
        place = driver.ensure_volume(volume_id, 1)
        assert driver.ensure_volume(volume_id, 1) == place
        assert driver.place(volume_id) == place
        assert driver.places([new_id(), volume_id]) == {volume_id: place}
        assert driver.volume_ids() == (volume_id,)

    def test_what_is_deleted_is_gone_and_may_be_deleted_again(self, driver: VolumeDriver) -> None:
        volume_id, snapshot_id = new_id(), new_id()
        driver.ensure_volume(volume_id, 1)
        driver.ensure_snapshot(snapshot_id, OfVolume(volume_id))
        for _ in range(2):
            driver.delete_volume(volume_id)
            driver.delete_snapshot(snapshot_id)
        assert (driver.volume_ids(), driver.snapshot_ids()) == ((), ())

    def test_a_snapshot_outlives_its_volume(self, driver: VolumeDriver) -> None:
        first, second, snapshot_id = new_id(), new_id(), new_id()
        driver.ensure_volume(first, 1)
        for _ in range(2):
            driver.ensure_snapshot(snapshot_id, OfVolume(first))
        driver.delete_volume(first)
        driver.ensure_volume(second, 2, OfSnapshot(snapshot_id))
        assert driver.snapshot_ids() == (snapshot_id,)
        assert driver.volume_ids() == (second,)

    def test_volumes_come_of_images_volumes_and_streams(self, driver: VolumeDriver, tmp_path: Path) -> None:
        image = tmp_path / "image"
        image.write_bytes(bytes(1 << 20))
        first, second, third, fourth = new_id(), new_id(), new_id(), new_id()
        driver.ensure_volume(first, 1, OfImage(image, "raw"))
        driver.ensure_volume(second, 2, OfVolume(first))
        driver.ensure_volume(third, 1, OfStream([empty_qcow2(1 << 20)]))
        driver.ensure_volume(fourth, 1, OfStream([b"plain", bytes(1 << 20)], "raw"))
        assert set(driver.volume_ids()) == {first, second, third, fourth}

    @pytest.mark.parametrize("disk_format", ["iso", "vmdk", "vdi", "vhd", "vhdx"])
    def test_images_of_other_formats_become_plain_disks(
        self, driver: VolumeDriver, tmp_path: Path, disk_format: str
    ) -> None:
        plain, image = tmp_path / "plain", tmp_path / "image"
        plain.write_bytes(MARK + bytes(1 << 20))
        name, volume_id = IMAGE_FORMATS[disk_format], new_id()
        qemu_img.convert("test", plain, "raw", image, name)
        driver.ensure_volume(volume_id, 1, OfImage(image, name))
        self._holds(driver, OfVolume(volume_id))

    def test_what_is_missing_is_told(self, driver: VolumeDriver) -> None:
        for source, code in ((OfVolume(new_id()), "volume.not_found"), (OfSnapshot(new_id()), "snapshot.not_found")):
            with pytest.raises(DriverError) as refused:
                driver.ensure_volume(new_id(), 1, source)
            assert refused.value.code == code
        with pytest.raises(DriverError) as unknown:
            driver.extend_volume(new_id(), 2)
        assert unknown.value.code == "volume.not_found"
        assert driver.volume_ids() == ()

    def test_growing_may_be_repeated(self, driver: VolumeDriver) -> None:
        volume_id = new_id()
        driver.ensure_volume(volume_id, 1)
        for _ in range(2):
            driver.extend_volume(volume_id, 2)

    @pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
    def test_data_are_read_as_an_image(self, driver: VolumeDriver, tmp_path: Path, disk_format: str) -> None:
        image = tmp_path / "image"
        image.write_bytes(bytes(1 << 20))
        volume_id, snapshot_id = new_id(), new_id()
        driver.ensure_volume(volume_id, 1, OfImage(image, "raw"))
        driver.ensure_snapshot(snapshot_id, OfVolume(volume_id))
        for source in (OfVolume(volume_id), OfSnapshot(snapshot_id)):
            content = next(iter(driver.read(source, disk_format)))
            assert (content[:4] == b"QFI\xfb") is (disk_format == "qcow2")
            assert len(content) >= 1 << 16

    def test_there_is_room(self, driver: VolumeDriver) -> None:
        pool = driver.pool()
        assert 0 < pool.free <= pool.total
        assert pool.name
        driver.clean()
