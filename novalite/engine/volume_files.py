"""Volumes and snapshots: the records against what is stored, and states that nobody will end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from novalite import logs
from novalite.cloud.compute import protection_tests
from novalite.cloud.compute.servers import Server
from novalite.cloud.tasks import tasks
from novalite.cloud.volume import attachments, backups, progress, volumes
from novalite.cloud.volume.records import Backup
from novalite.context import internal
from novalite.db.work import Database, Work
from novalite.drivers.storage.base import VolumeBackends, VolumeDriver
from novalite.engine.flow import Parts
from novalite.errors import DriverError

_log = logs.get("volumes")
_WITHOUT_DATA = ("creating", "downloading", "deleting", "error", "error_deleting", "managing", "error_managing",
                 "unmanaging", "error_unmanaging")  # fmt: skip
_CUT_OFF = "The action was cut off."
_ENDS = {"creating": "error", "downloading": "error", "reverting": "error", "deleting": "error_deleting",
         "extending": "error_extending", "restoring-backup": "error_restoring", "managing": "error_managing",
         "unmanaging": "error_unmanaging"}  # fmt: skip


_LOOK_AT = {
    "volume": "Look at it on its backend (files: volumes/ in the state directory); then remove it.",
    "snapshot": "Look at it on its backend (files: volumes/snapshots/ in the state directory); then remove it.",
    "backup": "Does another cloud keep its backups there? Else import its record, or remove its manifest.",
}


@dataclass(frozen=True)
class Disagreement:
    """``what`` is wrong with ``id``, ``why`` that matters, ``fix`` it so."""

    severity: str
    kind: str
    id: str
    what: str
    why: str
    fix: str


def mend(database: Database, backends: VolumeBackends) -> None:
    """At start: forget copies that were cut off, and learn where volumes are when their directory has moved. A
    backend that is away is left as it is, and the rest goes on."""
    for name in backends.everyone:
        try:
            _mend(database, backends.of(name), name)
        except DriverError as error:
            _log.warning("backend_away", backend=name, error=str(error))


def _mend(database: Database, driver: VolumeDriver, name: str) -> None:
    driver.clean()
    with database.read(internal()) as w:
        known = {volume.id: volume.location for volume in progress.everything(w)[0]
                 if volume.location and volume.backend == name}  # fmt: skip
    for volume_id, place in driver.places(known).items():
        if place.path != known[volume_id]["path"]:
            with database.write(internal()) as w:
                volumes.change(w, volume_id, {"location": {"path": place.path, "format": place.format}})


def end_unowned(database: Database, *, older_than_seconds: float) -> list[str]:
    """Give every volume and snapshot whose status no task will end a way out, and free what a server that is no
    more had. Returns the ids of volumes and snapshots."""
    with database.write(internal()) as w:
        before, busy = w.now - timedelta(seconds=older_than_seconds), tasks.live_resources(w)
        mended = [*_volumes(w, before, busy), *_snapshots(w, before, busy), *_backups(w, before, busy),
                  *_lost_servers(w, before, busy)]  # fmt: skip
    for mended_id in mended:
        _log.warning("a state without an owner", id=mended_id)
    return mended


def _volumes(w: Work, before: datetime, busy: set[str]) -> Iterator[str]:
    for volume in progress.volumes_on_their_way(w, before):
        if volume.id in busy:
            continue
        if volume.status in ("retyping", "maintenance"):
            progress.not_moved(w, volume.id, _CUT_OFF)
        elif volume.status in ("uploading", "backing-up"):
            progress.back(w, volume.id, volume.status)
        else:
            progress.failed(w, volume.id, _ENDS[volume.status], _CUT_OFF, while_=(volume.status,))
        yield volume.id


def _snapshots(w: Work, before: datetime, busy: set[str]) -> Iterator[str]:
    late = progress.snapshots_on_their_way(w, before)
    users = attachments.of_volumes(w, [snapshot.volume_id for snapshot in late])
    for snapshot in late:
        # Made by a task of its own, or with others by one of the group or of the server that has the volume.
        owners = {snapshot.volume_id, snapshot.group_snapshot_id, *(row.server_id for row in users[snapshot.volume_id])}
        if not owners & busy:
            progress.snapshot_failed(w, snapshot.id, _ENDS[snapshot.status], _CUT_OFF)
            yield snapshot.id


def _backups(w: Work, before: datetime, busy: set[str]) -> Iterator[str]:
    for backup in backups.late(w, before):
        if {backup.id, backup.volume_id, backup.restore_to} & busy:
            continue
        if backup.status == "restoring":
            backups.restored(w, backup.id)
        else:
            backups.failed(w, backup.id, "error", _CUT_OFF, while_=backup.status)
        yield backup.id


def _lost_servers(w: Work, before: datetime, busy: set[str]) -> Iterator[str]:
    of_servers = attachments.made_by_compute(w, before)
    there = set(w.session.scalars(sa.select(Server.id).where(Server.id.in_(of_servers), Server.deleted_at.is_(None))))
    for server_id, attachment_ids in of_servers.items():
        if server_id not in busy and server_id not in there:
            for attachment_id in attachment_ids:
                attachments.detach(w, attachment_id)
                yield attachment_id


def disagreements(parts: Parts) -> tuple[list[Disagreement], dict[str, int]]:
    """What doctor tells: data without a record, records without data; and how many were looked at."""
    with parts.database.read(internal()) as w:
        all_volumes, all_snapshots = progress.everything(w)
        all_backups = backups.everything(w)
        busy = tasks.live_resources(w)
        tested = protection_tests.volumes_held(w)
    stored_volumes, stored_snapshots, away = _stored(parts.volumes)
    lost = {one.id for one in all_volumes if one.backend in {each.id for each in away}}
    wanted = {one.id for one in all_volumes if one.status not in _WITHOUT_DATA and one.id not in busy | lost}
    kept = {one.id for one in all_snapshots if one.status == "available" and one.volume_id not in busy | lost}
    found = [
        *away,
        *_elsewhere(parts.volumes, {one.id: one.backend for one in all_volumes if one.id not in busy}),
        *_compare("volume", wanted, {one.id for one in all_volumes} | tested, stored_volumes),
        *_compare("snapshot", kept, {one.id for one in all_snapshots} | busy, stored_snapshots),
    ]
    found += _of_backups(parts, all_backups, busy)
    return found, {"volumes": len(all_volumes), "snapshots": len(all_snapshots), "backups": len(all_backups)}


def _elsewhere(backends: VolumeBackends, kept_by: dict[str, str]) -> Iterator[Disagreement]:
    """What volumes that have moved left behind."""
    for name, driver in backends.drivers.items():
        try:
            there = driver.volume_ids()
        except DriverError:  # told already
            continue
        for volume_id in there:
            if kept_by.get(volume_id, name) not in (name, ""):
                what = f"There are data of volume {volume_id} on {name}, but it is kept by {kept_by[volume_id]}."
                yield Disagreement("warning", "volume", volume_id, what, "They take room for nothing.",
                                   _LOOK_AT["volume"])  # fmt: skip


def _of_backups(parts: Parts, all_backups: list[Backup], busy: set[str]) -> Iterator[Disagreement]:
    wanted = {backups.data_id(one) for one in all_backups
              if one.status == "available" and not {one.id, one.volume_id} & busy}  # fmt: skip
    try:
        stored = set(parts.backups.ids())
        if not parts.backups.keeper().ours:  # what another appliance keeps is known there
            stored &= wanted
    except (DriverError, OSError) as error:
        yield Disagreement("error", "backup", parts.backups.place(), f"The store of backups does not answer: {error}",
                           "Backups can be neither made nor read.", "See to it that it is there.")  # fmt: skip
        return
    yield from _compare("backup", wanted, {backups.data_id(one) for one in all_backups} | busy, stored)


def _stored(backends: VolumeBackends) -> tuple[set[str], set[str], list[Disagreement]]:
    """Volumes and snapshots of every backend, and the backends that do not answer."""
    of_volumes, of_snapshots, away = set[str](), set[str](), []
    for name, driver in backends.everyone.items():
        try:
            of_volumes |= set(driver.volume_ids())
            of_snapshots |= set(driver.snapshot_ids())
        except DriverError as error:
            away.append(Disagreement("error", "backend", name, f"The backend {name} does not answer: {error}",
                                     "Its volumes cannot be used.", "See to it that it is there."))  # fmt: skip
    return of_volumes, of_snapshots, away


def _compare(kind: str, wanted: set[str], known: set[str], stored: set[str]) -> Iterator[Disagreement]:
    for lost in sorted(wanted - stored):
        yield Disagreement(
            "error", kind, lost, f"The data of {kind} {lost} are missing.", "It cannot be read or attached.",
            "Bring its file back from a copy, or delete it.",
        )  # fmt: skip
    for leaked in sorted(stored - known):
        yield Disagreement(
            "warning", kind, leaked, f"There are data of {kind} {leaked}, which does not exist.",
            "They take room for nothing.", _LOOK_AT[kind],
        )  # fmt: skip
