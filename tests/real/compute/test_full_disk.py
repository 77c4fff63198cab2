"""A host whose disk fills up: what runs goes on or stands still until there is room, copies are refused before they
begin, and nothing is left half made."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from novalite.drivers.compute.base import NO_ROOM, ConfigDrive, DiskSpec, EventKind, GuestSpec, Power, PowerAction
from novalite.drivers.compute.libvirt import LocalStorage
from novalite.errors import DriverError
from tests.contracts.boot_sector import BytesSource, greedy, image_of
from tests.contracts.compute_driver import IMAGE, Bench, new_bench
from tests.contracts.waiting import until
from tests.real.compute.hosts import BootSectorGuests, Host, new_host

pytestmark = pytest.mark.real
_MIB = 1 << 20
_DISK_MIB = 96


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with 96 MiB for its guests."""
    directory = tmp_path_factory.mktemp("small")
    (directory / "state").mkdir()
    # Before libvirtd starts, which has a mount namespace of its own.
    words = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(directory / "state")]
    subprocess.run(words, check=True)
    try:
        with new_host(directory) as host:
            yield host
    finally:
        subprocess.run(["umount", str(directory / "state")], check=True)


@pytest.fixture
def bench(small: Host) -> Iterator[Bench]:
    yield new_bench(small.driver, BootSectorGuests(small.driver))
    for state in small.driver.list_guests():
        small.driver.delete_guest(state.id)
    (small.state_dir / "ballast").unlink(missing_ok=True)


def _fill(host: Host, leave_mib: float) -> None:
    """Somebody else takes all but so much."""
    ballast = host.state_dir / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb") as file:
        free = host.driver.host_report().disk_free_mib
        file.write(bytes(int((free - leave_mib) * _MIB)))


def _fill_to_the_brim(host: Host) -> None:
    words = ["dd", "if=/dev/zero", f"of={host.state_dir / 'ballast'}", "bs=4k"]
    assert "No space left" in subprocess.run(words, capture_output=True, text=True, check=False).stderr


def _code(error: pytest.ExceptionInfo[DriverError]) -> tuple[str, bool]:
    return error.value.code, error.value.retryable


def _files(host: Host, spec: GuestSpec) -> list[str]:
    return sorted(file.name for file in (host.state_dir / "guests" / spec.id).glob("*.*") if file.suffix != ".sock")


def _with_data(bench: Bench, host: Host, mib: int) -> GuestSpec:
    """A guest that is off, with so much on its disk."""
    spec = bench.boot()
    bench.driver.set_power(spec.id, PowerAction.OFF)
    disk = host.state_dir / "guests" / spec.id / "root.qcow2"
    words = ["qemu-io", "-f", "qcow2", "-c", f"write -P 90 1M {mib}M", str(disk)]
    subprocess.run(words, check=True, capture_output=True)
    return spec


def test_a_guest_that_finds_no_room_stands_still_and_goes_on(bench: Bench, small: Host) -> None:
    other = bench.boot()
    image = bench.new_image(greedy())
    _fill(small, 24)
    position = bench.driver.events("", 0).position
    spec = bench.boot(disks=(DiskSpec("root", "vda", 1, image, boot_index=0),))
    until(lambda: bench.driver.guest(spec.id).power is Power.PAUSED, "it stands still")
    assert bench.driver.guest(spec.id).detail == NO_ROOM
    assert [state.detail for state in bench.driver.list_guests() if state.id == spec.id] == [NO_ROOM]
    events = [e for e in bench.driver.events(position, 5).events if e.kind is EventKind.POWER and e.guest_id == spec.id]
    assert (events[-1].power, events[-1].detail) == (Power.PAUSED, NO_ROOM)
    assert bench.driver.guest(other.id).power is Power.RUNNING, "who does not write goes on"
    small.driver.let_go_on()
    assert bench.driver.guest(spec.id).power is Power.PAUSED, "there is no room yet"
    written = small.driver.host_report().disk_written_mib
    (small.state_dir / "ballast").unlink()
    small.driver.let_go_on()
    until(lambda: small.driver.host_report().disk_written_mib > written + 4, "it writes on")
    assert bench.boots(spec.id) == 1, "without a new start"
    bench.driver.delete_guest(spec.id)
    bench.driver.delete_guest(other.id)


def test_it_may_be_told_to_go_on(bench: Bench, small: Host) -> None:
    image = bench.new_image(greedy())
    _fill(small, 8)
    spec = bench.boot(disks=(DiskSpec("root", "vda", 1, image, boot_index=0),))
    until(lambda: bench.driver.guest(spec.id).detail == NO_ROOM, "it stands still")
    _fill(small, 8)
    assert bench.driver.set_power(spec.id, PowerAction.UNPAUSE).power in (Power.RUNNING, Power.PAUSED)
    until(lambda: bench.driver.guest(spec.id).detail == NO_ROOM, "it stands still again")
    bench.driver.delete_guest(spec.id)


@pytest.mark.parametrize("action", [PowerAction.START, PowerAction.OFF])
def test_a_snapshot_that_would_fill_the_disk_is_refused_before_it_begins(
    bench: Bench, small: Host, action: PowerAction
) -> None:
    spec = _with_data(bench, small, 30)
    bench.driver.set_power(spec.id, action)
    _fill(small, 20)
    before, files = small.driver.host_report().disk_free_mib, _files(small, spec)
    with pytest.raises(DriverError, match=r"needs 3[0-9] MiB, [0-9]+ MiB are free") as caught:
        bench.driver.take_snapshot(spec.id, "root", "copy")
    assert _code(caught) == ("disk.full", True)
    bench.driver.drop_snapshot(spec.id, "copy")
    assert abs(small.driver.host_report().disk_free_mib - before) <= 1
    assert _files(small, spec) == files
    (small.state_dir / "ballast").unlink()
    assert bench.driver.take_snapshot(spec.id, "root", "copy").size > 30 * _MIB
    bench.driver.delete_guest(spec.id)


def test_what_is_kept_free_is_not_for_copies(bench: Bench, small: Host) -> None:
    spec = _with_data(bench, small, 20)
    careful = small.second_driver(
        small.appliance_id, small.state_dir, LocalStorage(reserve_bytes=small.driver.host_report().disk_free_mib * _MIB)
    )
    try:
        for copy in (
            lambda: careful.take_snapshot(spec.id, "root", "copy"),
            lambda: careful.keep_disks(spec.id, "before"),
            lambda: careful.write_disk(str(uuid4()), "root", 0, b"x" * _MIB),
            lambda: careful.ensure_image(image_of(str(uuid4()), IMAGE), BytesSource(IMAGE)),
        ):
            with pytest.raises(DriverError, match="are kept back") as caught:
                copy()
            assert _code(caught) == ("disk.full", True)
            assert caught.value.hint
        careful.keep_images()
        spec = replace(spec, memory_mib=80)
        assert careful.ensure_guest(spec).power is Power.RUNNING, "what is there may run"
    finally:
        careful.close()
    bench.driver.delete_guest(spec.id)


def test_disks_are_kept_whole_or_not_at_all(bench: Bench, small: Host) -> None:
    spec = _with_data(bench, small, 30)
    _fill(small, 20)
    files = _files(small, spec)
    with pytest.raises(DriverError) as caught:
        bench.driver.keep_disks(spec.id, "before")
    assert _code(caught) == ("disk.full", True)
    assert _files(small, spec) == files
    bench.driver.ensure_guest(spec)
    bench.driver.delete_guest(spec.id)


def test_an_image_that_does_not_fit_leaves_nothing(bench: Bench, small: Host) -> None:
    content = IMAGE + bytes(30 * _MIB)
    image = image_of(str(uuid4()), content)
    running = bench.boot()
    _fill(small, 20)
    with pytest.raises(DriverError, match=f"image {image.id} needs 31 MiB") as caught:
        bench.driver.ensure_image(image, BytesSource(content))
    assert _code(caught) == ("disk.full", True)
    assert not list((small.state_dir / "images-cache").glob(f"{image.id}*"))
    assert bench.driver.guest(running.id).power is Power.RUNNING
    (small.state_dir / "ballast").unlink()
    bench.driver.ensure_image(image, BytesSource(content))
    bench.driver.remove_image(image.id)
    bench.driver.delete_guest(running.id)


def test_a_guest_whose_disk_cannot_be_made_leaves_nothing_half_made(bench: Bench, small: Host) -> None:
    spec = bench.spec()
    _fill_to_the_brim(small)
    with pytest.raises(DriverError) as caught:
        bench.driver.ensure_guest(spec)
    assert _code(caught) == ("disk.full", True)
    assert not list((small.state_dir / "guests" / spec.id).glob("root*"))
    (small.state_dir / "ballast").unlink()
    assert bench.driver.ensure_guest(spec).power is Power.RUNNING
    bench.driver.delete_guest(spec.id)


def test_a_guest_starts_again_although_nothing_can_be_written(bench: Bench, small: Host) -> None:
    drive = ConfigDrive({"openstack/latest/meta_data.json": b"{}" + bytes(1 << 20)})
    spec = bench.boot(config_drive=drive)
    _fill_to_the_brim(small)
    bench.driver.set_power(spec.id, PowerAction.OFF)
    _fill_to_the_brim(small)
    assert bench.driver.ensure_guest(spec).power is Power.RUNNING
    (small.state_dir / "ballast").unlink()
    bench.driver.delete_guest(spec.id)


def test_two_copies_do_not_promise_themselves_the_same_room(bench: Bench, small: Host) -> None:
    """Each would fit alone."""
    content = bytes(30 * _MIB)
    _fill(small, 50)
    hold, begun = threading.Event(), threading.Event()

    class Slow(BytesSource):
        def chunks(self) -> Iterator[bytes]:
            begun.set()
            assert hold.wait(300)
            yield from super().chunks()

    first, second = (image_of(str(uuid4()), content) for _ in range(2))
    fetching = threading.Thread(target=bench.driver.ensure_image, args=(first, Slow(content)))
    fetching.start()
    assert begun.wait(300)
    with pytest.raises(DriverError, match="30 are promised to other copies"):
        bench.driver.ensure_image(second, BytesSource(content))
    hold.set()
    fetching.join(30)
    bench.driver.remove_image(first.id)
