"""What becomes of a task: done, repeated, undone, rerouted, paused, cancelled, timed out, put back."""

from __future__ import annotations

import threading

import pytest

from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.engine.flow import Run, Wait
from novalite.errors import Busy, DriverError, Failed, HostUnreachable
from tests.unit.engine.scripted import World, fails

HICCUP = DriverError("spawn", "try later", retryable=True)


def test_a_task_walks_its_steps_in_order_and_leaves_a_history(world: World) -> None:
    task_id = world.start()
    world.work()
    assert world.said == ["first", "second", "third"]
    assert world.history(task_id) == [(name, False, "Success") for name in ("first", "second", "third")]
    task = world.task(task_id)
    assert (task.state, task.holds, task.error) == ("done", None, None)


def test_what_may_pass_is_tried_again_a_bounded_number_of_times(world: World) -> None:
    world.on["second"] = fails(HICCUP, times=2)
    task_id = world.start()
    world.work()
    assert world.said == ["first", "second", "second", "second", "third"]
    assert world.history(task_id)[1:4] == [("second", False, "Retry")] * 2 + [("second", False, "Success")]
    assert world.task(task_id).state == "done"


def test_what_does_not_pass_is_undone(world: World) -> None:
    world.on["second"] = fails(HICCUP)
    task_id = world.start()
    world.work()
    assert world.said.count("second") == 3
    assert world.made == set()
    assert world.ends == ["failed: spawn: try later"]
    assert world.task(task_id).state == "failed"


def test_an_unreachable_host_is_worth_another_try(world: World) -> None:
    world.on["first"] = fails(HostUnreachable("no answer"), times=1)
    world.start()
    world.work()
    assert world.made == {"first", "second", "third"}


def test_a_failure_undoes_the_failing_step_and_all_before_it_last_first(world: World) -> None:
    world.on["third"] = fails(Failed("no"))
    task_id = world.start()
    world.work()
    assert world.said == ["first", "second", "third", "undo third", "undo second", "undo first"]
    assert world.ends == ["failed: no"]
    task = world.task(task_id)
    assert (task.state, task.holds) == ("failed", None)
    assert task.error is not None
    assert task.error["message"] == "no"


def test_a_bug_in_a_step_counts_as_its_failure(world: World) -> None:
    world.on["second"] = fails(ZeroDivisionError("oops"))
    world.start()
    world.work()
    assert world.made == set()
    assert world.ends == ["failed: Something unexpected went wrong (ZeroDivisionError). NovaLite's log tells the rest."]


def test_an_undo_that_fails_is_repeated_then_given_up_and_the_rest_is_undone(world: World) -> None:
    def never(run: Run) -> None:
        raise Failed("cannot undo")

    world.on["third"], world.on_undo["second"] = fails(), never
    task_id = world.start()
    world.work()
    assert world.said.count("undo second") == 3
    assert world.said[-1] == "undo first"
    assert world.ends == ["failed: it broke"]
    assert ("second", True, "Error") in world.history(task_id)


def test_after_a_reroute_the_flow_goes_on_at_that_step_once_all_back_to_it_is_undone(world: World) -> None:
    world.on["third"] = fails(times=1)
    world.reroute = lambda run, error: "second"
    task_id = world.start()
    world.work()
    assert world.said == ["first", "second", "third", "undo third", "undo second", "second", "third"]
    assert world.made == {"first", "second", "third"}
    task = world.task(task_id)
    assert (task.state, task.error) == ("done", None)


def test_a_reroute_to_the_first_step_is_no_failure(world: World) -> None:
    world.on["second"] = fails(times=1)
    world.reroute = lambda run, error: "first"
    world.start()
    world.work()
    assert world.said == ["first", "second", "undo second", "undo first", "first", "second", "third"]
    assert world.ends == []


def test_a_cancellation_during_a_reroute_wins(world: World) -> None:
    world.on["third"] = fails(times=1)
    world.reroute = lambda run, error: "second"
    world.on_undo["second"] = lambda run: world.ask_to_cancel() if "cancelled" not in world.said else None
    world.start()
    world.work()
    assert world.made == set()
    assert world.ends == ["cancelled"]


def test_what_a_step_remembers_is_there_for_later_steps_and_for_undo(world: World) -> None:
    seen: list[object] = []

    def remember(run: Run) -> None:
        run.memo["note"] = 7

    def look(run: Run) -> None:
        seen.append(run.memo["note"])

    world.on["first"], world.on["third"], world.on_undo["first"] = remember, fails(), look
    world.start()
    world.work()
    assert seen == [7]


def _waits_once(run: Run) -> Wait | None:
    if run.memo.setdefault("asked", False):
        return None
    run.memo["asked"] = True
    return Wait("guest:1", 30)


def test_a_waiting_task_frees_its_worker_keeps_its_key_and_goes_on_when_the_event_comes(world: World) -> None:
    world.on["second"] = _waits_once
    task_id = world.start()
    workers = world.workers()
    workers.run_one(world.queue.get(0) or "")
    task = world.task(task_id)
    assert (task.state, task.holds, workers.busy) == ("waiting", "thing:1", 0)
    with world.database.write(internal()) as w:
        assert tasks.wake(w, "guest:2") == 0
        assert tasks.wake(w, "guest:1") == 1
    workers.run_one(world.queue.get(0) or "")
    assert world.task(task_id).state == "done"


def test_a_waiting_task_goes_on_when_its_time_is_up(world: World) -> None:
    world.on["second"] = _waits_once
    task_id = world.start()
    began = world.clock.now
    world.work()
    assert (world.clock.now - began).total_seconds() == 30
    assert world.task(task_id).state == "done"


def test_a_waiting_task_is_not_run_before_its_event_or_its_time(world: World) -> None:
    world.on["second"] = _waits_once
    task_id = world.start()
    workers = world.workers()
    workers.run_one(task_id)
    workers.run_one(task_id)
    assert world.said == ["first", "second"]


def test_cancelling_stops_at_the_next_step_boundary_and_undoes(world: World) -> None:
    world.at_boundary = lambda name: world.ask_to_cancel() if name == "second:begin" else None
    task_id = world.start()
    world.work()
    assert "third" not in world.said
    assert world.made == set()
    assert world.ends == ["cancelled"]
    assert world.task(task_id).state == "cancelled"


def test_cancelling_wakes_a_task_that_waits(world: World) -> None:
    world.on["second"] = _waits_once
    task_id = world.start()
    world.workers().run_one(task_id)
    world.alarms.clear()
    world.ask_to_cancel()
    world.work()
    assert world.ends == ["cancelled"]


def test_a_cancellation_in_the_moment_a_step_begins_to_wait_is_not_lost(world: World) -> None:
    world.on["second"] = _waits_once
    world.at_boundary = lambda name: world.ask_to_cancel() if name == "second:done" else None
    task_id = world.start()
    world.workers().run_one(task_id)
    assert world.ends == ["cancelled"]
    assert world.task(task_id).state == "cancelled"


def test_cancelling_before_the_first_step_does_nothing_outside(world: World) -> None:
    task_id = world.start()
    world.ask_to_cancel()
    world.work()
    assert not any(word in world.said for word in ("first", "second", "third"))
    assert world.task(task_id).state == "cancelled"


def test_cancelling_in_the_last_step_comes_too_late(world: World) -> None:
    world.at_boundary = lambda name: world.ask_to_cancel() if name == "third:done" else None
    task_id = world.start()
    world.work()
    assert world.task(task_id).state == "done"
    assert world.made == {"first", "second", "third"}


def test_cancelling_twice_undoes_once(world: World) -> None:
    world.at_boundary = lambda name: world.ask_to_cancel() if name in ("second:done", "first:undo") else None
    world.start()
    world.work()
    assert world.ends == ["cancelled"]
    assert world.said.count("undo first") == 1


def test_a_task_past_its_deadline_is_undone_and_has_failed(world: World) -> None:
    world.on["second"] = lambda run: Wait("never", 1e6)
    task_id = world.start(deadline_seconds=100)
    world.workers().run_one(task_id)
    world.clock.move(101)
    with world.database.write(internal()) as w:
        assert tasks.expire(w) == 1
        assert tasks.expire(w) == 0
    world.alarms.clear()
    world.work()
    assert world.made == set()
    assert world.ends == ["failed: The task did not finish in time."]
    error = world.task(task_id).error
    assert error is not None
    assert error["code"] == "task.deadline"


def test_a_deadline_that_passes_while_a_step_runs_is_a_failure_too(world: World) -> None:
    def slow(run: Run) -> None:
        world.clock.move(101)
        with world.database.write(internal()) as w:
            tasks.expire(w)

    world.on["second"] = slow
    world.start(deadline_seconds=100)
    world.work()
    assert world.ends == ["failed: The task did not finish in time."]


def test_asked_to_stop_a_worker_finishes_its_step_and_another_process_does_the_rest(world: World) -> None:
    stop = threading.Event()
    world.at_boundary = lambda name: stop.set() if name == "first:begin" else None
    task_id = world.start()
    world.workers().run_one(task_id, stop)
    assert world.said == ["first"]
    assert (world.task(task_id).state, world.task(task_id).step) == ("queued", "second")
    world.new_process()
    world.work()
    assert world.said == ["first", "second", "third"]


def test_one_task_at_a_time_acts_on_a_thing_and_the_next_is_woken(world: World) -> None:
    seen: list[str] = []
    inner = world.workers()

    def try_the_other(run: Run) -> None:
        seen.append(run.args["name"])
        if run.args["name"] == "one":
            inner.run_one(other)

    world.on["first"] = try_the_other
    one = world.start("one")
    other = world.start("two")
    world.workers().run_one(one)
    assert seen == ["one"]
    world.work()
    assert seen == ["one", "two"]
    assert world.task(other).state == "done"


def test_tasks_of_different_things_do_not_wait_for_one_another(world: World) -> None:
    inner = world.workers()
    world.on["first"] = lambda run: inner.run_one(other) if run.args["name"] == "one" else None
    one = world.start("one", key="thing:1")
    other = world.start("two", key="thing:2")
    world.workers().run_one(one)
    assert world.task(other).state == "done"


@pytest.mark.parametrize("where", ["claimed", "first:done", "second:recorded", "turned", "second:undone", "undone"])
def test_a_database_that_is_locked_for_a_while_loses_no_task(world: World, where: str) -> None:
    world.on["third"] = fails()
    once = [where]

    def locked(name: str) -> None:
        if name in once:
            once.remove(name)
            raise Busy("The database is locked by another process.")

    world.at_boundary = locked
    task_id = world.start()
    world.work()
    assert not once
    assert world.made == set()
    assert world.task(task_id).state == "failed"
    assert world.task(task_id).holds is None


def test_a_flow_that_cannot_record_its_failure_ends_all_the_same(world: World) -> None:
    def broken(run: Run, error: Exception) -> None:
        raise ZeroDivisionError("a bug")

    world.on["second"], world.on_failed = fails(), broken
    task_id = world.start()
    world.work()
    task = world.task(task_id)
    assert (task.state, task.holds) == ("failed", None)
    assert world.made == set()


def test_a_secret_argument_is_forgotten_when_the_task_ends(world: World) -> None:
    with world.database.write(internal()) as w:
        from tests.unit.engine.scripted import Script

        task = tasks.start(w, Script(), key="thing:9")
        task.args = {"name": "x", "admin_pass": "hush"}
    world.work()
    assert "hush" not in str(world.task(task.id).args)
