"""What the libvirt driver owes the machine it runs on: other people's guests, daemons that stop, full disks."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import libvirt
import pytest

from novalite.drivers.compute.base import ConsoleKind, DiskSpec, EventKind, NicSpec, Power, PowerAction
from novalite.drivers.compute.libvirt import LibvirtDriver
from novalite.drivers.compute.libvirt.accel import boot_proof
from novalite.drivers.compute.libvirt.places import QemuUser
from novalite.errors import DriverError, HostUnreachable
from tests.contracts.boot_sector import BytesSource, image_of
from tests.contracts.compute_driver import IMAGE, Bench, Watcher, new_bench
from tests.contracts.waiting import until
from tests.real.compute.hosts import BootSectorGuests, Host, new_host
from tests.real.compute.taps import link_state, tap_link

pytestmark = pytest.mark.real


@pytest.fixture
def bench(host: Host) -> Iterator[Bench]:
    yield new_bench(host.driver, BootSectorGuests(host.driver))
    for state in host.driver.list_guests():
        host.driver.delete_guest(state.id)


@pytest.fixture
def raw(host: Host) -> Iterator[libvirt.virConnect]:
    """libvirt itself, as another program on the machine would use it."""
    connection = libvirt.open(host.libvirtd.uri)
    yield connection
    connection.close()


def _foreign(name: str, uuid: str) -> str:
    return (
        f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>16</memory>"
        "<os><type arch='x86_64'>hvm</type></os></domain>"
    )


def _unreachable(driver: LibvirtDriver) -> bool:
    try:
        driver.list_guests()
    except HostUnreachable:
        return True
    return False


# Guests of others


def test_a_domain_made_by_others_is_neither_seen_nor_touched(bench: Bench, host: Host, raw: libvirt.virConnect) -> None:
    uuid = str(uuid4())
    # Even one whose name looks like ours, but which lacks our mark.
    raw.defineXML(_foreign(f"novalite-{host.appliance_id[:8]}-{uuid}", uuid))
    plain = str(uuid4())
    raw.defineXML(_foreign("database", plain))
    for other in (uuid, plain):
        assert host.driver.guest(other).power is Power.ABSENT
        host.driver.delete_guest(other)
        with pytest.raises(DriverError) as caught:
            host.driver.set_power(other, PowerAction.START)
        assert caught.value.code == "guest.not_found"
        with pytest.raises(DriverError) as caught:
            host.driver.ensure_guest(bench.spec(id=other))
        assert caught.value.code == "guest.refused"
        raw.lookupByUUIDString(other).undefine()
        host.driver.delete_guest(other)
    assert plain not in {state.id for state in host.driver.list_guests()}


def test_two_appliances_share_one_libvirtd(bench: Bench, host: Host, tmp_path: Path) -> None:
    ours = bench.boot()
    other = host.second_driver(str(uuid4()), tmp_path)
    assert other.list_guests() == ()
    assert other.artifacts() == ()
    other.delete_guest(ours.id)
    assert host.driver.guest(ours.id).power is Power.RUNNING
    other.close()


def test_a_restarted_process_finds_its_guests_again(bench: Bench, host: Host) -> None:
    spec = bench.boot()
    again = host.second_driver(host.appliance_id, host.state_dir)
    assert again.guest(spec.id).power is Power.RUNNING
    assert again.ensure_guest(spec).power is Power.RUNNING
    assert bench.boots(spec.id) == 1
    again.delete_guest(spec.id)
    again.close()
    assert host.driver.guest(spec.id).power is Power.ABSENT


# Daemons that stop


def test_a_stopped_libvirtd_is_an_unreachable_host_that_heals(bench: Bench, host: Host) -> None:
    stays, leaves = bench.boot(), bench.boot()
    position = host.driver.events("", 0).position
    host.libvirtd.stop()
    until(lambda: _unreachable(host.driver), "the host is unreachable")
    with pytest.raises(HostUnreachable):
        host.driver.ensure_guest(bench.spec())
    os.kill(host.libvirtd.guest_pid(leaves.id), signal.SIGKILL)
    host.libvirtd.start()
    until(lambda: not _unreachable(host.driver), "the host is back")
    events = host.driver.events(position, 5).events
    assert EventKind.RESYNC in {event.kind for event in events}
    assert host.driver.guest(stays.id).power is Power.RUNNING
    assert host.driver.guest(leaves.id).power in (Power.OFF, Power.CRASHED)
    watcher = Watcher(host.driver)
    host.driver.set_power(stays.id, PowerAction.PAUSE)
    watcher.wait_for(stays.id, Power.PAUSED)


def test_a_driver_may_be_made_before_libvirtd_runs(host: Host) -> None:
    host.libvirtd.stop(signal.SIGKILL)
    early = host.second_driver(host.appliance_id, host.state_dir)
    until(lambda: _unreachable(early), "it says so")
    host.libvirtd.start()
    until(lambda: not _unreachable(early), "it heals")
    early.close()


def test_a_killed_hypervisor_process_is_a_crash(bench: Bench, host: Host) -> None:
    spec = bench.boot()
    watcher = Watcher(host.driver)
    os.kill(host.libvirtd.guest_pid(spec.id), signal.SIGKILL)
    watcher.wait_for(spec.id, Power.CRASHED)
    assert host.driver.guest(spec.id).power is Power.CRASHED


# Leftovers


def test_a_guest_whose_definition_is_gone_is_an_orphan_that_can_be_deleted(
    bench: Bench, host: Host, raw: libvirt.virConnect
) -> None:
    spec = bench.boot()
    domain = raw.lookupByUUIDString(spec.id)
    domain.destroy()
    domain.undefine()
    [found] = [a for a in host.driver.artifacts() if a.id == spec.id]
    assert not found.defined
    assert "root.qcow2" in found.files
    host.driver.delete_guest(spec.id)
    assert host.driver.artifacts() == ()


def test_a_guest_whose_files_are_gone_can_be_deleted(bench: Bench, host: Host) -> None:
    spec = bench.boot()
    subprocess.run(["rm", "-r", str(host.state_dir / "guests" / spec.id)], check=True)
    host.driver.delete_guest(spec.id)
    assert host.driver.guest(spec.id).power is Power.ABSENT


# Disks


def test_a_disk_is_an_overlay_of_the_image_and_outlives_a_stop(bench: Bench, host: Host) -> None:
    spec = bench.boot()
    place = host.state_dir / "guests" / spec.id
    host.driver.set_power(spec.id, PowerAction.OFF)
    before = (place / "root.qcow2").stat().st_ino
    facts = subprocess.run(
        ["qemu-img", "info", str(place / "root.qcow2")], check=True, capture_output=True, text=True
    ).stdout
    assert "virtual size: 1 GiB" in facts
    assert f"backing file: {host.state_dir / 'images-cache' / bench.image.id}" in facts
    assert "backing file format: raw" in facts
    host.driver.ensure_guest(spec)
    assert (place / "root.qcow2").stat().st_ino == before


def test_a_disk_smaller_than_its_image_is_refused(bench: Bench, tmp_path: Path) -> None:
    big = tmp_path / "big.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(big), "3G"], check=True)
    content = big.read_bytes()
    image = replace(image_of(str(uuid4()), content), format="qcow2")
    bench.driver.ensure_image(image, BytesSource(content, big))
    with pytest.raises(DriverError, match="needs 3 GiB") as caught:
        bench.driver.ensure_guest(bench.spec(disks=(DiskSpec("root", "vda", 2, image),)))
    assert caught.value.code == "guest.refused"


def test_an_image_that_points_at_other_files_is_refused(bench: Bench, host: Host, tmp_path: Path) -> None:
    trap = tmp_path / "trap.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", str(trap)], check=True)
    content = trap.read_bytes()
    image = replace(image_of(str(uuid4()), content), format="qcow2")
    with pytest.raises(DriverError) as caught:
        bench.driver.ensure_image(image, BytesSource(content, trap))
    assert caught.value.code == "image.refused"
    assert not list((host.state_dir / "images-cache").glob(f"{image.id}*"))


@contextmanager
def _small_disk(directory: Path, size: str) -> Iterator[None]:
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def test_a_full_disk_is_told_and_leaves_nothing(host: Host, tmp_path: Path) -> None:
    state_dir = tmp_path / "small"
    with _small_disk(state_dir, "512k"):
        driver = host.second_driver(str(uuid4()), state_dir)
        with pytest.raises(DriverError) as caught:
            driver.ensure_image(image_of(str(uuid4()), IMAGE), BytesSource(IMAGE))
        assert caught.value.code == "disk.full"
        assert list((state_dir / "images-cache").iterdir()) == []
        driver.close()


# The shape of guests


def test_a_network_card_is_the_tap_that_is_there_and_stays_there(bench: Bench, host: Host) -> None:
    with tap_link(mtu=1400) as tap:
        nic = NicSpec(str(uuid4()), "fa:16:3e:00:00:01", tap, mtu=1400)
        before = link_state(tap)
        spec = bench.boot(nics=(nic,))
        assert link_state(tap) == replace(before, has_guest=True), "neither its address nor its MTU is touched"
        assert [a.taps for a in host.driver.artifacts() if a.id == spec.id] == [(tap,)]
        assert host.driver.diagnostics(spec.id).nics[0]["mac_address"] == nic.mac_address
        host.driver.delete_guest(spec.id)
        assert link_state(tap) == before


def test_a_card_with_several_queues(bench: Bench, host: Host) -> None:
    with tap_link(queues=True) as tap:
        nic = NicSpec(str(uuid4()), "fa:16:3e:00:00:01", tap)
        spec = bench.boot(nics=(nic,), vcpus=2, properties={"hw:vif_multiqueue_enabled": "true"})
        assert link_state(tap).has_guest
        host.driver.delete_guest(spec.id)
        assert not link_state(tap).has_guest


def test_a_missing_tap_is_told(bench: Bench) -> None:
    nic = NicSpec(str(uuid4()), "fa:16:3e:00:00:02", "nltmissing")
    with pytest.raises(DriverError, match="dev doesn't exist") as caught:
        bench.driver.ensure_guest(bench.spec(nics=(nic,)))
    assert caught.value.code == "guest.refused"


def test_uefi_and_spice(bench: Bench, host: Host) -> None:
    assert "uefi" in host.driver.host_report().firmwares
    spec = bench.spec(firmware="uefi", memory_mib=128, consoles=(ConsoleKind.VNC, ConsoleKind.SPICE))
    assert host.driver.ensure_guest(spec).power is Power.RUNNING
    with host.driver.console(spec.id, ConsoleKind.SPICE) as screen:
        screen.sendall(b"REDQ")
    host.driver.delete_guest(spec.id)
    assert host.driver.guest(spec.id).power is Power.ABSENT


def test_values_the_host_does_not_know_are_refused(bench: Bench) -> None:
    for change in (
        {"firmware": "coreboot"},
        {"on_crash": "explode"},
        {"architecture": "s390x"},
        {"machine": "no-such-machine"},
    ):
        with pytest.raises(DriverError) as caught:
            bench.driver.ensure_guest(bench.spec(**change))
        assert caught.value.code == "guest.refused"


def test_a_long_state_directory_keeps_its_consoles(host: Host, tmp_path: Path) -> None:
    driver = host.second_driver(str(uuid4()), tmp_path / ("long" * 20))
    bench = new_bench(driver, BootSectorGuests(driver))
    spec = bench.boot()
    with driver.console(spec.id, ConsoleKind.VNC) as screen:
        assert screen.recv(12) == b"RFB 003.008\n"
    driver.delete_guest(spec.id)
    driver.close()


# Acceleration


def test_the_proof_of_an_accelerator_is_a_guest_that_runs() -> None:
    me = QemuUser(os.geteuid(), os.getegid())
    assert boot_proof("qemu-system-x86_64", "tcg", me) == ""
    assert boot_proof("qemu-system-x86_64", "no-such-accelerator", me)


def test_guests_run_as_whom_libvirt_says() -> None:
    # Not below pytest's own directory, which it closes to others whenever it starts.
    with (
        tempfile.TemporaryDirectory(prefix="novalite-test-", ignore_cleanup_errors=True) as name,
        new_host(Path(name), user="libvirt-qemu") as host,
    ):
        directory = Path(name)
        bench = new_bench(host.driver, BootSectorGuests(host.driver))
        closed = bench.spec()
        directory.chmod(0o700)
        with pytest.raises(DriverError, match="may not enter") as caught:
            host.driver.ensure_guest(closed)
        assert caught.value.hint
        directory.chmod(0o711)
        host.state_dir.chmod(0o700)  # ours: the driver opens it as far as is needed
        spec = bench.boot()
        uid = int(Path(f"/proc/{host.libvirtd.guest_pid(spec.id)}").stat().st_uid)
        assert uid != 0
        bench.guests.power_off(spec.id)
        until(lambda: host.driver.guest(spec.id).power is Power.OFF, "it is off")
        host.driver.delete_guest(spec.id)


def test_consoles_come_back_when_the_machine_forgot_their_directory(host: Host, tmp_path: Path) -> None:
    driver = host.second_driver(str(uuid4()), tmp_path / ("long" * 20))
    bench = new_bench(driver, BootSectorGuests(driver))
    spec = bench.boot()
    [sockets] = Path("/run").glob(f"novalite-*/{spec.id}")
    driver.set_power(spec.id, PowerAction.OFF)
    subprocess.run(["rm", "-r", str(sockets.parent)], check=True)
    assert driver.set_power(spec.id, PowerAction.START).power is Power.RUNNING
    driver.delete_guest(spec.id)
    assert not sockets.parent.exists()
    driver.close()
