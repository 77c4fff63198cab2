"""Locks of guests, and what is held with them."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from novalite.drivers.compute.libvirt.disk_swaps import DiskSwaps
from novalite.drivers.compute.libvirt.guest_locks import GuestLocks
from novalite.drivers.compute.libvirt.places import GuestPlace
from novalite.drivers.compute.libvirt.signals import Signal
from novalite.errors import DriverError

_DEADLINE = 60.0


def test_one_works_on_a_guest_and_others_are_not_held_up() -> None:
    locks, order, waits = GuestLocks(), list[str](), threading.Event()

    def second() -> None:
        waits.set()
        with locks.alone("a"):
            order.append("second")

    with locks.alone("a"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(_DEADLINE)
        with locks.alone("b"):
            assert len(locks) == 2
        order.append("first")
    thread.join(_DEADLINE)
    assert order == ["first", "second"]


def test_no_lock_stays_behind() -> None:
    locks = GuestLocks()
    for guest_id in ("a", "b", "a"):
        with pytest.raises(ValueError, match="x"), locks.alone(guest_id):
            raise ValueError("x")
    assert len(locks) == 0


class _Connection:
    """Calls at once; the guest is off and has no disks."""

    def call(self, op: str, do: Any, *given: Any) -> Any:
        return do(self, *given)


def test_a_disk_that_is_taken_away_while_it_is_swapped_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    domain = SimpleNamespace(isActive=lambda: False, XMLDesc=lambda flags=0: "<domain><devices/></domain>")
    domains = SimpleNamespace(known=lambda *given: domain)
    places = SimpleNamespace(guest=lambda guest_id: GuestPlace(Path("/g"), Path("/g")))
    swaps = DiskSwaps(cast(Any, _Connection()), cast(Any, domains), cast(Any, places), Signal())
    monkeypatch.setattr(swaps, "_is_active", lambda *given: False)
    monkeypatch.setattr(swaps, "_swap_stopped", lambda *given: None)  # it went just after
    with pytest.raises(DriverError) as told:
        swaps.swap("g", "data", ET.Element("disk"), 0)
    assert told.value.code == "disk.not_found"
