"""Tests of copies: when one is due, of which copy, what it said. The guest of a test is nobody's server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_OID, UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from novalite.cloud.compute import protection
from novalite.cloud.compute.protection_language import FREQUENCIES, minute_of, next_time
from novalite.cloud.compute.protection_records import (
    RUNNING,
    UNKNOWN,
    VOLUME,
    Protection,
    ProtectionRun,
    ProtectionTest,
)
from novalite.cloud.compute.protection_tasks import BootCopy, test_key
from novalite.cloud.hosts import hosts
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import volumes
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Failed, Invalid

DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS = 600, 5, 3600
_AROUND_SECONDS = 4 * 3600
"""What bringing a copy to a host may take, beside the boot."""
_LATER_MINUTES = 30
_CONSOLE_CHARACTERS = 4000


@dataclass(frozen=True)
class Wish:
    """How often the newest copy is booted, what its console must say, and within which time."""

    every: str
    expect: str = ""
    seconds: int = DEFAULT_SECONDS


def wish(w: Work, resource_id: str, wanted: Wish | None) -> Protection:
    """Test the newest copy by the clock from now on, or no more. Raises ``NotFound``, ``Invalid``."""
    found = protection.get(w, resource_id)
    if wanted is None:
        found.test, found.next_test_at = None, None
    else:
        _require_bootable(w, found)
        found.test = {"every": wanted.every, "expect": wanted.expect, "seconds": wanted.seconds}
        found.next_test_at = _next(found, w.now)
    found.updated_at = w.now
    w.session.flush()
    protection.announce(w, found)
    return found


def _require_bootable(w: Work, found: Protection) -> None:
    volume = volumes.find(w, found.resource_id) if found.resource_type == VOLUME else None
    if volume is not None and not volume.bootable:
        raise Invalid(
            f"Volume {volume.id} is not bootable, so copies of it cannot be tested.", field="test",
            code="protection.not_bootable", hint="openstack volume set --bootable says that it is.",
        )  # fmt: skip


def _next(found: Protection, now: datetime) -> datetime | None:
    """Some time after the copies of the same frequency."""
    if not found.test:
        return None
    every, minute = str(found.test["every"]), minute_of(found.resource_id) + _LATER_MINUTES
    return next_time(every, minute % 60 if every == FREQUENCIES[0] else minute, now)


def run_now(w: Work, resource_id: str, *, most: int, run_id: str = "") -> ProtectionTest:
    """A test beside the clock, of the newest copy unless a run is named. Raises ``NotFound``, ``Conflict`` while one or
    as many as ``most`` others go on or when there is no copy, ``Invalid``."""
    found = protection.get(w, resource_id)
    _require_bootable(w, found)
    run = protection.restorable(w, resource_id, run_id)
    if found.test_id is None and _going_on(w) >= most:
        raise Conflict(f"Only {most} copies are tested at once here.", code="protection.tests",
                       hint="Ask again later; the setting protection.tests says how many.")  # fmt: skip
    made = _begin(w, found, run)
    if made is None:
        raise Conflict(f"A copy of {resource_id} is being tested already.", code="protection.testing")
    return made


def _begin(w: Work, found: Protection, run: ProtectionRun) -> ProtectionTest | None:
    """None while another goes on: the compare-and-set on ``test_id`` decides."""
    test_id, asked = new_id(), found.test or {}
    free = sa.update(Protection).where(Protection.resource_id == found.resource_id, Protection.test_id.is_(None))
    if not w.changed(free.values(test_id=test_id)):
        return None
    seconds = int(asked.get("seconds") or DEFAULT_SECONDS)
    task = durable.start(
        w, BootCopy(test_id), key=test_key(found.resource_id), resource_id=test_id, project_id=found.project_id,
        deadline_seconds=seconds + _AROUND_SECONDS,
    )  # fmt: skip
    made = ProtectionTest(
        id=test_id, resource_id=found.resource_id, run_id=run.id, task_id=task.id, seconds=seconds,
        expect=str(asked.get("expect") or ""), result=RUNNING, started_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    protection.announce(w, found)
    return made


def _going_on(w: Work) -> int:
    """Guests of tests count against nobody's quota, so their number is limited."""
    return w.session.scalar(sa.select(sa.func.count()).where(Protection.test_id.is_not(None))) or 0


def due(w: Work, *, most: int) -> list[str]:
    """Ids of resources of which a copy is to be tested now, as many as ``most`` at once allows."""
    query = sa.select(Protection.resource_id).where(Protection.next_test_at <= w.now, Protection.test_id.is_(None))
    room = max(0, most - _going_on(w))
    return list(w.session.scalars(query.order_by(Protection.next_test_at).limit(room))) if room else []


def begin_due(w: Work, resource_id: str) -> bool:
    """Begin the test of one that is due. Without a copy, or of what is no more, there is nothing to test."""
    found = protection.find(w, resource_id)
    if found is None or found.next_test_at is None or found.next_test_at > w.now:
        return False
    found.next_test_at = _next(found, w.now) if found.rules else None
    run = protection.newest_copy(w, resource_id)
    return run is not None and _begin(w, found, run) is not None


def of(w: Work, resource_id: str) -> list[ProtectionTest]:
    """The caller's tests, newest first. Raises ``NotFound``."""
    protection.get(w, resource_id)
    return _of(w, [resource_id])


def _of(w: Work, resource_ids: Sequence[str]) -> list[ProtectionTest]:
    query = sa.select(ProtectionTest).where(ProtectionTest.resource_id.in_(resource_ids))
    return list(w.session.scalars(query.order_by(ProtectionTest.started_at.desc(), ProtectionTest.id)))


def newest(w: Work, protections: Iterable[Protection]) -> dict[str, ProtectionTest]:
    """The newest test of each resource, by its id."""
    found: dict[str, ProtectionTest] = {}
    for each in _of(w, [one.resource_id for one in protections]):
        found.setdefault(each.resource_id, each)
    return found


# What the engine reads and writes down. Everything may be repeated.


def get(w: Work, test_id: str) -> ProtectionTest:
    """Raises ``Failed`` when it has been forgotten."""
    found = w.session.get(ProtectionTest, test_id, populate_existing=True)
    if found is None:
        raise Failed("The test is no longer known.", code="protection.gone")
    return found


def volume_id(test_id: str, backup_id: str) -> str:
    """Of the volume that is made of a backup for a test, and is in no record."""
    return str(uuid5(NAMESPACE_OID, f"{UUID(test_id)}/{UUID(backup_id)}"))


def volumes_held(w: Work) -> set[str]:
    """Ids of volumes that tests have made for as long as they last."""
    query = sa.select(ProtectionTest, ProtectionRun).join(ProtectionRun, ProtectionRun.id == ProtectionTest.run_id)
    going_on = w.session.execute(query.join(Protection, Protection.test_id == ProtectionTest.id)).all()
    return {volume_id(test.id, backup_id) for test, run in going_on for backup_id in run.backup_ids}


def held_at(w: Work, test_id: str, host: str) -> None:
    w.changed(sa.update(ProtectionTest).where(ProtectionTest.id == test_id).values(host=host))


def give_back(w: Work, test_id: str) -> None:
    """The room that was held for the guest."""
    hosts.release(w, test_id)


def judged(w: Work, test_id: str, result: str, reason: str, console: str = "") -> None:
    """What the test says; the first verdict stays."""
    told = console.replace("\0", "")[-_CONSOLE_CHARACTERS:]
    open_ = sa.update(ProtectionTest).where(ProtectionTest.id == test_id, ProtectionTest.ended_at.is_(None))
    w.changed(open_.values(result=result, reason=reason[:2000], console=told, ended_at=w.now))


def end(w: Work, test_id: str) -> None:
    """The next test may begin."""
    w.changed(sa.update(Protection).where(Protection.test_id == test_id).values(test_id=None))
    test = w.session.get(ProtectionTest, test_id)
    found = protection.find(w, test.resource_id) if test else None
    if found is not None:
        protection.announce(w, found)


def end_orphans(w: Work) -> int:
    """Tests whose task has ended without a word say nothing, and hold no room; how many."""
    ended = sa.or_(durable.Task.id.is_(None), durable.Task.state.in_(durable.ENDED))
    query = (
        sa.select(ProtectionTest.id)
        .join(Protection, Protection.test_id == ProtectionTest.id)
        .outerjoin(durable.Task, durable.Task.id == ProtectionTest.task_id)
        .where(ended)
    )
    found = list(w.session.scalars(query))
    for test_id in found:
        judged(w, test_id, UNKNOWN, "It ended without a result.")
        give_back(w, test_id)
        end(w, test_id)
    return len(found)


def prune(w: Work, *, older_than: datetime) -> int:
    """Forget old tests but for the newest of each resource; how many."""
    newer = aliased(ProtectionTest)
    later = sa.exists().where(newer.resource_id == ProtectionTest.resource_id,
                              newer.started_at > ProtectionTest.started_at)  # fmt: skip
    protected = sa.exists().where(Protection.resource_id == ProtectionTest.resource_id)
    old = sa.select(ProtectionTest.id).where(ProtectionTest.result != RUNNING, ProtectionTest.started_at < older_than,
                                             sa.or_(later, ~protected))  # fmt: skip
    return w.changed(sa.delete(ProtectionTest).where(ProtectionTest.id.in_(list(w.session.scalars(old)))))
