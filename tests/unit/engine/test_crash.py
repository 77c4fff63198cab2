"""kill -9 at every boundary of every kind of walk: a second process ends what the first began."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.engine.flow import Run, Wait
from tests.unit.engine.scripted import Killed, World, fails

Scenario = Callable[[World], None]


def goes_well(world: World) -> None:
    pass


def fails_at_the_end(world: World) -> None:
    world.on["third"] = fails()


def is_rerouted(world: World) -> None:
    def once(run: Run) -> None:
        if "again" not in run.memo:
            fails(times=1)(run)

    def go_on_at(run: Run, error: Exception) -> str:
        run.memo["again"] = True
        return "first"

    world.on["second"], world.reroute = once, go_on_at


def waits(world: World) -> None:
    def wait(run: Run) -> Wait | None:
        run.memo["asked"] = run.memo.get("asked", 0) + 1
        return Wait("guest:1", 5) if run.memo["asked"] < 3 else None

    world.on["second"] = wait


def is_cancelled(world: World) -> None:
    world.on["second"] = lambda run: world.ask_to_cancel()


SCENARIOS: dict[str, tuple[Scenario, set[str], str]] = {
    "goes well": (goes_well, {"first", "second", "third"}, "done"),
    "fails at the end": (fails_at_the_end, set(), "failed"),
    "is rerouted": (is_rerouted, {"first", "second", "third"}, "done"),
    "waits": (waits, {"first", "second", "third"}, "done"),
    "is cancelled": (is_cancelled, set(), "cancelled"),
}


def _live(world: World, scenario: Scenario, deaths: list[int]) -> str:
    """Run the scenario, dying at the boundaries whose running numbers are in ``deaths``; the task's id."""
    scenario(world)
    count = [0]

    def maybe_die(name: str) -> None:
        count[0] += 1
        if count[0] in deaths:
            raise Killed

    world.at_boundary = maybe_die
    task_id = world.start()
    for _ in range(len(deaths) + 1):
        try:
            world.work()
        except Killed:
            world.new_process()
        else:
            break
    return task_id


def _assert_ended(world: World, task_id: str, made: set[str], state: str) -> None:
    task = world.task(task_id)
    assert (task.state, task.holds, world.made) == (state, None, made)
    if state == "failed":
        assert set(world.ends) == {"failed: it broke"}
    if state == "cancelled":
        assert set(world.ends) == {"cancelled"}
    with world.database.read(internal()) as w:
        assert tasks.live_resources(w) == set()


def _wipe(world: World) -> None:
    with world.database.write(internal()) as w:
        tasks.prune(w, older_than=world.clock.now.replace(year=3000))
    for each in (world.said, world.ends, world.boundaries, world.alarms, world.made, world.on, world.on_undo):
        each.clear()
    world.reroute = lambda run, error: None


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_any_boundary_a_task_still_comes_to_its_end(world: World, name: str) -> None:
    scenario, made, state = SCENARIOS[name]
    task_id = _live(world, scenario, [])
    _assert_ended(world, task_id, made, state)
    boundaries = list(world.boundaries)
    assert len(boundaries) >= 10
    for number in range(1, len(boundaries) + 1):
        _wipe(world)
        task_id = _live(world, scenario, [number])
        _assert_ended(world, task_id, made, state)


@pytest.mark.parametrize("name", SCENARIOS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deaths=st.lists(st.integers(1, 40), min_size=2, max_size=6, unique=True))
def test_killed_again_and_again_a_task_still_comes_to_its_end(world: World, name: str, deaths: list[int]) -> None:
    _wipe(world)
    scenario, made, state = SCENARIOS[name]
    task_id = _live(world, scenario, deaths)
    _assert_ended(world, task_id, made, state)


def test_what_was_recorded_is_not_done_again(world: World) -> None:
    task_id = _live(world, goes_well, [4])  # claimed, first:begin, first:done, first:recorded
    assert world.boundaries[3] == "first:recorded"
    assert world.said == ["first", "second", "third"]
    assert world.task(task_id).state == "done"


def test_a_task_cut_off_keeps_its_key_until_it_is_taken_up_again(world: World) -> None:
    world.at_boundary = _die_at("second:begin")
    task_id = world.start()
    other = world.start("other")
    with pytest.raises(Killed):
        world.work()
    with world.database.write(internal()) as w:
        assert tasks.recover(w)[0] == task_id
        assert tasks.claim(w, other) is None
    world.at_boundary = lambda name: None
    world.new_process()
    world.work()
    assert [world.task(each).state for each in (task_id, other)] == ["done", "done"]


def _die_at(wanted: str) -> Callable[[str], None]:
    def die(name: str) -> None:
        if name == wanted:
            raise Killed

    return die
