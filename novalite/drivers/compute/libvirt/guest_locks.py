"""A lock for each guest that somebody works on, for as long as somebody does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Lock:
    def __init__(self) -> None:
        self.held, self.users = threading.Lock(), 0


class GuestLocks:
    def __init__(self) -> None:
        self._locks: dict[str, _Lock] = {}
        self._counting = threading.Lock()

    @contextmanager
    def alone(self, guest_id: str) -> Iterator[None]:
        """Wait for whoever works on the guest."""
        with self._counting:
            lock = self._locks.setdefault(guest_id, _Lock())
            lock.users += 1
        try:
            with lock.held:
                yield
        finally:
            with self._counting:
                lock.users -= 1
                if not lock.users:
                    del self._locks[guest_id]

    def __len__(self) -> int:
        return len(self._locks)
