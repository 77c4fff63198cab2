"""Guests of two compute hosts whose disks are in a real Ceph: each opens them itself, by the same address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.compute import snapshots
from novalite.drivers.compute.base import DiskSpec, GuestSpec, PowerAction
from novalite.drivers.compute.libvirt import LibvirtDriver
from novalite.drivers.storage.base import OfImage, OfStream, OfVolume
from novalite.drivers.storage.rbd import RbdVolumes
from tests.contracts.boot_sector import GREETING, obedient
from tests.contracts.volume_driver import new_id
from tests.contracts.waiting import until
from tests.real.compute.hosts import new_host
from tests.real.volume import ceph

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(ceph.missing()), reason=ceph.missing()),
]
MIB = 1 << 20
DATA = os.urandom(MIB)


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RbdVolumes]:
    with ceph.cluster() as config:
        yield RbdVolumes("rbd", tmp_path_factory.mktemp("spool"), config=str(config))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[LibvirtDriver]]:
    with new_host(tmp_path_factory.mktemp("one")) as one, new_host(tmp_path_factory.mktemp("two")) as two:
        yield [one.driver, two.driver]


def volume(keeper: RbdVolumes, directory: Path, content: bytes) -> DiskSpec:
    image, volume_id = directory / uuid4().hex, new_id()
    image.write_bytes(content)
    place = keeper.ensure_volume(volume_id, 1, OfImage(image, "raw"))
    assert place.path.startswith("rbd:")
    return DiskSpec(f"volume-{volume_id}", "vda", 1, serial=volume_id[:20], path=place.path, format=place.format)


def boots(driver: LibvirtDriver, guest_id: str) -> int:
    return driver.console_text(guest_id, 65536).count(GREETING)


def test_a_guest_boots_from_ceph_and_goes_to_another_host(
    keeper: RbdVolumes, hosts: list[LibvirtDriver], tmp_path: Path
) -> None:
    assert keeper.is_everywhere()
    root = volume(keeper, tmp_path, obedient())
    spec = GuestSpec(new_id(), "g", "p", 1, 64, (root,))
    for driver in hosts:
        driver.ensure_guest(spec)
        until(lambda at=driver: boots(at, spec.id) == 1, "it boots from its volume")
        driver.set_power(spec.id, PowerAction.OFF)
        driver.ensure_guest(spec)
        until(lambda at=driver: boots(at, spec.id) == 2, "it boots again")
        driver.delete_guest(spec.id)
    assert next(iter(keeper.read(OfVolume(_id(root)), "raw")))[:512] == obedient()[:512]


def _id(disk: DiskSpec) -> str:
    return disk.name.removeprefix("volume-")


def test_a_volume_comes_and_goes_is_copied_and_grows_while_its_guest_runs(
    keeper: RbdVolumes, hosts: list[LibvirtDriver], tmp_path: Path
) -> None:
    driver, _ = hosts
    root, data = volume(keeper, tmp_path, obedient()), volume(keeper, tmp_path, DATA)
    spec = GuestSpec(new_id(), "g", "p", 1, 64, (root,))
    driver.ensure_guest(spec)
    until(lambda: boots(driver, spec.id) == 1, "it boots")

    def devices() -> set[object]:
        return {disk["device"] for disk in driver.diagnostics(spec.id).disks}

    driver.attach_disk(spec.id, DiskSpec(data.name, "vdb", 1, serial=data.serial, path=data.path, format=data.format))
    assert devices() == {"vda", "vdb"}
    driver.resize_disk(spec.id, data.serial, 2)
    copy = driver.take_snapshot(spec.id, data.serial, "copy")
    assert copy.virtual_size == 2 << 30
    made = new_id()
    keeper.ensure_volume(made, 2, OfStream(list(snapshots.chunks(driver, copy))))
    driver.drop_snapshot(spec.id, "copy")
    assert next(iter(keeper.read(OfVolume(made), "raw")))[:MIB] == DATA
    driver.set_power(spec.id, PowerAction.OFF)  # its 512 bytes of a system let no device go
    driver.detach_disk(spec.id, data.serial)
    driver.ensure_guest(spec)
    assert devices() == {"vda"}
    driver.delete_guest(spec.id)
    assert next(iter(keeper.read(OfVolume(_id(data)), "raw")))[:MIB] == DATA
