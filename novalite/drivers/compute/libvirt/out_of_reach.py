"""Guests that stand still because the machine that exports a disk of theirs is away: they go on when it is back."""

from __future__ import annotations

import threading
from typing import Any

import libvirt

from novalite import logs
from novalite.drivers.compute.base import OUT_OF_REACH
from novalite.drivers.compute.libvirt.connection import Connection
from novalite.drivers.compute.libvirt.domains import Domains
from novalite.errors import NovaLiteError

_log = logs.get("libvirt")
_FIRST_SECONDS, _LONGEST_SECONDS = 0.5, 10.0
_LOOK_SECONDS = 30.0
_NOT_AS_THOUGHT = (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN)


class OutOfReach:
    """QEMU asks the machine again when a guest goes on; without an answer the guest stands still again. Guests that
    somebody paused stay so."""

    def __init__(self, connection: Connection, domains: Domains) -> None:
        self._connection, self._domains = connection, domains
        self._failed, self._stop = threading.Event(), threading.Event()

    def failed(self) -> None:
        """Some guest stands still."""
        self._failed.set()

    def close(self) -> None:
        self._stop.set()
        self._failed.set()

    def loop(self) -> None:
        """Until closed."""
        pause = _FIRST_SECONDS
        while not self._stop.is_set():
            self._failed.clear()
            if self._try_again():
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_SECONDS)
            else:
                pause = _FIRST_SECONDS
                self._failed.wait(_LOOK_SECONDS)

    def _try_again(self) -> bool:
        try:
            waiting: bool = self._connection.call("try_again", self._resume)
        except NovaLiteError as error:
            _log.info("waiting_guests_not_seen_to", error=str(error))
            return False
        return waiting

    def _resume(self, connection: Any) -> bool:
        """Whether any stood still."""
        waiting = [state.id for state in self._domains.states(connection) if state.detail == OUT_OF_REACH]
        for guest_id in waiting:
            domain = self._domains.find(connection, guest_id)
            try:
                if domain is not None:
                    domain.resume()
            except libvirt.libvirtError as error:
                if error.get_error_code() not in _NOT_AS_THOUGHT:  # it went on, or ended, meanwhile
                    raise
            _log.warning("guest_asks_again", guest=guest_id, why="the machine that exports its disk did not answer")
        return bool(waiting)
