"""Durable tasks: work to be done, its claim, its progress and its end. The queue carries only ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work

WAKE_TOPIC = "task.wake"
DONE_TOPIC = "task.done"


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (State.DONE, State.FAILED, State.CANCELLED)


class Kind(Protocol):
    """A frozen dataclass of plain values that says what is to be done. ``kind`` names the flow,
    ``action`` is the name users see in the server's action log (empty: not shown)."""

    kind: ClassVar[str]
    action: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


class Task(Base):
    """One task. ``holds`` equals ``key`` from the claim to the end: its unique index lets one task
    at a time act on a resource. ``undoing`` says in which direction the steps are walked, ``attempts`` counts
    how often the current step has failed."""

    __tablename__ = "tasks"
    __table_args__ = (
        sa.UniqueConstraint("holds"),
        sa.Index("ix_tasks_state_run_after", "state", "run_after"),
        sa.Index("ix_tasks_key_state", "key", "state"),
        sa.Index("ix_tasks_resource_id_created_at", "resource_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(sa.String(64))
    action: Mapped[str] = mapped_column(sa.String(64), default="")
    key: Mapped[str] = mapped_column(sa.String(128))
    holds: Mapped[str | None] = mapped_column(sa.String(128))
    resource_id: Mapped[str] = mapped_column(sa.String(64), default="")
    args: Mapped[dict[str, Any]] = mapped_column(default=dict)
    memo: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(sa.String(16), default=State.QUEUED)
    step: Mapped[str] = mapped_column(sa.String(64), default="")
    undoing: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    run_after: Mapped[datetime | None]
    wait_event: Mapped[str] = mapped_column(sa.String(128), default="")
    deadline_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    request_id: Mapped[str] = mapped_column(sa.String(64), default="")
    user_id: Mapped[str] = mapped_column(sa.String(64), default="")
    project_id: Mapped[str] = mapped_column(sa.String(64), default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class TaskStep(Base):
    """One finished run of a step: the operator's history and the events of a server's action."""

    __tablename__ = "task_steps"
    __table_args__ = (sa.Index("ix_task_steps_task_id", "task_id"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    task_id: Mapped[str] = mapped_column(sa.ForeignKey("tasks.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(64))
    undone: Mapped[bool] = mapped_column(default=False)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    result: Mapped[str] = mapped_column(sa.String(16))
    detail: Mapped[str] = mapped_column(sa.Text, default="")


def start(
    w: Work,
    kind: Kind,
    *,
    key: str,
    resource_id: str = "",
    project_id: str = "",
    deadline_seconds: float = 3600,
    delay_seconds: float = 0,
) -> Task:
    """Record a task in the caller's unit; its id reaches the queue after the commit, or after the delay."""
    task = Task(
        id=new_id(),
        kind=kind.kind,
        action=kind.action,
        key=key,
        resource_id=resource_id,
        args=asdict(kind),
        request_id=w.ctx.request_id,
        user_id=w.ctx.user_id,
        project_id=project_id or w.ctx.project_id,
        created_at=w.now,
        updated_at=w.now,
        deadline_at=w.now + timedelta(seconds=delay_seconds + deadline_seconds),
        run_after=w.now + timedelta(seconds=delay_seconds) if delay_seconds else None,
    )
    w.session.add(task)
    w.announce(WAKE_TOPIC, task.id)
    return task


def record_instant(
    w: Work, *, action: str, resource_id: str, project_id: str, failed: bool = False, detail: str = ""
) -> None:
    """Write down an action that is already over (lock, rename), with what there is to say of it."""
    task = Task(
        id=new_id(),
        kind="instant",
        action=action,
        key=f"instant:{resource_id}",
        resource_id=resource_id,
        state=State.FAILED if failed else State.DONE,
        request_id=w.ctx.request_id,
        user_id=w.ctx.user_id,
        project_id=project_id,
        created_at=w.now,
        updated_at=w.now,
        finished_at=w.now,
    )
    w.session.add(task)
    if detail:
        w.session.flush()
        result = "Error" if failed else "Success"
        record_step(w, task, name=action, undone=False, started_at=w.now, result=result, detail=detail)


def claim(w: Work, task_id: str) -> Task | None:
    """Take a queued task whose time has come; None when it is not ours to run now (taken, waiting, or
    another task holds its key). Safe under any race: the unique index decides."""
    table = Task.__table__
    other = sa.alias(table)
    ready = sa.or_(table.c.run_after.is_(None), table.c.run_after <= w.now)
    claimable = sa.or_(table.c.state == State.QUEUED, table.c.state == State.WAITING)
    free = ~sa.exists().where(other.c.holds == table.c.key, other.c.id != table.c.id)
    statement = (
        sa.update(Task)
        .where(table.c.id == task_id, claimable, ready, free)
        .values(
            state=State.RUNNING,
            holds=table.c.key,
            updated_at=w.now,
            wait_event="",
        )
    )
    try:
        with w.session.begin_nested():
            if not w.changed(statement):
                return None
    except IntegrityError:
        return None
    return w.session.get(Task, task_id)


def record_step(
    w: Work, task: Task, *, name: str, undone: bool, started_at: datetime, result: str, detail: str = ""
) -> None:
    """Add to the history of a task."""
    w.session.add(
        TaskStep(
            task_id=task.id,
            name=name,
            undone=undone,
            started_at=started_at,
            finished_at=w.now,
            result=result,
            detail=detail[:2000],
        )
    )


def advance(w: Work, task: Task, *, step: str, undoing: bool) -> bool:
    """Save progress: the step to do next and the memo so far. Returns whether cancellation was asked for."""
    w.changed(
        sa.update(Task)
        .where(Task.id == task.id)
        .values(step=step, undoing=undoing, memo=dict(task.memo), error=task.error, updated_at=w.now, attempts=0)
    )
    task.step, task.undoing, task.attempts = step, undoing, 0
    return bool(w.session.scalar(sa.select(Task.cancel_requested).where(Task.id == task.id)))


def is_unwanted(w: Work, task_id: str) -> bool:
    """Whether a task has been asked to stop: for steps that last."""
    return bool(w.session.scalar(sa.select(Task.cancel_requested).where(Task.id == task_id)))


def pause(w: Work, task: Task, *, event: str, until: datetime) -> bool:
    """Let go of the worker until ``event`` or ``until``; the task keeps its key.

    False when cancellation was asked for meanwhile: then the task was not paused.
    """
    return bool(
        w.changed(
            sa.update(Task)
            .where(Task.id == task.id, Task.cancel_requested.is_(False) | Task.undoing.is_(True))
            .values(
                state=State.WAITING,
                wait_event=event,
                run_after=until,
                memo=dict(task.memo),
                attempts=0,
                updated_at=w.now,
            )
        )
    )


def wake(w: Work, event: str) -> int:
    """Queue the tasks that wait for ``event``; how many."""
    ids = list(w.session.scalars(sa.select(Task.id).where(Task.state == State.WAITING, Task.wait_event == event)))
    return sum(_requeue(w, task_id, State.WAITING) for task_id in ids)


def _requeue(w: Work, task_id: str, was: str) -> int:
    hit = w.changed(
        sa.update(Task)
        .where(Task.id == task_id, Task.state == was)
        .values(state=State.QUEUED, run_after=None, updated_at=w.now)
    )
    if hit:
        w.announce(WAKE_TOPIC, task_id)
    return hit


def retry(w: Work, task: Task, *, after: datetime) -> None:
    """Run the current step again at ``after``; the task keeps its key. ``task.attempts`` is saved with it."""
    w.changed(
        sa.update(Task)
        .where(Task.id == task.id)
        .values(
            state=State.QUEUED, run_after=after, memo=dict(task.memo), error=task.error, attempts=task.attempts,
            updated_at=w.now,
        )
    )  # fmt: skip


def give_back(w: Work, task_id: str, *, after: datetime, attempts: int) -> None:
    """Queue a task whose worker could not go on; all but the number of attempts stays as last recorded."""
    w.changed(
        sa.update(Task)
        .where(Task.id == task_id, Task.state == State.RUNNING)
        .values(state=State.QUEUED, run_after=after, attempts=attempts, updated_at=w.now)
    )


def finish(w: Work, task: Task, state: State, *, secrets: tuple[str, ...] = ("admin_pass",)) -> None:
    """End a task: release its key, drop secrets from its arguments, wake whatever waits for the key."""
    args = {name: value for name, value in task.args.items() if name not in secrets}
    w.changed(
        sa.update(Task)
        .where(Task.id == task.id)
        .values(state=state, holds=None, args=args, memo={}, error=task.error, finished_at=w.now, updated_at=w.now)
    )
    for task_id in w.session.scalars(
        sa.select(Task.id).where(Task.key == task.key, Task.state == State.QUEUED, Task.id != task.id)
    ):
        w.announce(WAKE_TOPIC, task_id)
    w.announce(DONE_TOPIC, task.id, task.project_id)


def cancel_key(w: Work, key: str, *, kinds: tuple[str, ...] | None = None) -> None:
    """Ask every unfinished task of ``key`` to stop at its next step and undo."""
    live = sa.select(Task.id, Task.state).where(Task.key == key, Task.state.not_in(ENDED))
    if kinds is not None:
        live = live.where(Task.kind.in_(kinds))
    for task_id, state in w.session.execute(live).all():
        w.changed(sa.update(Task).where(Task.id == task_id).values(cancel_requested=True, updated_at=w.now))
        if state != State.RUNNING:  # what waits, for an event or for its next try, waits no longer
            _requeue(w, task_id, state)


def hold(w: Work, task_ids: Iterable[str], *, until: datetime) -> None:
    """Let tasks that have not begun wait for ``let_go``, until then at the latest."""
    waiting = sa.update(Task).where(Task.id.in_(list(task_ids)), Task.state == State.QUEUED, Task.holds.is_(None))
    w.changed(waiting.values(run_after=until, updated_at=w.now))


def are_held(w: Work, task_ids: Iterable[str]) -> bool:
    """Whether all of them still wait."""
    wanted = list(task_ids)
    held = sa.select(sa.func.count()).where(Task.id.in_(wanted), Task.state == State.QUEUED, Task.holds.is_(None),
                                            Task.run_after > w.now)  # fmt: skip
    return int(w.session.scalar(held) or 0) == len(wanted)


def let_go(w: Work, task_ids: Iterable[str]) -> None:
    """Let held tasks begin. Repeatable."""
    for task_id in task_ids:
        held = sa.update(Task).where(Task.id == task_id, Task.state == State.QUEUED, Task.holds.is_(None))
        if w.changed(held.values(run_after=None, updated_at=w.now)):
            w.announce(WAKE_TOPIC, task_id)


def recover(w: Work) -> list[str]:
    """After a start: everything that was running when the process ended is queued again, still holding
    its key. Returns the ids to wake, oldest first."""
    w.changed(sa.update(Task).where(Task.state == State.RUNNING).values(state=State.QUEUED, run_after=None))
    return list(w.session.scalars(sa.select(Task.id).where(Task.state == State.QUEUED).order_by(Task.created_at)))


def due(w: Work, limit: int = 200) -> list[str]:
    """Ids of queued and waiting tasks whose time has come, oldest first; for the sweep."""
    query = (
        sa.select(Task.id)
        .where(
            Task.state.in_((State.QUEUED, State.WAITING)),
            sa.or_(Task.run_after.is_(None), Task.run_after <= w.now),
        )
        .order_by(Task.created_at)
        .limit(limit)
    )
    return list(w.session.scalars(query))


def expire(w: Work) -> int:
    """Ask every task past its deadline to stop and undo; how many."""
    late = w.session.scalars(
        sa.select(Task.id).where(
            Task.state.not_in(ENDED),
            Task.deadline_at < w.now,
            Task.cancel_requested.is_(False),
            Task.undoing.is_(False),
        )
    )
    hits = 0
    for task_id in list(late):
        hits += w.changed(sa.update(Task).where(Task.id == task_id).values(cancel_requested=True, updated_at=w.now))
        _requeue(w, task_id, State.WAITING)
    return hits


def live_resources(w: Work) -> set[str]:
    """Ids of resources that some unfinished task will still act on."""
    return set(w.session.scalars(sa.select(Task.resource_id).where(Task.state.not_in(ENDED)).distinct()))


def backlog(w: Work) -> dict[str, int]:
    """How many tasks are in each unfinished state."""
    rows = w.session.execute(
        sa.select(Task.state, sa.func.count()).where(Task.state.not_in(ENDED)).group_by(Task.state)
    )
    return {str(state): number for state, number in rows}


def actions(w: Work, resource_id: str) -> list[Task]:
    """The action log of a resource, newest first."""
    return list(
        w.session.scalars(
            sa.select(Task)
            .where(Task.resource_id == resource_id, Task.action != "")
            .order_by(Task.created_at.desc(), Task.id)
        )
    )


def steps(w: Work, task_id: str) -> list[TaskStep]:
    """The finished steps of a task, in order."""
    return list(w.session.scalars(sa.select(TaskStep).where(TaskStep.task_id == task_id).order_by(TaskStep.number)))


def prune(w: Work, *, older_than: datetime) -> int:
    """Forget tasks that ended before ``older_than``; how many."""
    return w.changed(sa.delete(Task).where(Task.state.in_(ENDED), Task.finished_at < older_than))
