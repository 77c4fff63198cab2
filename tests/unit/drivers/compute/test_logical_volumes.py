"""Servers' disks in a thin pool of LVM: the commands, with files that stand for the volumes."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.compute.base import DiskSpec
from novalite.drivers.compute.libvirt import disks, kept_disks, moved_disks, sources
from novalite.drivers.compute.libvirt.images import ImageCache
from novalite.drivers.compute.libvirt.logical_volumes import LogicalVolumes
from novalite.drivers.compute.libvirt.places import GuestPlace, Places, format_of
from novalite.drivers.compute.local import open_local
from novalite.errors import DriverError, Invalid
from novalite.settings import load
from tests.contracts.boot_sector import BytesSource, image_of
from tests.contracts.standing_for_lvm import StandingForLvm

GIB = 1 << 30
_CONTENT = b"an image".ljust(1 << 20, b"\1")


class _Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.lvm = StandingForLvm(tmp_path / "dev" / "vg", "thin")
        volumes = LogicalVolumes("vg", "thin", run=self.lvm, devices=tmp_path / "dev")
        self.places = Places(tmp_path / "s", str(uuid4()), disk_format="raw", volumes=volumes)
        self.cache = ImageCache(self.places.images, self.places.guests)
        self.image = image_of(str(uuid4()), _CONTENT)
        self.cache.ensure(self.image, BytesSource(_CONTENT))
        self.guest_id = str(uuid4())

    @property
    def place(self) -> GuestPlace:
        place = self.places.guest(self.guest_id)
        place.directory.mkdir(exist_ok=True)
        return place

    def root(self, size_gib: int = 1) -> Path:
        disk = DiskSpec("root", "vda", size_gib, self.image)
        assert disks.ensure_disk(disk, self.place, self.cache) is None, "it stands on nothing"
        return self.place.disk("root")

    def ran(self, program: str) -> list[list[str]]:
        return [words for words in self.lvm.ran if words[0] == program]


@pytest.fixture
def bench(tmp_path: Path) -> _Bench:
    return _Bench(tmp_path)


def test_a_disk_is_a_thin_volume_with_the_image(bench: _Bench) -> None:
    root = bench.root()
    assert (root.name, format_of(root)) == (f"{bench.guest_id}_root", "raw")
    assert root.stat().st_size == GIB
    with root.open("rb") as file:
        assert file.read(len(_CONTENT)) == _CONTENT
    assert bench.ran("lvcreate") == [
        ["lvcreate", "--yes", "--wipesignatures", "n", "--virtualsize", f"{GIB}b", "--thinpool", "thin", "--name",
         f"part-{bench.guest_id}_root", "vg"]
    ]  # fmt: skip
    assert bench.ran("lvrename") == [["lvrename", "vg", f"part-{bench.guest_id}_root", f"{bench.guest_id}_root"]]
    bench.root()
    assert len(bench.ran("lvcreate")) == 1, "it is there"
    assert sources.element(Path("/dev/vg/x"))[0] == "block"


def test_one_that_cannot_be_filled_leaves_nothing(bench: _Bench) -> None:
    (bench.places.images / bench.image.id).unlink()
    with pytest.raises(DriverError):
        bench.root()
    assert bench.places.guest(bench.guest_id).own_disks() == []
    assert list((bench.place.disk("root").parent).iterdir()) == []


def test_what_a_kill_left_is_begun_anew(bench: _Bench) -> None:
    half = bench.place.disk("root").with_name(f"part-{bench.guest_id}_root")
    half.write_bytes(b"half")
    bench.root()
    assert not half.exists()


def test_blank_and_formatted_disks(bench: _Bench) -> None:
    for disk in (DiskSpec("ephemeral0", "vdb", 1, content="ext4"), DiskSpec("other", "vdc", 2)):
        disks.ensure_disk(disk, bench.place, bench.cache)
    with bench.place.disk("ephemeral0").open("rb") as file:
        file.seek(1080)
        assert file.read(2) == b"\x53\xef", "the mark of ext4"
    assert bench.place.disk("other").stat().st_size == 2 * GIB


def test_it_grows(bench: _Bench) -> None:
    bench.root()
    for _ in range(2):
        moved_disks.grow(bench.place, "root", 3 * GIB)
    assert bench.ran("lvextend") == [["lvextend", "--size", f"{3 * GIB}b", f"vg/{bench.guest_id}_root"]]
    with pytest.raises(DriverError, match="cannot shrink"):
        moved_disks.grow(bench.place, "root", 2 * GIB)


def test_disks_are_kept_as_snapshots_and_come_back(bench: _Bench) -> None:
    root = bench.root()
    for _ in range(2):
        kept_disks.keep(bench.place, "before")
    assert len([words for words in bench.ran("lvcreate") if "--snapshot" in words]) == 1
    moved_disks.grow(bench.place, "root", 2 * GIB)
    disks.ensure_disk(DiskSpec("swap", "vdb", 0, size_mib=64, content="swap"), bench.place, bench.cache)
    assert [path.name for path in bench.place.own_disks()] == [f"{bench.guest_id}_root", f"{bench.guest_id}_swap"]
    for _ in range(2):
        kept_disks.restore(bench.place, "before")
    assert [path.name for path in root.parent.iterdir()] == [f"{bench.guest_id}_root"]
    assert root.stat().st_size == GIB
    kept_disks.keep(bench.place, "before")
    kept_disks.drop(bench.place, "before")
    assert [path.name for path in root.parent.iterdir()] == [f"{bench.guest_id}_root"]


def test_they_go_to_another_host_and_come_from_one(bench: _Bench, tmp_path: Path) -> None:
    bench.root()
    other, offset = _Bench(tmp_path / "other"), 0
    while piece := moved_disks.read(bench.place, "root", offset, 1 << 16):
        moved_disks.write(other.place, "root", offset, piece)
        offset += len(piece)
    moved_disks.adopt(other.place, DiskSpec("root", "vda", 2, other.image), other.cache)
    with other.place.disk("root").open("rb") as file:
        assert file.read(len(_CONTENT)) == _CONTENT
    assert other.place.disk("root").stat().st_size == 2 * GIB
    for one in (bench, other):
        assert sorted(one.place.files()) == [f"{one.guest_id}_root"]


def test_a_guest_that_goes_takes_them_along(bench: _Bench) -> None:
    root = bench.root()
    kept_disks.keep(bench.place, "before")
    stays = root.with_name(f"{uuid4()}_root")
    stays.write_bytes(b"of another guest")
    assert set(bench.places.guest_ids()) == {bench.guest_id, stays.name.partition("_")[0]}
    for _ in range(2):
        bench.places.guest(bench.guest_id).remove()
    assert list(root.parent.iterdir()) == [stays]


def test_room_is_that_of_the_pool(tmp_path: Path) -> None:
    bench = _Bench(tmp_path)
    bench.lvm._size = 512 << 10
    with pytest.raises(DriverError, match=f"disk root needs 1 MiB, 0 MiB are free in {tmp_path}/dev/vg") as caught:
        bench.root()
    assert caught.value.code == "disk.full"


@pytest.mark.parametrize("pool", ["", "vg", "vg/", "/thin", "vg/a/b"])
def test_a_setting_that_names_no_pool(pool: str, tmp_path: Path) -> None:
    given = {"state_dir": str(tmp_path), "compute.images_type": "lvm", "compute.images_volume_group": pool}
    settings, _ = load(arguments=given, environment={})
    with pytest.raises(Invalid, match="GROUP/POOL"):
        open_local(settings, str(uuid4()))
