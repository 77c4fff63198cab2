"""What hosts report becomes changes of records, and wakes the tasks that wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from novalite import logs
from novalite.cloud.compute import consoles, progress
from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.compute.base import EventKind, GuestEvent, Power
from novalite.engine.links import Links
from novalite.errors import NovaLiteError

_log = logs.get("events")
_POLL_SECONDS = 20.0
_CALM_SECONDS = 2.0


def guest_event(server_id: str) -> str:
    """The event that tasks wait for when a guest shall change."""
    return f"guest:{server_id}"


class HostEvents:
    """Listens to one host. ``resync(host)`` is called when events may have been lost."""

    def __init__(self, database: Database, links: Links, host: str, resync: Callable[[str], None]) -> None:
        self._database = database
        self._links = links
        self._host = host
        self._resync = resync

    def loop(self, stop: threading.Event) -> None:
        """One long poll after the other; an unreachable host is asked again after a short while."""
        position, lost = "", True
        while not stop.is_set():
            try:
                if lost:
                    position = self._links.driver(self._host).events("", 0).position
                    self._resync(self._host)
                    lost = False
                batch = self._links.driver(self._host).events(position, _POLL_SECONDS)
            except NovaLiteError as error:
                if stop.is_set():
                    break
                if not lost:
                    _log.warning("host stopped answering", host=self._host, error=str(error))
                lost = True
                stop.wait(_CALM_SECONDS)
                continue
            position = batch.position
            for event in batch.events:
                self._take(event)

    def _take(self, event: GuestEvent) -> None:
        if event.kind == EventKind.RESYNC:
            self._resync(self._host)
            return
        _log.info("guest changed", host=self._host, server_id=event.guest_id, power=event.power.value)
        with self._database.write(internal()) as w:
            progress.observed(w, event.guest_id, event.power.value, event.detail, host=self._host)
            if event.power in (Power.OFF, Power.ABSENT, Power.CRASHED):
                consoles.revoke_server(w, event.guest_id)
            tasks.wake(w, guest_event(event.guest_id))
