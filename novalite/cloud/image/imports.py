"""Images that are filled by a task: from what was staged, or from the web."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from novalite.cloud.image import images, usage
from novalite.cloud.image.images import NewImage
from novalite.cloud.image.records import Image
from novalite.cloud.image.tasks import ImageImport, key
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.tasks.tasks import Task
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid

STORE = "local"
"""The one store that there is."""
_COMING, _FAILED = "os_glance_importing_to_stores", "os_glance_failed_import"
_ON_THEIR_WAY = ("uploading", "importing")
_DEADLINE_SECONDS = 24 * 3600.0


def begin_stage(w: Work, image_id: str, announced: int | None = 0) -> None:
    """queued -> uploading. Raises ``Conflict``, ``NotFound``, ``Forbidden``, and ``OverQuota`` for the ``announced``
    bytes (None: nobody knows how many come)."""
    image = images.get_own(w, image_id)
    usage.require_room(w, image.owner, announced, usage.STAGE)
    if image.status == "queued":
        usage.require_one_more(w, image.owner, usage.UPLOADING)
    if not images.move(w, image_id, ("queued",), "uploading"):
        raise Conflict(f"Image status transition from {image.status} to uploading is not allowed",
                       code="image.has_data")  # fmt: skip


def finish_stage(w: Work, image_id: str, size: int, *, announced: bool = True) -> bool:
    """The bytes are there; the image stays uploading until it is imported. False when it was deleted meanwhile. Raises
    ``OverQuota``; ``announced`` is whether the size was known before."""
    image = w.session.get(Image, image_id)
    if image is not None:
        (usage.require_room if announced else usage.require_arrived)(w, image.owner, size, usage.STAGE)
    return images.move(w, image_id, ("uploading",), "uploading", size=size)


def fail_stage(w: Work, image_id: str) -> None:
    """uploading -> queued."""
    images.move(w, image_id, ("uploading",), "queued", size=None)


def request(
    w: Work, image_id: str, method: str, *, uri: str = "", asked: Mapping[str, Any] | None = None,
    type: str = "api_image_import",
) -> Task:  # fmt: skip
    """Leave the task that fills the image; until it is done the image is importing.

    Raises ``Conflict`` when the image is in another state than ``method`` asks for, or lacks its formats, and
    ``OverQuota``.
    """
    image = images.get_own(w, image_id)
    for name in ("container_format", "disk_format"):
        if not getattr(image, name):
            raise Conflict(f"'{name}' needs to be set before import", code="image.no_format")
    before = _required_status(image, method)
    _require_quota(w, image)
    properties = {**image.properties, _COMING: STORE, _FAILED: ""}
    if not images.move(w, image_id, (before,), "importing", properties=properties):
        raise Conflict(f"Image {image_id} is imported already.", code="image.importing")
    task = ImageImport(image_id, method, uri, type, dict(asked or {}))
    return durable.start(
        w, task, key=key(image_id), resource_id=image_id, project_id=image.owner, deadline_seconds=_DEADLINE_SECONDS
    )  # fmt: skip


def _required_status(image: Image, method: str) -> str:
    if method == "glance-direct":
        if image.status != "uploading":
            raise Conflict("Image needs to be staged before 'glance-direct' method can be used",
                           code="image.not_staged")  # fmt: skip
        return "uploading"
    if method == "web-download":
        if image.status != "queued":
            raise Conflict("Image needs to be in 'queued' state to use 'web-download' method", code="image.has_data")
        return "queued"
    if image.status != "active":
        raise Conflict("Only images with status active can be targeted for copying", code="image.no_data")
    raise Invalid(f"Image {image.id} is in every store already.", field="stores", code="image.nowhere_to_copy")


def _require_quota(w: Work, image: Image) -> None:
    """What is staged has to fit; how much comes from the web nobody knows, nor what is in an archive."""
    usage.require_room(w, image.owner, None if image.container_format == "ova" else image.size)
    if image.status == "queued":
        usage.require_room(w, image.owner, None, usage.STAGE)
        usage.require_one_more(w, image.owner, usage.UPLOADING)


def arrived(w: Work, image_id: str, size: int) -> None:
    """What was fetched waits to be looked at. Repeatable. Raises ``OverQuota``."""
    image = w.session.get(Image, image_id, populate_existing=True)
    if image is not None and image.status == "importing":
        usage.require_arrived(w, image.owner, size - (image.size or 0), usage.STAGE)
        image.size = size


def request_new(w: Work, new: NewImage, uri: str, asked: Mapping[str, Any]) -> Task:
    """A new image and the task that fills it from the web."""
    image = images.create(w, new)
    return request(w, image.id, "web-download", uri=uri, asked=asked, type="import")


def finish(
    w: Work, image_id: str, *, size: int, virtual_size: int, checksum: str, os_hash_value: str, disk_format: str
) -> bool:
    """importing -> active; also true when it was done before. False when the image was deleted meanwhile. Raises
    ``OverQuota``."""
    image = w.session.get(Image, image_id, populate_existing=True)
    if image is None:
        return False
    if image.status == "importing":
        usage.require_room(w, image.owner, size)
    container = "bare" if image.container_format == "ova" else image.container_format
    images.move(
        w, image_id, ("importing",), "active", size=size, virtual_size=virtual_size, checksum=checksum,
        os_hash_value=os_hash_value, disk_format=disk_format, container_format=container,
        properties=_told(image, failed=""),
    )  # fmt: skip
    w.session.refresh(image)
    return image.status in ("active", "deactivated")


def fail(w: Work, image_id: str) -> bool:
    """importing -> queued, without data, and the store named that did not get it. Whether its bytes may go."""
    image = w.session.get(Image, image_id, populate_existing=True)
    if image is None:
        return True
    moved = images.move(
        w, image_id, ("importing",), "queued", size=None, properties=_told(image, failed=STORE)
    )  # fmt: skip
    return moved or image.status == "queued"


def _told(image: Image, *, failed: str) -> dict[str, str]:
    return {**image.properties, _COMING: "", _FAILED: failed}


def coming(w: Work) -> set[str]:
    """Every image that staged bytes may belong to."""
    return set(w.session.scalars(sa.select(Image.id).where(Image.status.in_(_ON_THEIR_WAY))))


def abandoned(w: Work, staged: Iterable[str]) -> list[str]:
    """At start, before tasks run: what is uploading without staged bytes, or importing without a task, goes back to
    queued. Returns whose staged bytes nobody wants."""
    there, busy = set(staged), durable.live_resources(w)
    rows = w.session.execute(sa.select(Image.id, Image.status).where(Image.status.in_(_ON_THEIR_WAY))).all()
    wanted = set()
    for image_id, status in rows:
        if status == "uploading" and image_id not in there:
            fail_stage(w, image_id)
        elif status == "importing" and image_id not in busy:
            fail(w, image_id)
        else:
            wanted.add(image_id)
    return sorted(there - wanted)
