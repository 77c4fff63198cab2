"""Slows down guessing: a name that failed too often waits. Bounded in memory, whatever names are tried."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_NAMES = 4096


class LoginLimiter:
    """``failures`` within ``seconds`` make a name wait until ``seconds`` after the last of them."""

    def __init__(self, failures: int, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures, self._seconds, self._clock = failures, seconds, clock
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def waits(self, name: str) -> bool:
        with self._lock:
            count, last = self._seen.get(name, (0, 0.0))
            return count >= self._failures and self._clock() < last + self._seconds

    def failed(self, name: str) -> None:
        with self._lock:
            now = self._clock()
            count, last = self._seen.pop(name, (0, now))
            self._seen[name] = (count + 1 if now < last + self._seconds else 1, now)
            while len(self._seen) > MOST_NAMES:
                self._seen.popitem(last=False)

    def succeeded(self, name: str) -> None:
        with self._lock:
            self._seen.pop(name, None)
