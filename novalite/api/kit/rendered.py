"""Answers made before, kept for as long as what they were made from has not changed."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from msgspec import Raw

_MOST_BYTES = 16 * 1024 * 1024


class Rendered:
    """JSON texts by a key that changes with their object (its id and revision, the version, the caller's sight).

    What goes into an answer beside its object has topics; any change in ``TOPICS`` makes all texts stale. A
    text made while such a change was under way is never kept: ``put`` takes the epoch its making began in.
    """

    TOPICS = frozenset({"network", "subnet", "port", "security_group", "floating_ip"})

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._texts: dict[Hashable, Raw] = {}
        self._bytes = 0
        self._epoch = 0
        self._lock = threading.Lock()

    @property
    def epoch(self) -> int:
        return self._epoch

    def on_change(self, topic: str, id: str, project_id: str) -> None:
        """A listener for ``Database.listen``."""
        if topic in self.TOPICS:
            with self._lock:
                self._epoch += 1
                self._forget()

    def get(self, key: Hashable) -> Raw | None:
        return self._texts.get(key)

    def put(self, key: Hashable, text: Raw, epoch: int) -> None:
        with self._lock:
            if epoch != self._epoch:
                return
            if self._bytes >= self.most_bytes:
                self._forget()
            self._texts[key] = text
            self._bytes += len(bytes(text))

    def _forget(self) -> None:
        self._texts.clear()
        self._bytes = 0
