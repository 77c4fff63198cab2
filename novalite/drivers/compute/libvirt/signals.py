"""What one thread is told while others wait for it."""

from __future__ import annotations

import threading


class Signal:
    """Whoever takes ``heard`` before a look, and waits with it afterwards, misses nothing that was told between."""

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._told = 0

    def tell(self) -> None:
        with self._state:
            self._told += 1
            self._state.notify_all()

    def heard(self) -> int:
        with self._state:
            return self._told

    def wait(self, heard: int, seconds: float) -> bool:
        """Whether something was told since, before the time was over."""
        with self._state:
            return self._state.wait_for(lambda: self._told != heard, seconds)
