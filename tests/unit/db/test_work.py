"""Units of work: whole or not at all, never nested, and nothing is told before it is true."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.context import internal
from novalite.db.records import UtcDateTime
from novalite.db.work import Database, unit_is_open
from novalite.errors import Busy, DependencyDown, Failed


class Own(sa.orm.DeclarativeBase):
    type_annotation_map = {datetime: UtcDateTime}


class Counter(Own):
    __tablename__ = "counters"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(default=0)
    at: Mapped[datetime | None]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/x.db", busy_timeout_seconds=0.2)
    Own.metadata.create_all(made.engine)
    with made.write(internal()) as w:
        w.session.add(Counter(id=1))
    yield made
    made.close()


def _value(database: Database) -> int:
    with database.read(internal()) as w:
        return w.session.get_one(Counter, 1).value


@pytest.mark.parametrize("outer", ["read", "write"])
@pytest.mark.parametrize("inner", ["read", "write"])
def test_units_never_nest(database: Database, outer: str, inner: str) -> None:
    with getattr(database, outer)(internal()):
        assert unit_is_open()
        with pytest.raises(RuntimeError, match="already open"), getattr(database, inner)(internal()):
            pass
        assert unit_is_open()
    assert not unit_is_open()
    assert _value(database) == 0


def test_not_even_across_two_databases(database: Database, tmp_path: Path) -> None:
    other = Database(f"sqlite:///{tmp_path}/y.db")
    with database.read(internal()), pytest.raises(RuntimeError, match="already open"), other.read(internal()):
        pass
    other.close()


def test_a_unit_of_one_thread_does_not_hinder_another(database: Database) -> None:
    with database.read(internal()), ThreadPoolExecutor(1) as pool:
        assert pool.submit(_value, database).result(60) == 0
        assert pool.submit(unit_is_open).result(60) is False


def test_what_raises_leaves_nothing_and_the_thread_is_free_again(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write(internal()) as w:  # noqa: PT012  the block is the unit
        w.changed(sa.update(Counter).values(value=5))
        raise ZeroDivisionError
    assert not unit_is_open()
    assert _value(database) == 0


def test_a_reading_unit_writes_nothing(database: Database) -> None:
    with database.read(internal()) as w:
        w.changed(sa.update(Counter).values(value=5))
    assert _value(database) == 0


def test_listeners_hear_after_the_commit_once_each_and_see_it(database: Database) -> None:
    heard: list[tuple[str, str, str, int]] = []
    database.listen(lambda topic, id, project: heard.append((topic, id, project, _value(database))))
    with database.write(internal()) as w:
        w.changed(sa.update(Counter).values(value=5))
        w.announce("server", "1", "p")
        w.announce("server", "1", "p")
        w.announce("server", "2")
        assert heard == []
    assert heard == [("server", "1", "p", 5), ("server", "2", "", 5)]


def test_a_unit_that_fails_tells_nobody(database: Database) -> None:
    heard: list[str] = []
    database.listen(lambda topic, id, project: heard.append(id))
    with pytest.raises(ZeroDivisionError), database.write(internal()) as w:  # noqa: PT012  the block is the unit
        w.announce("server", "1")
        w.after_commit(lambda: heard.append("after"))
        raise ZeroDivisionError
    assert heard == []


def test_what_is_to_be_done_after_the_commit_may_open_a_unit(database: Database) -> None:
    seen: list[int] = []
    with database.write(internal()) as w:
        w.changed(sa.update(Counter).values(value=3))
        w.after_commit(lambda: seen.append(_value(database)))
    assert seen == [3]


def test_writers_of_many_threads_queue_and_lose_nothing(database: Database) -> None:
    def add(_: int) -> None:
        with database.write(internal()) as w:
            row = w.session.get_one(Counter, 1)
            row.value += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(200)))
    assert _value(database) == 200


def test_a_reader_is_not_held_up_by_a_writer(database: Database) -> None:
    with database.write(internal()) as w, ThreadPoolExecutor(1) as pool:
        w.changed(sa.update(Counter).values(value=9))
        assert pool.submit(_value, database).result(60) == 0


def test_one_unit_has_one_time(database: Database) -> None:
    with database.write(internal()) as w:
        w.session.get_one(Counter, 1).at = w.now
        assert w.now.tzinfo is UTC
    with database.read(internal()) as again:
        assert again.session.get_one(Counter, 1).at == w.now


def test_times_come_back_aware_and_naive_ones_are_refused(database: Database) -> None:
    elsewhere = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with database.write(internal()) as w:
        w.session.get_one(Counter, 1).at = elsewhere
    with database.read(internal()) as w:
        assert w.session.get_one(Counter, 1).at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    with pytest.raises(sa.exc.StatementError, match="without a zone"), database.write(internal()) as w:
        w.session.get_one(Counter, 1).at = datetime(2026, 1, 1)  # noqa: DTZ001


def test_what_a_unit_gave_can_be_read_after_its_end(database: Database) -> None:
    with database.read(internal()) as w:
        row = w.session.get_one(Counter, 1)
    assert row.value == 0


class TestLockedByAnotherProcess:
    """Another connection stands for another process: SQLite does not tell them apart."""

    @pytest.fixture
    def lock(self, tmp_path: Path, database: Database) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield other

    def test_writing_is_refused_as_busy_with_a_hint(self, database: Database, lock: sqlite3.Connection) -> None:
        with pytest.raises(Busy, match="locked by another process") as refused, database.write(internal()) as w:
            w.changed(sa.update(Counter).values(value=5))
        assert refused.value.hint
        assert not unit_is_open()

    def test_reading_goes_on(self, database: Database, lock: sqlite3.Connection) -> None:
        assert _value(database) == 0

    def test_it_works_again_once_the_lock_is_gone(self, database: Database, lock: sqlite3.Connection) -> None:
        with pytest.raises(Busy), database.write(internal()) as w:
            w.changed(sa.update(Counter).values(value=5))
        lock.execute("ROLLBACK")
        with database.write(internal()) as w:
            w.changed(sa.update(Counter).values(value=6))
        assert _value(database) == 6

    def test_a_short_lock_is_waited_for(self, tmp_path: Path, database: Database, lock: sqlite3.Connection) -> None:
        patient = Database(database.url, busy_timeout_seconds=20)
        began = threading.Event()

        def write() -> None:
            began.set()
            with patient.write(internal()) as w:
                w.changed(sa.update(Counter).values(value=7))

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            assert began.wait(60)
            lock.execute("ROLLBACK")
            writing.result(60)
        patient.close()
        assert _value(database) == 7


class TestPostgresqlThatIsNotThere:
    """No server is needed to tell how it is asked for, and that it does not answer."""

    def test_nobody_answers(self) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            made = Database(f"postgresql+psycopg://postgres@127.0.0.1:{closed.getsockname()[1]}/x")
            for unit in (made.read, made.write):
                with pytest.raises(DependencyDown, match="does not answer"), unit(internal()) as w:
                    w.session.scalar(sa.text("SELECT 1"))
            made.close()

    @pytest.mark.parametrize(
        "url", ["no url: secret", "postgres://u:secret@127.0.0.1/x", "postgresql+none://u:secret@127.0.0.1/x"]
    )
    def test_a_url_that_leads_nowhere_is_told_without_its_password(self, url: str) -> None:
        with pytest.raises(Failed, match=r"^database\.url ") as refused:
            Database(url)
        assert "secret" not in str(refused.value)
        assert "postgresql+psycopg://" in refused.value.hint
