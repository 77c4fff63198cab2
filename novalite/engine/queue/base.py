"""The port to a queue: it carries task ids, nothing else. Losing or doubling one is harmless."""

from __future__ import annotations

from typing import Protocol


class Queue(Protocol):
    def put(self, task_id: str) -> None:
        """Wake a worker for a task; never blocks."""

    def get(self, timeout_seconds: float) -> str | None:
        """The next id, or None when the time is up or the queue is closed."""

    def size(self) -> int:
        """Ids that wait."""

    def close(self) -> None:
        """Wake every waiting worker with None."""
