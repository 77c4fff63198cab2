"""Flows that tell a guest, or the networks around it, something and leave its state alone."""

from __future__ import annotations

from novalite.cloud.compute import progress, servers, tasks
from novalite.drivers.compute.base import PowerAction
from novalite.engine.conductor import guests, outcome
from novalite.engine.flow import Flow, Run, Step


def _dump(run: Run) -> None:
    guests.driver(run).set_power(run.server_id, PowerAction.CRASH_DUMP)


def _failed(run: Run, error: Exception) -> None:
    """Another action may have begun meanwhile: nothing but the fault is written."""
    with run.parts.database.write(run.ctx) as w:
        fault = progress.fault(500, outcome.message_of(error), w.now)
        servers.change(w, run.server_id, {"fault": fault}, servers.Server.deleted_at.is_(None))


FLOWS = (
    Flow(tasks.CrashDump.kind, (Step("dump", _dump),), failed=_failed),
    Flow(tasks.Rewire.kind, (Step("wire", guests.wire),), failed=_failed),
)
