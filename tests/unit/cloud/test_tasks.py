"""The rules of durable tasks: who may take one, what holds its thing, what is woken, what is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import pytest

from novalite.cloud.tasks import tasks
from novalite.cloud.tasks.tasks import State
from novalite.context import Context, internal
from novalite.db.work import Database

CTX = Context(user_id="u1", project_id="p1", request_id="req-1")


@dataclass(frozen=True)
class Thing:
    kind: ClassVar[str] = "test.thing"
    action: ClassVar[str] = "do"
    server_id: str = "1"
    admin_pass: str = ""


@dataclass(frozen=True)
class Other:
    kind: ClassVar[str] = "test.other"
    action: ClassVar[str] = ""


def _start(database: Database, key: str = "k", **more: object) -> str:
    with database.write(CTX) as w:
        return tasks.start(w, Thing(), key=key, resource_id="r", **more).id  # type: ignore[arg-type]


def _claim(database: Database, task_id: str) -> tasks.Task | None:
    with database.write(internal()) as w:
        return tasks.claim(w, task_id)


def _claimed(database: Database, task_id: str) -> tasks.Task:
    task = _claim(database, task_id)
    assert task is not None
    return task


def _state(database: Database, task_id: str) -> tasks.Task:
    with database.read(internal()) as w:
        task = w.session.get(tasks.Task, task_id)
    assert task is not None
    return task


def _in_threads(number: int, act: Callable[[int], object]) -> list[object]:
    barrier = threading.Barrier(number)

    def run(index: int) -> object:
        barrier.wait()
        return act(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def test_of_many_who_claim_a_task_exactly_one_gets_it(database: Database) -> None:
    for round_ in range(10):
        task_id = _start(database, key=f"k{round_}")
        got = _in_threads(8, lambda _, t=task_id: _claim(database, t))  # type: ignore[misc]
        assert sum(each is not None for each in got) == 1


def test_of_many_tasks_of_one_thing_exactly_one_runs(database: Database) -> None:
    for round_ in range(10):
        ids = [_start(database, key=f"k{round_}") for _ in range(8)]
        got = _in_threads(8, lambda index, ids=ids: _claim(database, ids[index]))  # type: ignore[misc]
        assert sum(each is not None for each in got) == 1


def test_two_processes_do_not_both_get_it(database: Database) -> None:
    other = Database(database.url)
    try:
        for round_ in range(10):
            task_id = _start(database, key=f"k{round_}")
            got = _in_threads(8, lambda index, t=task_id: _claim((database, other)[index % 2], t))  # type: ignore[misc]
            assert sum(each is not None for each in got) == 1
    finally:
        other.close()


def test_a_claim_carries_who_asked_and_what_for(database: Database) -> None:
    task = _claimed(database, _start(database))
    assert (task.user_id, task.project_id, task.request_id) == ("u1", "p1", "req-1")
    assert task.args == {"server_id": "1", "admin_pass": ""}
    assert (task.state, task.holds) == (State.RUNNING, "k")


def test_a_task_with_a_delay_cannot_be_claimed_before_its_time(database: Database) -> None:
    task_id = _start(database, delay_seconds=60)
    assert _claim(database, task_id) is None
    with database.write(internal()) as w:
        w.now += timedelta(seconds=61)
        assert tasks.due(w) == [task_id]
        assert tasks.claim(w, task_id) is not None


def test_a_thing_is_held_through_retries_and_waits_until_the_end(database: Database) -> None:
    first, second = _start(database), _start(database)
    task = _claimed(database, first)
    with database.write(internal()) as w:
        tasks.retry(w, task, after=w.now + timedelta(seconds=5))
    assert _claim(database, second) is None
    with database.write(internal()) as w:
        w.now += timedelta(seconds=6)
        again = tasks.claim(w, first)
    assert again is not None
    with database.write(internal()) as w:
        assert tasks.pause(w, again, event="e", until=w.now + timedelta(seconds=5))
    assert _claim(database, second) is None
    with database.write(internal()) as w:
        tasks.finish(w, again, State.DONE)
    assert _claim(database, second) is not None


def test_the_end_of_a_task_wakes_those_that_want_its_thing(database: Database) -> None:
    heard: list[tuple[str, str]] = []
    database.listen(lambda topic, id, _: heard.append((topic, id)))
    first, second = _start(database), _start(database)
    task = _claimed(database, first)
    heard.clear()
    with database.write(internal()) as w:
        tasks.finish(w, task, State.DONE)
    assert heard == [(tasks.WAKE_TOPIC, second), (tasks.DONE_TOPIC, first)]


def test_a_start_is_told_after_the_commit_and_never_when_it_fails(database: Database) -> None:
    heard: list[str] = []
    database.listen(lambda topic, id, _: heard.append(id))
    with pytest.raises(ZeroDivisionError), database.write(CTX) as w:  # noqa: PT012  the block is the unit
        tasks.start(w, Thing(), key="k")
        raise ZeroDivisionError
    assert heard == []
    with database.write(CTX) as w:
        task_id = tasks.start(w, Thing(), key="k").id
        assert heard == []
    assert heard == [task_id]


def test_recovery_queues_what_was_running_and_leaves_what_waits(database: Database) -> None:
    running, waiting, queued = (_start(database, key=key) for key in "abc")
    _claimed(database, running)
    task = _claimed(database, waiting)
    with database.write(internal()) as w:
        tasks.pause(w, task, event="e", until=w.now + timedelta(hours=1))
    with database.write(internal()) as w:
        assert tasks.recover(w) == [running, queued]
    assert (_state(database, running).state, _state(database, running).holds) == (State.QUEUED, "a")
    assert _state(database, waiting).state == State.WAITING


def test_cancelling_by_kind_leaves_other_kinds_alone(database: Database) -> None:
    thing = _start(database)
    with database.write(CTX) as w:
        other = tasks.start(w, Other(), key="k").id
    with database.write(internal()) as w:
        tasks.cancel_key(w, "k", kinds=(Other.kind,))
    assert (_state(database, thing).cancel_requested, _state(database, other).cancel_requested) == (False, True)


def test_cancelling_does_not_wait_for_the_next_try_of_a_step(database: Database) -> None:
    task_id = _start(database)
    task = _claimed(database, task_id)
    with database.write(internal()) as w:
        tasks.retry(w, task, after=w.now + timedelta(hours=1))
    heard: list[str] = []
    database.listen(lambda topic, id, _: heard.append(id))
    with database.write(internal()) as w:
        tasks.cancel_key(w, "k")
    assert heard == [task_id]
    assert _claim(database, task_id) is not None


def test_a_task_that_undoes_may_wait_although_it_was_cancelled(database: Database) -> None:
    task = _claimed(database, _start(database))
    with database.write(internal()) as w:
        tasks.cancel_key(w, "k")
        assert not tasks.pause(w, task, event="e", until=w.now)
        tasks.advance(w, task, step="x", undoing=True)
        assert tasks.pause(w, task, event="e", until=w.now)


def test_saving_progress_tells_whether_cancelling_was_asked_for(database: Database) -> None:
    task = _claimed(database, _start(database))
    with database.write(internal()) as w:
        assert not tasks.advance(w, task, step="x", undoing=False)
    with database.write(internal()) as w:
        tasks.cancel_key(w, "k")
    with database.write(internal()) as w:
        assert tasks.advance(w, task, step="y", undoing=False)


def test_secrets_and_notes_are_forgotten_at_the_end(database: Database) -> None:
    with database.write(CTX) as w:
        task_id = tasks.start(w, Thing(admin_pass="hush"), key="k").id
    task = _claimed(database, task_id)
    task.memo["note"] = "hush"
    with database.write(internal()) as w:
        tasks.advance(w, task, step="x", undoing=False)
        tasks.finish(w, task, State.FAILED)
    ended = _state(database, task_id)
    assert (ended.args, ended.memo) == ({"server_id": "1"}, {})


def test_only_ended_tasks_are_forgotten_with_their_steps(database: Database) -> None:
    ended, live = _start(database, key="a"), _start(database, key="b")
    task = _claimed(database, ended)
    with database.write(internal()) as w:
        tasks.record_step(w, task, name="x", undone=False, started_at=w.now, result="Success")
        tasks.finish(w, task, State.DONE)
    with database.write(internal()) as w:
        assert tasks.prune(w, older_than=w.now + timedelta(days=1)) == 1
        assert tasks.steps(w, ended) == []
        assert w.session.get(tasks.Task, live) is not None


def test_the_action_log_shows_named_actions_newest_first(database: Database) -> None:
    first = _start(database)
    with database.write(CTX) as w:
        w.now += timedelta(seconds=1)
        tasks.start(w, Other(), key="k", resource_id="r")
        tasks.record_instant(w, action="lock", resource_id="r", project_id="p1")
    with database.read(internal()) as w:
        log = tasks.actions(w, "r")
    assert [task.action for task in log] == ["lock", "do"]
    assert log[1].id == first
    assert log[0].state == State.DONE


def test_a_thing_is_live_while_a_task_of_it_has_not_ended(database: Database) -> None:
    task_id = _start(database)
    with database.read(internal()) as w:
        assert tasks.live_resources(w) == {"r"}
        assert tasks.backlog(w) == {State.QUEUED: 1}
    task = _claimed(database, task_id)
    with database.write(internal()) as w:
        tasks.finish(w, task, State.CANCELLED)
    with database.read(internal()) as w:
        assert tasks.live_resources(w) == set()
        assert tasks.backlog(w) == {}
