"""The flow that deletes a server: close its consoles, remove the guest, forget it with its wiring."""

from __future__ import annotations

from novalite.cloud.compute import consoles, migrations, progress
from novalite.cloud.compute.tasks import Delete
from novalite.engine.conductor import guests, moves, outcome, shelve
from novalite.engine.flow import Flow, Run, Step


def _close(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        consoles.revoke_server(w, run.server_id)


def _remove(run: Run) -> None:
    guests.remove(run, patient=True)
    with run.parts.database.read(run.ctx) as w:
        move = migrations.with_status(w, run.server_id, migrations.FINISHED)
    if move is not None and not moves.stays(move):
        moves.remove_from(run, move.source_host)


def _finish(run: Run) -> None:
    # In one step with the records: a start in between wires again whatever they still name.
    guests.unwire(run)
    shelve.forget_image(run)
    with run.parts.database.write(run.ctx) as w:
        progress.gone(w, run.server_id)


def _failed(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        message = outcome.message_of(error)
        what = progress.fault(500, f"Deleting failed: {message} Delete the server again to repeat it.", w.now)
        progress.deletion_failed(w, run.server_id, what)


_DELETE = Flow(
    kind=Delete.kind,
    steps=(
        Step("close", _close),
        Step("remove", _remove),
        Step("finish", _finish),
    ),
    failed=_failed,
)

FLOWS = (_DELETE,)
