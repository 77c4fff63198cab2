"""Snapshots of volumes: how they are found, asked for and given up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from novalite.cloud.volume import services, tasks, types, usage, volumes
from novalite.cloud.volume.records import Backup, Snapshot, Volume
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound

TOPIC = "volume_snapshot"
DELETABLE = ("available", "error")


def find(w: Work, snapshot_id: str) -> Snapshot | None:
    """A snapshot by id, whoever owns it."""
    return w.session.get(Snapshot, snapshot_id)


def get(w: Work, snapshot_id: str) -> Snapshot:
    """A snapshot of the caller's project (of any for admins). Raises ``NotFound``."""
    found = find(w, snapshot_id)
    if found is None or (found.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("snapshot", snapshot_id, message=f"Snapshot {snapshot_id} could not be found.")
    return found


def change(w: Work, snapshot_id: str, values: Mapping[str, Any], *where: Any) -> bool:
    """Compare-and-set on one snapshot; announces the change."""
    hit = w.changed(sa.update(Snapshot).where(Snapshot.id == snapshot_id, *where).values(**values, updated_at=w.now))
    if hit:
        row = w.session.get(Snapshot, snapshot_id, populate_existing=True)
        w.announce(TOPIC, snapshot_id, row.project_id if row else "")
    return bool(hit)


def create(
    w: Work,
    volume_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    force: bool = False,
    group_snapshot_id: str | None = None,
    together: bool = False,
) -> Snapshot:
    """Record a snapshot and its task, unless another task makes it ``together`` with others. ``force`` allows volumes
    that are in use; those are copied while the guest runs. Raises ``NotFound``, ``Invalid``, ``OverQuota``."""
    volume = volumes.get(w, volume_id)
    services.require_thawed(w, volume)
    usage.require(
        w, volume.project_id, kind=types.get_or_default(w, volume.type_id), snapshots=1, gigabytes=volume.size_gib
    )
    allowed = ("available", "in-use") if force else ("available",)
    # Written, not read: whoever attaches or deletes meanwhile comes before or after, never between.
    if not volumes.change(w, volume_id, {"previous_status": Volume.status}, Volume.status.in_(allowed)):
        raise volumes.refusal(volume, "copied into a snapshot", allowed)
    made = Snapshot(
        id=new_id(), volume_id=volume_id, name=name, description=description, project_id=volume.project_id,
        user_id=w.ctx.user_id, size_gib=volume.size_gib, metadata_items=dict(metadata or {}),
        group_snapshot_id=group_snapshot_id, created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    if not together:
        volumes.start(w, volume, tasks.SnapshotCreate(volume_id, made.id))
    w.announce(TOPIC, made.id, made.project_id)
    return made


def update(w: Work, snapshot_id: str, values: Mapping[str, Any]) -> Snapshot:
    """Set ``name``, ``description`` or ``metadata_items``."""
    found = get(w, snapshot_id)
    change(w, snapshot_id, values)
    return found


def _feeds_a_copy(snapshot_id: str) -> sa.ColumnElement[bool]:
    making = sa.exists().where(Volume.snapshot_id == snapshot_id, Volume.status == "creating")
    return sa.or_(making, sa.exists().where(Backup.snapshot_id == snapshot_id, Backup.status == "creating"))


def refuse_of_group(snapshot: Snapshot) -> None:
    """Raises ``Invalid`` for a part of the snapshot of a group."""
    if snapshot.group_snapshot_id:
        raise Invalid(
            f"Invalid snapshot: snapshot {snapshot.id} is part of group snapshot {snapshot.group_snapshot_id}.",
            field="id", code="snapshot.in_group",
        )  # fmt: skip


def leave(w: Work, snapshot_id: str, status: str) -> bool:
    """Let it go on its way to its end, unless it is something else or feeds a copy. Whether it does."""
    return change(w, snapshot_id, {"status": status}, Snapshot.status.in_(DELETABLE), ~_feeds_a_copy(snapshot_id))


def delete(w: Work, snapshot_id: str, *, force: bool = False, with_group: bool = False) -> None:
    """Give a snapshot up, one of a group only ``with_group``, and then also one that could not be deleted before.
    ``force`` looks at no status. Raises ``NotFound``, ``Invalid``."""
    found = get(w, snapshot_id)
    if not with_group:
        refuse_of_group(found)
    volume = volumes.find(w, found.volume_id)
    assert volume is not None  # a volume with snapshots cannot be deleted
    services.require_thawed(w, volume)
    where = [~_feeds_a_copy(snapshot_id)]
    if not force:
        where.append(Snapshot.status.in_((*DELETABLE, *["error_deleting"] * with_group)))
    if not change(w, snapshot_id, {"status": "deleting"}, *where):
        raise Invalid(
            f"Invalid snapshot: snapshot {snapshot_id} cannot be deleted while its status is {found.status}, or while "
            "a volume or a backup is made of it.", field="status", code="snapshot.state",
        )  # fmt: skip
    volumes.start(w, volume, tasks.SnapshotDelete(volume.id, snapshot_id))


def of_volumes(w: Work, volume_ids: Iterable[str]) -> list[Snapshot]:
    """All snapshots of these volumes, oldest first."""
    query = sa.select(Snapshot).where(Snapshot.volume_id.in_(set(volume_ids)))
    return list(w.session.scalars(query.order_by(Snapshot.created_at, Snapshot.id)))
