"""Units of work: one short transaction each, never nested, never open while something outside is called."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from novalite import clock
from novalite.context import Context
from novalite.db.engine import is_sqlite, make_engine
from novalite.errors import Busy, Conflict, DependencyDown, Invalid, NovaLiteError

Listener = Callable[[str, str, str], None]
T = TypeVar("T")

_this_thread = threading.local()
_ONE_MOMENT = "REPEATABLE READ"
"""What SQLite's reading transactions are by themselves."""
_QUEUE_SECONDS = 30.0
"""How long writers wait for their turn where no other process can hold it."""


def unit_is_open() -> bool:
    """Whether the calling thread is inside a unit of work."""
    return bool(getattr(_this_thread, "open", False))


def _refuse_nesting() -> None:
    if unit_is_open():
        raise RuntimeError("a unit of work is already open in this thread")


class Work:
    """An open unit: the session, who asks, and one time for all that is written."""

    def __init__(self, session: Session, ctx: Context) -> None:
        self.session = session
        self.ctx = ctx
        self.now: datetime = clock.now()
        self._after_commit: list[Callable[[], None]] = []
        self._announcements: dict[tuple[str, str, str], None] = {}

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run ``action`` once the unit is committed; never when it is rolled back."""
        self._after_commit.append(action)

    def announce(self, topic: str, id: str, project_id: str = "") -> None:
        """Tell listeners after the commit that ``id`` of ``topic`` has changed; repeated ones count once."""
        self._announcements[(topic, id, project_id)] = None

    def changed(self, statement: Any) -> int:
        """Execute an UPDATE or DELETE and return how many rows it hit: the compare-and-set primitive."""
        result = self.session.execute(statement, execution_options={"synchronize_session": False})
        return int(result.rowcount)  # type: ignore[attr-defined]


class Database:
    """Opens units of work. There is one writer at a time, whatever the database: what a unit has read stays true until
    it commits, so that two who end what they share do not each leave the rest to the other. A state belongs to one
    process, so its writers queue on a lock here, and SQLite's own lock is only contended by other processes."""

    def __init__(self, url: str, *, busy_timeout_seconds: float = 10.0) -> None:
        self.url = url
        self.engine: Engine = make_engine(url, busy_timeout_seconds=busy_timeout_seconds)
        self._writer = threading.Lock()
        self._patience_seconds = max(busy_timeout_seconds, 1.0) if is_sqlite(url) else _QUEUE_SECONDS
        self._writing = self.engine.execution_options(writes=True)
        self._reading = self.engine if is_sqlite(url) else self.engine.execution_options(isolation_level=_ONE_MOMENT)
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call ``listener(topic, id, project_id)`` after each commit, in its thread; never block."""
        self._listeners.append(listener)

    @contextmanager
    def write(self, ctx: Context) -> Iterator[Work]:
        """A unit that commits when the block ends and rolls back when it raises."""
        _refuse_nesting()
        with self._turn(), self._unit(ctx, self._writing, commit=True) as work:
            yield work
        self._deliver(work)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The one writer's turn. Raises ``Busy`` when it does not come: a locked file must not collect threads."""
        if not self._writer.acquire(timeout=self._patience_seconds):
            raise _busy() if is_sqlite(self.url) else _crowded()
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def read(self, ctx: Context) -> Iterator[Work]:
        """A unit that never commits. All that is read in it is of one moment."""
        with self._unit(ctx, self._reading, commit=False) as work:
            yield work

    @contextmanager
    def _unit(self, ctx: Context, engine: Engine, *, commit: bool) -> Iterator[Work]:
        _refuse_nesting()
        _this_thread.open = True
        session = Session(engine, expire_on_commit=False, autoflush=True)
        try:
            work = Work(session, ctx)
            yield work
            if commit:
                session.commit()
            else:
                session.expunge_all()
                session.rollback()
        except SQLAlchemyError as error:
            session.rollback()
            told = _told(error)
            if told is None:
                raise
            raise told from error
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()
            _this_thread.open = False

    def _deliver(self, work: Work) -> None:
        for action in work._after_commit:
            action()
        for topic, id, project_id in work._announcements:
            for listener in self._listeners:
                listener(topic, id, project_id)

    def close(self) -> None:
        self.engine.dispose()


def _busy() -> Busy:
    return Busy(
        "The database is locked by another process.",
        hint="Try again in a moment; stop the program that holds it if this lasts.",
    )


def _crowded() -> Busy:
    return Busy("Too many ask the database at once.", hint="Try again in a moment.")


_RACES = ("unique", "duplicate", "foreign key")
_DOWN = {
    "disk is full": "The disk that keeps the database is full.",
    "no space left": "The disk that keeps the database is full.",
    "readonly database": "The database cannot be written: the file or its disk is read-only.",
    "unable to open database": "The database file cannot be opened.",
    "disk i/o error": "The disk that keeps the database fails.",
    "connection failed": "The database does not answer.",
    "connection timeout": "The database does not answer.",
}


def _told(error: SQLAlchemyError) -> NovaLiteError | None:
    """What a person should know about ``error``; None for what nobody foresaw."""
    if isinstance(error, PoolTimeout):
        return _crowded()
    if isinstance(error, IntegrityError) and any(word in str(error.orig).lower() for word in _RACES):
        return Conflict("Another request changed the same at the same time.", code="state.race", hint="Try again.")
    if isinstance(error, DataError):
        return Invalid(
            "The database cannot take one of the values.",
            code="database.value",
            hint="It is too long, too large, no regular expression, or holds a NUL character.",
        )
    if not isinstance(error, OperationalError):
        return None
    text = str(error.orig).lower()
    if "locked" in text or "deadlock" in text or "lock wait timeout" in text:
        return _busy()
    found = next((message for part, message in _DOWN.items() if part in text), "")
    if not found and error.connection_invalidated:
        found = "The database does not answer."
    return DependencyDown(found, hint="What is running goes on; nothing was changed.") if found else None


def get_one(work: Work, record: type[T], id: Any) -> T | None:
    """A record by its primary key, or None."""
    return work.session.get(record, id)


def count(work: Work, statement: sa.Select[Any]) -> int:
    """How many rows ``statement`` would give."""
    return int(work.session.scalar(sa.select(sa.func.count()).select_from(statement.subquery())) or 0)
