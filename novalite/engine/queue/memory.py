"""The queue within one process."""

from __future__ import annotations

import threading
from collections import deque

from novalite.clock import Deadline


class MemoryQueue:
    """First in, first out; an id that already waits is not added again."""

    def __init__(self) -> None:
        self._ids: deque[str] = deque()
        self._waiting: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, task_id: str) -> None:
        with self._changed:
            if task_id not in self._waiting:
                self._ids.append(task_id)
                self._waiting.add(task_id)
                self._changed.notify()

    def get(self, timeout_seconds: float) -> str | None:
        deadline = Deadline(timeout_seconds)
        with self._changed:
            while not self._ids and not self._closed and not deadline.passed:
                self._changed.wait(deadline.remaining)
            if not self._ids or self._closed:
                return None
            task_id = self._ids.popleft()
            self._waiting.discard(task_id)
            return task_id

    def size(self) -> int:
        with self._changed:
            return len(self._ids)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
