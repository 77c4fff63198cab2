"""Moves of servers to other sizes and other hosts: the record of each, and what is held while it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.paging import Page, page_of
from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work

RESIZE, MIGRATION, LIVE, EVACUATION = "resize", "migration", "live-migration", "evacuation"
ACCEPTED, QUEUED, PREPARING, RUNNING, COMPLETED, CANCELLED, DONE = (
    "accepted",
    "queued",
    "preparing",
    "running",
    "completed",
    "cancelled",
    "done",
)
PRE_MIGRATING, MIGRATING, POST_MIGRATING, FINISHED = "pre-migrating", "migrating", "post-migrating", "finished"
CONFIRMING, CONFIRMED, REVERTING, REVERTED, ERROR = "confirming", "confirmed", "reverting", "reverted", "error"

LIVE_IN_PROGRESS = (QUEUED, PREPARING, RUNNING, POST_MIGRATING)
_UNDER_WAY = (PRE_MIGRATING, MIGRATING, POST_MIGRATING, REVERTING)
"""While a resize has one of these, the larger of both sizes counts for the quota."""
_UNFINISHED = (*_UNDER_WAY, ACCEPTED, QUEUED, PREPARING, RUNNING, CONFIRMING)


class Migration(Base):
    """One move. ``old_flavor`` and ``new_flavor`` are copies as a server has them, empty where the size stays;
    ``*_vcpus`` and ``*_memory_mib`` are what the server takes before and after. ``dest_host`` is empty until
    one is chosen. ``uuid`` is also the name under which hosts keep what the server had before."""

    __tablename__ = "migrations"
    __table_args__ = (
        sa.Index("ix_migrations_server_id_status", "server_id", "status"),
        sa.Index("ix_migrations_created_at", "created_at", "id"),
        sa.Index("ix_migrations_status_updated_at", "status", "updated_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(Id, unique=True, default=new_id)
    server_id: Mapped[str] = mapped_column(Id)
    type: Mapped[str] = mapped_column(sa.String(16))
    status: Mapped[str] = mapped_column(sa.String(16))
    source_host: Mapped[str] = mapped_column(default="")
    dest_host: Mapped[str] = mapped_column(default="")
    old_flavor: Mapped[dict[str, Any]] = mapped_column(default=dict)
    new_flavor: Mapped[dict[str, Any]] = mapped_column(default=dict)
    old_vcpus: Mapped[int] = mapped_column(default=0)
    old_memory_mib: Mapped[int] = mapped_column(default=0)
    new_vcpus: Mapped[int] = mapped_column(default=0)
    new_memory_mib: Mapped[int] = mapped_column(default=0)
    hidden: Mapped[bool] = mapped_column(default=False)
    user_id: Mapped[str] = mapped_column(sa.String(64))
    project_id: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]

    @property
    def holder(self) -> str:
        """Under which a host keeps disks and room of before."""
        return self.uuid


@dataclass(frozen=True)
class Wanted:
    """Which migrations a list shows; empty fields are no condition. ``host`` is either end of the move."""

    host: str = ""
    source_host: str = ""
    server_id: str = ""
    status: tuple[str, ...] = ()
    type: str = ""
    user_id: str = ""
    project_id: str = ""
    hidden: bool | None = None
    changes_since: datetime | None = None
    changes_before: datetime | None = None


def create(w: Work, made: Migration) -> Migration:
    """Record a new move of the caller's; its id is there afterwards."""
    made.uuid, made.created_at = new_id(), w.now
    made.user_id, made.project_id = w.ctx.user_id, w.ctx.project_id
    w.session.add(made)
    w.session.flush()
    return made


def find(w: Work, migration_id: int) -> Migration | None:
    return w.session.get(Migration, migration_id)


def of_server(w: Work, server_id: str, migration_id: str) -> Migration | None:
    """By its number, or None when the server has no such one."""
    if not (migration_id.isascii() and migration_id.isdecimal() and len(migration_id) < 10):
        return None
    found = find(w, int(migration_id))
    return found if found is not None and found.server_id == server_id else None


def with_status(w: Work, server_id: str, *statuses: str) -> Migration | None:
    """The server's latest move that has one of ``statuses``."""
    query = sa.select(Migration).where(Migration.server_id == server_id, Migration.status.in_(statuses))
    return w.session.scalar(query.order_by(Migration.id.desc()).limit(1))


def move_on(w: Work, migration_id: int, status: str, *, dest_host: str | None = None) -> None:
    """The next status; one that has ended stays as it is."""
    values: dict[str, Any] = {"status": status, "updated_at": w.now}
    if dest_host is not None:
        values["dest_host"] = dest_host
    unfinished = Migration.status.in_((*_UNFINISHED, FINISHED))
    w.changed(sa.update(Migration).where(Migration.id == migration_id, unfinished).values(**values))
    row = find(w, migration_id)
    if row is not None:
        w.session.refresh(row)


def server_gone(w: Work, server_id: str) -> None:
    """The server is deleted: what waited for its confirmation counts as confirmed, what went on has failed."""
    of_it = sa.update(Migration).where(Migration.server_id == server_id)
    w.changed(of_it.where(Migration.status == FINISHED).values(status=CONFIRMED, updated_at=w.now))
    w.changed(of_it.where(Migration.status.in_(_UNFINISHED)).values(status=ERROR, updated_at=w.now))


def extra_use(w: Work, server: Any, *whose: Any) -> tuple[int, int]:
    """(cores, MiB) that moves under way may take beyond what their servers (records ``server``, those for which
    ``whose`` holds) have now."""

    def beyond(old: Any, new: Any, now: Any) -> Any:
        larger = sa.case((old > new, old), else_=new)
        return sa.func.sum(sa.case((larger > now, larger - now), else_=0))

    row = w.session.execute(
        sa.select(
            beyond(Migration.old_vcpus, Migration.new_vcpus, server.vcpus),
            beyond(Migration.old_memory_mib, Migration.new_memory_mib, server.memory_mib),
        )
        .select_from(Migration)
        .join(server, server.id == Migration.server_id)
        .where(Migration.status.in_(_UNDER_WAY), *whose, server.deleted_at.is_(None))
    ).one()
    return int(row[0] or 0), int(row[1] or 0)


def left_behind(w: Work, host: str) -> set[str]:
    """Servers that have gone from ``host`` to another, which is not confirmed yet: what they had waits there."""
    waits = sa.select(Migration.server_id).where(
        Migration.status == FINISHED, Migration.source_host == host, Migration.dest_host != host
    )
    return set(w.session.scalars(waits))


def unconfirmed(w: Work, before: datetime) -> list[Migration]:
    """Finished resizes that nobody has confirmed since ``before``."""
    query = sa.select(Migration).where(Migration.status == FINISHED, Migration.updated_at < before)
    return list(w.session.scalars(query.order_by(Migration.id)))


def prune(w: Work, *, older_than: datetime) -> int:
    """Forget moves that ended before ``older_than``; how many."""
    ended = Migration.status.not_in((*_UNFINISHED, FINISHED))
    return w.changed(sa.delete(Migration).where(ended, _changed_at < older_than))


_changed_at = sa.func.coalesce(Migration.updated_at, Migration.created_at)


def listed(w: Work, wanted: Wanted, page: Page | None = None) -> list[Migration]:
    """The moves ``wanted``; a page of them newest first, or all of them in the order they were made.

    Raises ``Invalid`` for an unknown marker (a ``uuid``).
    """
    query = sa.select(Migration)
    for test in _tests(wanted):
        query = query.where(test)
    if page is None:
        return list(w.session.scalars(query.order_by(Migration.id)))
    keys = {"created_at": Migration.created_at, "id": Migration.id}
    return page_of(
        w, query, Migration, page, keys, default=("created_at", "id"), identity=Migration.uuid, descending=True
    )


def _tests(wanted: Wanted) -> list[Any]:
    plain: Mapping[Any, str] = {
        Migration.source_host: wanted.source_host, Migration.server_id: wanted.server_id,
        Migration.type: wanted.type, Migration.user_id: wanted.user_id, Migration.project_id: wanted.project_id,
    }  # fmt: skip
    tests: list[Any] = [column == value for column, value in plain.items() if value]
    if wanted.host:
        tests.append(sa.or_(Migration.source_host == wanted.host, Migration.dest_host == wanted.host))
    if wanted.status:
        tests.append(Migration.status.in_(wanted.status))
    if wanted.hidden is not None:
        tests.append(Migration.hidden.is_(wanted.hidden))
    if wanted.changes_since is not None:
        tests.append(_changed_at >= wanted.changes_since)
    if wanted.changes_before is not None:
        tests.append(_changed_at <= wanted.changes_before)
    return tests
