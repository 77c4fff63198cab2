"""The flow that copies all disks of a server into the images of an export."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from novalite.cloud.compute import progress, server_exports, snapshots
from novalite.cloud.compute.carrying_tasks import ExportServer
from novalite.cloud.compute.server_exports import OVA, ServerExport
from novalite.cloud.image import images, made
from novalite.cloud.tasks import tasks
from novalite.cloud.volume import attachments
from novalite.context import internal
from novalite.db.work import Work
from novalite.drivers.compute.base import DiskCopy, Power, SnapshotFile
from novalite.drivers.compute.snapshots import chunks
from novalite.drivers.storage.base import OfVolume, StoredImage
from novalite.engine.conductor import beside, guests, outcome, snapshot, volume_sources
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import DriverError, Failed, Unavailable

_LOOK_SECONDS = 1.0
_UNWANTED = "snapshot.unwanted"


def _export_id(run: Run) -> str:
    return str(run.args["export_id"])


def _wanted(run: Run) -> ServerExport:
    with run.parts.database.read(internal()) as w:
        if tasks.is_unwanted(w, run.task_id):
            raise Failed("The export was called off.", code=_UNWANTED)
        export = server_exports.find(w, _export_id(run))
    if export is None:
        raise Failed("The export was ended.", code=_UNWANTED)
    return export


def _require_wanted(run: Run) -> None:
    _wanted(run)


def _begin(run: Run) -> None:
    _wanted(run)


def _moment(run: Run) -> None:
    """Copies of all disks of a guest that runs, as they are at one moment, on its host. Of one that is off each is made
    when its turn comes: nothing changes them meanwhile."""
    export, driver = _wanted(run), guests.driver(run)
    run.memo["copied"] = {}
    if driver.guest(run.server_id).power not in (Power.RUNNING, Power.PAUSED):
        return
    copies = _disk_copies(run, export)
    taken = beside.run(
        lambda: driver.take_snapshots(run.server_id, copies),
        lambda: _require_wanted(run),
        lambda: _drop_copies(run, copies),
    )
    run.memo["copied"] = {one.name: one.size for one in taken}


def _drop_copies(run: Run, copies: tuple[DiskCopy, ...]) -> None:
    for copy in copies:
        guests.driver(run).drop_snapshot(run.server_id, copy.name)


def _disk_copies(run: Run, export: ServerExport) -> tuple[DiskCopy, ...]:
    with run.parts.database.read(internal()) as w:
        serials = {row.volume_id: attachments.serial_of(row) for row in attachments.of_server(w, run.server_id)}
    return tuple(
        DiskCopy(serials[disk["volume_id"]] if disk["volume_id"] else disk["name"], _copy_name(disk))
        for disk in export.disks
    )


def _copy(run: Run) -> None:
    """One disk after the other; those that are whole are not copied again."""
    export = _wanted(run)
    for disk in export.disks:
        _fill(run, export, disk)
        _drop(run, disk)


def _fill(run: Run, export: ServerExport, disk: dict[str, Any]) -> None:
    image_id = str(disk["image_id"])
    with run.parts.database.write(internal()) as w:
        begun = made.begin(w, image_id, export.disk_format)
        image = made.find(w, image_id)
    if image is None:
        raise Failed("An image of the export was deleted.", code=_UNWANTED)
    if not begun:
        if image.status != "active":
            raise Failed(f"An image of the export is {image.status}.", code=_UNWANTED)
        return
    finished = False
    try:
        with _reading(run, disk) as content:
            stored = _store(run, export, image_id, _watched(run, content))
        with run.parts.database.write(internal()) as w:
            finished = images.finish_upload(
                w, image_id, size=stored.size, virtual_size=stored.virtual_size, checksum=stored.md5,
                os_hash_value=stored.sha512,
            )  # fmt: skip
    finally:
        if not finished:
            run.parts.images.delete(image_id)
            with run.parts.database.write(internal()) as w:
                images.fail_upload(w, image_id)
    if not finished:
        raise Failed("An image of the export was deleted.", code=_UNWANTED)


def _store(run: Run, export: ServerExport, image_id: str, content: Iterator[bytes]) -> StoredImage:
    if export.format != OVA:
        return run.parts.images.save(image_id, content, disk_format=export.disk_format)
    staging = run.parts.images.staging
    try:
        staging.receive(image_id, content)
        staging.pack(image_id)
        return run.parts.images.take(image_id, disk_format=export.disk_format)
    finally:
        staging.drop(image_id)


def _copy_name(disk: dict[str, Any]) -> str:
    return f"export-{disk['image_id']}"


@contextmanager
def _reading(run: Run, disk: dict[str, Any]) -> Iterator[Iterable[bytes]]:
    """The disk as a qcow2 that stands on nothing. A copy of the common moment is not made again if it is lost."""
    if size := run.memo.get("copied", {}).get(_copy_name(disk)):
        yield chunks(guests.driver(run), SnapshotFile(run.server_id, _copy_name(disk), "", size, 0))
        return
    if not disk["volume_id"]:
        driver = guests.driver(run)
        yield chunks(driver, driver.take_snapshot(run.server_id, disk["name"], _copy_name(disk)))
        return
    with volume_sources.reading(run, disk["volume_id"], _copy_name(disk)) as source:
        if isinstance(source, OfVolume):
            yield volume_sources.keeper(run, disk["volume_id"]).read(source, "qcow2")
        else:
            yield source.chunks


def _watched(run: Run, content: Iterable[bytes]) -> Iterator[bytes]:
    looked = time.monotonic()
    for piece in content:
        if time.monotonic() - looked > _LOOK_SECONDS:
            _wanted(run)
            looked = time.monotonic()
        yield piece


def _drop(run: Run, disk: dict[str, Any]) -> None:
    """The copy on the host is not needed; it goes with the guest at the latest."""
    try:
        if disk["volume_id"]:
            volume_sources.forget(run, disk["volume_id"], _copy_name(disk))
        else:
            guests.driver(run).drop_snapshot(run.server_id, _copy_name(disk))
    except (DriverError, Failed, Unavailable) as error:
        snapshot.left(run, error)


def _undo(run: Run) -> None:
    """No copies on the host, and no images."""
    with run.parts.database.read(internal()) as w:
        export = server_exports.find(w, _export_id(run))
    for disk in export.disks if export else ():
        _drop(run, disk)
        image_id = str(disk["image_id"])
        with run.parts.database.write(internal()) as w:
            gone = made.forget(w, image_id)
        if gone:
            run.parts.images.delete(image_id)
            run.parts.images.staging.drop(image_id)


def _finish(run: Run) -> None:
    with run.parts.database.write(internal()) as w:
        whole = server_exports.ready(w, _export_id(run))
    if not whole:
        raise Failed("An image of the export was deleted.", code=_UNWANTED)
    snapshot.settle(run)


def _failed(run: Run, error: Exception) -> None:
    with run.parts.database.write(internal()) as w:
        server_exports.failed(w, _export_id(run), outcome.message_of(error))
    snapshot.failed(run, error)


def _cancelled(run: Run) -> None:
    with run.parts.database.write(internal()) as w:
        server_exports.failed(w, _export_id(run), "It was called off.")
    snapshot.settle(run)


def _show(w: Work, run: Run, what: str) -> None:
    progress.doing(w, run.server_id, what)


FLOWS = (
    Flow(ExportServer.kind,
         (Step("begin", _begin, _undo), Step("moment", _moment, shows=snapshots.COPYING),
          Step("copy", _copy, shows=snapshots.UPLOADING), Step("finish", _finish)),
         failed=_failed, cancelled=_cancelled, show=_show),
)  # fmt: skip
