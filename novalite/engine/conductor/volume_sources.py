"""Where the data of a volume can be read: its file, or a copy that the guest's host makes while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from novalite.cloud.compute import progress
from novalite.cloud.volume import attachments, keys, snapshots, volumes
from novalite.drivers.compute.base import ComputeDriver, DiskKey, Power, TakesSnapshots
from novalite.drivers.compute.snapshots import content
from novalite.drivers.storage.base import OfSnapshot, OfStream, OfVolume, VolumeDriver, VolumeKey
from novalite.engine.conductor import outcome
from novalite.engine.flow import Run
from novalite.errors import Failed


@dataclass(frozen=True)
class User:
    """A guest that has the volume as one of its disks, which it knows by ``serial``."""

    driver: ComputeDriver
    server_id: str
    serial: str


def users(run: Run, volume_id: str) -> list[User]:
    """Guests that exist on their hosts with this volume. Raises ``HostUnreachable``."""
    with run.parts.database.read(run.ctx) as w:
        found = []
        for attachment in attachments.of_volumes(w, [volume_id])[volume_id]:
            server = progress.find(w, attachment.server_id or "")
            if server is not None and server.host and attachment.status == attachments.ATTACHED:
                found.append((server.host, server.id, attachments.serial_of(attachment)))
    there = [User(run.parts.links.driver(host), server_id, serial) for host, server_id, serial in found]
    return [user for user in there if user.driver.guest(user.server_id).power is not Power.ABSENT]


def backend(run: Run, volume_id: str) -> str:
    """The name of the backend that keeps a volume and its snapshots. Raises ``Failed`` when there is no volume."""
    with run.parts.database.read(run.ctx) as w:
        found = volumes.find(w, volume_id)
    if found is None:
        raise Failed("The volume is no longer there.", code="volume.gone")
    return found.backend


def keeper(run: Run, volume_id: str) -> VolumeDriver:
    """The driver of the volume's backend, of the default one for a volume that is gone."""
    with run.parts.database.read(run.ctx) as w:
        found = volumes.find(w, volume_id)
    return run.parts.volumes.of(found.backend if found else "")


def key(run: Run, volume_id: str) -> VolumeKey | None:
    """What the data of a volume are opened with, if they are encrypted. Raises ``Failed`` with code
    ``volume.key_lost``."""
    with run.parts.database.read(run.ctx) as w:
        found = volumes.find(w, volume_id)
        return keys.of(w, run.parts.settings.state_path, found) if found else None


def disk_key(run: Run, volume_id: str) -> DiskKey | None:
    """The same for the host of a guest that has the volume."""
    with run.parts.database.read(run.ctx) as w:
        found = volumes.find(w, volume_id)
        return keys.of_disk(run.parts.settings.state_path, found) if found else None


def snapshot(run: Run, snapshot_id: str) -> OfSnapshot:
    """A snapshot, with the key of the volume whose snapshot it is."""
    with run.parts.database.read(run.ctx) as w:
        found = snapshots.find(w, snapshot_id)
    return OfSnapshot(snapshot_id, key(run, found.volume_id) if found else None)


@contextmanager
def reading(run: Run, volume_id: str, name: str) -> Iterator[OfVolume | OfStream]:
    """The volume as it is at one moment; nothing of the copy stays when the block ends. ``name`` is that of the
    copy, so that a repeated step finds it."""
    using, opened = users(run, volume_id), key(run, volume_id)
    if not using:
        yield OfVolume(volume_id, opened)
        return
    driver, server_id = using[0].driver, using[0].server_id
    if not isinstance(driver, TakesSnapshots):
        raise Failed("The host of the server cannot copy disks that are in use.", code="volume.in_use")
    copy = driver.take_snapshot(server_id, using[0].serial, name, disk_key(run, volume_id))
    try:
        yield OfStream(content(driver, copy, lambda: None), key=opened)
    finally:
        driver.drop_snapshot(server_id, name)


def forget(run: Run, volume_id: str, name: str) -> None:
    """Drop the copies of that name which a process that died has left."""
    for user in users(run, volume_id):
        if isinstance(user.driver, TakesSnapshots):
            user.driver.drop_snapshot(user.server_id, name)


told = outcome.message_of
"""What the record keeps of a failure."""
