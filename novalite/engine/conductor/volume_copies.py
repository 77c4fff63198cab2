"""The flows that copy volumes: into snapshots, and into images."""

from __future__ import annotations

from collections.abc import Iterable

from novalite.cloud.image import image_keys, images
from novalite.cloud.volume import keys, messages, progress, tasks, volumes
from novalite.context import internal
from novalite.drivers.storage.base import OfSnapshot, OfStream, OfVolume, StoredImage, VolumeKey
from novalite.engine.conductor import volume_sources
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed, NotFound


def _volume_id(run: Run) -> str:
    return str(run.args["volume_id"])


def _snapshot_id(run: Run) -> str:
    return str(run.args["snapshot_id"])


def _image_id(run: Run) -> str:
    return str(run.args["image_id"])


def _copy_name(run: Run) -> str:
    return f"copy-{run.task_id}"


def _keep(run: Run) -> None:
    with volume_sources.reading(run, _volume_id(run), _copy_name(run)) as source:
        volume_sources.keeper(run, _volume_id(run)).ensure_snapshot(_snapshot_id(run), source)


def _forget(run: Run) -> None:
    volume_sources.keeper(run, _volume_id(run)).delete_snapshot(_snapshot_id(run))
    volume_sources.forget(run, _volume_id(run), _copy_name(run))


def _kept(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.snapshot_made(w, _snapshot_id(run))


def _not_kept(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.snapshot_failed(w, _snapshot_id(run), "error", volume_sources.told(error))


def _remove(run: Run) -> None:
    volume_sources.keeper(run, _volume_id(run)).delete_snapshot(_snapshot_id(run))


def _gone(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.snapshot_gone(w, _snapshot_id(run))


def _not_gone(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.snapshot_failed(w, _snapshot_id(run), "error_deleting", volume_sources.told(error))


def _seal(run: Run) -> None:
    """The image of an encrypted volume has a key of its own before there are data: it may outlive the volume."""
    with run.parts.database.read(run.ctx) as w:
        kept, volume = image_keys.find(w, _image_id(run)), volumes.find(w, _volume_id(run))
    if kept is None or kept.sealed_key:
        return
    if volume is None:
        raise Failed("The volume is no longer there.", code="volume.gone")
    sealed = keys.copied(run.parts.settings.state_path, volume, kept.key_id)
    with run.parts.database.write(run.ctx) as w:
        image_keys.seal(w, kept.image_id, sealed)


def _upload(run: Run) -> None:
    """Begun again as a whole when it is repeated: a start has put a half-finished upload back by then. The image is
    that of whoever asked, who may be of another project than the volume."""
    with run.parts.database.write(internal()) as w:
        image = images.get(w, _image_id(run))
        if image.status == "active":
            return
        if image.status == "queued":
            image = images.begin_upload(w, image.id)
    stored = _stored(run, image.disk_format or "raw")
    with run.parts.database.write(run.ctx) as w:
        wanted = images.finish_upload(
            w, _image_id(run), size=stored.size, virtual_size=stored.virtual_size, checksum=stored.md5,
            os_hash_value=stored.sha512,
        )  # fmt: skip
    if not wanted:
        run.parts.images.delete(_image_id(run))


def _stored(run: Run, disk_format: str) -> StoredImage:
    with volume_sources.reading(run, _volume_id(run), _copy_name(run)) as source:
        if isinstance(source, OfVolume):
            return _saved(run, _as_image(run, source, disk_format), disk_format, source.key)
        if disk_format == "qcow2":
            return _saved(run, source.chunks, disk_format, source.key)
        return _converted(run, source, disk_format)


def _saved(run: Run, chunks: Iterable[bytes], disk_format: str, key: VolumeKey | None) -> StoredImage:
    return run.parts.images.save(_image_id(run), chunks, disk_format=disk_format, is_sealed=key is not None)


def _as_image(run: Run, source: OfVolume | OfSnapshot, disk_format: str) -> Iterable[bytes]:
    driver = volume_sources.keeper(run, _volume_id(run))
    if source.key is None:
        return driver.read(source, disk_format)
    return driver.stream(source, disk_format).chunks


def _converted(run: Run, source: OfStream, disk_format: str) -> StoredImage:
    """By way of a snapshot that is named as the volume, and gone afterwards."""
    driver, name = volume_sources.keeper(run, _volume_id(run)), _volume_id(run)
    driver.ensure_snapshot(name, source)
    try:
        chunks = _as_image(run, OfSnapshot(name, source.key), disk_format)
        return _saved(run, chunks, disk_format, source.key)
    finally:
        driver.delete_snapshot(name)


def _not_uploaded(run: Run) -> None:
    volume_sources.keeper(run, _volume_id(run)).delete_snapshot(_volume_id(run))
    volume_sources.forget(run, _volume_id(run), _copy_name(run))
    with run.parts.database.write(internal()) as w:
        try:
            image = images.get(w, _image_id(run))
        except NotFound:
            return
        if image.status in ("queued", "saving"):
            image.protected = False
            images.delete(w, image.id)
    run.parts.images.delete(_image_id(run))


def _uploaded(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.back(w, _volume_id(run), "uploading")


def _not_copied(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        volume = volumes.find(w, _volume_id(run))
        if volume is not None:
            messages.tell(w, volume.project_id, "volume", volume.id, "uploading", volume_sources.told(error)[:2000])
    _uploaded(run)


FLOWS = (
    Flow(tasks.SnapshotCreate.kind, (Step("copy", _keep, _forget), Step("finish", _kept)), failed=_not_kept),
    Flow(tasks.SnapshotDelete.kind, (Step("data", _remove), Step("finish", _gone)), failed=_not_gone),
    Flow(
        tasks.VolumeUpload.kind,
        (Step("key", _seal, _not_uploaded), Step("upload", _upload), Step("finish", _uploaded)),
        failed=_not_copied,
        cancelled=_uploaded,
    ),
)
