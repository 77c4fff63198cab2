"""Scheduled protection: asked for, shown, given up; and what of it is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from novalite.cloud.compute import servers, snapshots
from novalite.cloud.compute.protection_language import Rule, minute_of, next_time, parse
from novalite.cloud.compute.protection_records import (
    DONE,
    RUNNING,
    SERVER,
    VOLUME,
    Protection,
    ProtectionRun,
    ProtectionTest,
)
from novalite.cloud.compute.protection_tasks import Protect, key
from novalite.cloud.image.records import Image
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import volumes
from novalite.cloud.volume.records import Backup
from novalite.db.paging import Page, page_of
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound

MOST_SECONDS = snapshots.MOST_SECONDS + 2 * 3600
"""How long a run may take, with the time that it waits for other actions to end."""
_MOST_AT_ONCE = 10_000


@dataclass(frozen=True)
class Shown:
    """A protection, its newest run, and what its copies take."""

    protection: Protection
    last: ProtectionRun | None
    copies: int
    size_bytes: int


def find(w: Work, resource_id: str) -> Protection | None:
    """A protection, whoever owns it."""
    return w.session.get(Protection, resource_id, populate_existing=True)


def get(w: Work, resource_id: str) -> Protection:
    """One of the caller's project (of any for admins). Raises ``NotFound``."""
    found = find(w, resource_id)
    if found is None or (found.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("protection", resource_id, message=f"{resource_id} is not protected.")
    return found


def list_visible(w: Work, page: Page) -> list[Protection]:
    """The caller's by name; an administrator sees all. Raises ``Invalid`` for an unknown marker."""
    visible = sa.true() if w.ctx.is_admin else Protection.project_id == w.ctx.project_id
    return page_of(
        w, sa.select(Protection).where(visible), Protection, page, {"resource_name": Protection.resource_name},
        default=("resource_name",), identity=Protection.resource_id, visible=visible,
    )  # fmt: skip


def protect(w: Work, resource_id: str, schedule: str) -> Protection:
    """Copy a server or a volume by the clock from now on; what was asked before is replaced. Raises ``NotFound``,
    ``Invalid``, and ``Conflict`` while a copy is made for the project that had the volume before."""
    rules = parse(schedule)
    kind, name, project_id = _resource(w, resource_id)
    planned = _planned(rules, resource_id, w.now)
    found = find(w, resource_id)
    if found is None:
        found = Protection(resource_id=resource_id, resource_type=kind, project_id=project_id, created_at=w.now)
        w.session.add(found)
    elif found.project_id != project_id:
        _forget_runs(w, found)
    found.resource_name, found.user_id, found.project_id, found.updated_at = name, w.ctx.user_id, project_id, w.now
    found.rules, found.next_at = planned, _first(planned)
    w.session.flush()
    announce(w, found)
    return found


def _forget_runs(w: Work, found: Protection) -> None:
    """Of a volume that was given to another project: its copies stay their owner's. Raises ``Conflict`` while one is
    made or tested."""
    if found.run_id or found.test_id:
        raise Conflict(f"{found.resource_id} is being copied for another project.", code="protection.running")
    for record in (ProtectionRun, ProtectionTest):
        w.changed(sa.delete(record).where(record.resource_id == found.resource_id))


def _resource(w: Work, resource_id: str) -> tuple[str, str, str]:
    """Its kind, name and project."""
    if volumes.find(w, resource_id) is not None:
        volume = volumes.get(w, resource_id)
        return VOLUME, volume.name or "", volume.project_id
    server = servers.get(w, resource_id)
    return SERVER, server.name, server.project_id


def _planned(rules: Iterable[Rule], resource_id: str, now: datetime) -> list[Any]:
    minute = minute_of(resource_id)
    return [
        {"every": rule.every, "keep": rule.keep, "next_at": next_time(rule.every, minute, now).isoformat()}
        for rule in rules
    ]


def _first(planned: Iterable[Any]) -> datetime | None:
    return min((datetime.fromisoformat(each["next_at"]) for each in planned), default=None)


def announce(w: Work, found: Protection) -> None:
    """Let browsers see that it has changed."""
    if found.resource_type == SERVER:
        w.announce(servers.TOPIC, found.resource_id, found.project_id)


def end(w: Work, resource_id: str) -> None:
    """Make no more copies and test none; those that are there stay, and so does the one being made. Raises
    ``NotFound``."""
    found = get(w, resource_id)
    found.rules, found.next_at, found.updated_at = [], None, w.now
    found.test, found.next_test_at = None, None
    announce(w, found)


def run_now(w: Work, resource_id: str) -> ProtectionRun:
    """A run beside the clock, which counts as one of each rule. Raises ``NotFound``, ``Conflict`` while one goes on or
    when nothing is asked for."""
    found = get(w, resource_id)
    if not found.rules:
        raise Conflict(f"The protection of {resource_id} has been ended.", code="protection.ended")
    made = _begin(w, found, [rule.every for rule in found.parsed])
    if made is None:
        raise Conflict(f"{resource_id} is being copied already.", code="protection.running")
    return made


def _begin(w: Work, found: Protection, frequencies: list[str]) -> ProtectionRun | None:
    """None while another run goes on: the compare-and-set on ``run_id`` decides."""
    run_id = new_id()
    free = sa.update(Protection).where(Protection.resource_id == found.resource_id, Protection.run_id.is_(None))
    if not w.changed(free.values(run_id=run_id)):
        return None
    task = durable.start(
        w, Protect(run_id), key=key(found.resource_id), resource_id=run_id, project_id=found.project_id,
        deadline_seconds=MOST_SECONDS,
    )  # fmt: skip
    made = ProtectionRun(
        id=run_id, resource_id=found.resource_id, resource_type=found.resource_type, task_id=task.id,
        frequencies=frequencies, result=RUNNING, started_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    announce(w, found)
    return made


def due(w: Work) -> list[str]:
    """Ids of resources of which a copy is due and none is being made."""
    query = sa.select(Protection.resource_id).where(Protection.next_at <= w.now, Protection.run_id.is_(None))
    return list(w.session.scalars(query.order_by(Protection.next_at)))


def begin_due(w: Work, resource_id: str) -> bool:
    """Begin the copy of one that is due: one, however many times have passed. What is no more is no longer due."""
    found = find(w, resource_id)
    if found is None or found.next_at is None or found.next_at > w.now:
        return False
    if not _is_theirs(w, found):
        found.rules, found.next_at = [], None
        return False
    frequencies = [each["every"] for each in found.rules if datetime.fromisoformat(each["next_at"]) <= w.now]
    if _begin(w, found, frequencies) is None:
        return False
    minute = minute_of(resource_id)
    planned = [
        {**each, "next_at": next_time(each["every"], minute, w.now).isoformat()}
        if each["every"] in frequencies else each
        for each in found.rules
    ]  # fmt: skip
    as_it_was = Protection.resource_id == resource_id, Protection.next_at == found.next_at
    w.changed(sa.update(Protection).where(*as_it_was).values(rules=planned, next_at=_first(planned)))
    w.session.expire(found)
    return True


def _is_theirs(w: Work, found: Protection) -> bool:
    """Whether it still is there, and has not been given to another project."""
    if found.resource_type == VOLUME:
        volume = volumes.find(w, found.resource_id)
        return volume is not None and volume.project_id == found.project_id
    server = w.session.get(servers.Server, found.resource_id)
    return server is not None and server.deleted_at is None


def runs(w: Work, resource_id: str) -> list[ProtectionRun]:
    """The caller's runs of a resource, newest first. Raises ``NotFound``."""
    get(w, resource_id)
    return _runs(w, [resource_id])


def _runs(w: Work, resource_ids: Sequence[str]) -> list[ProtectionRun]:
    query = sa.select(ProtectionRun).where(ProtectionRun.resource_id.in_(resource_ids))
    return list(w.session.scalars(query.order_by(ProtectionRun.started_at.desc(), ProtectionRun.id)))


def there(w: Work, made: Iterable[ProtectionRun]) -> set[str]:
    """Ids of those copies of which nobody has deleted any part; few queries for all."""
    runs = list(made)
    alive = _alive(w, runs)
    return {run.copy_id for run in runs if run.copy_id and run.parts <= alive}


def left(w: Work, made: Iterable[ProtectionRun]) -> set[str]:
    """Ids of runs of whose copies anything is there; few queries for all."""
    runs = list(made)
    alive = _alive(w, runs)
    return {run.id for run in runs if run.parts & alive}


def _alive(w: Work, made: Iterable[ProtectionRun]) -> set[str]:
    alive: set[str] = set()
    for ids in portions(part for run in made for part in run.parts):
        alive.update(w.session.scalars(sa.select(Image.id).where(Image.id.in_(ids))))
        alive.update(w.session.scalars(sa.select(Backup.id).where(Backup.id.in_(ids), Backup.status != "deleting")))
    return alive


def portions(ids: Iterable[str]) -> Iterator[list[str]]:
    """No more of them at once than one statement of every database takes."""
    everything = list(ids)
    for start in range(0, len(everything), _MOST_AT_ONCE):
        yield everything[start : start + _MOST_AT_ONCE]


def restorable(w: Work, resource_id: str, run_id: str = "") -> ProtectionRun:
    """The newest run of which there is a copy, or the one that is named. Raises ``NotFound``, ``Conflict``."""
    found = [run for run in runs(w, resource_id) if run_id in ("", run.id)]
    if run_id and not found:
        raise NotFound("protection run", run_id, message=f"{resource_id} has no run {run_id}.")
    run = _with_copy(w, found)
    if run is None:
        what = f"Run {run_id}" if run_id else resource_id
        raise Conflict(f"{what} has no copy that could be restored.", code="protection.no_copy")
    return run


def newest_copy(w: Work, resource_id: str) -> ProtectionRun | None:
    """The newest run of which there is a copy, whoever owns it."""
    return _with_copy(w, _runs(w, [resource_id]))


def _with_copy(w: Work, made: Sequence[ProtectionRun]) -> ProtectionRun | None:
    alive = there(w, made)
    return next((run for run in made if run.result == DONE and run.copy_id in alive), None)


def shown(w: Work, protections: Sequence[Protection]) -> list[Shown]:
    """What people are told of protections."""
    by_resource: dict[str, list[ProtectionRun]] = {}
    everything = _runs(w, [each.resource_id for each in protections])
    for run in everything:
        by_resource.setdefault(run.resource_id, []).append(run)
    alive = there(w, everything)
    return [_shown(each, by_resource.get(each.resource_id, []), alive) for each in protections]


def _shown(protection: Protection, made: list[ProtectionRun], alive: set[str]) -> Shown:
    copies = [run for run in made if run.result == DONE and run.copy_id in alive]
    return Shown(protection, made[0] if made else None, len(copies), sum(run.size_bytes or 0 for run in copies))
