"""Images that the cloud makes itself: a record when they are asked for, the bytes later, nothing when it fails."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from novalite.cloud.image import images, members, usage
from novalite.cloud.image.images import NewImage
from novalite.cloud.image.records import Image
from novalite.db.work import Work


def create(w: Work, new: NewImage, *, project_id: str) -> Image:
    """A queued image of the caller's, made of something that belongs to ``project_id``: when that is another
    project, the image is offered to it. Raises ``Invalid`` for too many properties."""
    image = images.create(w, new)
    if image.owner != project_id:
        members.add(w, image.id, project_id)
    return image


def find(w: Work, image_id: str) -> Image | None:
    """The image whoever owns it; None when it is gone."""
    return w.session.get(Image, image_id, populate_existing=True)


def begin(w: Work, image_id: str, disk_format: str) -> bool:
    """queued -> saving, as ``disk_format``; saving is what a try left that could not be written down as failed. False
    when the image is in another state, or gone. Raises ``OverQuota``."""
    image = find(w, image_id)
    if image is not None and image.status == "queued":
        usage.require_one_more(w, image.owner, usage.UPLOADING)
    return _begin(w, image_id, disk_format)


def _begin(w: Work, image_id: str, disk_format: str) -> bool:
    statement = (
        sa.update(Image)
        .where(Image.id == image_id, Image.status.in_(("queued", "saving")))
        .values(status="saving", disk_format=disk_format, container_format="bare", updated_at=w.now)
    )
    if not w.changed(statement):
        return False
    w.announce("image", image_id)
    return True


def complete_without_data(w: Work, image_id: str) -> bool:
    """queued -> active for an image that is no more than what it tells. False when it is in another state."""
    empty = hashlib.md5(b"", usedforsecurity=False).hexdigest()
    return _begin(w, image_id, "raw") and images.finish_upload(
        w, image_id, size=0, virtual_size=0, checksum=empty, os_hash_value=hashlib.sha512(b"").hexdigest()
    )


def discard(w: Work, image_id: str) -> bool:
    """Forget an image that has not become active; whether it is gone, so that its bytes may go too."""
    image = find(w, image_id)
    if image is None:
        return True
    return image.status in ("queued", "saving") and forget(w, image_id)


def forget(w: Work, image_id: str) -> bool:
    """Forget an image in whatever state, unless it is protected; whether it is gone, so that its bytes may go
    too. Repeatable."""
    image = find(w, image_id)
    if image is None:
        return True
    if image.protected:
        return False
    w.session.delete(image)
    w.session.flush()
    w.announce("image", image_id, image.owner)
    return True


def of_server(w: Work, server_id: str, **properties: str) -> list[Image]:
    """The images made of a server that have these properties, newest first."""
    wanted = {"instance_uuid": server_id, **properties}
    query = sa.select(Image).where(*(Image.properties[name].as_string() == text for name, text in wanted.items()))
    return list(w.session.scalars(query.order_by(Image.created_at.desc(), Image.id)))
