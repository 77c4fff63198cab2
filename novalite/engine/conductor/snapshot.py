"""The flows that make images of servers: copy the root disk on its host, keep the copy in the image store."""

from __future__ import annotations

import time
from collections.abc import Iterable

from novalite import logs
from novalite.cloud.compute import progress, snapshots
from novalite.cloud.compute.image_tasks import CreateBackup, CreateImage, CreateVolumeImage
from novalite.cloud.image import images, made
from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.db.work import Work
from novalite.drivers.compute.snapshots import content
from novalite.engine.conductor import beside, guests, outcome, volume_snapshots
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import DriverError, Failed, NovaLiteError, Unavailable

_log = logs.get("conductor")
ROOT = "root"
_FORMAT = "qcow2"
_LOOK_SECONDS = beside.LOOK_SECONDS
_UNWANTED = "snapshot.unwanted"


def image_id(run: Run) -> str:
    return str(run.args["image_id"])


def copy(run: Run) -> None:
    """A copy of the root disk on its host. It is called off when nobody wants the image any more."""
    driver = guests.driver(run)
    beside.run(
        lambda: driver.take_snapshot(run.server_id, ROOT, image_id(run)),
        lambda: _require_wanted(run),
        lambda: driver.drop_snapshot(run.server_id, image_id(run)),
    )


def upload(run: Run) -> None:
    """The copy becomes the image's data. What an earlier attempt left is begun anew."""
    with run.parts.database.write(internal()) as w:
        begun = made.begin(w, image_id(run), _FORMAT)
    if not begun:
        _require_active(run)
        return
    finished = False
    try:
        finished = _store(run)
    finally:
        if not finished:
            run.parts.images.delete(image_id(run))
            with run.parts.database.write(internal()) as w:
                images.fail_upload(w, image_id(run))
    if not finished:
        raise _unwanted("it was deleted")


def _require_active(run: Run) -> None:
    with run.parts.database.read(internal()) as w:
        image = made.find(w, image_id(run))
    if image is None or image.status != "active":
        raise _unwanted("it was deleted" if image is None else f"it is {image.status}")


def _store(run: Run) -> bool:
    stored = run.parts.images.save(image_id(run), _copied(run), disk_format=_FORMAT)
    with run.parts.database.write(internal()) as w:
        return images.finish_upload(
            w, image_id(run), size=stored.size, virtual_size=stored.virtual_size, checksum=stored.md5,
            os_hash_value=stored.sha512,
        )  # fmt: skip


def _copied(run: Run) -> Iterable[bytes]:
    """The copy's bytes; the copy is made again if it is not there any more."""
    driver = guests.driver(run)
    snapshot = driver.take_snapshot(run.server_id, ROOT, image_id(run))
    looked = time.monotonic()

    def watch() -> None:
        nonlocal looked
        if time.monotonic() - looked > _LOOK_SECONDS:
            _require_wanted(run)
            looked = time.monotonic()

    return content(driver, snapshot, watch)


def _require_wanted(run: Run) -> None:
    with run.parts.database.read(internal()) as w:
        if tasks.is_unwanted(w, run.task_id):
            raise _unwanted("the server's task was called off")
        if made.find(w, image_id(run)) is None:
            raise _unwanted("it was deleted")


def _unwanted(why: str) -> Failed:
    return Failed(f"Image is no longer to be made: {why}.", code=_UNWANTED)


def drop(run: Run) -> None:
    """The copy's file is not needed. It goes with the guest at the latest."""
    try:
        guests.driver(run).drop_snapshot(run.server_id, image_id(run))
    except (DriverError, Failed, Unavailable) as error:
        left(run, error)


def left(run: Run, why: Exception) -> None:
    """Say that a copy stays on its host for now."""
    _log.warning("a copy of a disk stays on its host", server_id=run.server_id, why=str(why))


def discard(run: Run) -> None:
    """No image, unless it has become active."""
    with run.parts.database.write(internal()) as w:
        gone = made.discard(w, image_id(run))
    if gone:
        run.parts.images.delete(image_id(run))


def forget(run: Run, wanted: str) -> None:
    """Remove an image in whatever state."""
    with run.parts.database.write(internal()) as w:
        gone = made.forget(w, wanted)
    if gone:
        run.parts.images.delete(wanted)


def _describe(run: Run) -> None:
    with run.parts.database.write(internal()) as w:
        done = made.complete_without_data(w, image_id(run))
    if not done:
        _require_active(run)


def _rotate(run: Run) -> None:
    with run.parts.database.read(internal()) as w:
        superseded = snapshots.superseded(
            w, run.server_id, image_id(run), str(run.args["backup_type"]), int(run.args["rotation"])
        )
    for old in reversed(superseded):
        forget(run, old)


def _finish(run: Run) -> None:
    drop(run)
    settle(run)


def settle(run: Run) -> None:
    """What the guest did meanwhile is looked at now: it was taken for part of the action."""
    with run.parts.database.write(run.ctx) as w:
        snapshots.ended(w, run.server_id)
        server = progress.find(w, run.server_id)
    if server is None or not server.host:
        return
    try:
        guest = run.parts.links.driver(server.host).guest(run.server_id)
    except (DriverError, Unavailable) as error:
        _log.info("left to reconciliation", server_id=run.server_id, why=str(error))
        return
    with run.parts.database.write(run.ctx) as w:
        progress.observed(w, run.server_id, guest.power.value, guest.detail, revision=server.revision)


def failed(run: Run, error: Exception) -> None:
    """The server is what it was; an image that nobody wants any more is no fault."""
    if isinstance(error, NovaLiteError) and error.code == _UNWANTED:
        settle(run)
    else:
        outcome.failed_in_place(run, error)


def _volumes_failed(run: Run, error: Exception) -> None:
    volume_snapshots.not_kept(run, error)
    failed(run, error)


def _show(w: Work, run: Run, what: str) -> None:
    progress.doing(w, run.server_id, what)


def _begin(run: Run) -> None:
    _require_wanted(run)


_BEGIN = Step("begin", _begin, discard)
_FINISH = Step("finish", _finish)

FLOWS = (
    Flow(CreateImage.kind,
         (_BEGIN, Step("copy", copy, drop, shows=snapshots.COPYING),
          Step("upload", upload, shows=snapshots.UPLOADING), _FINISH),
         failed=failed, show=_show),
    Flow(CreateVolumeImage.kind,
         (_BEGIN, Step("copy", volume_snapshots.copy, volume_snapshots.forget, shows=snapshots.COPYING),
          Step("store", volume_snapshots.store, volume_snapshots.unstore), Step("kept", volume_snapshots.kept),
          Step("describe", _describe, shows=snapshots.UPLOADING), Step("finish", settle)),
         failed=_volumes_failed, cancelled=volume_snapshots.called_off, show=_show),
    Flow(CreateBackup.kind,
         (_BEGIN, Step("copy", copy, drop), Step("upload", upload, shows=snapshots.UPLOADING),
          Step("rotate", _rotate), _FINISH),
         failed=failed, show=_show),
)  # fmt: skip
