"""The flows that put a server aside instead of deleting it, and that bring it back."""

from __future__ import annotations

from novalite.cloud.compute import consoles, progress, servers, soft_delete, states, tasks
from novalite.engine.conductor import guests, outcome, power
from novalite.engine.flow import Flow, Run, Step


def _close(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        consoles.revoke_server(w, run.server_id)


def _off(run: Run) -> None:
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
    if server is not None and server.host:
        power.off(run)


def _aside(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        soft_delete.put_aside(w, run.server_id)


def _stays(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        message = f"Deleting failed: {outcome.message_of(error)} Delete the server again to repeat it."
        soft_delete.stays(w, run.server_id, progress.fault(500, message, w.now))


def _back(run: Run) -> None:
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        vm_state = soft_delete.comes_back_as(w, server) if server is not None else states.ACTIVE
    guests.launched(run, vm_state)
    with run.parts.database.write(run.ctx) as w:
        servers.change(w, run.server_id, {"soft_deleted_at": None}, servers.Server.deleted_at.is_(None))


FLOWS = (
    Flow(tasks.SoftDelete.kind, (Step("close", _close), Step("off", _off), Step("aside", _aside)),
         failed=_stays),
    Flow(tasks.Restore.kind, (Step("wire", guests.wire), Step("launch", power.launch), Step("finish", _back)),
         failed=outcome.failed_in_place),
)  # fmt: skip
