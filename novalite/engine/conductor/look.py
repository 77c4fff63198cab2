"""The flows that follow what other services have told: look at a guest, let it see a volume's size."""

from __future__ import annotations

from novalite import logs
from novalite.cloud.compute import progress
from novalite.cloud.compute.image_tasks import AssistSnapshot, ExtendVolume, LookAt
from novalite.cloud.volume import attachments, volumes
from novalite.context import internal
from novalite.engine.conductor import volume_sources
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed

_log = logs.get("conductor")


def _look(run: Run) -> None:
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
    if server is None or not server.host:
        return
    guest = run.parts.links.driver(server.host).guest(run.server_id)
    with run.parts.database.write(run.ctx) as w:
        progress.observed(w, run.server_id, guest.power.value, guest.detail, revision=server.revision)


def _extend(run: Run) -> None:
    volume_id = str(run.args["volume_id"])
    with run.parts.database.read(internal()) as w:
        server, volume = progress.find(w, run.server_id), volumes.find(w, volume_id)
        attached = attachments.between(w, volume_id, run.server_id)
    if server is None or not server.host or volume is None or attached is None:
        return
    serial, key = attachments.serial_of(attached), volume_sources.disk_key(run, volume_id)
    run.parts.links.driver(server.host).resize_disk(run.server_id, serial, volume.size_gib, key)


def _assist(run: Run) -> None:
    raise Failed(
        f"No snapshot {run.args['snapshot_id']} of volume {run.args['volume_id']} was made: hypervisors here do not "
        "put files of their own below volumes.", hint="Make it with the volume service, which copies the volume.",
    )  # fmt: skip


def _failed(run: Run, error: Exception) -> None:
    _log.warning("what was told about a server had no effect", server_id=run.server_id, why=str(error))


FLOWS = (
    Flow(LookAt.kind, (Step("look", _look),), failed=_failed),
    Flow(AssistSnapshot.kind, (Step("assist", _assist),), failed=_failed),
    Flow(ExtendVolume.kind, (Step("extend", _extend),), failed=_failed),
)
