"""Groups of volumes, and snapshots of all volumes of a group at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from novalite.cloud.volume import group_members, group_types, new_volumes, snapshots, types, usage, volumes
from novalite.cloud.volume.new_volumes import NewVolume
from novalite.cloud.volume.records import GroupSnapshot, Snapshot, Volume, VolumeGroup
from novalite.db.paging import Page, page_of
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound

SORT_KEYS: Mapping[str, Any] = {
    "id": VolumeGroup.id, "name": VolumeGroup.name, "status": VolumeGroup.status, "created_at": VolumeGroup.created_at,
}  # fmt: skip
SNAPSHOT_SORT_KEYS: Mapping[str, Any] = {
    "id": GroupSnapshot.id, "name": GroupSnapshot.name, "status": GroupSnapshot.status,
    "created_at": GroupSnapshot.created_at, "group_id": GroupSnapshot.group_id,
}  # fmt: skip


def _own(w: Work, record: Any, id: str, what: str) -> Any:
    found = w.session.get(record, id)
    if found is None or (found.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound(what.lower(), id, message=f"{what} {id} could not be found.")
    return found


def get_snapshot(w: Work, group_snapshot_id: str) -> GroupSnapshot:
    found: GroupSnapshot = _own(w, GroupSnapshot, group_snapshot_id, "GroupSnapshot")
    return found


def list_all(
    w: Work, record: type[Any], page: Page, *, equal: Mapping[str, Any], all_projects: bool, offset: int = 0
) -> list[Any]:
    """Groups, or snapshots of groups: newest first unless the page says otherwise."""
    visible = sa.true() if all_projects and w.ctx.is_admin else record.project_id == w.ctx.project_id
    query = sa.select(record).where(visible, *(getattr(record, name) == value for name, value in equal.items()))
    keys = SORT_KEYS if record is VolumeGroup else SNAPSHOT_SORT_KEYS
    return page_of(w, query.offset(offset) if offset else query, record, page, keys, default=("created_at",),
                   descending=True, visible=visible)  # fmt: skip


def volumes_of(w: Work, group_ids: Iterable[str]) -> dict[str, list[Volume]]:
    """Volumes by group, oldest first; one query."""
    ids = set(group_ids)
    found: dict[str, list[Volume]] = {group_id: [] for group_id in ids}
    query = sa.select(Volume).where(Volume.group_id.in_(ids)).order_by(Volume.created_at, Volume.id)
    for volume in w.session.scalars(query):
        found[str(volume.group_id)].append(volume)
    return found


def create(
    w: Work, *, group_type: str, volume_types: Iterable[str], name: str | None, description: str | None, zone: str = ""
) -> VolumeGroup:
    """An empty group. Raises ``NotFound`` for types, ``OverQuota``."""
    kind = group_types.get(w, group_type)
    of_volumes = [types.get_usable(w, wanted).id for wanted in volume_types]
    usage.require(w, w.ctx.project_id, groups=1)
    return _add(w, kind.id, of_volumes, name, description, new_volumes.zone_of(w, zone))


def _add(w: Work, type_id: str, volume_types: list[str], name: str | None, description: str | None, zone: str,
         **source: Any) -> VolumeGroup:  # fmt: skip
    made = VolumeGroup(
        id=new_id(), name=name, description=description, project_id=w.ctx.project_id, user_id=w.ctx.user_id,
        status="available", group_type_id=type_id, volume_types=volume_types, availability_zone=zone,
        created_at=w.now, **source,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def create_from(
    w: Work, *, group_snapshot_id: str = "", source_group_id: str = "", name: str | None, description: str | None
) -> VolumeGroup:
    """A group with a volume for each of a snapshot, or of another group, whose volumes must be free so that they are
    all of one moment. Raises ``NotFound``, ``Invalid``, ``OverQuota``."""
    usage.require(w, w.ctx.project_id, groups=1)
    if group_snapshot_id:
        origin = group_members.get(w, get_snapshot(w, group_snapshot_id).group_id)
        new = [NewVolume(snapshot_id=one.id) for one in _snapshots_of(w, group_snapshot_id)]
    else:
        origin = group_members.get(w, source_group_id)
        there = volumes_of(w, [origin.id])[origin.id]
        _require_free(there)
        new = [NewVolume(source_volume_id=one.id) for one in there]
    if not new:
        raise Invalid("The source has no volumes.", field="group_snapshot_id" if group_snapshot_id else
                      "source_group_id", code="group.empty")  # fmt: skip
    made = _add(w, origin.group_type_id, list(origin.volume_types), name, description, origin.availability_zone,
                group_snapshot_id=group_snapshot_id or None, source_group_id=source_group_id or None)  # fmt: skip
    for each in new:
        volumes.change(w, new_volumes.create(w, each).id, {"group_id": made.id})
    return made


def _require_free(there: list[Volume]) -> None:
    for volume in there:
        if volume.status != "available":
            raise volumes.refusal(volume, "copied together with others", ("available",))


def update(
    w: Work, group_id: str, values: Mapping[str, Any], *, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> VolumeGroup:
    """Set ``name`` or ``description``, and which volumes are in it. Raises ``NotFound``, ``Invalid``."""
    found = group_members.get(w, group_id)
    for volume_id in remove:
        volume = volumes.get(w, volume_id)
        if volume.group_id != group_id:
            raise Invalid(f"Cannot remove volume {volume_id}: it is not in group {group_id}.", field="remove_volumes")
        volumes.change(w, volume_id, {"group_id": None})
    for volume_id in add:
        volume = volumes.get(w, volume_id)
        group_members.join(w, group_id, volume.type_id or "")
        allowed = Volume.status.in_(("available", "in-use"))
        if not volumes.change(w, volume_id, {"group_id": group_id}, Volume.group_id.is_(None), allowed):
            raise Invalid(f"Cannot add volume {volume_id}: it is {volume.status}, or in a group already.",
                          field="add_volumes")  # fmt: skip
    for name, value in values.items():
        setattr(found, name, value)
    found.updated_at = w.now
    w.session.flush()
    return found


def delete(w: Work, group_id: str, *, with_volumes: bool) -> None:
    """Give a group up, with its volumes or without any. Raises ``NotFound``, ``Invalid``."""
    found = group_members.get(w, group_id)
    there = volumes_of(w, [group_id])[group_id]
    if there and not with_volumes:
        raise Invalid(f"Group {group_id} still has volumes; delete-volumes takes them along.", field="delete-volumes",
                      code="group.in_use")  # fmt: skip
    if w.session.scalar(sa.select(GroupSnapshot.id).where(GroupSnapshot.group_id == group_id).limit(1)) is not None:
        raise Invalid(f"Group {group_id} still has group snapshots.", field="id", code="group.in_use")
    for volume in there:
        volumes.change(w, volume.id, {"group_id": None})
        volumes.delete(w, volume.id)
    w.session.delete(found)
    w.session.flush()


def reset_status(w: Work, group_id: str, status: str) -> None:
    found = group_members.get(w, group_id)
    found.status, found.updated_at = status, w.now


# Snapshots of groups.


def create_snapshot(w: Work, group_id: str, *, name: str | None, description: str | None) -> GroupSnapshot:
    """Keep what all volumes of the group hold now. None may be in use: none can change until it is copied. Raises
    ``NotFound``, ``Invalid``, ``OverQuota``."""
    _require_free(volumes_of(w, [group_members.get(w, group_id).id])[group_id])
    return begin_snapshot(w, group_id, name=name, description=description, together=False)[0]


def begin_snapshot(
    w: Work, group_id: str, *, name: str | None, description: str | None, together: bool
) -> tuple[GroupSnapshot, list[Snapshot]]:
    """Record the snapshot of a group and those of its volumes, which may be in use when some other task makes them
    ``together``. Raises as ``create_snapshot``."""
    found = group_members.get(w, group_id)
    there = volumes_of(w, [group_id])[group_id]
    if found.status != "available" or not there:
        raise Invalid(f"Group {group_id} is {found.status} and has {len(there)} volumes; a snapshot needs an available "
                      "one with volumes.", field="group_id", code="group.state")  # fmt: skip
    made = GroupSnapshot(
        id=new_id(), group_id=group_id, group_type_id=found.group_type_id, name=name, description=description,
        project_id=found.project_id, user_id=w.ctx.user_id, created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    parts = [
        snapshots.create(w, volume.id, name=name, description=description, group_snapshot_id=made.id,
                         together=together, force=together)
        for volume in there
    ]  # fmt: skip
    return made, parts


def _snapshots_of(w: Work, group_snapshot_id: str) -> list[Snapshot]:
    query = sa.select(Snapshot).where(Snapshot.group_snapshot_id == group_snapshot_id)
    return list(w.session.scalars(query.order_by(Snapshot.created_at, Snapshot.id)))


def delete_snapshot(w: Work, group_snapshot_id: str) -> None:
    """Give it up with the snapshots of its volumes. Raises ``NotFound``, ``Invalid``."""
    found = get_snapshot(w, group_snapshot_id)
    if found.status not in ("available", "error"):
        raise Invalid(f"GroupSnapshot {group_snapshot_id} is {found.status}; it must be available or error.",
                      field="status", code="group_snapshot.state")  # fmt: skip
    parts = _snapshots_of(w, group_snapshot_id)
    found.status, found.updated_at = "deleting", w.now
    w.session.flush()
    for snapshot in parts:
        snapshots.delete(w, snapshot.id, with_group=True)
    settle(w, group_snapshot_id)


def rename_snapshot(w: Work, group_snapshot_id: str, values: Mapping[str, Any]) -> GroupSnapshot:
    """Set ``name`` or ``description``."""
    found = get_snapshot(w, group_snapshot_id)
    for name, value in values.items():
        setattr(found, name, value)
    found.updated_at = w.now
    w.session.flush()
    return found


def reset_snapshot_status(w: Work, group_snapshot_id: str, status: str) -> None:
    found = get_snapshot(w, group_snapshot_id)
    found.status, found.updated_at = status, w.now


def settle(w: Work, group_snapshot_id: str | None) -> None:
    """Let the status follow from the snapshots of the volumes; without any left it is gone. Repeatable."""
    found = w.session.get(GroupSnapshot, group_snapshot_id) if group_snapshot_id else None
    if found is None:
        return
    statuses = {one.status for one in _snapshots_of(w, found.id)}
    if not statuses:
        w.session.delete(found)
    elif {"error", "error_deleting"} & statuses:
        found.status = "error"
    elif statuses == {"available"}:
        found.status = "available"
    w.session.flush()
