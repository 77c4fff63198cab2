"""What the fake host does beyond the contract: misbehave on command, and outlive its process."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.compute.base import DiskSpec, EventKind, GuestSpec, NicSpec, Power, PowerAction
from novalite.drivers.compute.fake import FakeDriver
from novalite.errors import DriverError, HostUnreachable
from tests.contracts.boot_sector import BytesSource, image_of
from tests.contracts.waiting import until

IMAGE = image_of("image", b"bytes")


def _spec(guest_id: str = "") -> GuestSpec:
    nic = NicSpec("port", "fa:16:3e:00:00:01", "tap")
    return GuestSpec(guest_id or str(uuid4()), "web", "project", 1, 64, (DiskSpec("root", "vda", 1, IMAGE),), (nic,))


@pytest.fixture
def fake() -> FakeDriver:
    driver = FakeDriver("here")
    driver.ensure_image(IMAGE, BytesSource(b"bytes"))
    return driver


def test_a_failure_on_command_comes_once(fake: FakeDriver) -> None:
    fake.fail_next("ensure_guest", DriverError("ensure_guest", "no", code="disk.full"))
    with pytest.raises(DriverError) as caught:
        fake.ensure_guest(_spec())
    assert caught.value.code == "disk.full"
    assert fake.list_guests() == ()
    assert fake.ensure_guest(_spec()).power is Power.RUNNING
    assert fake.calls["ensure_guest"] == 2


def test_a_held_call_waits_until_it_is_let_go(fake: FakeDriver) -> None:
    gate = fake.hold("delete_guest")
    spec = _spec()
    fake.ensure_guest(spec)
    deleting = threading.Thread(target=fake.delete_guest, args=(spec.id,))
    deleting.start()
    until(lambda: fake.calls.get("delete_guest"), "the call has begun")
    assert fake.guest(spec.id).power is Power.RUNNING
    gate.set()
    deleting.join(60)
    assert fake.guest(spec.id).power is Power.ABSENT


def test_a_delay_makes_calls_slow_and_ends_with_the_driver(fake: FakeDriver) -> None:
    fake.delay("guest", 0.05)
    started = time.monotonic()
    fake.guest("any")
    assert time.monotonic() - started >= 0.05
    fake.delay("guest", 60)
    ends: list[type[Exception]] = []

    def ask() -> None:
        try:
            fake.guest("any")
        except HostUnreachable as error:
            ends.append(type(error))

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: fake.calls["guest"] == 2, "the call has begun")
    fake.close()
    asking.join(60)
    assert ends == [HostUnreachable]


def test_an_unreachable_host_comes_back_with_a_resync(fake: FakeDriver) -> None:
    position = fake.events("", 0).position
    fake.set_unreachable(True)
    with pytest.raises(HostUnreachable):
        fake.host_report()
    fake.set_unreachable(False)
    assert [event.kind for event in fake.events(position, 0).events] == [EventKind.RESYNC]


def test_a_power_cut_leaves_definitions_but_no_running_guest(fake: FakeDriver) -> None:
    spec = _spec()
    fake.ensure_guest(spec)
    before = fake.host_report().boot_id
    fake.power_cut()
    assert fake.guest(spec.id).power is Power.OFF
    assert fake.host_report().boot_id != before
    [found] = fake.artifacts()
    assert found.defined
    assert found.taps == ()


def test_a_vanished_definition_leaves_an_orphan(fake: FakeDriver) -> None:
    spec = _spec()
    fake.ensure_guest(spec)
    fake.guest_vanishes(spec.id)
    assert fake.guest(spec.id).power is Power.ABSENT
    assert [(a.id, a.defined, a.files) for a in fake.artifacts()] == [(spec.id, False, ("root.qcow2",))]
    assert fake.ensure_guest(spec).power is Power.RUNNING


def test_a_guest_may_ignore_its_power_button(fake: FakeDriver) -> None:
    spec = _spec()
    fake.ensure_guest(spec)
    fake.ignore_shutdown(spec.id)
    assert fake.set_power(spec.id, PowerAction.SHUTDOWN).power is Power.RUNNING
    assert fake.set_power(spec.id, PowerAction.OFF).power is Power.OFF


def test_guests_outlive_the_process_when_asked_to(tmp_path: Path) -> None:
    first = FakeDriver("here", state_dir=tmp_path)
    first.ensure_image(IMAGE, BytesSource(b"bytes"))
    spec, gone = _spec(), _spec()
    first.ensure_guest(spec)
    first.ensure_guest(gone)
    first.delete_guest(gone.id)
    again = FakeDriver("here", state_dir=tmp_path)  # without a word of farewell to the first
    assert [(s.id, s.power) for s in again.list_guests()] == [(spec.id, Power.RUNNING)]
    assert again.console_text(spec.id, 100) == first.console_text(spec.id, 100)
    assert again.host_report().boot_id == first.host_report().boot_id
    assert again.ensure_guest(_spec()).power is Power.RUNNING


def test_ten_thousand_guests_are_no_trouble(fake: FakeDriver) -> None:
    for _ in range(10_000):
        fake.ensure_guest(_spec())
    assert len(fake.list_guests()) == fake.host_report().running_guests == 10_000
