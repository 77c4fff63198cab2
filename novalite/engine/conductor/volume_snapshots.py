"""Snapshots of several volumes at one moment: those that a guest has are copied together where it runs, then kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from novalite.cloud.compute import progress as of_servers
from novalite.cloud.compute.image_tasks import SnapshotVolumes
from novalite.cloud.volume import attachments, progress, snapshots
from novalite.drivers.compute import snapshots as copies
from novalite.drivers.compute.base import DiskCopy, FullDriver, Power, SnapshotFile
from novalite.drivers.storage.base import OfStream, OfVolume
from novalite.engine.conductor import beside, volume_sources, volume_swap
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed


@dataclass(frozen=True)
class _Part:
    """One snapshot to be made. ``serial`` is what the guest knows the volume by; empty when it does not have it."""

    snapshot_id: str
    volume_id: str
    serial: str

    @property
    def copy_name(self) -> str:
        return f"part-{self.snapshot_id}"


def _parts(run: Run) -> list[_Part]:
    with run.parts.database.read(run.ctx) as w:
        found = [snapshots.find(w, str(snapshot_id)) for snapshot_id in run.args["snapshot_ids"]]
        known = [snapshot for snapshot in found if snapshot is not None]
        there = attachments.of_volumes(w, [snapshot.volume_id for snapshot in known])
    return [
        _Part(snapshot.id, snapshot.volume_id, next(
            (attachments.serial_of(row) for row in there[snapshot.volume_id]
             if row.server_id == run.server_id and row.status == attachments.ATTACHED), "",
        ))
        for snapshot in known
    ]  # fmt: skip


def _guests(run: Run) -> FullDriver | None:
    """The driver of the guest's host; None when there is no guest, and so nobody who writes."""
    with run.parts.database.read(run.ctx) as w:
        server = of_servers.find(w, run.server_id)
    if server is None or not server.host:
        return None
    driver = run.parts.links.driver(server.host)
    return None if driver.guest(run.server_id).power is Power.ABSENT else driver


def copy(run: Run) -> None:
    """Copies of what the guest has, on its host, all of one moment. Nothing is kept of them before that is done."""
    driver, parts = _guests(run), [part for part in _parts(run) if part.serial]
    if driver is None or not parts:
        run.memo["copied"] = []
        return
    wanted = tuple(
        DiskCopy(part.serial, part.copy_name, volume_sources.disk_key(run, part.volume_id)) for part in parts
    )  # fmt: skip
    taken = beside.run(
        lambda: driver.take_snapshots(run.server_id, wanted),
        lambda: volume_swap.require_wanted(run),
        lambda: _drop(run, driver),
    )
    run.memo["copied"] = [[part.snapshot_id, one.size] for part, one in zip(parts, taken, strict=True)]


def store(run: Run) -> None:
    """The copies, and volumes that nobody writes to, become snapshots."""
    driver, sizes = _guests(run), {str(snapshot_id): int(size) for snapshot_id, size in run.memo["copied"]}
    for part in _parts(run):
        key = volume_sources.key(run, part.volume_id)
        source: OfVolume | OfStream = OfVolume(part.volume_id, key)
        if part.snapshot_id in sizes:
            if driver is None:
                raise Failed("The guest that was copied is gone, and the copies with it.", code="guest.not_found")
            file = SnapshotFile(run.server_id, part.copy_name, part.serial, sizes[part.snapshot_id], 0)
            source = OfStream(_content(run, driver, file), key=key)
        volume_sources.keeper(run, part.volume_id).ensure_snapshot(part.snapshot_id, source)


def _content(run: Run, driver: FullDriver, file: SnapshotFile) -> Iterator[bytes]:
    for piece in copies.chunks(driver, file):
        volume_swap.require_wanted(run)
        yield piece


def kept(run: Run) -> None:
    """All of them are there, at once; the copies are not needed."""
    with run.parts.database.write(run.ctx) as w:
        for snapshot_id in run.args["snapshot_ids"]:
            progress.snapshot_made(w, str(snapshot_id))
    forget(run)


def forget(run: Run) -> None:
    """Drop the copies on the guest's host."""
    driver = _guests(run)
    if driver is not None:
        _drop(run, driver)


def _drop(run: Run, driver: FullDriver) -> None:
    for part in _parts(run):
        driver.drop_snapshot(run.server_id, part.copy_name)


def unstore(run: Run) -> None:
    """What has become a snapshot as a whole stays."""
    for part in _parts(run):
        with run.parts.database.read(run.ctx) as w:
            found = snapshots.find(w, part.snapshot_id)
        if found is not None and found.status == "creating":
            volume_sources.keeper(run, part.volume_id).delete_snapshot(part.snapshot_id)


def not_kept(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        wanted = [str(snapshot_id) for snapshot_id in run.args["snapshot_ids"]]
        progress.snapshots_failed(w, wanted, volume_sources.told(error))


def called_off(run: Run) -> None:
    not_kept(run, Failed("It was called off."))


FLOWS = (
    Flow(
        SnapshotVolumes.kind,
        (Step("copy", copy, forget), Step("store", store, unstore), Step("finish", kept)),
        failed=not_kept,
        cancelled=called_off,
    ),
)
