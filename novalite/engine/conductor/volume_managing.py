"""The flows that take over data which were made elsewhere, and give up what is to be somebody else's."""

from __future__ import annotations

from typing import cast

from novalite.cloud.volume import managing, progress, tasks
from novalite.drivers.storage.base import TakesOver
from novalite.engine.conductor import volume_sources
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import DriverError


def _volume_id(run: Run) -> str:
    return str(run.args["volume_id"])


def _snapshot_id(run: Run) -> str:
    return str(run.args["snapshot_id"])


def _driver(run: Run) -> TakesOver:
    """What it lacks is a ``DriverError`` when it is asked for."""
    return cast(TakesOver, volume_sources.keeper(run, _volume_id(run)))


def _take(run: Run) -> None:
    reference = str(run.args["reference"])
    if _snapshot_id(run):
        run.memo["gib"] = _driver(run).take_snapshot_over(_snapshot_id(run), reference)
    else:
        run.memo["gib"] = _driver(run).take_volume(_volume_id(run), reference)


def _put_back(run: Run) -> None:
    if _snapshot_id(run):
        _driver(run).give_snapshot(_snapshot_id(run))
    else:
        _driver(run).give_volume(_volume_id(run))


def _taken(run: Run) -> None:
    if _snapshot_id(run):
        with run.parts.database.write(run.ctx) as w:
            managing.taken_over(w, _snapshot_id(run), int(run.memo["gib"]))
        return
    keeper = volume_sources.keeper(run, _volume_id(run))
    place, host = keeper.place(_volume_id(run)), keeper.pool().name
    if place is None:
        raise DriverError("manage", "the data are gone", code="volume.not_found")
    with run.parts.database.write(run.ctx) as w:
        managing.taken(w, _volume_id(run), int(run.memo["gib"]), path=place.path, form=place.format, host=host)


def _not_taken(run: Run, error: Exception) -> None:
    told = volume_sources.told(error)
    with run.parts.database.write(run.ctx) as w:
        if _snapshot_id(run):
            progress.snapshots_failed(w, [_snapshot_id(run)], told)
        else:
            progress.failed(w, _volume_id(run), "error_managing", told, while_=(managing.MANAGING,))


def _gone(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        if _snapshot_id(run):
            progress.snapshot_gone(w, _snapshot_id(run))
        else:
            progress.gone(w, _volume_id(run))


def _not_given(run: Run, error: Exception) -> None:
    told = volume_sources.told(error)
    with run.parts.database.write(run.ctx) as w:
        if _snapshot_id(run):
            progress.snapshot_failed(w, _snapshot_id(run), "error", told)
        else:
            progress.failed(w, _volume_id(run), "error_unmanaging", told, while_=(managing.UNMANAGING,))


FLOWS = (
    Flow(tasks.VolumeManage.kind, (Step("take", _take, _put_back), Step("finish", _taken)), failed=_not_taken),
    Flow(tasks.VolumeUnmanage.kind, (Step("give", _put_back), Step("finish", _gone)), failed=_not_given),
)
