"""Free space for copies: a copy that would fill the disk is refused before it begins, since guests write there too."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from novalite.errors import DriverError

_MIB = 1 << 20
_HINT = "Remove what is not needed, or give the host more disk; then try again."


class Room:
    """The file system of ``place``, or what ``free`` tells of it. ``reserve`` bytes are kept for what guests write."""

    def __init__(self, place: Path, reserve: int = 0, free: Callable[[], int] | None = None) -> None:
        self._place, self._reserve = place, reserve
        self._free = free or (lambda: shutil.disk_usage(place).free)
        self._lock = threading.Lock()
        self._taken = 0

    @contextmanager
    def taken(self, op: str, size: int, what: str) -> Iterator[None]:
        """``size`` bytes are for the caller meanwhile. Raises ``DriverError`` with code ``disk.full`` unless they are
        there, besides the reserve and what other copies have taken."""
        with self._lock:
            self._require(op, size, what)
            self._taken += size
        try:
            yield
        finally:
            with self._lock:
                self._taken -= size

    def require(self, op: str, size: int, what: str) -> None:
        """The same for what is written at once."""
        with self._lock:
            self._require(op, size, what)

    def _require(self, op: str, size: int, what: str) -> None:
        free = self._free()
        if size <= free - self._reserve - self._taken:
            return
        told = f"{what} needs {_mib(size)} MiB, {free // _MIB} MiB are free in {self._place}"
        for amount, why in ((self._reserve, "are kept back"), (self._taken, "are promised to other copies")):
            if amount:
                told += f", of which {_mib(amount)} {why}"
        raise DriverError(op, told, code="disk.full", retryable=True, hint=_HINT)


def _mib(size: int) -> int:
    return -(-size // _MIB)
