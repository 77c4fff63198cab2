"""The part of booting that gives a server its volumes: made where they are not there yet, then promised to it."""

from __future__ import annotations

from novalite.cloud.compute import block_devices, progress, volume_attachments
from novalite.cloud.compute.block_devices import BACKUP, IMAGE, SNAPSHOT, VOLUME, BlockDevice
from novalite.cloud.compute.servers import Server
from novalite.cloud.volume import attachments, backups, new_volumes, tasks, volumes
from novalite.cloud.volume.new_volumes import NewVolume
from novalite.cloud.volume.records import Volume
from novalite.db.work import Work
from novalite.engine.flow import Run, Wait
from novalite.errors import Failed

_LOOK_AGAIN_SECONDS = 2.0
"""The volume may be made between the look at it and the waiting for it."""
_UNFINISHED = ("creating", "downloading")


def ensure(run: Run) -> Wait | None:
    """All volumes of the server are there and reserved for it. Waits for those that are being made; raises
    ``Failed`` when one of them cannot be."""
    with run.parts.database.read(run.ctx) as w:
        rows = [row for row in block_devices.of_server(w, run.server_id) if row.destination == VOLUME]
    if not rows:
        return None
    run.scratch.pop("plan", None)
    with run.parts.database.write(run.ctx) as w:
        server = progress.find(w, run.server_id)
        if server is None:
            return None
        for row in block_devices.of_server(w, run.server_id):
            if row.destination == VOLUME and row.volume_id is None:
                if row.source == BACKUP and _is_being_restored(w, row.source_id):
                    return Wait(f"backup:{row.source_id}", _LOOK_AGAIN_SECONDS)
                _make(w, row)
        unfinished = [_promise(w, server, row) for row in block_devices.of_server(w, run.server_id) if row.volume_id]
    waited_for = next((volume_id for volume_id in unfinished if volume_id), None)
    return Wait(tasks.changed(waited_for), _LOOK_AGAIN_SECONDS) if waited_for else None


def attached(run: Run) -> None:
    """The guest has its volumes."""
    with run.parts.database.read(run.ctx) as w:
        ids = [row.id for row in block_devices.of_server(w, run.server_id) if row.attachment_id]
    if ids:
        with run.parts.database.write(run.ctx) as w:
            for device_id in ids:
                volume_attachments.attached(w, run.server_id, device_id)


def _is_being_restored(w: Work, backup_id: str) -> bool:
    """For another server, say: it is put back by one at a time."""
    backup = backups.find(w, backup_id)
    return backup is not None and backup.status == "restoring"


def _make(w: Work, row: BlockDevice) -> None:
    volume = _of_backup(w, row.source_id) if row.source == BACKUP else new_volumes.create(
        w,
        NewVolume(
            size_gib=row.size or 0, name="", description="", type=row.volume_type,
            image_id=row.source_id if row.source == IMAGE else "",
            snapshot_id=row.source_id if row.source == SNAPSHOT else "",
        ),
    )  # fmt: skip
    row.volume_id, row.is_made, row.size = volume.id, True, volume.size_gib
    w.session.flush()


def _of_backup(w: Work, backup_id: str) -> Volume:
    name = str(backups.get(w, backup_id).volume_facts.get("name") or "")
    return backups.restore(w, backup_id, name=name)[1]


def _promise(w: Work, server: Server, row: BlockDevice) -> str:
    """The id of a volume that is still being made; empty when it is the server's."""
    volume = volumes.find(w, row.volume_id or "")
    if volume is None:
        raise Failed(f"Volume {row.volume_id} is no longer there.", code="volume.gone")
    if row.attachment_id is None:
        if volume.status in _UNFINISHED:
            return volume.id
        if volume.status != "available":
            raise Failed(f"Volume {volume.id} could not be made: it is {volume.status}. {volume.problem}".strip(),
                         code="volume.not_made")  # fmt: skip
        row.attachment_id = attachments.reserve(w, volume.id, server.id).id
        w.session.flush()
    volume_attachments.begun(w, server.id, row.id)
    return ""
