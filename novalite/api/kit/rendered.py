"""Answers made before, kept for as long as what they were made from has not changed."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from msgspec import Raw

_MOST = 50_000


class Rendered:
    """JSON texts by a key that changes with their object (its id and revision, the version, the caller's sight).

    What goes into an answer beside its object has topics; any change in ``TOPICS`` makes all texts stale. A
    text made while such a change was under way is never kept: ``put`` takes the epoch its making began in.
    """

    TOPICS = frozenset({"network", "subnet", "port", "security_group", "floating_ip"})

    def __init__(self) -> None:
        self._texts: dict[Hashable, Raw] = {}
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
                self._texts.clear()

    def get(self, key: Hashable) -> Raw | None:
        return self._texts.get(key)

    def put(self, key: Hashable, text: Raw, epoch: int) -> None:
        with self._lock:
            if epoch != self._epoch:
                return
            if len(self._texts) >= _MOST:
                self._texts.clear()
            self._texts[key] = text
