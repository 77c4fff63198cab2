"""The scheduler's thread: placements are decided one after the other, so no two of this process race for a host."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from novalite.errors import Busy

T = TypeVar("T")
_TURN_SECONDS = 60.0


class Scheduling:
    """``do`` runs a decision in the scheduler's thread and waits for it."""

    def __init__(self) -> None:
        self._inbox: queue.Queue[tuple[Callable[[], Any], Future[Any]] | None] = queue.Queue()

    def do(self, decide: Callable[[], T]) -> T:
        """What ``decide`` returns or raises. Raises ``Busy`` when its turn does not come in time."""
        future: Future[T] = Future()
        self._inbox.put((decide, future))
        try:
            return future.result(timeout=_TURN_SECONDS)
        except TimeoutError:
            future.cancel()
            raise Busy("The scheduler did not answer in time.", hint="The placement is tried again.") from None

    def close(self) -> None:
        """Nobody asks any more: the component ends after what waits now."""
        self._inbox.put(None)

    def backlog(self) -> int:
        return self._inbox.qsize()

    def loop(self, stop: threading.Event) -> None:
        """One decision at a time until ``close``; what waits then is still decided."""
        while asked := self._inbox.get():
            decide, future = asked
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(decide())
            except BaseException as error:  # noqa: BLE001  whoever asked is told
                future.set_exception(error)
