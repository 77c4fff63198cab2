"""The flow that fills an image from what was staged or is on the web: fetch, look at it and convert, store."""

from __future__ import annotations

from novalite.cloud.image import imports, made
from novalite.cloud.image.records import Image
from novalite.cloud.image.tasks import ImageImport
from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed


def _id(run: Run) -> str:
    return str(run.args["image_id"])


def _image(run: Run) -> Image:
    with run.parts.database.read(internal()) as w:
        if tasks.is_unwanted(w, run.task_id):
            raise Failed("The import was called off.", code="image.unwanted")
        image = made.find(w, _id(run))
    if image is None:
        raise Failed("The image was deleted.", code="image.unwanted")
    return image


def _fetch(run: Run) -> None:
    """What an earlier attempt brought is kept: the transfer goes on from there if the server lets it."""
    staging = run.parts.images.staging
    if run.args["method"] != "web-download":
        return
    if not staging.arrived(_id(run)):
        staging.fetch(_id(run), str(run.args["uri"]), lambda: _require_wanted(run))
    with run.parts.database.write(internal()) as w:
        imports.arrived(w, _id(run), staging.place(_id(run)).stat().st_size)


def _require_wanted(run: Run) -> None:
    _image(run)


def _unpack(run: Run) -> None:
    image, wanted = _image(run), run.parts.settings.images.convert_to
    run.memo["disk_format"] = run.parts.images.staging.unpack(
        image.id, image.disk_format or "", image.container_format or "", "" if wanted == "none" else wanted
    )


def _store(run: Run) -> None:
    disk_format = str(run.memo["disk_format"])
    stored = run.parts.images.take(_id(run), disk_format=disk_format)
    with run.parts.database.write(internal()) as w:
        kept = imports.finish(
            w, _id(run), size=stored.size, virtual_size=stored.virtual_size, checksum=stored.md5,
            os_hash_value=stored.sha512, disk_format=disk_format,
        )  # fmt: skip
    if not kept:
        raise Failed("The image was deleted.", code="image.unwanted")


def _clean(run: Run) -> None:
    run.parts.images.staging.drop(_id(run))


def _cancelled(run: Run) -> None:
    """Nothing of it stays; the image, if it is still there, may be filled again."""
    with run.parts.database.write(internal()) as w:
        without_data = imports.fail(w, _id(run))
    if without_data:
        run.parts.images.delete(_id(run))
    run.parts.images.staging.drop(_id(run))


def _failed(run: Run, error: Exception) -> None:
    _cancelled(run)


FLOWS = (
    Flow(
        ImageImport.kind,
        (Step("fetch", _fetch), Step("unpack", _unpack), Step("store", _store), Step("clean", _clean)),
        failed=_failed,
        cancelled=_cancelled,
    ),
)
