"""The flows that make, fill, grow and remove a volume's data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from novalite.cloud.compute import external_events
from novalite.cloud.image import made
from novalite.cloud.volume import attachments, backups, keys, new_volumes, placing, progress, snapshots, tasks, volumes
from novalite.cloud.volume.records import Volume
from novalite.drivers.compute.base import ChangesDisks, Power
from novalite.drivers.storage.base import (
    IMAGE_FORMATS,
    ExportSpec,
    OfImage,
    OfSnapshot,
    OfStream,
    OfVolume,
    VolumeKey,
    VolumeSource,
)
from novalite.engine.conductor import volume_reach, volume_sources
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed

_NEW = ("creating", "downloading")
_GIB = 1 << 30


def _id(run: Run) -> str:
    return str(run.args["volume_id"])


def _copy_name(run: Run) -> str:
    return f"volume-{run.task_id}"


def _volume(run: Run) -> Volume:
    with run.parts.database.read(run.ctx) as w:
        found = volumes.find(w, _id(run))
    if found is None:
        raise Failed("The volume is no longer there.", code="volume.gone")
    return found


def _image(run: Run, image_id: str) -> OfImage:
    """As the image's own record says: what the volume tells of it, its owner may change."""
    with run.parts.database.read(run.ctx) as w:
        image = made.find(w, image_id)
        key = keys.of_image(w, run.parts.settings.state_path, image_id)
    path = run.parts.images.path(image_id)
    if image is None or path is None or image.disk_format not in new_volumes.FORMATS:
        raise Failed(f"The data of image {image_id} are missing.", code="image.missing", hint="Upload it again.")
    return OfImage(path, IMAGE_FORMATS[image.disk_format], key)


def _place(run: Run) -> None:
    """Choose the backend once; what is written down stays."""
    volume = _volume(run)
    _seal(run, volume)
    if volume.backend:
        return
    pools, options, needs_gib = run.parts.volumes.pools(), run.parts.settings.volumes, _needed_gib(run, volume)
    with run.parts.database.read(run.ctx) as w:
        wish, rooms = placing.wish_of(w, volume, needs_gib), placing.rooms(w, pools)
    chosen = placing.choose(
        wish, rooms, reserve_gib=options.reserve_gib, oversubscription=options.oversubscription,
        away=set(run.parts.volumes.drivers) - set(pools),
    )  # fmt: skip
    with run.parts.database.write(run.ctx) as w:
        progress.placed(w, volume.id, chosen)


def _seal(run: Run, volume: Volume) -> None:
    """The key of an encrypted volume is there before anything is written with it."""
    if volume.encryption_key_id is not None and not volume.sealed_key:
        sealed = keys.fresh(run.parts.settings.state_path, volume.encryption_key_id)
        with run.parts.database.write(run.ctx) as w:
            progress.sealed(w, volume.id, sealed)


def _needed_gib(run: Run, volume: Volume) -> int:
    """What is written at once: an image or a copy is there whole, a blank volume grows later."""
    if volume.source_volume_id or volume.snapshot_id or volume.backup_id:
        return volume.size_gib
    if volume.image_id:
        return -(-_image(run, volume.image_id).path.stat().st_size // _GIB)
    return 0


def _kept_content(run: Run, backup_id: str) -> OfStream:
    with run.parts.database.read(run.ctx) as w:
        found = backups.find(w, backup_id)
    if found is None:
        raise Failed(f"Backup {backup_id} is no longer there.", code="backup.gone")
    chunks, sealed = run.parts.backups.read(backups.data_id(found)), backups.sealed(found)
    if sealed is None:
        return OfStream(chunks, "raw")
    opened = keys.opened(run.parts.settings.state_path, sealed.key_id, sealed.sealed_key)
    return OfStream(chunks, sealed.format, VolumeKey(opened))


@contextmanager
def _source(run: Run, volume: Volume) -> Iterator[VolumeSource | None]:
    with run.parts.database.read(run.ctx) as w:
        near = placing.backend_of_source(w, volume)
    if volume.source_volume_id:
        with volume_sources.reading(run, volume.source_volume_id, _copy_name(run)) as source:
            yield _brought(run, source, near, volume.backend)
    elif volume.snapshot_id:
        yield _brought(run, volume_sources.snapshot(run, volume.snapshot_id), near, volume.backend)
    elif volume.backup_id:
        yield _kept_content(run, volume.backup_id)
    elif volume.image_id:
        with run.parts.database.write(run.ctx) as w:
            progress.downloading(w, volume.id)
        yield _image(run, volume.image_id)
    else:
        yield None


def _brought(run: Run, source: OfVolume | OfSnapshot | OfStream, near: str, backend: str) -> VolumeSource:
    """What another backend keeps comes as a stream."""
    if isinstance(source, OfStream) or near == backend:
        return source
    driver = run.parts.volumes.of(near)
    return OfStream(driver.read(source, "qcow2")) if source.key is None else driver.stream(source)


def _make(run: Run) -> None:
    volume = _volume(run)
    driver = run.parts.volumes.of(volume.backend)
    key = volume_sources.key(run, volume.id)
    with _source(run, volume) as source:
        place = driver.ensure_volume(volume.id, volume.size_gib, source, shared=volume.multiattach, key=key)
    name = driver.pool().name
    with run.parts.database.write(run.ctx) as w:
        progress.stored(w, volume.id, place.path, place.format, name)


def _unmake(run: Run) -> None:
    volume_sources.keeper(run, _id(run)).delete_volume(_id(run))
    with run.parts.database.write(run.ctx) as w:
        volumes.change(w, _id(run), {"location": {}})
        volume = volumes.find(w, _id(run))
    if volume is not None and volume.source_volume_id:
        volume_sources.forget(run, volume.source_volume_id, _copy_name(run))


def _made(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        volume = volumes.find(w, _id(run))
        progress.created(w, _id(run))
        if volume is not None and volume.backup_id:
            backups.restored(w, volume.backup_id)


def _not_made(run: Run, error: Exception) -> None:
    _into("error", *_NEW)(run, error)
    with run.parts.database.write(run.ctx) as w:
        volume = volumes.find(w, _id(run))
        if volume is not None and volume.backup_id:
            backups.restored(w, volume.backup_id)


def _into(status: str, *while_: str) -> Callable[[Run, Exception], None]:
    def failed(run: Run, error: Exception) -> None:
        with run.parts.database.write(run.ctx) as w:
            progress.failed(w, _id(run), status, volume_sources.told(error), while_=while_)

    return failed


def _remove_snapshots(run: Run) -> None:
    with run.parts.database.read(run.ctx) as w:
        ids = [snapshot.id for snapshot in snapshots.of_volumes(w, [_id(run)])]
    driver = volume_sources.keeper(run, _id(run))
    for snapshot_id in ids:
        driver.delete_snapshot(snapshot_id)


def _remove(run: Run) -> None:
    volume_sources.keeper(run, _id(run)).delete_volume(_id(run))


def _gone(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.gone(w, _id(run))


def _grow(run: Run) -> None:
    size_gib, using = int(run.args["size_gib"]), volume_sources.users(run, _id(run))
    growing = [(user, user.driver) for user in using if isinstance(user.driver, ChangesDisks)]
    if len(growing) < len(using):
        raise Failed("The host of the server cannot let disks grow.", code="volume.in_use")
    exported = volume_reach.exports_of(run, _id(run)) if using else []
    if exported:
        _grow_exported(run, size_gib, using, exported)
    for user, driver in growing:
        driver.resize_disk(user.server_id, user.serial, size_gib, volume_sources.disk_key(run, _id(run)))
    if not using:
        keeper, key = volume_sources.keeper(run, _id(run)), volume_sources.key(run, _id(run))
        keeper.extend_volume(_id(run), size_gib, key=key)


def _grow_exported(run: Run, size_gib: int, using: list[volume_sources.User], exported: list[ExportSpec]) -> None:
    """Nobody has it open meanwhile: its guest waits, and finds it larger when it asks again."""
    if any(user.driver.guest(user.server_id).power is Power.SUSPENDED for user in using):
        raise Failed("The memory of the server is saved: its disks must stay as they are.", code="guest.state")
    keeper, key = volume_sources.keeper(run, _id(run)), volume_sources.key(run, _id(run))
    for spec in exported:
        run.parts.exports.remove_export(spec.id)
    try:
        keeper.extend_volume(_id(run), size_gib, key=key)
    finally:
        for spec in exported:
            run.parts.exports.ensure_export(spec)


def _grown(run: Run) -> None:
    """Servers that have it are told, so that their history tells too."""
    with run.parts.database.write(run.ctx) as w:
        progress.extended(w, _id(run), int(run.args["size_gib"]))
        for attachment in attachments.of_volumes(w, [_id(run)])[_id(run)]:
            told = external_events.Event(attachment.server_id or "", external_events.VOLUME_EXTENDED, _id(run))
            external_events.happened(w, told)


def _refill(run: Run) -> None:
    volume, source = _volume(run), _filling(run)
    volume_reach.close_volume(run, volume.id)  # who serves it would go on with the old data
    driver = run.parts.volumes.of(volume.backend)
    key = volume_sources.key(run, volume.id)
    driver.ensure_volume(volume.id, volume.size_gib, source, anew=True, shared=volume.multiattach, key=key)


def _filling(run: Run) -> VolumeSource:
    if run.args["image_id"]:
        return _image(run, str(run.args["image_id"]))
    if run.args.get("backup_id"):
        return _kept_content(run, str(run.args["backup_id"]))
    return volume_sources.snapshot(run, str(run.args["snapshot_id"]))


def _refilled(run: Run) -> None:
    backup_id = str(run.args.get("backup_id", ""))
    while_ = "downloading" if run.args["image_id"] else "restoring-backup" if backup_id else "reverting"
    with run.parts.database.write(run.ctx) as w:
        progress.back(w, _id(run), while_)
        if backup_id:
            backups.restored(w, backup_id)


def _not_refilled(run: Run, error: Exception) -> None:
    _into("error_restoring" if run.args.get("backup_id") else "error", "downloading", "reverting",
          "restoring-backup")(run, error)  # fmt: skip
    if run.args.get("backup_id"):
        with run.parts.database.write(run.ctx) as w:
            backups.restored(w, str(run.args["backup_id"]))


FLOWS = (
    Flow(
        tasks.VolumeCreate.kind,
        (Step("place", _place), Step("data", _make, _unmake), Step("finish", _made)),
        failed=_not_made,
    ),
    Flow(
        tasks.VolumeDelete.kind,
        (Step("snapshots", _remove_snapshots), Step("data", _remove), Step("finish", _gone)),
        failed=_into("error_deleting", "deleting"),
    ),
    Flow(
        tasks.VolumeExtend.kind,
        (Step("grow", _grow), Step("finish", _grown)),
        failed=_into("error_extending", "extending"),
    ),
    Flow(
        tasks.VolumeRefill.kind,
        (Step("data", _refill), Step("finish", _refilled)),
        failed=_not_refilled,
    ),
)
