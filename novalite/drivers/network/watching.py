"""Notices what is missing: by what the kernel tells, by servers that end, and by a look from time to time."""

from __future__ import annotations

import threading
import time

from novalite.clock import Deadline
from novalite.drivers.network import links
from novalite.drivers.network.alarm import Alarm
from novalite.drivers.network.events import Events
from novalite.drivers.network.machine import Machine
from novalite.drivers.network.networks import Networks
from novalite.drivers.network.routers import Routers

_SETTLE_SECONDS = 0.2  # between two looks that the kernel asks for
_REST = 9  # times as long as a look takes, so that looks at thousands of links leave time for other work


class Watch:
    """One thread at a time may ``wait``; the others may be called from any."""

    def __init__(self, networks: Networks, routers: Routers, machine: Machine, look_seconds: float) -> None:
        self._networks, self._routers, self._machine = networks, routers, machine
        self._look_seconds, self._look = look_seconds, Deadline(look_seconds)
        self._settled = Deadline(0)
        self._alarm, self._events = Alarm(), Events()
        self._news: set[str] = set()  # networks on which an address was learned
        self._lock = threading.Lock()
        self._closed = False

    def ring(self) -> None:
        """Something was changed: there may be other servers to wait for."""
        self._alarm.ring()

    def tell(self, network_id: str) -> None:
        """An address was learned on the network: ``wait`` returns it."""
        self._news.add(network_id)
        self._alarm.ring()

    def problems(self) -> tuple[str, ...]:
        """What is missing, as sentences."""
        near = links.names()
        found = [fault for known in self._networks.all() for fault in self._networks.faults(known, near)]
        found += [f"Router {id_} is not as it should be." for id_ in self._routers.missing()]
        return (*found, *self._machine.problems())

    def wait(self, seconds: float) -> tuple[str, ...]:
        """Ids of networks and routers to repair; none when the time is up, or ``close`` was called."""
        deadline = Deadline(seconds)
        due = False
        with self._lock:
            while not self._closed:
                due = due or self._look.passed
                broken = self._torn() if due and self._settled.passed else self._dead()
                due = due and not self._settled.passed
                news = {self._news.pop() for _ in range(len(self._news))}
                if broken or news or deadline.passed:
                    return tuple(sorted({*broken, *news}))
                times = [deadline.remaining, self._look.remaining, *([self._settled.remaining] if due else [])]
                due = self._await_change(min(times)) or due
                due = self._events.heard() or due
            return ()

    def _await_change(self, seconds: float) -> bool:
        """Whether a server had ended before."""
        served = [known.server.pidfd() for known in self._networks.all() if known.is_served]
        found = [*served, *self._routers.descriptors(), *self._machine.descriptors()]
        alive = [descriptor for descriptor in found if descriptor is not None]
        has_ended = len(alive) < len(found)
        most = min(seconds, self._settled.remaining) if has_ended else seconds
        self._alarm.wait(alive, most, self._events.descriptors())
        return has_ended

    def _torn(self) -> tuple[str, ...]:
        """Networks and routers of which something is missing."""
        self._look, began = Deadline(self._look_seconds), time.monotonic()
        near = links.names()
        found = {known.spec.id for known in self._networks.all() if self._networks.faults(known, near)}
        found.update(self._routers.missing(), self._machine.missing())
        self._settled = Deadline(max(_SETTLE_SECONDS, _REST * (time.monotonic() - began)))
        return tuple(sorted(found))

    def _dead(self) -> tuple[str, ...]:
        """Networks and routers whose servers have ended."""
        found = []
        for known in self._networks.all():
            with known.lock:
                if known.is_served and self._networks.is_known(known.spec.id) and known.server.pid() is None:
                    found.append(known.spec.id)
        return tuple(found)

    def close(self) -> None:
        self._closed = True
        self._alarm.ring()
        with self._lock:
            self._events.close()
