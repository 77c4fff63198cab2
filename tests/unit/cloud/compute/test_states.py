"""The table of states, walked whole: every action in every state is begun or refused as it says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.compute import actions, progress, soft_delete, states
from novalite.cloud.compute import tasks as kinds
from novalite.cloud.compute.servers import Server
from novalite.cloud.tasks import tasks
from novalite.context import Context, internal
from novalite.db.records import new_id
from novalite.db.work import Database, Work
from novalite.errors import Conflict, NotFound

ADMIN = Context(user_id="a", project_id="ops", roles=frozenset({"admin", "member", "reader"}))
OWNER = Context(user_id="u", project_id="p", roles=frozenset({"member", "reader"}))

VM_STATES = (
    states.BUILDING, states.ACTIVE, states.PAUSED, states.SUSPENDED, states.STOPPED, states.ERROR,
    states.RESCUED, states.RESIZED, states.SHELVED, states.SHELVED_OFFLOADED, states.SOFT_DELETED,
)  # fmt: skip
DOING = sorted(
    {rule.doing for rule in states.RULES.values() if rule.doing}
    | {states.SCHEDULING, states.SPAWNING, states.NETWORKING}
)
POWER = list(actions.PLAIN)

# What Nova's API documents: the states each action may begin in, written down a second time.
FROM = {
    "start": {"stopped"},
    "stop": {"active", "error"},
    "reboot": {"active"},
    "reboot_hard": {"active", "stopped", "paused", "suspended", "error"},
    "pause": {"active"},
    "unpause": {"paused"},
    "suspend": {"active"},
    "resume": {"suspended"},
    "rebuild": {"active", "stopped", "error"},
    "rescue": {"active", "stopped", "error"},
    "unrescue": {"rescued"},
    "resize": {"active", "stopped"},
    "migrate": {"active", "stopped"},
    "confirmResize": {"resized"},
    "revertResize": {"resized"},
    "live-migration": {"active", "paused"},
    "shelve": {"active", "stopped", "paused", "suspended"},
    "shelveOffload": {"shelved"},
    "unshelve": {"shelved", "shelved_offloaded"},
    "createImage": {"active", "stopped", "paused", "suspended"},
    "createBackup": {"active", "stopped", "paused", "suspended"},
    "changePassword": {"active"},
    "trigger_crash_dump": {"active", "paused", "rescued", "resized", "error"},
    "attach_interface": {"active", "paused", "stopped"},
    "detach_interface": {"active", "paused", "stopped"},
    "attach_volume": {"active", "paused", "stopped", "resized", "soft-delete", "shelved", "shelved_offloaded"},
    "detach_volume": {"active", "paused", "stopped", "resized", "soft-delete", "shelved", "shelved_offloaded"},
    "swap_volume": {"active", "paused", "resized"},
    "restore": {"soft-delete"},
}
ALWAYS = {"delete", "softDelete"}
WHILE_BUSY = {"evacuate": {"active", "stopped", "error"}}


def server(w: Work, **given: Any) -> str:
    """A server's row; launched and active unless ``given`` says otherwise."""
    flavor = {"id": "1", "name": "f", "vcpus": 1, "ram": 1, "disk": 1, "ephemeral": 0, "swap": 0, "extra_specs": {}}
    values = {
        "id": new_id(), "name": "s", "hostname": "s", "project_id": "p", "user_id": "u", "vm_state": states.ACTIVE,
        "task_state": None, "flavor": flavor, "vcpus": 1, "memory_mib": 1, "disk_gib": 1, "image": {}, "key": {},
        "reservation_id": "r-1", "created_at": w.now, "updated_at": w.now, "launched_at": w.now, **given,
    }  # fmt: skip
    row = Server(**{name: sa.null() if value is None else value for name, value in values.items()})
    w.session.add(row)
    w.session.flush()
    return row.id


def _states() -> Iterator[tuple[str, str | None]]:
    yield from itertools.product(VM_STATES, (None, *DOING))


def _row(database: Database, server_id: str) -> Server:
    with database.read(internal()) as w:
        found = w.session.get(Server, server_id)
    assert found is not None
    return found


def _live(database: Database, server_id: str) -> list[tasks.Task]:
    with database.read(internal()) as w:
        query = sa.select(tasks.Task).where(tasks.Task.resource_id == server_id).order_by(tasks.Task.created_at)
        return list(w.session.scalars(query))


@pytest.mark.parametrize("action", POWER)
@pytest.mark.parametrize("launched", [True, False])
def test_an_action_begins_where_the_table_says_and_nowhere_else(
    database: Database, action: str, launched: bool
) -> None:
    rule = states.RULES[action]
    for vm_state, task_state in _states():
        with database.write(OWNER) as w:
            server_id = server(w, vm_state=vm_state, task_state=task_state, launched_at=w.now if launched else None)
        expected = (
            vm_state in FROM[action]
            and launched
            and (task_state is None or (action == "reboot_hard" and task_state in (rule.task_states or ())))
        )
        before = _row(database, server_id)
        refused = None
        try:
            with database.write(OWNER) as w:
                actions.request(w, server_id, action)
        except Conflict as error:
            refused = error
        begun = refused is None
        assert refused is None or (refused.code == "server.state" and server_id in refused.message)
        assert begun == expected, (action, vm_state, task_state, launched)
        after, queued = _row(database, server_id), _live(database, server_id)
        if begun:
            assert (after.vm_state, after.task_state) == (vm_state, rule.doing)
            assert [task.action for task in queued] == [action.removesuffix("_hard")]
        else:
            assert (after.vm_state, after.task_state, after.revision) == (vm_state, task_state, before.revision)
            assert queued == []


def test_deleting_is_allowed_in_every_state(database: Database) -> None:
    for vm_state, task_state in _states():
        with database.write(OWNER) as w:
            server_id = server(w, vm_state=vm_state, task_state=task_state, launched_at=None)
        with database.write(OWNER) as w:
            actions.delete(w, server_id)
        assert _row(database, server_id).task_state == states.DELETING
        assert [task.kind for task in _live(database, server_id)] == [kinds.Delete.kind]


def test_deleting_again_while_it_goes_adds_nothing(database: Database) -> None:
    with database.write(OWNER) as w:
        server_id = server(w)
    for _ in range(3):
        with database.write(OWNER) as w:
            actions.delete(w, server_id)
    assert len(_live(database, server_id)) == 1


def test_a_deletion_that_failed_may_be_asked_for_again(database: Database) -> None:
    with database.write(OWNER) as w:
        server_id = server(w)
        actions.delete(w, server_id)
    with database.write(internal()) as w:
        task = tasks.claim(w, _live_id(w, server_id))
        assert task is not None
        tasks.finish(w, task, tasks.State.FAILED)
        progress.deletion_failed(w, server_id, progress.fault(500, "no", w.now))
    with database.write(OWNER) as w:
        actions.delete(w, server_id)
    assert [task.state for task in _live(database, server_id)] == ["failed", "queued"]


def _live_id(w: Work, server_id: str) -> str:
    return w.session.scalars(sa.select(tasks.Task.id).where(tasks.Task.resource_id == server_id)).one()


def test_deleting_asks_everything_else_to_stop(database: Database) -> None:
    with database.write(OWNER) as w:
        server_id = server(w)
        actions.request(w, server_id, "stop")
    with database.write(OWNER) as w:
        actions.delete(w, server_id)
    stop, delete = _live(database, server_id)
    assert (stop.cancel_requested, delete.cancel_requested) == (True, False)


def test_every_rule_names_states_and_kinds_that_exist() -> None:
    for name, rule in states.RULES.items():
        assert rule.action == name
        assert rule.vm_states <= set(VM_STATES)
        assert rule.ends in (*VM_STATES, states.DELETED)
        assert rule.label


def test_what_the_buttons_offer_is_what_begins(database: Database) -> None:
    for vm_state, task_state in _states():
        offered = set(states.allowed(vm_state, task_state, True))
        expected = {
            name
            for name in FROM
            if vm_state in FROM[name]
            and (task_state is None or (name == "reboot_hard" and task_state in states.RULES[name].task_states))  # type: ignore[operator]
        }
        expected |= {name for name, found in WHILE_BUSY.items() if vm_state in found}
        assert offered == expected | ALWAYS


def test_every_state_has_a_status_and_every_status_finds_its_states() -> None:
    for vm_state, task_state in _states():
        word = states.status(vm_state, task_state)
        assert word != "UNKNOWN"
        vm_states, _ = states.states_of(word)
        assert vm_state in vm_states
    assert states.states_of("NONSENSE") == (frozenset(), frozenset())


def test_two_actions_at_once_one_begins(database: Database) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with database.write(OWNER) as w:
        server_id = server(w)

    def ask(action: str) -> bool:
        try:
            with database.write(OWNER) as w:
                actions.request(w, server_id, action)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, ["stop", "pause", "suspend", "reboot"])) == 1
    assert len(_live(database, server_id)) == 1


def test_a_locked_server_refuses_its_owner_and_obeys_the_admin(database: Database) -> None:
    with database.write(OWNER) as w:
        server_id = server(w)
        actions.lock(w, server_id)
    for act in (lambda w: actions.request(w, server_id, "stop"), lambda w: actions.delete(w, server_id)):
        with database.write(OWNER) as w, pytest.raises(Conflict, match="locked"):
            act(w)
    with database.write(ADMIN) as w:
        actions.request(w, server_id, "stop")
    assert _row(database, server_id).task_state == "powering-off"


def test_servers_of_others_are_not_there(database: Database) -> None:
    with database.write(OWNER) as w:
        server_id = server(w, project_id="another")
    for act in (lambda w: actions.request(w, server_id, "stop"), lambda w: actions.delete(w, server_id)):
        with database.write(OWNER) as w, pytest.raises(NotFound):
            act(w)


class TestWhatHostsSay:
    """``progress.observed``: believed while nothing goes on, and only then."""

    BELIEVED = {
        "running": ("active", states.RUNNING),
        "off": ("stopped", states.SHUTDOWN),
        "absent": ("stopped", states.SHUTDOWN),
        "paused": ("paused", states.POWER_PAUSED),
        "suspended": ("suspended", states.POWER_SUSPENDED),
    }

    @pytest.mark.parametrize("power", BELIEVED)
    @pytest.mark.parametrize("vm_state", ["active", "stopped", "paused", "suspended"])
    def test_an_idle_server_follows_its_guest(self, database: Database, power: str, vm_state: str) -> None:
        with database.write(OWNER) as w:
            server_id = server(w, vm_state=vm_state)
        with database.write(internal()) as w:
            assert progress.observed(w, server_id, power)
        row = _row(database, server_id)
        assert (row.vm_state, row.power_state) == self.BELIEVED[power]
        with database.write(internal()) as w:
            assert not progress.observed(w, server_id, power)

    @pytest.mark.parametrize(
        "given",
        [{"task_state": "powering-off"}, {"launched_at": None, "vm_state": "building"}, {"vm_state": "error"}],
    )
    @pytest.mark.parametrize("power", BELIEVED)
    def test_one_in_an_action_unlaunched_or_in_error_keeps_its_state(
        self, database: Database, power: str, given: dict[str, Any]
    ) -> None:
        with database.write(OWNER) as w:
            server_id = server(w, **given)
        before = _row(database, server_id)
        with database.write(internal()) as w:
            assert not progress.observed(w, server_id, power)
        after = _row(database, server_id)
        assert (after.vm_state, after.power_state) == (before.vm_state, before.power_state)

    @pytest.mark.parametrize("power", [*BELIEVED, "crashed"])
    @pytest.mark.parametrize("vm_state", ["rescued", "resized", "soft-delete"])
    def test_one_whose_state_says_more_keeps_it_whatever_its_guest_does(
        self, database: Database, power: str, vm_state: str
    ) -> None:
        with database.write(OWNER) as w:
            server_id = server(w, vm_state=vm_state, power_state=states.NOSTATE)
        with database.write(internal()) as w:
            progress.observed(w, server_id, power)
        row = _row(database, server_id)
        assert (row.vm_state, row.power_state, row.fault) == (vm_state, progress.POWER_STATES[power], None)

    def test_a_crash_is_an_error_with_its_reason(self, database: Database) -> None:
        with database.write(OWNER) as w:
            server_id = server(w)
        with database.write(internal()) as w:
            assert progress.observed(w, server_id, "crashed", "panicked")
        row = _row(database, server_id)
        assert (row.status, row.power_state) == ("ERROR", states.CRASHED)
        assert row.fault is not None
        assert "panicked" in row.fault["message"]


def test_a_state_written_late_does_not_bring_a_deleted_server_back(database: Database) -> None:
    with database.write(OWNER) as w:
        server_id = server(w)
    with database.write(internal()) as w:
        progress.gone(w, server_id)
        progress.settle(w, server_id, vm_state="active", power_state=1)
        progress.failed(w, server_id, progress.fault(500, "no", w.now))
        progress.doing(w, server_id, "spawning")
        progress.observed(w, server_id, "running")
    row = _row(database, server_id)
    assert (row.vm_state, row.task_state, row.fault) == ("deleted", None, None)


def test_a_server_being_deleted_is_not_called_ready_by_a_boot_that_ends_late(database: Database) -> None:
    with database.write(OWNER) as w:
        server_id = server(w, vm_state="building", launched_at=None)
        actions.delete(w, server_id)
    with database.write(internal()) as w:
        assert not progress.settle(w, server_id, vm_state="active", power_state=1, launched=True)
        assert not progress.doing(w, server_id, "spawning")
    assert _row(database, server_id).task_state == "deleting"


def test_neither_is_one_that_is_put_aside(database: Database) -> None:
    with database.write(OWNER) as w:
        server_id = server(w)
        soft_delete.delete(w, server_id, reclaim_seconds=60)
    with database.write(internal()) as w:
        assert not progress.settle(w, server_id, vm_state="active", power_state=1)
        assert not progress.doing(w, server_id, "rebuild_spawning")
        progress.failed(w, server_id, progress.fault(500, "too late", w.now), vm_state=None)
    assert _row(database, server_id).task_state == "soft-deleting"
    with database.write(internal()) as w:
        soft_delete.put_aside(w, server_id)
    row = _row(database, server_id)
    assert (row.vm_state, row.task_state, row.deleted_at) == ("soft-delete", None, None)


def test_only_the_host_that_has_a_server_is_believed(database: Database) -> None:
    with database.write(OWNER) as w:
        server_id = server(w, host="new")
    with database.write(internal()) as w:
        assert not progress.observed(w, server_id, "off", host="old")
    assert _row(database, server_id).vm_state == states.ACTIVE
    with database.write(internal()) as w:
        assert progress.observed(w, server_id, "off", host="new")
    assert _row(database, server_id).vm_state == states.STOPPED
