"""No state without a way out: what no task will end is ended by reconciliation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from novalite import clock
from novalite.cloud.compute.servers import Server
from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.engine import reconcile
from tests.api.engine.conftest import House


def _abandon(house: House, server_id: str, **values: Any) -> None:
    """Leave the server in a state that no task will end, long ago."""
    with house.database.write(internal()) as w:
        long_ago = w.now - timedelta(hours=1)
        w.session.execute(sa.update(Server).where(Server.id == server_id).values(**values, updated_at=long_ago))


def _mend(house: House) -> list[str]:
    return reconcile.end_unowned_states(house.database, older_than_seconds=60)


def test_a_build_that_nobody_builds_is_an_error_that_can_be_deleted(house: House) -> None:
    server_id = house.boot()
    _abandon(house, server_id, vm_state="building", task_state="spawning", launched_at=None)
    assert _mend(house) == [server_id]
    assert "cut off" in house.wait(server_id, "ERROR")["fault"]["message"]
    house.delete(server_id)
    house.assert_empty()


def test_a_deletion_that_nobody_does_is_done(house: House) -> None:
    server_id = house.boot()
    _abandon(house, server_id, task_state="deleting")
    assert _mend(house) == [server_id]
    house.gone(server_id)
    house.assert_empty()


def test_an_action_that_nobody_does_ends_where_the_guest_is(house: House) -> None:
    server_id = house.boot()
    _abandon(house, server_id, task_state="powering-off")
    assert _mend(house) == [server_id]
    house.wait(server_id, "ACTIVE")
    assert house.act(server_id, "os-stop") == 202
    house.wait(server_id, "SHUTOFF")
    house.delete(server_id)
    house.assert_empty()


def test_what_a_task_will_end_and_what_has_just_begun_is_left_alone(house: House) -> None:
    server_id, young = house.boot("busy"), house.boot("young")
    reached, go_on = house.stopped_at("shutdown:begin", kind="server.stop")
    house.act(server_id, "os-stop")
    assert reached.wait(60)
    _abandon(house, server_id)
    with house.database.write(internal()) as w:
        w.session.execute(sa.update(Server).where(Server.id == young).values(task_state="pausing"))
    assert _mend(house) == []
    go_on.set()
    house.wait(server_id, "SHUTOFF")


@pytest.fixture
def an_hour_later() -> Iterator[Callable[[], None]]:
    yield lambda: clock.set_source(lambda: datetime.now(UTC) + timedelta(hours=1))
    clock.set_source(None)


def test_a_task_past_its_deadline_is_undone_and_the_server_says_so(
    house: House, an_hour_later: Callable[[], None]
) -> None:
    reached, go_on = house.stopped_at("wire:begin")
    server_id = house.ask()
    assert reached.wait(60)
    an_hour_later()
    with house.database.write(internal()) as w:
        assert tasks.expire(w) == 1
    go_on.set()
    house.idle()
    assert house.guests() == {}
    server = house.wait(server_id, "ERROR")
    assert "did not finish in time" in server["fault"]["message"]
    clock.set_source(None)
    house.delete(server_id)
    house.assert_empty()
