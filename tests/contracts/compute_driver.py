"""What every compute driver must do, whoever runs the guests and however the driver is reached."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import uuid4

import pytest

from novalite.drivers.compute.base import (
    ComputeDriver,
    ConfigDrive,
    ConsoleKind,
    DiskSpec,
    EventKind,
    FullDriver,
    GuestSpec,
    ImageSpec,
    Power,
    PowerAction,
)
from novalite.errors import DriverError
from tests.contracts.boot_sector import GREETING, BytesSource, bootable_iso, image_of, obedient
from tests.contracts.waiting import PATIENCE, until

IMAGE = obedient()


class Guests(Protocol):
    """What a driver's guests can be made to do from inside."""

    greeting: bytes
    nmi: bytes

    def power_off(self, guest_id: str) -> None: ...

    def panic(self, guest_id: str) -> None: ...

    def lose_agent(self, guest_id: str) -> None:
        """Let no agent run in it."""


@dataclass
class Bench:
    """A driver under test, an image it has, and the guests made so far."""

    driver: FullDriver
    guests: Guests
    image: ImageSpec

    def new_image(self, content: bytes = IMAGE) -> ImageSpec:
        """Another image on the host."""
        image = image_of(str(uuid4()), content)
        self.driver.ensure_image(image, BytesSource(content))
        return image

    def spec(self, **changes: Any) -> GuestSpec:
        disk = DiskSpec("root", "vda", 1, self.image, boot_index=0)
        spec = GuestSpec(str(uuid4()), "web-1", uuid4().hex, 1, 64, (disk,))
        return replace(spec, **changes)

    def boot(self, **changes: Any) -> GuestSpec:
        """A guest that has greeted."""
        spec = self.spec(**changes)
        self.driver.ensure_guest(spec)
        until(lambda: self.boots(spec.id) == 1, "the guest greets")
        return spec

    def boots(self, guest_id: str) -> int:
        return self.driver.console_text(guest_id, 65536).count(self.guests.greeting)


def new_bench(driver: FullDriver, guests: Guests) -> Bench:
    image = image_of(str(uuid4()), IMAGE)
    driver.ensure_image(image, BytesSource(IMAGE))
    return Bench(driver, guests, image)


class Watcher:
    """The events since it was made."""

    def __init__(self, driver: ComputeDriver) -> None:
        self._driver = driver
        self._position = driver.events("", 0).position
        self.seen: list[tuple[str, Power]] = []

    def wait_for(self, guest_id: str, power: Power, seconds: float = PATIENCE) -> None:
        def came() -> bool:
            batch = self._driver.events(self._position, 0.2)
            self._position = batch.position
            self.seen += [(e.guest_id, e.power) for e in batch.events if e.kind is EventKind.POWER]
            return (guest_id, power) in self.seen

        until(came, f"event {power}", seconds)
        self.seen.clear()


class ComputeDriverContract:
    """Subclasses give the fixture ``bench``; its guests are removed when the module is over."""

    # Media

    def test_a_guest_boots_from_a_medium_beside_an_empty_disk(self, bench: Bench) -> None:
        content = bootable_iso()
        iso = replace(image_of(str(uuid4()), content), format="iso")
        bench.driver.ensure_image(iso, BytesSource(content))
        empty = DiskSpec("root", "vda", 1, boot_index=0)
        medium = DiskSpec("cdrom-1", "hdc", 0, iso, "ide", boot_index=1, read_only=True, cdrom=True)
        spec = bench.boot(disks=(empty, medium))
        bench.driver.remove_image(iso.id)
        bench.driver.set_power(spec.id, PowerAction.OFF)
        bench.driver.ensure_guest(spec)
        until(lambda: bench.boots(spec.id) >= 2, "it boots from the medium again")
        bench.driver.delete_guest(spec.id)

    # Unknown guests

    def test_a_guest_nobody_made_is_absent(self, bench: Bench) -> None:
        unknown = str(uuid4())
        assert bench.driver.guest(unknown).power is Power.ABSENT
        assert unknown not in {state.id for state in bench.driver.list_guests()}
        bench.driver.delete_guest(unknown)

    def test_asking_an_absent_guest_is_not_found(self, bench: Bench) -> None:
        unknown = str(uuid4())
        asked = [
            lambda: bench.driver.set_power(unknown, PowerAction.START),
            lambda: bench.driver.console_text(unknown, 10),
            lambda: bench.driver.console(unknown, ConsoleKind.SERIAL),
            lambda: bench.driver.diagnostics(unknown),
        ]
        for ask in asked:
            with pytest.raises(DriverError) as caught:
                ask()
            assert caught.value.code == "guest.not_found"

    def test_an_id_that_is_a_path_reaches_nothing(self, bench: Bench) -> None:
        assert bench.driver.guest("../../etc").power is Power.ABSENT
        bench.driver.delete_guest("../../etc")
        with pytest.raises(DriverError):
            bench.driver.console_text("../../etc", 10)

    # The host

    def test_the_host_tells_its_facts(self, bench: Bench) -> None:
        report = bench.driver.host_report()
        assert report.vcpus >= 1
        assert report.memory_mib > 64
        assert report.disk_gib >= 1
        assert report.architecture
        assert report.virt_verdict
        assert report.boot_id
        assert "suspend" in report.features
        assert "bios" in report.firmwares

    # Images

    def test_a_guest_without_its_image_is_refused(self, bench: Bench) -> None:
        absent = image_of(str(uuid4()), b"never sent")
        spec = bench.spec(disks=(DiskSpec("root", "vda", 1, absent),))
        with pytest.raises(DriverError) as caught:
            bench.driver.ensure_guest(spec)
        assert caught.value.code == "image.missing"
        assert bench.driver.guest(spec.id).power is Power.ABSENT
        bench.driver.delete_guest(spec.id)

    def test_a_corrupt_image_leaves_nothing_and_may_be_sent_again(self, bench: Bench) -> None:
        image = image_of(str(uuid4()), IMAGE)
        with pytest.raises(DriverError) as caught:
            bench.driver.ensure_image(image, BytesSource(IMAGE[:-1] + b"x"))
        assert caught.value.code == "image.corrupt"
        with pytest.raises(DriverError) as caught:
            bench.driver.ensure_guest(bench.spec(disks=(DiskSpec("root", "vda", 1, image),)))
        assert caught.value.code == "image.missing"
        bench.driver.ensure_image(image, BytesSource(IMAGE))
        bench.driver.ensure_image(image, BytesSource(b"not even looked at"))
        bench.driver.remove_image(image.id)
        bench.driver.remove_image(image.id)

    def test_an_image_of_another_length_is_corrupt(self, bench: Bench) -> None:
        image = image_of(str(uuid4()), IMAGE)
        for content in (IMAGE[:-10], IMAGE + b"more"):
            with pytest.raises(DriverError) as caught:
                bench.driver.ensure_image(image, BytesSource(content))
            assert caught.value.code == "image.corrupt"

    def test_an_image_goes_only_when_no_guest_stands_on_it(self, bench: Bench) -> None:
        image = image_of(str(uuid4()), IMAGE)
        bench.driver.ensure_image(image, BytesSource(IMAGE))
        spec = bench.spec(disks=(DiskSpec("root", "vda", 1, image),))
        bench.driver.ensure_guest(spec)
        bench.driver.remove_image(image.id)
        bench.driver.set_power(spec.id, PowerAction.OFF)
        assert bench.driver.ensure_guest(spec).power is Power.RUNNING
        bench.driver.delete_guest(spec.id)
        bench.driver.remove_image(image.id)
        with pytest.raises(DriverError) as caught:
            bench.driver.ensure_guest(spec)
        assert caught.value.code == "image.missing"
        bench.driver.delete_guest(spec.id)

    # A guest's life

    def test_ensuring_twice_is_ensuring_once(self, bench: Bench) -> None:
        spec = bench.boot(config_drive=ConfigDrive({"openstack/latest/meta_data.json": b"{}"}))
        assert bench.driver.ensure_guest(spec).power is Power.RUNNING
        assert [s.id for s in bench.driver.list_guests()].count(spec.id) == 1
        assert bench.boots(spec.id) == 1
        [found] = [a for a in bench.driver.artifacts() if a.id == spec.id]
        assert found.defined
        assert found.power is Power.RUNNING
        assert any("root" in file for file in found.files)
        bench.driver.delete_guest(spec.id)
        assert bench.driver.guest(spec.id).power is Power.ABSENT
        assert spec.id not in {a.id for a in bench.driver.artifacts()}
        bench.driver.delete_guest(spec.id)

    def test_any_name_will_do(self, bench: Bench) -> None:
        spec = bench.spec(name="<&\"'> Müller 服务器 \x07 \U0001f680", project_id="a&b")
        assert bench.driver.ensure_guest(spec).power is Power.RUNNING
        bench.driver.delete_guest(spec.id)

    def test_off_start_and_reset(self, bench: Bench) -> None:
        watcher = Watcher(bench.driver)
        spec = bench.boot()
        watcher.wait_for(spec.id, Power.RUNNING)
        for _ in range(2):
            assert bench.driver.set_power(spec.id, PowerAction.OFF).power is Power.OFF
        watcher.wait_for(spec.id, Power.OFF)
        for refused in (PowerAction.RESET, PowerAction.PAUSE, PowerAction.SUSPEND, PowerAction.REBOOT):
            with pytest.raises(DriverError) as caught:
                bench.driver.set_power(spec.id, refused)
            assert caught.value.code == "guest.state"
        for _ in range(2):
            assert bench.driver.set_power(spec.id, PowerAction.START).power is Power.RUNNING
        until(lambda: bench.boots(spec.id) == 2, "it boots again")
        assert bench.driver.set_power(spec.id, PowerAction.RESET).power is Power.RUNNING
        until(lambda: bench.boots(spec.id) == 3, "it boots a third time")
        bench.driver.delete_guest(spec.id)
        watcher.wait_for(spec.id, Power.ABSENT)

    def test_pause_and_suspend_keep_the_guest_where_it_was(self, bench: Bench) -> None:
        spec = bench.boot()
        steps = [
            (PowerAction.PAUSE, Power.PAUSED),
            (PowerAction.UNPAUSE, Power.RUNNING),
            (PowerAction.SUSPEND, Power.SUSPENDED),
            (PowerAction.RESUME, Power.RUNNING),
        ]
        for action, result in steps:
            for _ in range(2):
                assert bench.driver.set_power(spec.id, action).power is result
            assert bench.driver.guest(spec.id).power is result
        assert bench.boots(spec.id) == 1
        position = bench.driver.events("", 0).position
        bench.driver.set_power(spec.id, PowerAction.SUSPEND)
        told = [event.power for event in bench.driver.events(position, 5).events if event.guest_id == spec.id]
        assert set(told) == {Power.SUSPENDED}
        assert bench.driver.ensure_guest(spec).power is Power.RUNNING
        assert bench.boots(spec.id) == 1
        bench.driver.set_power(spec.id, PowerAction.SUSPEND)
        bench.driver.delete_guest(spec.id)
        assert bench.driver.guest(spec.id).power is Power.ABSENT

    def test_a_guest_that_powers_itself_off_is_off_within_a_second(self, bench: Bench) -> None:
        spec = bench.boot()
        watcher = Watcher(bench.driver)
        bench.guests.power_off(spec.id)
        watcher.wait_for(spec.id, Power.OFF)
        assert bench.driver.guest(spec.id).power is Power.OFF
        changed = replace(spec, memory_mib=96)
        assert bench.driver.ensure_guest(changed).power is Power.RUNNING
        assert bench.driver.diagnostics(spec.id).memory_maximum_mib == 96
        bench.driver.delete_guest(spec.id)

    def test_a_crash_is_told_and_can_be_started_again(self, bench: Bench) -> None:
        spec = bench.boot()
        watcher = Watcher(bench.driver)
        bench.guests.panic(spec.id)
        watcher.wait_for(spec.id, Power.CRASHED)
        until(lambda: bench.driver.guest(spec.id).power is Power.CRASHED, "it is down")
        assert bench.driver.guest(spec.id).detail
        assert bench.driver.set_power(spec.id, PowerAction.START).power is Power.RUNNING
        bench.driver.delete_guest(spec.id)

    def test_a_guest_may_restart_when_it_crashes(self, bench: Bench) -> None:
        spec = bench.boot(on_crash="restart")
        position = bench.driver.events("", 0).position
        bench.guests.panic(spec.id)
        until(lambda: bench.boots(spec.id) == 2, "it boots again")
        told = {event.power for event in bench.driver.events(position, 0).events if event.guest_id == spec.id}
        assert not told & {Power.OFF, Power.CRASHED, Power.ABSENT}  # it halts for a moment, but never is down
        assert bench.driver.guest(spec.id).power is Power.RUNNING
        bench.driver.delete_guest(spec.id)

    # Consoles and figures

    def test_consoles_and_figures(self, bench: Bench) -> None:
        spec = bench.boot()
        with bench.driver.console(spec.id, ConsoleKind.VNC) as screen:
            screen.settimeout(10)
            assert screen.recv(12) == b"RFB 003.008\n"
        with pytest.raises(DriverError) as caught:
            bench.driver.console(spec.id, ConsoleKind.SPICE)
        assert caught.value.code == "console.unavailable"
        figures = bench.driver.diagnostics(spec.id)
        assert figures.power is Power.RUNNING
        assert figures.memory_maximum_mib == 64
        assert len(figures.cpu_times_ns) == 1
        assert [disk["device"] for disk in figures.disks] == ["vda"]
        text = bench.driver.console_text(spec.id, 65536)
        assert bench.driver.console_text(spec.id, 5) == text[-5:]
        assert bench.driver.console_text(spec.id, 0) == b""
        bench.driver.delete_guest(spec.id)

    def test_a_serial_console_speaks_both_ways_and_ends_with_the_guest(self, bench: Bench) -> None:
        spec = bench.boot()
        with (
            bench.driver.console(spec.id, ConsoleKind.SERIAL) as first,
            bench.driver.console(spec.id, ConsoleKind.SERIAL) as second,
        ):
            first.settimeout(10)
            second.settimeout(10)
            for end, word in ((first, b"abc"), (second, b"xyz")):
                end.sendall(word)
                heard = b""
                while word not in heard:
                    heard += end.recv(100)
            bench.driver.set_power(spec.id, PowerAction.OFF)
            while first.recv(100):
                pass
            while second.recv(100):
                pass
        for kind in (ConsoleKind.SERIAL, ConsoleKind.VNC):
            with pytest.raises(DriverError) as caught:
                bench.driver.console(spec.id, kind)
            assert caught.value.code == "console.unavailable"
        bench.driver.delete_guest(spec.id)

    # Events

    def test_waiting_for_events_ends_in_time_and_with_the_first_event(self, bench: Bench) -> None:
        start = bench.driver.events("", 0)
        assert start.events == ()
        assert bench.driver.events(start.position, 0.05).events == ()
        heard: list[str] = []
        listener = threading.Thread(
            target=lambda: heard.extend(e.guest_id for e in bench.driver.events(start.position, 30).events)
        )
        listener.start()
        spec = bench.spec()
        bench.driver.ensure_guest(spec)
        listener.join(20)
        assert heard[:1] == [spec.id]
        bench.driver.delete_guest(spec.id)
        numbers = [event.sequence for event in bench.driver.events(start.position, 0).events]
        assert numbers == sorted(set(numbers))

    def test_a_position_that_is_not_known_asks_for_a_resync(self, bench: Bench) -> None:
        batch = bench.driver.events("gone:17", 5)
        assert [event.kind for event in batch.events] == [EventKind.RESYNC]
        assert bench.driver.events(batch.position, 0).events == ()


__all__ = ["GREETING", "Bench", "ComputeDriverContract", "Guests", "Watcher", "new_bench"]
