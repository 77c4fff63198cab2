"""A bounded log of guest events with a long poll: what every local driver offers as ``events``."""

from __future__ import annotations

import threading
from collections import deque
from uuid import uuid4

from novalite.drivers.compute.base import EventBatch, EventKind, GuestEvent, Power
from novalite.errors import HostUnreachable


class EventLog:
    """Positions look like ``epoch:sequence``; a position of another epoch, or older than the log keeps,
    is answered with ``RESYNC``."""

    def __init__(self, keep: int = 4096) -> None:
        self._epoch = uuid4().hex[:12]
        self._sequence = 0
        self._events: deque[GuestEvent] = deque(maxlen=keep)
        self._changed = threading.Condition()
        self._closed = False

    def power(self, guest_id: str, power: Power, detail: str = "") -> None:
        """Add a change of one guest and wake everyone who waits."""
        self._add(EventKind.POWER, guest_id, power, detail)

    def resync(self, detail: str) -> None:
        """Tell everyone that events may have been lost."""
        self._add(EventKind.RESYNC, "", Power.ABSENT, detail)

    def _add(self, kind: EventKind, guest_id: str, power: Power, detail: str) -> None:
        with self._changed:
            self._sequence += 1
            self._events.append(GuestEvent(self._sequence, kind, guest_id, power, detail))
            self._changed.notify_all()

    def since(self, position: str, timeout_seconds: float) -> EventBatch:
        """Events after ``position`` ('' = from now on); an empty batch when the time is up.
        Raises ``HostUnreachable`` once the log is closed."""
        with self._changed:
            after = self._sequence if not position else self._known(position)
            if after is None:
                lost = GuestEvent(self._sequence, EventKind.RESYNC, detail="events before this were not kept")
                return EventBatch(self._position(), (lost,))
            self._changed.wait_for(lambda: self._closed or self._sequence > after, timeout_seconds)
            if self._closed:
                raise HostUnreachable("The connection to the compute host was closed.")
            fresh: list[GuestEvent] = []
            for event in reversed(self._events):
                if event.sequence <= after:
                    break
                fresh.append(event)
            return EventBatch(self._position(), tuple(reversed(fresh)))

    def _position(self) -> str:
        return f"{self._epoch}:{self._sequence}"

    def _known(self, position: str) -> int | None:
        epoch, _, number = position.partition(":")
        if epoch != self._epoch or not number.isdecimal():
            return None
        after = int(number)
        oldest = self._events[0].sequence if self._events else self._sequence + 1
        return after if oldest - 1 <= after <= self._sequence else None

    def close(self) -> None:
        """Wake everyone who waits; they get ``HostUnreachable``."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
