"""Long work of a host in a thread beside the task, which looks meanwhile whether anybody still wants it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from novalite.errors import Failed

LOOK_SECONDS = 1.0
_END_SECONDS = 60.0

T = TypeVar("T")


def run(work: Callable[[], T], require_wanted: Callable[[], None], call_off: Callable[[], None]) -> T:
    """What ``work`` gives. When ``require_wanted`` raises ``Failed`` the work is called off first."""
    working = _begin(work)
    while not wait((working,), timeout=LOOK_SECONDS).done:
        try:
            require_wanted()
        except Failed:
            call_off()
            wait((working,), timeout=_END_SECONDS)
            raise
    return working.result()


def _begin(work: Callable[[], T]) -> Future[T]:
    """Work in a thread that the end of the process does not wait for."""
    future: Future[T] = Future()

    def act() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001  raised again where the result is wanted
            future.set_exception(error)

    threading.Thread(target=act, name="beside", daemon=True).start()
    return future
