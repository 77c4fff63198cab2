"""Snapshots of groups of volumes that a server has: of one moment of its guest."""

from __future__ import annotations

from novalite.cloud.compute import progress, tasks
from novalite.cloud.compute.image_tasks import SnapshotVolumes
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import attachments, group_members, groups, volumes
from novalite.cloud.volume.records import GroupSnapshot
from novalite.db.work import Work
from novalite.errors import Invalid


def create(w: Work, group_id: str, *, name: str | None, description: str | None) -> GroupSnapshot:
    """Keep what all volumes of the group hold at one moment: those that are free, and those that one server has.
    Raises ``NotFound``, ``Invalid`` when several servers have some, for no moment is common to them, ``OverQuota``."""
    found = group_members.get(w, group_id)
    there = attachments.of_volumes(w, [volume.id for volume in groups.volumes_of(w, [found.id])[found.id]])
    used = [attachment for rows in there.values() for attachment in rows]
    if not used:
        return groups.create_snapshot(w, group_id, name=name, description=description)
    servers = {attachment.server_id for attachment in used if attachment.by_compute}
    server = progress.find(w, next(iter(servers)) or "") if len(servers) == 1 else None
    if server is None or not all(attachment.by_compute for attachment in used):
        whom = f"several servers ({len(servers)})" if len(servers) > 1 else "what is no server of Compute"
        raise Invalid(
            f"Invalid volume: the volumes of group {group_id} are attached to {whom}: they cannot be copied at one "
            "moment.", field="group_id", code="group.in_use", hint="Detach them, or make a group for each server.",
        )  # fmt: skip
    made, parts = groups.begin_snapshot(w, group_id, name=name, description=description, together=True)
    durable.start(
        w, SnapshotVolumes(server.id, tuple(part.id for part in parts)), key=tasks.key(server.id),
        resource_id=made.id, project_id=made.project_id, deadline_seconds=volumes.COPY_SECONDS,
    )  # fmt: skip
    return made
