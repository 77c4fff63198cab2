"""Snapshots of volumes that the volume service asks hypervisors for."""

from __future__ import annotations

from novalite.cloud.compute import progress, tasks
from novalite.cloud.compute.image_tasks import AssistSnapshot
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import attachments
from novalite.db.work import Work
from novalite.errors import Invalid


def request(w: Work, volume_id: str, snapshot_id: str) -> None:
    """Leave the task that tells, in its history, that hypervisors here do not assist. Raises ``Invalid`` for a
    volume that no server has, or several."""
    server = progress.find(w, require_attached(w, volume_id))
    if server is not None:
        task = AssistSnapshot(server.id, volume_id, snapshot_id)
        durable.start(w, task, key=tasks.key(server.id), resource_id=server.id, project_id=server.project_id)


def require_attached(w: Work, volume_id: str) -> str:
    """The id of the one server that has the volume. Raises ``Invalid``."""
    found = [one.server_id for one in attachments.of_volumes(w, [volume_id])[volume_id] if one.server_id]
    if not found:
        raise Invalid(f"No volume Block Device Mapping with id {volume_id}.", field="volume_id")
    if len(found) > 1:
        raise Invalid(
            f"Block Device Mapping {volume_id} is a multi-attach volume and is not valid for this operation.",
            field="volume_id",
        )
    return str(found[0])
