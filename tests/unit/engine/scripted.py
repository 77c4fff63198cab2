"""A scripted flow over a real database: what it does outside is a set of words, so that every end can be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

from novalite import clock
from novalite.cloud.tasks import tasks
from novalite.context import Context, internal
from novalite.db.work import Database
from novalite.drivers.network.fake import FakeNetworkDriver
from novalite.engine.flow import Flow, Parts, Registry, Run, Step, Wait
from novalite.engine.links import Links
from novalite.engine.queue.memory import MemoryQueue
from novalite.engine.scheduling import Scheduling
from novalite.engine.workers import Workers
from novalite.errors import Failed
from novalite.settings import Settings

STEPS = ("first", "second", "third")


class Killed(BaseException):
    """kill -9: nothing catches it."""


class Clock:
    """Time that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Script:
    kind: ClassVar[str] = "test.script"
    action: ClassVar[str] = "script"
    name: str = "x"


class NoImages:
    def path(self, image_id: str) -> None:
        return None


Act = Callable[[Run], Wait | None]


@dataclass
class World:
    """What the flow has made outside, what it was told to do, and the words it left about its end.

    ``on`` replaces what a step does, ``on_undo`` what its undo does; both run before the usual effect."""

    database: Database
    clock: Clock
    made: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    on: dict[str, Act] = field(default_factory=dict)
    on_undo: dict[str, Callable[[Run], None]] = field(default_factory=dict)
    alarms: list[tuple[datetime, str]] = field(default_factory=list)
    boundaries: list[str] = field(default_factory=list)
    at_boundary: Callable[[str], None] = lambda name: None
    reroute: Callable[[Run, Exception], str | None] = lambda run, error: None
    on_failed: Callable[[Run, Exception], None] = lambda run, error: None

    def __post_init__(self) -> None:
        self.queue = MemoryQueue()
        self.database.listen(lambda topic, id, _: self.queue.put(id) if topic == tasks.WAKE_TOPIC else None)
        links, network = Links(), FakeNetworkDriver()
        self.parts = Parts(Settings(), self.database, links, network, NoImages(), Scheduling(), *(cast(Any, None),) * 3)
        self.registry = Registry()
        self.registry.add(self._flow())

    def _flow(self) -> Flow:
        def step(name: str) -> Step:
            def run(it: Run) -> Wait | None:
                self.said.append(name)
                outcome = self.on[name](it) if name in self.on else None
                if outcome is None:
                    self.made.add(name)
                return outcome

            def undo(it: Run) -> None:
                self.said.append(f"undo {name}")
                if name in self.on_undo:
                    self.on_undo[name](it)
                self.made.discard(name)

            return Step(name, run, undo)

        def failed(it: Run, error: Exception) -> None:
            self.on_failed(it, error)
            self.ends.append(f"failed: {error}")

        return Flow(
            Script.kind, tuple(map(step, STEPS)), failed=failed,
            cancelled=lambda it: self.ends.append("cancelled"),
            reroute=lambda it, error: self.reroute(it, error), retries=3,
        )  # fmt: skip

    # Time and workers.

    def workers(self) -> Workers:
        """A new process's workers over the same database."""

        def boundary(name: str) -> None:
            self.boundaries.append(name.removeprefix("test.script/"))
            self.at_boundary(self.boundaries[-1])

        return Workers(self.parts, self.registry, self.queue, lambda when, id: self.alarms.append((when, id)), boundary)

    def start(self, name: str = "x", *, key: str = "thing:1", **more: Any) -> str:
        with self.database.write(Context(request_id="req-test")) as w:
            return tasks.start(w, Script(name), key=key, resource_id="1", **more).id

    def work(self, workers: Workers | None = None, *, rounds: int = 200) -> None:
        """Run all there is to do, moving the clock to the next alarm when nothing waits."""
        workers = workers or self.workers()
        for _ in range(rounds):
            while (task_id := self.queue.get(0)) is not None:
                workers.run_one(task_id)
            if not self.alarms:
                return
            self.alarms.sort()
            when, task_id = self.alarms.pop(0)
            self.clock.now = max(self.clock.now, when)
            self.queue.put(task_id)
        raise AssertionError("the work never ends")

    def new_process(self) -> None:
        """What was in memory is lost; what recovery finds is queued."""
        while self.queue.get(0) is not None:
            pass
        self.alarms.clear()
        with self.database.write(internal()) as w:
            for task_id in tasks.recover(w):
                self.queue.put(task_id)
        self.sweep()

    def sweep(self) -> None:
        self.clock.move(60)
        with self.database.read(internal()) as w:
            due = tasks.due(w)
        for task_id in due:
            self.queue.put(task_id)

    def task(self, task_id: str) -> tasks.Task:
        with self.database.read(internal()) as w:
            found = w.session.get(tasks.Task, task_id)
        assert found is not None
        return found

    def history(self, task_id: str) -> list[tuple[str, bool, str]]:
        """(step, undone, result) of each finished run."""
        with self.database.read(internal()) as w:
            return [(step.name, step.undone, step.result) for step in tasks.steps(w, task_id)]

    # Words for tests.

    def ask_to_cancel(self) -> None:
        with self.database.write(internal()) as w:
            tasks.cancel_key(w, "thing:1")


def fails(error: Exception | None = None, *, times: int = 10**6) -> Act:
    """A step that raises ``times`` times."""
    left = [times]

    def act(run: Run) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise error or Failed("it broke")

    return act


def set_clock(source: Clock | None) -> None:
    clock.set_source(source)
