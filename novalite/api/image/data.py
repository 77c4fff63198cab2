"""The bytes of an image: upload (a unit, the bytes, a unit) and download, both streamed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from werkzeug.exceptions import ClientDisconnected

from novalite.api.kit.call import Answer, Call
from novalite.api.kit.faults import BadMediaType, Gone
from novalite.api.kit.routes import Route
from novalite.cloud.image import images, usage
from novalite.errors import Busy, DriverError, Forbidden, Invalid, NotFound, NovaLiteError, TooLarge

_BLOCK_BYTES = 1 << 20
_THREADS_KEPT = 4
_DISCARD_SECONDS = 10.0
_uploads = 0
_count = threading.Lock()


@contextmanager
def thread_for_long(threads: int) -> Iterator[None]:
    """An upload lasts as long as its client likes: some of the ``threads`` are left for everybody else."""
    global _uploads
    with _count:
        if _uploads >= max(1, threads - _THREADS_KEPT):
            raise Busy("Too many images are uploaded at once.", hint="Try again when one of them is done.")
        _uploads += 1
    try:
        yield
    finally:
        with _count:
            _uploads -= 1


@contextmanager
def refusals_heard(call: Call) -> Iterator[None]:
    """Clients send to the end before they listen, and a connection that is closed meanwhile loses the answer: what
    still comes of refused data is thrown away for a while."""
    try:
        yield
    except NovaLiteError:
        end = time.monotonic() + _DISCARD_SECONDS
        with suppress(OSError, ClientDisconnected):
            while call.stream is not None and call.stream.read(_BLOCK_BYTES) and time.monotonic() < end:
                pass
        raise


def upload(call: Call) -> None:
    with thread_for_long(call.parts.settings.http.threads), refusals_heard(call):
        _upload(call)


def _upload(call: Call) -> None:
    """queued -> saving -> active; whatever goes wrong puts the image back to queued, without data."""
    image_id, announced = call.path["image_id"], call.content_length is not None
    blocks = blocks_of(call)
    with call.parts.database.write(call.ctx) as w:
        image = images.begin_upload(w, image_id, call.content_length)
        blocks = within(blocks, usage.room(w, image.owner, announced=announced), usage.SIZE)
    finished = False
    try:
        with full_disk_told():
            stored = call.parts.image_store.save(image_id, blocks, disk_format=image.disk_format or "")
        with call.parts.database.write(call.ctx) as w:
            finished = images.finish_upload(
                w, image_id, size=stored.size, virtual_size=stored.virtual_size, checksum=stored.md5,
                os_hash_value=stored.sha512, announced=announced,
            )  # fmt: skip
    finally:
        if not finished:
            call.parts.image_store.delete(image_id)
            with call.parts.database.write(call.ctx) as w:
                images.fail_upload(w, image_id)
    if not finished:
        raise Gone(f"Image {image_id} was deleted during the upload.")


@contextmanager
def full_disk_told() -> Iterator[None]:
    """The client learns that the disk is full as Glance tells it."""
    try:
        yield
    except DriverError as error:
        if error.code != "disk.full":
            raise
        raise TooLarge("Image storage media is full.", code=error.code, hint=error.hint) from error


def blocks_of(call: Call) -> Iterator[bytes]:
    """What the client sends. Raises ``BadMediaType`` at once, ``Invalid`` when it is cut off."""
    kind = call.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind != "application/octet-stream" or call.stream is None:
        raise BadMediaType("Image data must be sent as application/octet-stream.")
    return _blocks(call.stream, call.content_length)


def _blocks(stream: BinaryIO, announced: int | None) -> Iterator[bytes]:
    """``announced`` is the Content-Length in bytes, None for a chunked upload. Raises ``Invalid`` when cut off."""
    received = 0
    while True:
        try:
            block = stream.read(_BLOCK_BYTES)
        except OSError as error:
            raise Invalid("The upload was cut off.", field="body", code="image.upload_cut") from error
        if not block:
            break
        received += len(block)
        yield block
    if announced is not None and received != announced:
        raise Invalid(f"The upload was cut off after {received} of {announced} bytes.", field="body",
                      code="image.upload_cut")  # fmt: skip


def within(blocks: Iterator[bytes], room: int | None, resource: str) -> Iterator[bytes]:
    """Ends what nobody announced as soon as it is more than ``room``, in bytes."""
    received = 0
    for block in blocks:
        received += len(block)
        if room is not None and received > room:
            raise TooLarge(f"Quota exceeded for {resource}: there is no room for more data of images.",
                           code="quota.exceeded")  # fmt: skip
        yield block


def download(call: Call) -> Answer:
    image_id = call.path["image_id"]
    with call.parts.database.read(call.ctx) as w:
        image = images.get(w, image_id)
        status, checksum, size = image.status, image.checksum, image.size
    if status == "deactivated" and not call.ctx.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if status not in ("active", "deactivated") or size == 0:
        return Answer(status=204)
    file = call.parts.image_store.path(image_id)
    if file is None:
        raise NotFound("image data", image_id, hint="'novalite doctor' looks for what else is missing.")
    return Answer(file=file, headers={"Content-MD5": checksum or ""})


ROUTES = [
    Route("PUT", "/v2/images/{image_id}/file", upload, rule="upload_image", success=204, stream=True),
    Route("GET", "/v2/images/{image_id}/file", download, rule="download_image"),
]
