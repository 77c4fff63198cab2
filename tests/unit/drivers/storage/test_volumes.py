"""Volumes as files, and the simulated ones: the contract of both, and what only files can get wrong."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from novalite.drivers.storage import qemu_img
from novalite.drivers.storage.base import OfImage, OfSnapshot, OfStream, OfVolume, VolumePool
from novalite.drivers.storage.block_volumes import BlockVolumes
from novalite.drivers.storage.fake_volumes import FakeVolumes
from novalite.drivers.storage.stretches import PIECE_BYTES, zeros
from novalite.drivers.storage.volumes import GIB, FileVolumes
from novalite.errors import DriverError
from tests.contracts.volume_driver import VolumeDriverContract, new_id

MIB = 1 << 20


@pytest.fixture
def files(tmp_path: Path) -> FileVolumes:
    return FileVolumes(tmp_path / "volumes")


class TestFiles(VolumeDriverContract):
    @pytest.fixture
    def driver(self, files: FileVolumes) -> FileVolumes:
        return files


class Devices(BlockVolumes):
    """Files in place of devices."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "spool")
        self._directory = directory / "devices"
        self._directory.mkdir(parents=True)

    def _names(self) -> set[str]:
        return {path.name for path in self._directory.iterdir()}

    def _make_blank(self, name: str, size: int) -> None:
        (self._directory / name).write_bytes(b"")
        self._grow(name, size)

    def _remove(self, name: str) -> None:
        (self._directory / name).unlink()

    def _rename(self, old: str, new: str) -> None:
        (self._directory / old).rename(self._directory / new)

    def _size(self, name: str) -> int:
        return (self._directory / name).stat().st_size

    def _sizes(self) -> dict[str, int]:
        return {name: self._size(name) for name in self._names()}

    def _grow(self, name: str, size: int) -> None:
        os.truncate(self._directory / name, size)

    def _address(self, name: str) -> str:
        return str(self._directory / name)

    def is_everywhere(self) -> bool:
        return False

    def pool(self) -> VolumePool:
        return VolumePool("h@devices#devices", "local", 100 * GIB, 50 * GIB, encrypts=True)


class TestDevices(VolumeDriverContract):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Devices:
        return Devices(tmp_path)

    @pytest.mark.parametrize("shared", [False])  # a device is the same either way, and making LUKS takes seconds
    def test_what_is_encrypted_is_nowhere_in_plain(self, driver: Devices, tmp_path: Path, shared: bool) -> None:
        super().test_what_is_encrypted_is_nowhere_in_plain(driver, tmp_path, shared)


class TestFake(VolumeDriverContract):
    keeps_data = False

    @pytest.fixture
    def driver(self, tmp_path: Path) -> FakeVolumes:
        return FakeVolumes(tmp_path / "volumes")


def info(path: str) -> dict[str, object]:
    done = subprocess.run(
        ["qemu-img", "info", "--output=json", "-f", "qcow2", path], capture_output=True, check=True, timeout=60
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.fixture
def image(tmp_path: Path) -> OfImage:
    path = tmp_path / "image.raw"
    path.write_bytes(b"begin" + os.urandom(2 * MIB) + b"end")
    return OfImage(path, "raw")


def content(files: FileVolumes | Devices, source: OfVolume | OfSnapshot) -> bytes:
    """The first 8 MiB: the images of these tests are smaller, and the rest of a gigabyte takes its time."""
    found = bytearray()
    for chunk in files.read(source, "raw"):
        found += chunk
        if len(found) >= 8 * MIB:
            break
    return bytes(found)


def test_a_volume_stands_on_nothing_and_has_its_size(files: FileVolumes, image: OfImage) -> None:
    volume_id = new_id()
    place = files.ensure_volume(volume_id, 3, image)
    facts = info(place.path)
    assert (facts["virtual-size"], facts.get("backing-filename")) == (3 * GIB, None)
    assert Path(place.path).stat().st_mode & 0o777 == 0o600
    assert Path(place.path).stat().st_size < 8 * MIB


def test_what_an_image_held_comes_through_copies_and_growth(files: FileVolumes, image: OfImage) -> None:
    first, copy, of_snapshot, snapshot_id = (new_id() for _ in range(4))
    files.ensure_volume(first, 1, image)
    files.ensure_snapshot(snapshot_id, OfVolume(first))
    files.ensure_volume(copy, 2, OfVolume(first))
    files.extend_volume(first, 2)
    files.ensure_volume(of_snapshot, 1, OfSnapshot(snapshot_id))
    expected = image.path.read_bytes()
    for source in (OfVolume(first), OfVolume(copy), OfVolume(of_snapshot), OfSnapshot(snapshot_id)):
        assert content(files, source).startswith(expected)


def test_a_copy_from_elsewhere_is_taken_as_it_is(files: FileVolumes, image: OfImage, tmp_path: Path) -> None:
    first, second = new_id(), new_id()
    files.ensure_volume(first, 1, image)
    chunks = list(files.read(OfVolume(first), "qcow2"))
    files.ensure_volume(second, 2, OfStream(chunks))
    assert content(files, OfVolume(second)).startswith(image.path.read_bytes())
    assert info(str(tmp_path / "volumes" / second))["virtual-size"] == 2 * GIB


@pytest.mark.parametrize("kind", [FileVolumes, Devices])
def test_plain_content_is_written_where_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[FileVolumes | Devices]
) -> None:
    """No file on the way, and no program that copies."""

    def refused(*_words: object, **_more: object) -> None:
        raise AssertionError("it is copied")

    driver, volume_id = kind(tmp_path), new_id()
    data = os.urandom(5 * MIB)
    monkeypatch.setattr("novalite.drivers.storage.qemu_img.convert", refused)
    monkeypatch.setattr("novalite.drivers.storage.qemu_img.fill", refused)
    driver.ensure_volume(volume_id, 1, OfStream([data, bytes(MIB), data[:512]], "raw"))
    monkeypatch.undo()
    place = driver.place(volume_id)
    assert place is not None
    assert qemu_img.virtual_size("info", place.path, place.format) == GIB
    assert Path(place.path).stat().st_blocks * 512 < 7 * MIB
    assert content(driver, OfVolume(volume_id)).startswith(data + bytes(MIB) + data[:512])
    with pytest.raises(DriverError) as refusal:
        driver.ensure_volume(new_id(), 1, OfStream([zeros(PIECE_BYTES)] * 257, "raw"))
    assert refusal.value.code == "volume.refused"
    assert driver.volume_ids() == (volume_id,)


def test_a_volume_begins_anew_only_when_asked(files: FileVolumes, image: OfImage) -> None:
    volume_id = new_id()
    files.ensure_volume(volume_id, 1)
    files.ensure_volume(volume_id, 1, image)
    assert content(files, OfVolume(volume_id)).strip(b"\0") == b""
    files.ensure_volume(volume_id, 1, image, anew=True)
    assert content(files, OfVolume(volume_id)).startswith(b"begin")


def test_what_several_guests_may_have_is_raw(files: FileVolumes, image: OfImage, tmp_path: Path) -> None:
    blank, filled, streamed, copy, snapshot_id = (new_id() for _ in range(5))
    for volume_id in (blank, filled, streamed):
        source = {blank: None, filled: image, streamed: OfStream(files.read(OfVolume(filled), "qcow2"))}[volume_id]
        place = files.ensure_volume(volume_id, 1, source, shared=True)
        assert (place.format, Path(place.path).name) == ("raw", f"{volume_id}.raw")
        assert files.place(volume_id) == place
        assert Path(place.path).stat().st_size == GIB
    for volume_id in (filled, streamed):
        with (tmp_path / "volumes" / f"{volume_id}.raw").open("rb") as file:
            assert file.read(5) == b"begin"
    assert files.volume_ids() == tuple(sorted((blank, filled, streamed)))
    files.extend_volume(filled, 2)
    assert (tmp_path / "volumes" / f"{filled}.raw").stat().st_size == 2 * GIB
    files.ensure_snapshot(snapshot_id, OfVolume(filled))
    assert files.ensure_volume(copy, 2, OfSnapshot(snapshot_id)).format == "qcow2"
    assert files.ensure_volume(filled, 2, image).format == "raw"
    for volume_id in (blank, filled, streamed, copy):
        files.delete_volume(volume_id)
    assert files.volume_ids() == ()


def test_nothing_shrinks(files: FileVolumes, image: OfImage) -> None:
    volume_id = new_id()
    files.ensure_volume(volume_id, 2, image)
    for again in (
        lambda: files.extend_volume(volume_id, 1),
        lambda: files.ensure_volume(new_id(), 1, OfVolume(volume_id)),
    ):
        with pytest.raises(DriverError) as refused:
            again()
        assert refused.value.code == "volume.refused"
    assert files.volume_ids() == (volume_id,)


def test_what_fails_leaves_nothing(files: FileVolumes, tmp_path: Path) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield b"half"
        raise DriverError("read_snapshot", "the host is gone")

    broken = tmp_path / "broken"
    broken.write_bytes(b"no qcow2")
    for source in (OfStream(breaks_off()), OfStream([b"no qcow2"]), OfImage(broken, "qcow2")):
        with pytest.raises(DriverError):
            files.ensure_volume(new_id(), 1, source)
    assert [path.name for path in (tmp_path / "volumes").rglob("*")] == ["snapshots"]


def test_a_copy_that_stands_on_another_file_is_refused(files: FileVolumes, image: OfImage, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    options = ["-q", "-f", "qcow2", "-b", str(image.path), "-F", "raw"]
    subprocess.run(["qemu-img", "create", *options, str(overlay)], check=True, timeout=60)
    for make in (files.ensure_snapshot, lambda id, source: files.ensure_volume(id, 1, source)):
        with pytest.raises(DriverError) as refused:
            make(new_id(), OfStream([overlay.read_bytes()]))
        assert refused.value.code == "volume.refused"
    assert (files.volume_ids(), files.snapshot_ids()) == ((), ())


def test_copies_that_were_cut_off_are_no_volumes_and_go_at_the_next_start(files: FileVolumes, tmp_path: Path) -> None:
    volume_id = new_id()
    part = tmp_path / "volumes" / f"{volume_id}.0.part"
    part.write_bytes(b"half")
    assert (files.volume_ids(), files.place(volume_id)) == ((), None)
    files.clean()
    assert not part.exists()


@pytest.mark.parametrize("name", ["../x", "x", "", "A" * 36, str(new_id()).upper()])
def test_only_ids_become_files(files: FileVolumes, name: str) -> None:
    with pytest.raises(DriverError):
        files.ensure_volume(name, 1)


class Cut(BaseException):
    """The process is no more."""


ORDERS = ("_make_blank", "_remove", "_rename")


class CutDevices(Devices):
    """``left`` orders reach the store; the process ends before the next."""

    left = 99

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        for order in ORDERS:
            setattr(self, order, self._counted(getattr(self, order)))

    def _counted(self, act: Callable[..., None]) -> Callable[..., None]:
        def ordered(*arguments: object) -> None:
            if not self.left:
                raise Cut
            self.left -= 1
            act(*arguments)

        return ordered


def first_bytes(devices: Devices, volume_id: str) -> bytes:
    place = devices.place(volume_id)
    assert place is not None, "neither the old data nor the new"
    return Path(place.path).read_bytes()[:3]


@pytest.mark.parametrize("settled_by", ["a start", "a repetition", "a deletion"])
@pytest.mark.parametrize("left", range(5))
def test_a_device_that_begins_anew_holds_the_old_or_the_new(tmp_path: Path, left: int, settled_by: str) -> None:
    """However few of its orders reach the store."""
    sources = []
    for word in (b"old", b"new"):
        (tmp_path / word.decode()).write_bytes(word.ljust(MIB, b"\0"))
        sources.append(OfImage(tmp_path / word.decode(), "raw"))
    devices, volume_id = CutDevices(tmp_path / "store"), new_id()
    devices.ensure_volume(volume_id, 1, sources[0])
    devices.left = left
    try:
        devices.ensure_volume(volume_id, 1, sources[1], anew=True)
        whole = True
    except Cut:
        whole = False
    devices.left = 99
    assert whole is (left == 4), "a volume is made, put in place of the old one, which goes: four orders"
    if settled_by == "a start":
        devices.clean()
        assert first_bytes(devices, volume_id) in (b"old", b"new")
        assert first_bytes(devices, volume_id) == b"new" or left < 3
    elif settled_by == "a repetition":
        devices.ensure_volume(volume_id, 1, sources[1], anew=True)
        assert first_bytes(devices, volume_id) == b"new"
    else:
        devices.delete_volume(volume_id)
    devices.clean()
    gone = settled_by == "a deletion"
    assert (devices.volume_ids(), devices.found_volumes()) == (() if gone else (volume_id,), ())
    assert len(devices._names()) == (0 if gone else 1), "nothing is left over"
