"""The flows that keep backups of volumes, let them go, and look at those that come from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from novalite.cloud.volume import backup_import, backups, progress, tasks
from novalite.cloud.volume.records import Backup
from novalite.drivers.storage.base import OfSnapshot, OfStream, OfVolume, StoredBackup, VolumeDriver
from novalite.engine.conductor import volume_sources
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed

_LOOK_SECONDS = 1.0
"""How often a long copy looks whether it is still wanted."""


def _backup_id(run: Run) -> str:
    return str(run.args["backup_id"])


def _volume_id(run: Run) -> str:
    return str(run.args["volume_id"])


def copy_name(task_id: str) -> str:
    """What the task calls its copy of a disk in use."""
    return f"backup-{task_id}"


def _backup(run: Run) -> Backup:
    with run.parts.database.read(run.ctx) as w:
        found = backups.find(w, _backup_id(run))
    if found is None:
        raise Failed("The backup is no longer wanted.", code="backup.gone")
    return found


def _wanted(run: Run) -> Backup:
    """One that is being made, which nobody has given up."""
    found = _backup(run)
    if found.status == "deleting":
        raise Failed("The backup is no longer wanted.", code="backup.gone")
    return found


@contextmanager
def _content(run: Run, backup: Backup) -> Iterator[OfStream]:
    """Plain bytes, of an encrypted volume those that are kept. What a guest has goes by way of a snapshot that is named
    as the backup, and gone afterwards."""
    driver, key = volume_sources.keeper(run, _volume_id(run)), volume_sources.key(run, _volume_id(run))
    if backup.snapshot_id:
        yield _bytes_of(driver, OfSnapshot(backup.snapshot_id, key))
        return
    with volume_sources.reading(run, _volume_id(run), copy_name(run.task_id)) as source:
        if isinstance(source, OfVolume):
            yield _bytes_of(driver, source)
            return
        driver.ensure_snapshot(backup.id, source)
    try:
        yield _bytes_of(driver, OfSnapshot(backup.id, key))
    finally:
        driver.delete_snapshot(backup.id)


def _bytes_of(driver: VolumeDriver, source: OfVolume | OfSnapshot) -> OfStream:
    return OfStream(driver.read(source, "raw"), "raw") if source.key is None else driver.stream(source)


def _keep(run: Run) -> None:
    backup = _wanted(run)
    with _content(run, backup) as content:
        if content.key is not None:
            with run.parts.database.write(run.ctx) as w:
                backups.kept_as(w, backup.id, content.format)
            backup = _wanted(run)
        facts, chunks = backup_import.facts(backup), _while_wanted(run, content.chunks)
        kept: StoredBackup = run.parts.backups.save(backup.id, chunks, facts)
    place = run.parts.backups.place()
    with run.parts.database.write(run.ctx) as w:
        backups.stored(w, backup.id, size_bytes=kept.added, object_count=kept.pieces, place=place)
    _wanted(run)


def _while_wanted(run: Run, chunks: Iterable[bytes]) -> Iterator[bytes]:
    looked = time.monotonic()
    for chunk in chunks:
        if time.monotonic() - looked > _LOOK_SECONDS:
            _wanted(run)
            looked = time.monotonic()
        yield chunk


def _forget(run: Run) -> None:
    volume_sources.keeper(run, _volume_id(run)).delete_snapshot(_backup_id(run))
    volume_sources.forget(run, _volume_id(run), copy_name(run.task_id))
    run.parts.backups.delete(_backup_id(run))
    run.parts.backups.clean()


def _kept(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.back(w, _volume_id(run), "backing-up")


def _not_kept(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        for status in ("creating", "available"):
            backups.failed(w, _backup_id(run), "error", volume_sources.told(error), while_=status)
        progress.back(w, _volume_id(run), "backing-up")


def _remove(run: Run) -> None:
    with run.parts.database.read(run.ctx) as w:
        found = backups.find(w, _backup_id(run))
        alone = found is not None and backups.has_data_of_its_own(w, found)
    if found is not None and alone:
        run.parts.backups.delete(backups.data_id(found))


def _gone(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        backups.gone(w, _backup_id(run))


def _not_gone(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        backups.failed(w, _backup_id(run), "error", volume_sources.told(error), while_="deleting")


def _look(run: Run) -> None:
    """The manifest tells whose backup it is; what is in it is looked at when it is put back."""
    run.parts.backups.kept(backups.data_id(_backup(run)))
    with run.parts.database.write(run.ctx) as w:
        backups.confirmed(w, _backup_id(run))


def _not_found(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        backups.failed(w, _backup_id(run), "error", volume_sources.told(error), while_="creating")


FLOWS = (
    Flow(tasks.BackupCreate.kind, (Step("copy", _keep, _forget), Step("finish", _kept)), failed=_not_kept),
    Flow(tasks.BackupDelete.kind, (Step("data", _remove), Step("finish", _gone)), failed=_not_gone),
    Flow(tasks.BackupImport.kind, (Step("look", _look),), failed=_not_found),
)
