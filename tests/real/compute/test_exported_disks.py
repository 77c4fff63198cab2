"""Guests whose disks another machine exports: what they see when that is away, and whom it lets in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.compute.base import OUT_OF_REACH, DiskSpec, GuestState, Power, PowerAction
from novalite.drivers.storage.base import ExportSpec
from novalite.drivers.storage.export_daemon import QemuDaemon
from novalite.errors import DriverError
from tests.contracts.boot_sector import greedy, obedient
from tests.contracts.compute_driver import Bench, new_bench
from tests.contracts.volume_exports import Machine
from tests.contracts.waiting import until
from tests.real.compute.hosts import BootSectorGuests, Host

pytestmark = pytest.mark.real
MIB = 1 << 20


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path, QemuDaemon)
    yield made
    made.close()


@pytest.fixture
def bench(host: Host, machine: Machine) -> Iterator[Bench]:
    key = host.driver.export_key("a")
    host.driver.take_certificate(*machine.exports.admit("a", key.request))
    yield new_bench(host.driver, BootSectorGuests(host.driver))
    for state in host.driver.list_guests():
        host.driver.delete_guest(state.id)


def filled(machine: Machine, content: bytes, **more: bool) -> ExportSpec:
    spec = machine.volume("raw", **more)
    with Path(spec.place.path).open("wb") as file:
        file.write(content)
        file.truncate(512 * MIB)
    return spec


def root(machine: Machine, spec: ExportSpec) -> DiskSpec:
    return DiskSpec(
        "volume-1", "vda", 1, serial="1", boot_index=0, format="raw", path=machine.exports.ensure_export(spec)
    )


def written(spec: ExportSpec) -> int:
    return Path(spec.place.path).stat().st_blocks * 512


def test_a_guest_stands_still_while_its_disk_is_away_and_never_hears_of_it(bench: Bench, machine: Machine) -> None:
    spec = filled(machine, greedy())
    guest = bench.boot(disks=(root(machine, spec),))
    until(lambda: written(spec) > 2 * MIB, "it writes")
    machine.daemon("a").stop()
    # It is asked to go on now and then, and stands still again at once.
    still = GuestState(guest.id, Power.PAUSED, OUT_OF_REACH)
    until(lambda: bench.driver.guest(guest.id) == still, "it stands still")
    before = written(spec)
    machine.exports.restore()
    until(lambda: written(spec) > before + 2 * MIB, "it writes on")
    until(lambda: bench.driver.guest(guest.id).power is Power.RUNNING, "it runs")
    assert bench.boots(guest.id) == 1, "without a new start"
    bench.driver.delete_guest(guest.id)
    with Path(spec.place.path).open("rb") as file:
        assert os.lseek(file.fileno(), MIB, os.SEEK_HOLE) >= before, "no write was lost on the way"


def test_a_paused_guest_stays_paused(bench: Bench, machine: Machine) -> None:
    spec = filled(machine, greedy())
    guest = bench.boot(disks=(root(machine, spec),))
    until(lambda: written(spec) > 2 * MIB, "it writes")
    bench.driver.set_power(guest.id, PowerAction.PAUSE)
    other = filled(machine, greedy())
    second = bench.boot(disks=(replace(root(machine, other), name="volume-2"),))
    machine.daemon("a").stop()
    until(lambda: bench.driver.guest(second.id).detail == OUT_OF_REACH, "the other stands still")
    machine.exports.restore()
    until(lambda: bench.driver.guest(second.id).power is Power.RUNNING, "the other goes on")
    assert (bench.driver.guest(guest.id).power, bench.driver.guest(guest.id).detail) == (Power.PAUSED, "")


def test_a_host_without_a_certificate_gives_its_guests_nothing(bench: Bench, machine: Machine) -> None:
    spec = machine.volume(host="b")
    guest = bench.boot()
    disk = DiskSpec("volume-1", "vdb", 1, serial="1", format="raw", path=machine.exports.ensure_export(spec))
    with pytest.raises(DriverError) as refused:
        bench.driver.attach_disk(guest.id, disk)
    assert refused.value.code == "guest.refused"
    assert "TLS" in refused.value.message


def test_a_read_only_one_is_read_only(bench: Bench, machine: Machine) -> None:
    spec = filled(machine, obedient(), read_only=True)
    guest = bench.boot(disks=(replace(root(machine, spec), read_only=True),))
    bench.driver.delete_guest(guest.id)


@pytest.mark.parametrize("state", ["running", "off"])
def test_it_is_copied_where_the_guest_is(bench: Bench, machine: Machine, state: str) -> None:
    data = uuid4().bytes * 65536
    spec = filled(machine, obedient()[:512] + data[512:])
    guest = bench.boot(disks=(root(machine, spec),))
    if state == "off":
        bench.driver.set_power(guest.id, PowerAction.OFF)
    copy = bench.driver.take_snapshot(guest.id, "1", "copy")
    assert copy.virtual_size == 512 * MIB
    assert MIB < copy.size < 8 * MIB
    content = b"".join(
        bench.driver.read_snapshot(guest.id, "copy", offset, MIB) for offset in range(0, copy.size, MIB)
    )  # fmt: skip
    assert data[1024:65536] in content
    bench.driver.drop_snapshot(guest.id, "copy")
