"""Guests that others made, on the fake host: those that a test puts there."""

from __future__ import annotations

import threading
from abc import ABC
from dataclasses import replace

import msgspec

from novalite.drivers.compute.base import ForeignGuest, Power
from novalite.drivers.compute.fake_faults import Faults
from novalite.drivers.compute.fake_store import FakeGuest, FakeStore
from novalite.errors import DriverError


class FakeAdoptions(ABC):
    """Implements ``AdoptsGuests``. A definition is the guest itself as JSON."""

    _faults: Faults
    _lock: threading.RLock
    _store: FakeStore
    _guests: dict[str, FakeGuest]
    _foreign: dict[str, ForeignGuest]

    def somebody_makes(self, guest: ForeignGuest) -> None:
        """A guest that is none of the appliance's."""
        with self._lock:
            self._put(guest)

    def _put(self, guest: ForeignGuest) -> None:
        bare = replace(guest, definition="")
        self._foreign[guest.id] = replace(bare, definition=msgspec.json.encode(bare).decode())
        self._store.save_foreign(list(self._foreign.values()))

    def foreign_guests(self) -> tuple[ForeignGuest, ...]:
        self._faults.enter("foreign_guests")
        with self._lock:
            known = sorted(self._foreign.values(), key=lambda guest: guest.name)
        return tuple(ForeignGuest(guest.name, guest.id, guest.power) for guest in known)

    def foreign_guest(self, name: str) -> ForeignGuest:
        self._faults.enter("foreign_guest")
        with self._lock:
            for guest in self._foreign.values():
                if name in (guest.name, guest.id):
                    return guest
        raise DriverError("foreign_guest", f"there is no domain {name}", code="guest.not_found")

    def take_guest(self, guest_id: str) -> None:
        self._faults.enter("take_guest")
        with self._lock:
            found = self._foreign.get(guest_id)
            if found is not None and found.power is not Power.OFF:
                raise DriverError("take_guest", "the domain is not off", code="guest.state")
            if found is not None:
                del self._foreign[guest_id]
                self._store.save_foreign(list(self._foreign.values()))

    def give_guest_back(self, guest_id: str, definition: str, starts_with_machine: bool) -> None:
        self._faults.enter("give_guest_back")
        with self._lock:
            guest = self._guests.get(guest_id)
            if guest is not None and guest.power is not Power.OFF:
                raise DriverError("give_guest_back", "the guest is not off", code="guest.state")
            if guest is not None:
                del self._guests[guest_id]
                self._store.remove(guest_id)
            back = msgspec.json.decode(definition.encode(), type=ForeignGuest)
            self._put(replace(back, starts_with_machine=starts_with_machine))
