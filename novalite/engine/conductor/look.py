"""The flow that asks a host what a guest does now, because somebody has said that it changed."""

from __future__ import annotations

from novalite import logs
from novalite.cloud.compute import progress
from novalite.cloud.compute.image_tasks import LookAt
from novalite.engine.flow import Flow, Run, Step

_log = logs.get("conductor")


def _look(run: Run) -> None:
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
    if server is None or not server.host:
        return
    guest = run.parts.links.driver(server.host).guest(run.server_id)
    with run.parts.database.write(run.ctx) as w:
        progress.observed(w, run.server_id, guest.power.value, guest.detail, revision=server.revision)


def _failed(run: Run, error: Exception) -> None:
    _log.info("left to reconciliation", server_id=run.server_id, why=str(error))


FLOWS = (Flow(LookAt.kind, (Step("look", _look),), failed=_failed),)
