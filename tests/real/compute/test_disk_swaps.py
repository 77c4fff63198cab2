"""A guest of libvirt that goes on with other storage: what was on it comes along, and copies that are cut off are found
again, by the next process and after the death of libvirtd."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest

from novalite.drivers.compute.base import DiskSpec, GuestSpec, Power, PowerAction
from novalite.drivers.compute.libvirt import LibvirtDriver
from novalite.errors import DriverError, HostUnreachable, NovaLiteError
from tests.contracts.compute_driver import Bench, new_bench
from tests.contracts.waiting import until
from tests.real.compute.hosts import BootSectorGuests, Host

pytestmark = pytest.mark.real

SERIAL = "volume-1"


@pytest.fixture
def bench(host: Host) -> Iterator[Bench]:
    yield new_bench(host.driver, BootSectorGuests(host.driver))
    for state in host.driver.list_guests():
        host.driver.delete_guest(state.id)


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _disk(directory: Path, name: str, *, fill: int = 0, size: str = "64M", form: str = "qcow2") -> DiskSpec:
    path = directory / name
    _run("qemu-img", "create", "-q", "-f", form, str(path), "1G")
    if fill:
        _run("qemu-io", "-f", form, "-c", f"write -P {fill} 1M {size}", str(path))
    return DiskSpec(name, "vdb", 1, serial=SERIAL, path=str(path), format=form)


def _holds(disk: DiskSpec, fill: int, size: str = "64M") -> bool:
    told = _run("qemu-io", "-r", "-U", "-f", disk.format, "-c", f"read -P {fill} 1M {size}", disk.path)
    return "Pattern verification failed" not in told


def _description(host: Host, guest_id: str, *, inactive: bool = False) -> str:
    connection = libvirt.openReadOnly(host.libvirtd.uri)
    try:
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0
        return str(connection.lookupByUUIDString(guest_id).XMLDesc(flags))
    finally:
        connection.close()


def _copying(host: Host, guest_id: str) -> bool:
    return "<mirror" in _description(host, guest_id)


def _slow(host: Host, guest_id: str, mib_per_second: int) -> None:
    """Let the copying that goes on take its time, or be quick (0)."""
    connection = libvirt.open(host.libvirtd.uri)
    try:
        domain = connection.lookupByUUIDString(guest_id)
        domain.blockJobSetSpeed("vdb", mib_per_second, 0)
    finally:
        connection.close()


@pytest.fixture
def used(bench: Bench, tmp_path: Path) -> tuple[GuestSpec, DiskSpec]:
    spec, disk = bench.boot(), _disk(tmp_path, "first", fill=0x5A, size="200M")
    bench.driver.attach_disk(spec.id, disk)
    return spec, disk


def _second_process(host: Host) -> LibvirtDriver:
    return host.second_driver(host.appliance_id, host.state_dir)


@pytest.mark.parametrize("form", ["qcow2", "raw"])
@pytest.mark.parametrize("state", ["running", "off"])
def test_what_was_on_it_comes_along(
    bench: Bench, host: Host, used: tuple[GuestSpec, DiskSpec], tmp_path: Path, form: str, state: str
) -> None:
    """Also onto storage that held something else."""
    spec, first = used
    second = _disk(tmp_path, "second", fill=0x77, size="300M", form=form)
    if state == "off":
        bench.driver.set_power(spec.id, PowerAction.OFF)
    bench.driver.swap_disk(spec.id, SERIAL, second)
    for inactive in (True, False):
        told = _description(host, spec.id, inactive=inactive)
        assert (second.path in told, first.path in told) == (True, False)
    bench.driver.set_power(spec.id, PowerAction.OFF)
    assert _holds(second, 0x5A, "200M")
    told = _run("qemu-io", "-r", "-U", "-f", form, "-c", "read -P 0 201M 99M", second.path)
    assert "failed" not in told, "what the other held before is left"
    bench.driver.set_power(spec.id, PowerAction.START)
    until(lambda: bench.driver.guest(spec.id).power is Power.RUNNING, "it starts with what it has now")
    _run("qemu-img", "check", "-q", "-f", "qcow2", first.path)


def _begin(host: Host, spec: GuestSpec, second: DiskSpec) -> list[NovaLiteError]:
    """A copy that goes on, and what came of the call in the end."""
    failed: list[NovaLiteError] = []

    def swap() -> None:
        try:
            host.driver.swap_disk(spec.id, SERIAL, second)
        except NovaLiteError as error:
            failed.append(error)

    threading.Thread(target=swap, daemon=True).start()
    until(lambda: _copying(host, spec.id), "the copying has begun")
    _slow(host, spec.id, 1)
    return failed


def test_another_process_goes_on_with_the_copy(
    bench: Bench, host: Host, used: tuple[GuestSpec, DiskSpec], tmp_path: Path
) -> None:
    spec, _ = used
    second = _disk(tmp_path, "second")
    _begin(host, spec, second)
    again = _second_process(host)
    try:
        _slow(host, spec.id, 0)
        again.swap_disk(spec.id, SERIAL, second)
    finally:
        again.close()
    assert not _copying(host, spec.id)
    assert second.path in _description(host, spec.id, inactive=True)
    bench.driver.set_power(spec.id, PowerAction.OFF)
    assert _holds(second, 0x5A, "200M")


def test_a_copy_is_called_off(bench: Bench, host: Host, used: tuple[GuestSpec, DiskSpec], tmp_path: Path) -> None:
    """The other one is as large as it was, and takes another copy."""
    spec, first = used
    second = _disk(tmp_path, "second")
    _run("qemu-img", "resize", "-q", second.path, "2G")
    second = replace(second, size_gib=2)
    failed = _begin(host, spec, second)
    bench.driver.end_swap(spec.id, SERIAL, second)
    until(lambda: bool(failed), "who copied is told")
    assert isinstance(failed[0], DriverError)
    assert not _copying(host, spec.id)
    assert first.path in _description(host, spec.id)
    assert '"virtual-size": 2147483648' in _run("qemu-img", "info", "--output=json", second.path)
    bench.driver.swap_disk(spec.id, SERIAL, second)
    assert second.path in _description(host, spec.id)
    assert bench.driver.guest(spec.id).power is Power.RUNNING


def test_libvirtd_dies_meanwhile(bench: Bench, host: Host, used: tuple[GuestSpec, DiskSpec], tmp_path: Path) -> None:
    spec, _ = used
    second = _disk(tmp_path, "second")
    failed = _begin(host, spec, second)
    host.libvirtd.stop(signal.SIGKILL)
    until(lambda: bool(failed), "who copied is told")
    assert isinstance(failed[0], HostUnreachable)
    host.libvirtd.start()

    def is_back() -> bool:
        try:
            return bench.driver.guest(spec.id).power is Power.RUNNING
        except HostUnreachable:
            return False

    until(is_back, "libvirt is back, and the guest runs on")
    if _copying(host, spec.id):
        _slow(host, spec.id, 0)
    bench.driver.swap_disk(spec.id, SERIAL, second)
    assert second.path in _description(host, spec.id, inactive=True)
    bench.driver.set_power(spec.id, PowerAction.OFF)
    assert _holds(second, 0x5A, "200M")


def test_a_guest_that_stops_meanwhile_is_copied_then(
    bench: Bench, host: Host, used: tuple[GuestSpec, DiskSpec], tmp_path: Path
) -> None:
    spec, _ = used
    second = _disk(tmp_path, "second")
    failed = _begin(host, spec, second)
    bench.driver.set_power(spec.id, PowerAction.OFF)
    until(lambda: bool(failed), "who copied is told")
    assert (failed[0].code, getattr(failed[0], "retryable", False)) == ("guest.state", True)
    bench.driver.swap_disk(spec.id, SERIAL, second)
    assert second.path in _description(host, spec.id, inactive=True)
    assert _holds(second, 0x5A, "200M")
