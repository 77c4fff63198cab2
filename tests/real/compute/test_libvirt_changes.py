"""Changes of guests that libvirt runs, beyond the contract: what is on the disks, cards that come and go, work
that is cut off, and a guest with an agent."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast
from uuid import uuid4

import libvirt
import pytest

from novalite.drivers.compute import snapshots
from novalite.drivers.compute.base import DiskSpec, LendsSnapshots, NicSpec, Power, PowerAction, SnapshotFile
from novalite.drivers.compute.libvirt import devices
from novalite.drivers.compute.libvirt.signals import Signal
from novalite.drivers.storage.files import FileImageStore
from novalite.engine.links import guarded
from novalite.errors import DriverError, HostUnreachable, NovaLiteError
from tests.contracts.boot_sector import obedient
from tests.contracts.compute_driver import Bench, new_bench
from tests.contracts.waiting import until
from tests.real.appliance.images import bundled_guest_image
from tests.real.compute.hosts import BootSectorGuests, Host, new_host
from tests.real.compute.taps import link_state, tap_link

pytestmark = pytest.mark.real

GIB = 1 << 30


@pytest.fixture
def bench(host: Host) -> Iterator[Bench]:
    yield new_bench(host.driver, BootSectorGuests(host.driver))
    for state in host.driver.list_guests():
        host.driver.delete_guest(state.id)


def _write(disk: Path, fill: int, size: str = "64M") -> None:
    """Put data on a disk that no guest uses."""
    command = f"write -P {fill} 1M {size}"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, str(disk)], check=True, capture_output=True)


def _holds(disk: Path, fill: int, size: str = "64M") -> bool:
    command = f"read -P {fill} 1M {size}"
    done = subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", command, str(disk)], check=True, capture_output=True, text=True
    )
    return "Pattern verification failed" not in done.stdout


def _saved(bench: Bench, copy: SnapshotFile, file: Path) -> Path:
    with file.open("wb") as out:
        out.writelines(snapshots.chunks(bench.driver, copy))
    return file


def _is_kept_without_writing_it_again(bench: Bench, host: Host, copy: SnapshotFile) -> None:
    store = FileImageStore(host.state_dir / "kept", max_size=1 << 40, max_virtual_size=1 << 40)
    image_id = str(uuid4())
    content = snapshots.content(guarded(bench.driver, "host"), copy, lambda: None)
    assert store.save(image_id, content, disk_format="qcow2").size == copy.size
    lent, path = cast(LendsSnapshots, bench.driver).snapshot_path(copy.guest_id, copy.name), store.path(image_id)
    assert path is not None
    assert path.samefile(lent)


# Snapshots


def test_a_snapshot_holds_what_was_written_and_boots(bench: Bench, host: Host, tmp_path: Path) -> None:
    spec = bench.boot()
    bench.driver.set_power(spec.id, PowerAction.OFF)
    _write(host.state_dir / "guests" / spec.id / "root.qcow2", 0x5A)
    cold = bench.driver.take_snapshot(spec.id, "root", "cold")
    bench.driver.set_power(spec.id, PowerAction.START)
    until(lambda: bench.boots(spec.id) == 2, "it runs")
    warm = bench.driver.take_snapshot(spec.id, "root", "warm")
    for copy in (cold, warm):
        file = _saved(bench, copy, tmp_path / f"{copy.name}.qcow2")
        assert _holds(file, 0x5A)
        assert file.stat().st_size < 100 << 20  # blank parts take no room
        _is_kept_without_writing_it_again(bench, host, copy)
        image = replace(bench.image, id=str(uuid4()), format="qcow2", size=copy.size, sha512=_sha512(file))
        bench.driver.ensure_image(image, _File(file))
        other = bench.boot(disks=(DiskSpec("root", "vda", 1, image, boot_index=0),))
        bench.driver.delete_guest(other.id)


def test_libvirt_tells_when_a_copy_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    told, wait = list[bool](), Signal.wait

    def watched(self: Signal, heard: int, seconds: float) -> bool:
        told.append(wait(self, heard, seconds * 24))
        return told[-1]

    spec = bench.boot()
    monkeypatch.setattr(Signal, "wait", watched)
    for name in ("one", "two"):
        bench.driver.take_snapshot(spec.id, "root", name)
    assert all(told), "what is told is not waited for in vain"


def _sha512(file: Path) -> str:
    return subprocess.run(["sha512sum", str(file)], check=True, capture_output=True, text=True).stdout.split()[0]


class _File:
    def __init__(self, path: Path) -> None:
        self.path = path

    def chunks(self) -> Iterator[bytes]:
        yield self.path.read_bytes()


def test_a_copy_that_is_cut_off_harms_nothing_and_can_be_made_again(bench: Bench, host: Host, tmp_path: Path) -> None:
    spec = bench.boot(disks=(DiskSpec("root", "vda", 2, bench.image, boot_index=0),))
    bench.driver.set_power(spec.id, PowerAction.OFF)
    place = host.state_dir / "guests" / spec.id
    _write(place / "root.qcow2", 0x33, "700M")
    bench.driver.set_power(spec.id, PowerAction.START)
    until(lambda: bench.boots(spec.id) == 2, "it runs")
    failed: list[NovaLiteError] = []

    def take() -> None:
        try:
            bench.driver.take_snapshot(spec.id, "root", "copy")
        except NovaLiteError as error:
            failed.append(error)

    taking = threading.Thread(target=take)
    taking.start()
    part = place / "snapshot-copy.part"
    until(lambda: part.exists() and part.stat().st_size > 8 << 20, "the copy has begun")
    host.libvirtd.stop(signal.SIGKILL)
    taking.join(30)
    assert [type(error) for error in failed] == [HostUnreachable]
    host.libvirtd.start()
    until(lambda: _answers(host), "libvirt is back")
    assert bench.driver.guest(spec.id).power is Power.RUNNING
    copy = bench.driver.take_snapshot(spec.id, "root", "copy")
    assert _holds(_saved(bench, copy, tmp_path / "copy.qcow2"), 0x33, "700M")
    assert sorted(file.name for file in place.glob("snapshot-*")) == ["snapshot-copy.json", "snapshot-copy.qcow2"]
    assert bench.boots(spec.id) == 2


def _answers(host: Host) -> bool:
    try:
        host.driver.list_guests()
    except HostUnreachable:
        return False
    return True


def test_a_copy_that_is_dropped_while_it_is_made_ends(bench: Bench, host: Host) -> None:
    spec = bench.boot(disks=(DiskSpec("root", "vda", 2, bench.image, boot_index=0),))
    bench.driver.set_power(spec.id, PowerAction.OFF)
    place = host.state_dir / "guests" / spec.id
    _write(place / "root.qcow2", 0x44, "700M")
    bench.driver.set_power(spec.id, PowerAction.START)
    codes: list[str] = []

    def take() -> None:
        try:
            bench.driver.take_snapshot(spec.id, "root", "copy")
        except DriverError as error:
            codes.append(error.code)

    taking = threading.Thread(target=take)
    taking.start()
    part = place / "snapshot-copy.part"
    until(lambda: part.exists() and part.stat().st_size > 8 << 20, "the copy has begun")
    bench.driver.drop_snapshot(spec.id, "copy")
    taking.join(30)
    assert codes == ["driver.failed"]
    assert list(place.glob("snapshot-*")) == []
    assert bench.driver.guest(spec.id).power is Power.RUNNING


def test_a_copy_that_finds_no_room_is_told_and_the_guest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    # Before libvirtd starts, which has a mount namespace of its own.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path / "state")], check=True)
    try:
        with new_host(tmp_path) as host:
            _fill_up(host)
    finally:
        subprocess.run(["umount", str(tmp_path / "state")], check=True)


def _fill_up(host: Host) -> None:
    bench = new_bench(host.driver, BootSectorGuests(host.driver))
    spec = bench.boot()
    bench.driver.set_power(spec.id, PowerAction.OFF)
    place = host.state_dir / "guests" / spec.id
    _write(place / "root.qcow2", 0x55, "40M")
    for action in (PowerAction.START, PowerAction.OFF):
        power = bench.driver.set_power(spec.id, action).power
        with pytest.raises(DriverError) as caught:
            bench.driver.take_snapshot(spec.id, "root", "copy")
        assert (caught.value.code, caught.value.retryable) == ("disk.full", True)
        assert bench.driver.guest(spec.id).power is power
        bench.driver.drop_snapshot(spec.id, "copy")
        assert list(place.glob("snapshot-*")) == []
    bench.driver.delete_guest(spec.id)


# Network cards


def test_network_cards_come_and_go(bench: Bench) -> None:
    with tap_link(mtu=1400) as tap:
        nic = NicSpec(str(uuid4()), "fa:16:3e:00:02:01", tap, mtu=1400)
        spec = bench.boot()
        for _ in range(2):
            bench.driver.attach_nic(spec.id, nic)
        assert link_state(tap).has_guest
        assert [n["mac_address"] for n in bench.driver.diagnostics(spec.id).nics] == [nic.mac_address]
        for _ in range(2):
            bench.driver.detach_nic(spec.id, nic.mac_address.upper())
        assert not link_state(tap).has_guest
        assert bench.driver.diagnostics(spec.id).nics == ()
        bench.driver.set_power(spec.id, PowerAction.OFF)
        bench.driver.attach_nic(spec.id, nic)
        assert not link_state(tap).has_guest
        bench.driver.set_power(spec.id, PowerAction.START)
        assert link_state(tap).has_guest
        bench.driver.set_power(spec.id, PowerAction.OFF)
        bench.driver.detach_nic(spec.id, nic.mac_address)
        bench.driver.set_power(spec.id, PowerAction.START)
        assert not link_state(tap).has_guest
        bench.driver.delete_guest(spec.id)


def test_a_guest_that_keeps_a_device_is_busy_and_may_be_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "RELEASE_SECONDS", 1.0)
    spec = bench.boot()
    bench.driver.attach_disk(spec.id, DiskSpec("data", "vdb", 1, serial="v"))
    bench.driver.set_power(spec.id, PowerAction.PAUSE)  # it cannot answer
    with pytest.raises(DriverError) as caught:
        bench.driver.detach_disk(spec.id, "v")
    assert (caught.value.code, caught.value.retryable) == ("device.busy", True)
    bench.driver.set_power(spec.id, PowerAction.UNPAUSE)
    monkeypatch.undo()
    bench.driver.detach_disk(spec.id, "v")
    assert len(bench.driver.diagnostics(spec.id).disks) == 1
    bench.driver.delete_guest(spec.id)


# Disks of others


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_a_file_of_the_host_is_a_disk_that_outlives_the_guest(bench: Bench, tmp_path: Path, image_format: str) -> None:
    volume = tmp_path / "volume"
    subprocess.run(["qemu-img", "create", "-q", "-f", image_format, str(volume), "1G"], check=True)
    disk = DiskSpec("volume", "vdb", 0, serial="volume-7", path=str(volume), format=image_format)
    spec = bench.boot()
    bench.driver.attach_disk(spec.id, disk)
    bench.driver.resize_disk(spec.id, "volume-7", 2)
    bench.driver.detach_disk(spec.id, "volume-7")
    bench.driver.delete_guest(spec.id)
    again = bench.boot(disks=(*spec.disks, disk))
    assert [d["device"] for d in bench.driver.diagnostics(again.id).disks] == ["vda", "vdb"]
    assert "volume.qcow2" not in next(a.files for a in bench.driver.artifacts() if a.id == again.id)
    bench.driver.delete_guest(again.id)
    told = subprocess.run(["qemu-img", "info", str(volume)], check=True, capture_output=True, text=True).stdout
    assert "virtual size: 2 GiB" in told


def test_a_disk_that_stands_on_another_shows_both(bench: Bench, tmp_path: Path) -> None:
    base, overlay = tmp_path / "base.raw", tmp_path / "overlay.qcow2"
    base.write_bytes(obedient(b"from below\r\n"))
    make = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base), str(overlay), "1G"]
    subprocess.run(make, check=True)
    disk = DiskSpec("volume", "vda", 0, serial="v", path=str(overlay), boot_index=0)
    spec = bench.spec(disks=(disk,))
    bench.driver.ensure_guest(spec)
    until(lambda: b"from below" in bench.driver.console_text(spec.id, 1000), "it boots from the volume")
    bench.driver.delete_guest(spec.id)


@pytest.mark.parametrize(("device", "bus"), [("vda", "virtio"), ("vdz", "usb")])
def test_a_rescued_guest_finds_its_own_disk_beside(bench: Bench, device: str, bus: str) -> None:
    spec = bench.boot()
    bench.driver.set_power(spec.id, PowerAction.OFF)
    rescue = DiskSpec("rescue", device, 0, bench.new_image(obedient(b"to the rescue\r\n")), bus, boot_index=0)
    bench.driver.ensure_guest(replace(spec, rescue=rescue))
    until(lambda: b"to the rescue" in bench.driver.console_text(spec.id, 1000), "it boots from the rescue disk")
    bench.driver.set_power(spec.id, PowerAction.OFF)
    bench.driver.ensure_guest(spec)
    until(lambda: bench.boots(spec.id) == 2, "it is back")
    bench.driver.delete_guest(spec.id)


# A guest with an agent


@pytest.fixture(scope="module")
def linux() -> Path:
    return bundled_guest_image()


def test_an_agent_sets_passwords_and_holds_still_for_a_snapshot(bench: Bench, host: Host, linux: Path) -> None:
    image = replace(bench.image, id=str(uuid4()), format="qcow2", size=linux.stat().st_size, sha512=_sha512(linux))
    bench.driver.ensure_image(image, _File(linux))
    root = DiskSpec("root", "vda", 1, image, boot_index=0)
    spec = bench.spec(disks=(root,), memory_mib=256)
    bench.driver.ensure_guest(spec)
    until(lambda: bench.driver.has_agent(spec.id), "the agent answers")
    bench.driver.set_password(spec.id, "root", "n3w-s3cret")
    assert bench.driver.take_snapshot(spec.id, "root", "still").quiesced
    with tap_link() as tap:
        nic = NicSpec(str(uuid4()), "fa:16:3e:00:02:02", tap)
        bench.driver.attach_nic(spec.id, nic)
        bench.driver.detach_nic(spec.id, nic.mac_address)
    disk = DiskSpec("data", "vdb", 1, serial="volume-9")
    bench.driver.attach_disk(spec.id, disk)
    bench.driver.detach_disk(spec.id, "volume-9")
    _forgotten_freeze(host, spec.id)
    bench.driver.drop_snapshot(spec.id, "never")
    until(lambda: _frozen(host, spec.id) == "thawed", "it goes on")
    bench.driver.delete_guest(spec.id)


def _agent(host: Host, guest_id: str, do: Callable[[libvirt.virDomain], str]) -> str:
    connection = libvirt.open(host.libvirtd.uri)
    try:
        return do(connection.lookupByUUIDString(guest_id))
    finally:
        connection.close()


def _frozen(host: Host, guest_id: str) -> str:
    import libvirt_qemu

    said = _agent(
        host, guest_id, lambda d: libvirt_qemu.qemuAgentCommand(d, '{"execute": "guest-fsfreeze-status"}', 5, 0)
    )
    return "frozen" if "frozen" in said else "thawed"


def _forgotten_freeze(host: Host, guest_id: str) -> None:
    """What a process leaves that dies between holding a guest still and beginning the copy."""
    place = host.state_dir / "guests" / guest_id
    (place / "frozen").touch()
    (place / "snapshot-never.part").touch()
    _agent(host, guest_id, lambda d: str(d.fsFreeze()))
    assert _frozen(host, guest_id) == "frozen"


def test_a_disk_may_be_shared_and_another_only_read(bench: Bench, tmp_path: Path) -> None:
    shared, fixed = tmp_path / "shared.raw", tmp_path / "fixed.raw"
    for file in (shared, fixed):
        subprocess.run(["qemu-img", "create", "-q", "-f", "raw", str(file), "1G"], check=True)
    both = DiskSpec("shared", "vdb", 1, serial="shared-1", path=str(shared), format="raw", shared=True)
    alone = replace(both, shared=False)
    readable = DiskSpec("fixed", "vdc", 1, serial="fixed-1", path=str(fixed), format="raw", read_only=True)
    first = bench.boot(disks=(*bench.spec().disks, both, readable))
    second = bench.boot()
    with pytest.raises(DriverError) as refused:
        bench.driver.attach_disk(second.id, alone)
    assert refused.value.code == "guest.refused"
    bench.driver.attach_disk(second.id, both)
    bench.driver.attach_disk(second.id, readable)
    for spec in (first, second):
        assert [d["device"] for d in bench.driver.diagnostics(spec.id).disks] == ["vda", "vdb", "vdc"]
