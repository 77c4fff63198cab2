"""The flows that boot a server from a rescue image beside its own disks, and back."""

from __future__ import annotations

from novalite.cloud.compute import progress, servers, states, tasks
from novalite.engine.conductor import guests, outcome, power
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed


def _image(run: Run) -> None:
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        host, image = (server.host, server.rescue_image) if server else (None, None)
    if not host or image is None:
        raise Failed("The server is no longer there to be rescued.", code="server.gone")
    guests.bring(run, host, guests.image_spec(image))


def _finish(run: Run) -> None:
    guests.launched(run, states.RESCUED)


def _forget(run: Run) -> None:
    """The next boot is from the server's own disk."""
    with run.parts.database.write(run.ctx) as w:
        servers.change(w, run.server_id, {"rescue_image": None}, servers.Server.deleted_at.is_(None))


def _failed(run: Run, error: Exception) -> None:
    _forget(run)
    outcome.failed_into_error(run, error)


FLOWS = (
    Flow(tasks.Rescue.kind,
         (Step("image", _image), Step("shutdown", power.shutdown), Step("wire", guests.wire),
          Step("launch", power.launch), Step("finish", _finish)),
         failed=_failed, cancelled=_forget),
    Flow(tasks.Unrescue.kind,
         (Step("off", power.off), Step("wire", guests.wire), Step("launch", power.launch),
          Step("finish", guests.launched)),
         failed=outcome.failed_into_error),
)  # fmt: skip
