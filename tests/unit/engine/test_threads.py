"""The parts that live in threads: the queue, the supervisor, the scheduler's turn, the links' rule, periodic jobs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest

from novalite import clock
from novalite.context import internal
from novalite.drivers.compute.fake import FakeDriver
from novalite.engine.links import Links
from novalite.engine.periodic import Job, Periodic
from novalite.engine.queue.memory import MemoryQueue
from novalite.engine.scheduling import Scheduling
from novalite.engine.supervisor import ComponentStatus, Supervisor
from novalite.errors import HostUnreachable
from tests.contracts.waiting import until
from tests.unit.engine.scripted import World, set_clock


class TestQueue:
    def test_ids_come_out_in_the_order_they_went_in_and_once_each(self) -> None:
        queue = MemoryQueue()
        for task_id in ("a", "b", "a", "c"):
            queue.put(task_id)
        assert queue.size() == 3
        assert [queue.get(0) for _ in range(4)] == ["a", "b", "c", None]

    def test_an_id_may_come_again_once_it_was_taken(self) -> None:
        queue = MemoryQueue()
        queue.put("a")
        queue.get(0)
        queue.put("a")
        assert queue.get(0) == "a"

    def test_closing_wakes_everyone_who_waits(self) -> None:
        queue = MemoryQueue()
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(queue.get, 60) for _ in range(3)]
            queue.close()
            assert [each.result(60) for each in waiting] == [None] * 3

    def test_many_writers_and_readers_lose_and_double_nothing(self) -> None:
        queue, got = MemoryQueue(), list[str]()
        wanted = {f"{n}" for n in range(400)}

        def read() -> None:
            while (task_id := queue.get(1)) is not None:
                got.append(task_id)

        with ThreadPoolExecutor(8) as pool:
            for _ in range(4):
                pool.submit(read)
            list(pool.map(queue.put, wanted))
            until(lambda: len(got) == 400, "all ids are read")
            queue.close()
        assert set(got) == wanted


@contextmanager
def _supervising() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    assert supervisor.stop(seconds=60) == []


def _status(supervisor: Supervisor) -> ComponentStatus:
    return supervisor.status()[0]


class TestSupervisor:
    def test_a_component_that_dies_is_started_again_and_the_fact_is_told(self) -> None:
        lives: list[str] = []

        def component(stop: threading.Event) -> None:
            lives.append(threading.current_thread().name)
            if len(lives) == 1:
                raise ZeroDivisionError("oops")
            stop.wait()

        with _supervising() as supervisor:
            supervisor.add("worker", component, backlog=lambda: 4)
            until(lambda: len(lives) == 2 and _status(supervisor).state == "running", "it runs again")
            status = _status(supervisor)
        assert lives == ["worker", "worker"]
        assert (status.restarts, status.last_error, status.backlog) == (1, "ZeroDivisionError: oops", 4)

    def test_one_that_returns_unasked_is_started_again_too(self) -> None:
        lives: list[int] = []

        def component(stop: threading.Event) -> None:
            lives.append(1)
            if len(lives) > 1:
                stop.wait()

        with _supervising() as supervisor:
            supervisor.add("worker", component)
            until(lambda: len(lives) == 2, "it runs again")
            assert "without being asked" in _status(supervisor).last_error

    def test_while_it_is_down_its_state_says_so(self) -> None:
        def component(stop: threading.Event) -> None:
            raise ZeroDivisionError

        with _supervising() as supervisor:
            supervisor.add("worker", component)
            until(lambda: _status(supervisor).state == "restarting", "its state is restarting")

    def test_stopping_names_those_that_do_not_leave_in_time(self) -> None:
        supervisor, release = Supervisor(), threading.Event()
        supervisor.add("good", lambda stop: _wait_for(stop))
        supervisor.add("stubborn", lambda stop: _wait_for(release))
        assert supervisor.stop(seconds=0.2) == ["stubborn"]
        release.set()
        assert supervisor.stop(seconds=60) == []
        assert {status.state for status in supervisor.status()} == {"stopped"}

    def test_one_that_lived_long_is_not_punished_for_deaths_of_long_ago(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("novalite.engine.supervisor._PAUSES_SECONDS", (0.01, 600.0))
        lives: list[float] = []
        begun = threading.Event()

        def component(stop: threading.Event) -> None:
            lives.append(1)
            if len(lives) <= 3:
                now = clock.now()
                set_clock(lambda: now + timedelta(hours=1))  # type: ignore[arg-type]
                raise ZeroDivisionError
            begun.set()
            stop.wait()

        try:
            with _supervising() as supervisor:
                supervisor.add("worker", component)
                assert begun.wait(60), "three lives of an hour each must not add up to a long pause"
        finally:
            set_clock(None)


def _wait_for(event: threading.Event) -> None:
    event.wait()


@contextmanager
def _turning(scheduling: Scheduling) -> Iterator[None]:
    thread = threading.Thread(target=scheduling.loop, args=(threading.Event(),), name="scheduler")
    thread.start()
    yield
    scheduling.close()
    thread.join(60)
    assert not thread.is_alive()


class TestScheduling:
    def test_decisions_are_taken_one_after_the_other_in_one_thread(self) -> None:
        scheduling, inside, most = Scheduling(), [0], [0]

        def decide() -> str:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1
            return threading.current_thread().name

        with _turning(scheduling), ThreadPoolExecutor(8) as pool:
            names = {each.result(60) for each in [pool.submit(scheduling.do, decide) for _ in range(50)]}
        assert names == {"scheduler"}
        assert most == [1]

    def test_what_a_decision_raises_reaches_who_asked_and_nobody_else(self) -> None:
        scheduling = Scheduling()
        with _turning(scheduling):
            with pytest.raises(ZeroDivisionError):
                scheduling.do(lambda: 1 // 0)
            assert scheduling.do(lambda: 5) == 5

    def test_what_waits_when_it_is_asked_to_stop_is_still_decided(self) -> None:
        scheduling, hold, begun = Scheduling(), threading.Event(), threading.Event()

        def slow() -> int:
            begun.set()
            hold.wait()
            return 1

        with ThreadPoolExecutor(2) as pool, _turning(scheduling):
            first = pool.submit(scheduling.do, slow)
            assert begun.wait(60)
            second = pool.submit(scheduling.do, lambda: 2)
            until(lambda: scheduling.backlog() == 1, "the second waits")
            scheduling.close()
            hold.set()
            assert (first.result(60), second.result(60)) == (1, 2)


class TestLinks:
    def test_a_driver_call_inside_a_unit_of_work_is_refused(self, world: World) -> None:
        links = Links()
        links.add("here", FakeDriver("here"))
        for unit in (world.database.read, world.database.write):
            with unit(internal()), pytest.raises(RuntimeError, match=r"driver of here\.list_guests .* unit of work"):
                links.driver("here").list_guests()
        assert links.driver("here").list_guests() == ()

    def test_every_method_of_the_driver_is_under_that_rule(self, world: World) -> None:
        driver = FakeDriver("here")
        links = Links()
        links.add("here", driver)
        names = [name for name in vars(type(driver)) if not name.startswith("_") and callable(getattr(driver, name))]
        assert {"ensure_guest", "delete_guest", "events", "artifacts"} <= set(names)
        with world.database.read(internal()):
            for name in names:
                with pytest.raises(RuntimeError):
                    getattr(links.driver("here"), name)()

    def test_a_host_without_a_way_is_unreachable(self) -> None:
        with pytest.raises(HostUnreachable, match="no way to compute host there"):
            Links().driver("there")

    def test_closing_ends_the_ways(self) -> None:
        links = Links()
        links.add("here", FakeDriver("here"))
        links.close()
        assert links.hosts() == []


@contextmanager
def _ticking(world: World) -> Iterator[Periodic]:
    set_clock(None)  # APScheduler looks at the machine's clock
    periodic, stop = Periodic(world.parts, world.queue), threading.Event()
    thread = threading.Thread(target=periodic.loop, args=(stop,))
    thread.start()
    yield periodic
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


class TestPeriodic:
    def test_an_alarm_puts_its_task_on_the_queue(self, world: World) -> None:
        with _ticking(world) as periodic:
            periodic.alarm(clock.now() + timedelta(seconds=0.1), "t1")
            assert world.queue.get(60) == "t1"

    def test_an_alarm_of_the_past_rings_at_once(self, world: World) -> None:
        with _ticking(world) as periodic:
            periodic.alarm(clock.now() - timedelta(hours=1), "t1")
            assert world.queue.get(60) == "t1"

    def test_a_job_that_fails_is_told_and_runs_again(self, world: World) -> None:
        runs: list[int] = []

        def job() -> None:
            runs.append(1)
            if len(runs) == 1:
                raise ZeroDivisionError("oops")

        with _ticking(world) as periodic:
            seen = _watch_errors(periodic)
            periodic.add(Job("shaky", 0.2, job))
            until(lambda: len(runs) >= 2 and not periodic.last_errors, "it runs again")
        assert seen == {"shaky": "ZeroDivisionError: oops"}

    def test_a_scheduler_that_dies_is_raised_and_begins_again_with_its_jobs(self, world: World) -> None:
        set_clock(None)
        periodic, stop, runs = Periodic(world.parts, world.queue), threading.Event(), threading.Event()
        periodic.add(Job("steady", 0.05, runs.set))
        periodic._scheduler._process_jobs = lambda: 1 / 0
        with pytest.raises(ZeroDivisionError):
            periodic.loop(stop)
        thread = threading.Thread(target=periodic.loop, args=(stop,))
        thread.start()
        assert runs.wait(60)
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def _watch_errors(periodic: Periodic) -> dict[str, str]:
    """Every error that was ever told."""
    seen: dict[str, str] = {}

    class Watched(dict[str, str]):
        def __setitem__(self, name: str, text: str) -> None:
            seen[name] = text
            super().__setitem__(name, text)

    periodic.last_errors = Watched()
    return seen
