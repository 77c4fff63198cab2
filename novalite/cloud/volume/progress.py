"""What the engine writes down about volumes and snapshots while it acts. Everything may be repeated."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import attachments, groups, messages, snapshots, tasks, volumes
from novalite.cloud.volume.records import Snapshot, Volume
from novalite.db.work import Work

_LONGEST = 2000
ON_THEIR_WAY = ("creating", "downloading", "extending", "uploading", "reverting", "deleting", "backing-up",
                "restoring-backup", "retyping", "managing", "unmanaging")  # fmt: skip
"""Statuses that end with a task."""


def downloading(w: Work, volume_id: str) -> None:
    volumes.change(w, volume_id, {"status": "downloading"}, Volume.status == "creating")


def placed(w: Work, volume_id: str, backend: str) -> None:
    """The volume's data will be kept there."""
    volumes.change(w, volume_id, {"backend": backend}, Volume.backend == "")


def sealed(w: Work, volume_id: str, sealed_key: str) -> None:
    """The key of an encrypted volume; the first one stays."""
    volumes.change(w, volume_id, {"sealed_key": sealed_key}, Volume.sealed_key == "")


def stored(w: Work, volume_id: str, path: str, form: str, host: str) -> None:
    """The data of a volume are there."""
    volumes.change(w, volume_id, {"location": {"path": path, "format": form}, "host": host})


def created(w: Work, volume_id: str) -> None:
    volumes.change(
        w, volume_id, {"status": "available", "launched_at": w.now, "problem": ""},
        Volume.status.in_(("creating", "downloading")),
    )  # fmt: skip


def failed(w: Work, volume_id: str, status: str, message: str, *, while_: tuple[str, ...]) -> None:
    """An action came to nothing: ``status`` and why, unless the volume does something else by now."""
    volume, problem = volumes.find(w, volume_id), message[:_LONGEST]
    doing = volume.status if volume else ""
    values = {"status": status, "problem": problem, "target_gib": 0}
    if volumes.change(w, volume_id, values, Volume.status.in_(while_)) and volume is not None:
        messages.tell(w, volume.project_id, "volume", volume_id, doing, problem)


def back(w: Work, volume_id: str, doing: str) -> None:
    """An action is over: what the attachments say, available without any."""
    values = {"status": "available", "problem": "", "target_gib": 0}
    volumes.change(w, volume_id, values, Volume.status == doing)
    attachments.settle(w, volume_id)


def extended(w: Work, volume_id: str, size_gib: int) -> None:
    volumes.change(w, volume_id, {"size_gib": size_gib}, Volume.size_gib < size_gib)
    back(w, volume_id, "extending")


def moving(w: Work, volume_id: str) -> None:
    """The volume's data are on the way to another backend."""
    volumes.change(w, volume_id, {"migration_status": "migrating"}, Volume.status.in_(_MOVING))


def moved(w: Work, volume_id: str, *, backend: str, location: dict[str, str], host: str) -> None:
    """The data are on another backend by now, and those that were left behind are to go. Repeatable."""
    volume = volumes.find(w, volume_id)
    if volume is None or volume.backend == backend:
        return
    left = volume.backend
    volumes.change(w, volume_id, {"backend": backend, "location": location, "host": host,
                                  "migration_status": "success"})  # fmt: skip
    volumes.start(w, volume, tasks.VolumeLeave(volume_id, left))


def retyped(w: Work, volume_id: str, type_id: str, *, multiattach: bool) -> None:
    """The volume is of another type, and guests that have it are held to its limits."""
    volume = volumes.find(w, volume_id)
    if volume is not None:
        volumes.change(w, volume_id, {"type_id": type_id, "multiattach": multiattach})
        volumes.start(w, volume, tasks.VolumeTune(volume_id=volume_id))


def settled(w: Work, volume_id: str) -> None:
    """A move, or a change of the type, is over."""
    for doing in _MOVING:
        back(w, volume_id, doing)


def not_moved(w: Work, volume_id: str, message: str) -> None:
    """It came to nothing: the volume is what it was."""
    volume = volumes.find(w, volume_id)
    if volume is None or volume.status not in _MOVING:
        return
    messages.tell(w, volume.project_id, "volume", volume_id, volume.status, message[:_LONGEST])
    values = {"migration_status": "error"}
    volumes.change(w, volume_id, values, Volume.migration_status == "migrating")
    settled(w, volume_id)


_MOVING = ("retyping", "maintenance")


def gone(w: Work, volume_id: str) -> None:
    """The volume is no more, nor what was known of it."""
    volume = volumes.find(w, volume_id)
    if volume is None:
        return
    w.changed(sa.delete(Snapshot).where(Snapshot.volume_id == volume_id))
    w.session.delete(volume)
    w.session.flush()
    w.announce(volumes.TOPIC, volume_id, volume.project_id)
    durable.wake(w, tasks.changed(volume_id))


def snapshot_made(w: Work, snapshot_id: str) -> None:
    snapshots.change(
        w, snapshot_id, {"status": "available", "progress": "", "problem": ""}, Snapshot.status == "creating"
    )
    _settle_group(w, snapshot_id)


def snapshot_failed(w: Work, snapshot_id: str, status: str, message: str) -> None:
    if snapshots.change(w, snapshot_id, {"status": status, "problem": message[:_LONGEST]}):
        snapshot = snapshots.find(w, snapshot_id)
        doing = "deleting snapshot" if status == "error_deleting" else "snapshot"
        if snapshot is not None:
            messages.tell(w, snapshot.project_id, "volume_snapshot", snapshot_id, doing, message[:_LONGEST])
    _settle_group(w, snapshot_id)


def snapshots_failed(w: Work, snapshot_ids: Iterable[str], message: str) -> None:
    """Those that were to be made together and are not."""
    for snapshot_id in snapshot_ids:
        snapshot = snapshots.find(w, snapshot_id)
        if snapshot is not None and snapshot.status == "creating":
            snapshot_failed(w, snapshot_id, "error", message)


def _settle_group(w: Work, snapshot_id: str) -> None:
    snapshot = snapshots.find(w, snapshot_id)
    groups.settle(w, snapshot.group_snapshot_id if snapshot else None)


def snapshot_gone(w: Work, snapshot_id: str) -> None:
    snapshot = snapshots.find(w, snapshot_id)
    if snapshot is not None:
        w.session.delete(snapshot)
        w.session.flush()
        groups.settle(w, snapshot.group_snapshot_id)
        w.announce(snapshots.TOPIC, snapshot_id, snapshot.project_id)


def _late(record: Any, before: datetime) -> sa.ColumnElement[bool]:
    last: sa.ColumnElement[datetime] = sa.func.coalesce(record.updated_at, record.created_at)
    return sa.and_(record.status.in_(ON_THEIR_WAY), last < before)


def volumes_on_their_way(w: Work, before: datetime) -> list[Volume]:
    """Volumes that have been in a passing status since ``before``. That of maintenance an administrator may have set,
    and only a move makes it a passing one."""
    moving = sa.and_(Volume.status == "maintenance", Volume.migration_status == "migrating", Volume.updated_at < before)
    return list(w.session.scalars(sa.select(Volume).where(sa.or_(_late(Volume, before), moving))))


def snapshots_on_their_way(w: Work, before: datetime) -> list[Snapshot]:
    return list(w.session.scalars(sa.select(Snapshot).where(_late(Snapshot, before))))


def everything(w: Work) -> tuple[list[Volume], list[Snapshot]]:
    """All records of the room, for comparison with what is stored."""
    return list(w.session.scalars(sa.select(Volume))), list(w.session.scalars(sa.select(Snapshot)))
