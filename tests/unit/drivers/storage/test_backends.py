"""Backends by name, and the commands that those with programs of their own run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from novalite.drivers.storage import backends, nfs
from novalite.drivers.storage.base import FoundData, OfVolume, VolumeBackends, VolumePlace
from novalite.drivers.storage.fake_volumes import FakeVolumes
from novalite.drivers.storage.lvm import LvmVolumes
from novalite.drivers.storage.nfs import ShareVolumes
from novalite.drivers.storage.rbd import RbdVolumes
from novalite.drivers.storage.volumes import FileVolumes
from novalite.errors import DriverError, Invalid
from tests.contracts.volume_driver import VolumeDriverContract, new_id

GIB = 1 << 30


def load(tmp_path: Path, *wanted: str) -> object:
    return backends.load(wanted, host="h", directory=tmp_path)


def test_backends_are_named_with_their_options(tmp_path: Path) -> None:
    found = backends.load(
        ["fast=fake?total_gib=5", f"big=files?path={tmp_path}/elsewhere", "pool=rbd?pool=vms&config=/etc/c.conf"],
        host="h", directory=tmp_path,
    )  # fmt: skip
    assert list(found) == ["fast", "big", "pool"]
    assert found["fast"].pool().name == "h@fast#fast"
    assert found["fast"].pool().total == 5 * GIB
    assert isinstance(found["big"], FileVolumes)
    assert (tmp_path / "elsewhere" / "snapshots").is_dir()
    assert isinstance(found["pool"], RbdVolumes)


@pytest.mark.parametrize(
    ("wanted", "word"),
    [("fast", "NAME=DRIVER"), ("a b=fake", "NAME=DRIVER"), ("x=floppy", "floppy"), ("x=fake?colour=red", "colour"),
     ("x=lvm?group=g", "pool"), ("x=nfs", "share")],
)  # fmt: skip
def test_bad_backends_are_refused_by_name(tmp_path: Path, wanted: str, word: str) -> None:
    with pytest.raises(Invalid, match=word):
        load(tmp_path, wanted)
    with pytest.raises(Invalid, match="NAME"):
        load(tmp_path, "a=fake", "a=fake")


def test_who_reaches_which_backend(tmp_path: Path) -> None:
    """What is on a share or in Ceph, other machines open by the same path; the rest is exported to them."""
    everywhere = {
        "share": ShareVolumes(tmp_path / "share", share="server:/x"),
        "ceph": RbdVolumes("vms", tmp_path, config="/etc/c.conf"),
        "files": FileVolumes(tmp_path / "files"),
        "lvm": LvmVolumes("group", "pool", tmp_path),
        "fake": FakeVolumes(tmp_path / "fake"),
    }
    assert [name for name, driver in everywhere.items() if driver.is_everywhere()] == ["share", "ceph"]


def test_a_backend_that_is_gone_is_told(tmp_path: Path) -> None:
    keeper = VolumeBackends({"one": FakeVolumes(tmp_path)})
    assert keeper.of("") is keeper.of("one")
    with pytest.raises(DriverError, match="two"):
        keeper.of("two")


class TestShareOnADirectory(VolumeDriverContract):
    """The driver of shares, on a directory that passes for one."""

    @pytest.fixture
    def driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShareVolumes:
        monkeypatch.setattr("os.path.ismount", lambda path: True)
        return ShareVolumes(tmp_path / "share", share="nas:/volumes")

    @pytest.mark.parametrize("shared", [True])  # the other format is that of plain files, and LUKS takes seconds
    def test_what_is_encrypted_is_nowhere_in_plain(self, driver: ShareVolumes, tmp_path: Path, shared: bool) -> None:
        super().test_what_is_encrypted_is_nowhere_in_plain(driver, tmp_path, shared)


def test_without_its_share_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Sequence[str]] = []

    def refuse(op: str, arguments: Sequence[str]) -> str:
        ran.append(arguments)
        raise DriverError(op, "no route to host", code="driver.failed")

    monkeypatch.setattr(nfs.os, "geteuid", lambda: 0)
    driver = ShareVolumes(tmp_path / "share", share="nas:/volumes", mount_options="vers=4.2,soft", run=refuse)
    for ask in (lambda: driver.ensure_volume(new_id(), 1), driver.volume_ids, driver.pool):
        with pytest.raises(DriverError) as told:
            ask()
        assert (told.value.code, told.value.retryable) == ("volume.share_missing", True)
    assert ran[0] == ["mount", "-t", "nfs", "-o", "vers=4.2,soft", "nas:/volumes", str(tmp_path / "share")]
    assert list((tmp_path / "share").iterdir()) == []
    monkeypatch.setattr(nfs.os, "geteuid", lambda: 1000)
    with pytest.raises(DriverError, match="only root"):
        driver.pool()


class Store:
    """Answers the programs of LVM and Ceph from a table, and remembers what it was told."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.ran: list[list[str]] = []

    def lvm(self, op: str, arguments: Sequence[str]) -> str:
        words = list(arguments)
        self.ran.append(words)
        if words[0] == "lvs" and "data_percent" in words[words.index("-o") + 1]:
            return json.dumps({"report": [{"lv": [{"lv_size": str(100 * GIB), "data_percent": "25.00"}]}]})
        if words[0] == "lvs":
            rows = [{"lv_name": name, "pool_lv": "thin", "lv_size": str(size)} for name, size in self.sizes.items()]
            one = words[-1].partition("/")[2]
            other = [{"lv_name": "root", "pool_lv": "", "lv_size": "1"}]
            return json.dumps({"report": [{"lv": [row for row in rows if row["lv_name"] == one] or rows + other}]})
        if words[0] == "lvcreate":
            self.sizes[words[words.index("--name") + 1]] = int(words[words.index("--virtualsize") + 1].rstrip("b"))
        elif words[0] == "lvrename":
            self.sizes[words[3]] = self.sizes.pop(words[2])
        elif words[0] == "lvextend":
            self.sizes[words[-1].partition("/")[2]] = int(words[2].rstrip("b"))
        elif words[0] == "lvremove":
            del self.sizes[words[-1].partition("/")[2]]
        return ""


def test_the_commands_of_lvm(tmp_path: Path) -> None:
    store, volume_id = Store(), new_id()
    driver = LvmVolumes("vg", "thin", tmp_path, run=store.lvm)
    place = driver.ensure_volume(volume_id, 2)
    assert (place.path, place.format) == (f"/dev/vg/volume-{volume_id}", "raw")
    made = next(words for words in store.ran if words[0] == "lvcreate")
    assert made[:6] == ["lvcreate", "--yes", "--wipesignatures", "n", "--virtualsize", f"{2 * GIB}b"]
    assert made[6:8] == ["--thinpool", "thin"]
    assert driver.volume_ids() == (volume_id,)
    for _ in range(2):
        driver.extend_volume(volume_id, 3)
    assert store.sizes == {f"volume-{volume_id}": 3 * GIB}
    assert [words for words in store.ran if words[0] == "lvextend"] == [
        ["lvextend", "--size", f"{3 * GIB}b", f"vg/volume-{volume_id}"]
    ]
    pool = driver.pool()
    assert (pool.total, pool.free, pool.name) == (100 * GIB, 75 * GIB, "localhost@lvm#thin")
    with pytest.raises(DriverError, match="missing"):
        driver.extend_volume(new_id(), 2)
    with pytest.raises(DriverError, match="is not an id"):
        driver.delete_volume("../x")
    store.sizes["part-1"] = 1
    driver.clean()
    driver.delete_volume(volume_id)
    assert store.sizes == {}


def test_one_look_tells_of_all_devices(tmp_path: Path) -> None:
    """A start, and the list of what may be managed, take no program for each of them."""
    store, ids = Store(), [new_id() for _ in range(3)]
    driver = LvmVolumes("vg", "thin", tmp_path, run=store.lvm)
    store.sizes = {**{f"volume-{each}": GIB for each in ids}, "theirs": 5, "others": 7}
    looked = len(store.ran)
    assert driver.places([*ids[:2], new_id()]) == {
        each: VolumePlace(f"/dev/vg/volume-{each}", "raw") for each in ids[:2]
    }
    assert driver.found_volumes() == (FoundData("others", 7), FoundData("theirs", 5))
    assert len(store.ran) - looked == 2


def test_what_fails_leaves_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    driver = LvmVolumes("vg", "thin", tmp_path, run=store.lvm)
    first = new_id()
    driver.ensure_volume(first, 1)

    def fail(*given: object, **named: object) -> None:
        raise DriverError("create_volume", "no space left", code="disk.full")

    monkeypatch.setattr("novalite.drivers.storage.qemu_img.virtual_size", lambda *given: GIB)
    monkeypatch.setattr("novalite.drivers.storage.qemu_img.fill", fail)
    with pytest.raises(DriverError, match="no space"):
        driver.ensure_snapshot(new_id(), OfVolume(first))
    assert list(store.sizes) == [f"volume-{first}"]


def test_the_commands_of_ceph(tmp_path: Path) -> None:
    ran: list[list[str]] = []

    def run(op: str, arguments: Sequence[str]) -> str:
        ran.append(list(arguments))
        return json.dumps({"total_space": 2048, "total_avail": 1024}) if arguments[0] == "rados" else "[]"

    driver, volume_id = RbdVolumes("vms", tmp_path, config="/etc/c.conf", run=run), new_id()
    place = driver.ensure_volume(volume_id, 1)
    assert place.path == f"rbd:vms/volume-{volume_id}:conf=/etc/c.conf"
    head = ["rbd", "--conf", "/etc/c.conf", "--pool", "vms"]
    assert all(words[:5] == head for words in ran)
    orders = [words[5:] for words in ran if words[5] != "ls"]
    assert orders[0][:3] == ["create", "--size", f"{GIB}B"]
    assert [words[0] for words in orders] == ["create", "rename"]
    assert (driver.pool().total, driver.pool().free) == (2 << 20, 1 << 20)
    with pytest.raises(DriverError, match="RBD address"):
        RbdVolumes("a:b", tmp_path, run=run)
