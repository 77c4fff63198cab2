"""Waiting for tasks: told of their ends, not longer than asked, and not too many at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from novalite.api.kit.endings import Endings
from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.db.work import Database
from novalite.errors import Busy
from tests.databases import declared


@dataclass(frozen=True)
class Chore:
    kind: ClassVar[str] = "test.chore"
    action: ClassVar[str] = ""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(declared(tmp_path / "tasks.db"))
    yield made
    made.close()


def _begin(database: Database) -> str:
    with database.write(internal()) as w:
        return tasks.start(w, Chore(), key="chore").id


def _finish(database: Database, task_id: str) -> None:
    with database.write(internal()) as w:
        tasks.finish(w, w.session.get_one(tasks.Task, task_id), tasks.State.DONE)


def test_a_waiter_is_told_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("novalite.api.kit.endings._LOOK_SECONDS", 600.0)
    endings = Endings(1)
    database.listen(endings.on_change)
    task_id = _begin(database)
    threading.Timer(0.1, _finish, (database, task_id)).start()
    began = time.monotonic()
    ended = endings.wait(database, internal(), task_id, 120)
    assert ended is not None
    assert ended.state == tasks.State.DONE
    assert time.monotonic() - began < 60


def test_what_has_ended_before_is_seen(database: Database) -> None:
    task_id = _begin(database)
    _finish(database, task_id)
    ended = Endings(1).wait(database, internal(), task_id, 0)
    assert ended is not None
    assert ended.state == tasks.State.DONE


def test_nobody_waits_longer_than_asked(database: Database) -> None:
    assert Endings(1).wait(database, internal(), _begin(database), 0.05) is None


def test_only_some_wait_at_once() -> None:
    endings = Endings(1)
    with endings.turn(), pytest.raises(Busy), endings.turn():
        raise AssertionError("two wait where one may")
    with endings.turn():
        pass
