"""The flow that boots a server: place, wire, volumes, image, spawn, finish."""

from __future__ import annotations

from novalite.cloud.compute import block_devices, progress, states
from novalite.cloud.compute.tasks import Boot
from novalite.db.work import Work
from novalite.engine.conductor import boot_volumes, guests, outcome, placement, server_imports
from novalite.engine.flow import Flow, Run, Step


def _show(w: Work, run: Run, what: str) -> None:
    progress.doing(w, run.server_id, what)


def place(run: Run) -> None:
    run.parts.scheduling.do(lambda: placement.place(run))


def _wire(run: Run) -> None:
    guests.wire(run)


def image(run: Run) -> None:
    guests.bring_image(run, guests.planned(run))
    server_imports.lay(run)


def spawn(run: Run) -> None:
    made = guests.planned(run)
    guests.start(run, made)


def _unspawn(run: Run) -> None:
    guests.remove(run, patient=True)


def _finish(run: Run) -> None:
    boot_volumes.attached(run)
    guests.launched(run)


def _failed(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.failed(w, run.server_id, progress.fault(500, outcome.message_of(error), w.now))
        block_devices.end(w, run.server_id)


def another_host(run: Run, error: Exception) -> str | None:
    """Undo back to ``place`` and leave this host out, a bounded number of times."""
    excluded = dict(run.memo.get("excluded", {}))
    if not guests.is_about_one_host(error) or len(excluded) + 1 >= run.parts.settings.scheduler.max_attempts:
        return None
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        host = server.host if server else None
    if not host:
        return None
    run.memo["excluded"] = excluded | {host: str(error)[:500]}
    return "place"


_BOOT = Flow(
    kind=Boot.kind,
    steps=(
        Step("place", place, placement.unplace),
        Step("wire", _wire, guests.unwire),
        Step("volumes", boot_volumes.ensure, shows=states.BLOCK_DEVICE_MAPPING),
        Step("image", image),
        Step("spawn", spawn, _unspawn, shows=states.SPAWNING),
        Step("finish", _finish),
    ),
    failed=_failed,
    reroute=another_host,
    show=_show,
)

FLOWS = (_BOOT,)
