"""Waiting for a task that a request has left behind, where a caller expects its end in the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from novalite.cloud.tasks import tasks
from novalite.cloud.tasks.tasks import Task
from novalite.context import Context
from novalite.db.work import Database
from novalite.errors import Busy

_LOOK_SECONDS = 2.0


class Endings:
    """Hears of the ends of tasks. A waiter looks at the record too: it is the record that counts. Not more than
    ``most`` wait at once: the other threads are for requests that need not wait."""

    def __init__(self, most: int) -> None:
        self._turns = threading.BoundedSemaphore(most)
        self._ended = threading.Condition()
        self._awaited: dict[str, bool] = {}

    def on_change(self, topic: str, id: str, project_id: str) -> None:
        """A listener for ``Database.listen``."""
        if topic == tasks.DONE_TOPIC and id in self._awaited:
            with self._ended:
                self._awaited[id] = True
                self._ended.notify_all()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Take a place among those who wait, before anything is begun. Raises ``Busy`` when all are taken."""
        if not self._turns.acquire(blocking=False):
            raise Busy("Too many requests wait for what they have asked for.", hint="Try again in a moment.")
        try:
            yield
        finally:
            self._turns.release()

    def wait(self, database: Database, ctx: Context, task_id: str, seconds: float) -> Task | None:
        """The ended task; None when it has not ended after ``seconds``. No unit may be open meanwhile."""
        deadline = time.monotonic() + seconds
        with self._ended:
            self._awaited[task_id] = False
        try:
            while True:
                with database.read(ctx) as w:
                    task = w.session.get(Task, task_id)
                if task is None or task.state in tasks.ENDED:
                    return task
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                with self._ended:
                    self._ended.wait_for(lambda: self._awaited[task_id], min(left, _LOOK_SECONDS))
                    self._awaited[task_id] = False
        finally:
            with self._ended:
                self._awaited.pop(task_id, None)
