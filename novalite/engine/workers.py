"""Workers: claim a task, walk its steps, save progress after each, retry, undo. ``kill -9`` anywhere is fine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog

from novalite import clock, logs
from novalite.cloud.tasks import tasks
from novalite.context import Context, internal
from novalite.engine.flow import Flow, Parts, Registry, Run, Step, Wait
from novalite.engine.queue.base import Queue
from novalite.errors import DriverError, NovaLiteError, Unavailable

_log = logs.get("worker")
_RETRY_SECONDS = (0.5, 1, 2, 5, 10)
_MISHAPS = 10
"""How often a worker may fail to go on with a task (a locked database, a bug) before it ends the task."""

Alarm = Callable[[datetime, str], None]
Boundary = Callable[[str], None]


class Cancelled(NovaLiteError):
    """A task was asked to stop."""

    default_code = "task.cancelled"


def _error_record(error: Exception) -> dict[str, Any]:
    if isinstance(error, NovaLiteError):
        return {"code": error.code, "message": error.message, "hint": error.hint, "type": type(error).__name__}
    # What a library says may hold anything, SQL and values included: that is for the log alone.
    message = f"Something unexpected went wrong ({type(error).__name__})."
    return {
        "code": "failed",
        "message": message,
        "hint": "NovaLite's log tells the rest.",
        "type": type(error).__name__,
    }


def _told(error: Exception) -> str:
    """What the history of a task keeps of an error."""
    return str(error) if isinstance(error, NovaLiteError) else str(_error_record(error)["message"])


def _error_from(record: dict[str, Any] | None) -> Exception:
    record = record or {}
    kind = Cancelled if record.get("type") == "Cancelled" else NovaLiteError
    return kind(record.get("message", "unknown"), code=record.get("code"), hint=record.get("hint", ""))


def _retryable(error: Exception) -> bool:
    return isinstance(error, Unavailable) or (isinstance(error, DriverError) and error.retryable)


def _seconds_before_retry(failures: int) -> float:
    return float(_RETRY_SECONDS[min(max(failures, 1), len(_RETRY_SECONDS)) - 1])


class Workers:
    """Runs tasks. ``alarm(when, task_id)`` must put the id on the queue at that time; ``boundary(name)`` is
    told of every step boundary (``server.boot/spawn:done`` and so on), for tests that stop the process there."""

    def __init__(self, parts: Parts, registry: Registry, queue: Queue, alarm: Alarm, boundary: Boundary) -> None:
        self._parts = parts
        self._registry = registry
        self._queue = queue
        self._alarm = alarm
        self._boundary = boundary
        self._busy = 0
        self._lock = threading.Lock()

    @property
    def busy(self) -> int:
        """How many tasks run now."""
        return self._busy

    def loop(self, stop: threading.Event) -> None:
        """One worker thread's life: until ``stop``, finishing the step it is in."""
        while not stop.is_set():
            task_id = self._queue.get(timeout_seconds=5)
            if task_id is not None:
                self.run_one(task_id, stop)

    def run_one(self, task_id: str, stop: threading.Event | None = None) -> None:
        """Claim and run one task as far as it goes now."""
        with self._parts.database.write(internal()) as w:
            task = tasks.claim(w, task_id)
        if task is None:
            return
        with self._lock:
            self._busy += 1
        try:
            with structlog.contextvars.bound_contextvars(
                task_id=task.id, request_id=task.request_id, resource_id=task.resource_id
            ):
                self._attempt(task, stop or threading.Event())
        finally:
            with self._lock:
                self._busy -= 1

    def _attempt(self, task: tasks.Task, stop: threading.Event) -> None:
        try:
            _Attempt(self, task, stop).go()
        except Exception as error:  # noqa: BLE001  a task is never left without an owner
            _log.error("could not go on with a task", kind=task.kind, step=task.step, exc_info=error)
            while not self._let_go(task, error) and not stop.wait(1):
                pass

    def _let_go(self, task: tasks.Task, error: Exception) -> bool:
        """Queue a task that its worker could not go on with, or end it when that has happened too often."""
        failures = task.attempts + 1
        try:
            with self._parts.database.write(internal(task.request_id)) as w:
                when = w.now + timedelta(seconds=_seconds_before_retry(failures))
                if failures < _MISHAPS:
                    tasks.give_back(w, task.id, after=when, attempts=failures)
                else:
                    task.error = _error_record(error)
                    tasks.finish(w, task, tasks.State.FAILED)
        except Exception as again:  # noqa: BLE001  whatever keeps the database from us, it may pass
            _log.error("could not let go of a task", kind=task.kind, step=task.step, exc_info=again)
            return False
        self._alarm(when, task.id)
        return True


class _Attempt:
    """One claimed task, from its claim to its end, its next pause, or the end of the process."""

    def __init__(self, workers: Workers, task: tasks.Task, stop: threading.Event) -> None:
        self._workers = workers
        self._task = task
        self._stop = stop
        self._flow: Flow = workers._registry.flow(task.kind)
        self._db = workers._parts.database
        self._ctx = internal(task.request_id)
        who = Context(user_id=task.user_id, project_id=task.project_id, request_id=task.request_id)
        self._run = Run(task.id, task.args, task.memo, who, workers._parts)

    def go(self) -> None:
        self._at("claimed")
        while self._step_once():
            if self._stop.is_set():
                self._put_back()
                return

    def _at(self, what: str) -> None:
        self._workers._boundary(f"{self._task.kind}/{what}")

    def _put_back(self) -> None:
        with self._db.write(self._ctx) as w:
            tasks.retry(w, self._task, after=w.now)

    def _step_once(self) -> bool:
        """One step forward or back; whether to go on."""
        task, flow = self._task, self._flow
        if task.cancel_requested and not task.undoing:
            return self._turn_back(self._cancellation(), flow.index(task.step))
        step = flow.steps[flow.index(task.step)]
        return self._undo(step) if task.undoing else self._forward(step)

    def _cancellation(self) -> Cancelled:
        deadline = self._task.deadline_at
        if deadline is not None and deadline < clock.now():
            return Cancelled("The task did not finish in time.", code="task.deadline")
        return Cancelled("The task was cancelled.")

    def _forward(self, step: Step) -> bool:
        started_at = clock.now()
        self._at(f"{step.name}:begin")
        try:
            outcome = step.run(self._run)
        except Exception as error:  # noqa: BLE001  workers record whatever a step raises
            return self._step_failed(step, error, started_at)
        self._at(f"{step.name}:done")
        if isinstance(outcome, Wait):
            return self._wait(outcome)
        self._complete(step, started_at)
        return self._task.state == tasks.State.RUNNING

    def _complete(self, step: Step, started_at: datetime) -> None:
        task, position = self._task, self._flow.index(step.name) + 1
        with self._db.write(self._ctx) as w:
            tasks.record_step(w, task, name=step.name, undone=False, started_at=started_at, result="Success")
            if position == len(self._flow.steps):
                tasks.finish(w, task, tasks.State.DONE)
                task.state = tasks.State.DONE
            else:
                following = self._flow.steps[position]
                task.cancel_requested = tasks.advance(w, task, step=following.name, undoing=False)
                if following.shows:
                    self._flow.show(w, self._run, following.shows)
        self._at(f"{step.name}:recorded")
        _log.debug("step done", kind=task.kind, step=step.name)

    def _wait(self, wait: Wait) -> bool:
        with self._db.write(self._ctx) as w:
            until = w.now + timedelta(seconds=wait.seconds)
            paused = tasks.pause(w, self._task, event=wait.event, until=until)
        if not paused:
            self._task.cancel_requested = True
            return True
        self._workers._alarm(until, self._task.id)
        return False

    def _step_failed(self, step: Step, error: Exception, started_at: datetime) -> bool:
        if _retryable(error) and self._task.attempts + 1 < self._flow.retries:
            self._retry_later(step, error, started_at)
            return False
        if not isinstance(error, NovaLiteError):
            _log.error("step failed unexpectedly", kind=self._task.kind, step=step.name, exc_info=error)
        else:
            _log.warning("step failed", kind=self._task.kind, step=step.name, error=str(error))
        with self._db.write(self._ctx) as w:
            tasks.record_step(
                w, self._task, name=step.name, undone=False, started_at=started_at, result="Error", detail=_told(error)
            )
        target = self._flow.reroute(self._run, error)
        if target is not None:
            self._run.memo["_go_on_at"] = target
        return self._turn_back(error, self._flow.index(step.name))

    def _retry_later(self, step: Step, error: Exception, started_at: datetime) -> None:
        _log.info("step will be repeated", kind=self._task.kind, step=step.name, error=str(error))
        self._task.attempts += 1
        with self._db.write(self._ctx) as w:
            tasks.record_step(
                w, self._task, name=step.name, undone=self._task.undoing, started_at=started_at, result="Retry",
                detail=_told(error),
            )  # fmt: skip
            when = w.now + timedelta(seconds=_seconds_before_retry(self._task.attempts))
            tasks.retry(w, self._task, after=when)
        self._workers._alarm(when, self._task.id)

    def _turn_back(self, error: Exception, position: int) -> bool:
        self._task.error = _error_record(error)
        with self._db.write(self._ctx) as w:
            tasks.advance(w, self._task, step=self._flow.steps[position].name, undoing=True)
        self._at("turned")
        return True

    def _undo(self, step: Step) -> bool:
        started_at = clock.now()
        self._at(f"{step.name}:undo")
        result, detail = "Success", ""
        if step.undo is not None:
            try:
                step.undo(self._run)
            except Exception as error:  # noqa: BLE001  workers record whatever a step raises
                if self._task.attempts + 1 < self._flow.retries:
                    self._retry_later(step, error, started_at)
                    return False
                result, detail = "Error", _told(error)
                _log.error("undo given up", kind=self._task.kind, step=step.name, exc_info=error)
        self._at(f"{step.name}:undone")
        return self._undone(step, started_at, result, detail)

    def _undone(self, step: Step, started_at: datetime, result: str, detail: str) -> bool:
        task, position = self._task, self._flow.index(step.name)
        go_on = self._run.memo.get("_go_on_at")
        if position == 0 and go_on != step.name:
            self._fail()
            return False
        with self._db.write(self._ctx) as w:
            if step.undo is not None:
                tasks.record_step(
                    w, task, name=step.name, undone=True, started_at=started_at, result=result, detail=detail
                )
            if go_on == step.name:
                del self._run.memo["_go_on_at"]
                task.error = None
                task.cancel_requested = tasks.advance(w, task, step=step.name, undoing=False)
            else:
                tasks.advance(w, task, step=self._flow.steps[position - 1].name, undoing=True)
        return True

    def _fail(self) -> None:
        error = _error_from(self._task.error)
        cancelled = isinstance(error, Cancelled) and error.code != "task.deadline"
        if cancelled:
            self._flow.cancelled(self._run)
        else:
            self._flow.failed(self._run, error)
        self._at("undone")
        with self._db.write(self._ctx) as w:
            tasks.finish(w, self._task, tasks.State.CANCELLED if cancelled else tasks.State.FAILED)
