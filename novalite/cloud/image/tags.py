"""Tags of images."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from novalite.cloud.image import images
from novalite.cloud.image.records import ImageTag
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound


def of(w: Work, image_ids: Iterable[str]) -> dict[str, list[str]]:
    """Tags by image id, sorted, an entry for each id; one query."""
    found: dict[str, list[str]] = {image_id: [] for image_id in image_ids}
    rows = w.session.execute(
        sa.select(ImageTag.image_id, ImageTag.tag).where(ImageTag.image_id.in_(found)).order_by(ImageTag.tag)
    )
    for image_id, tag in rows:
        found[image_id].append(tag)
    return found


def add(w: Work, image_id: str, tag: str) -> None:
    """Repeating is fine. Raises ``Invalid`` when the image has too many."""
    image = images.get_own(w, image_id)
    held = of(w, [image_id])[image_id]
    if tag in held:
        return
    if len(held) >= images.MOST_TAGS:
        raise Invalid(f"An image may have at most {images.MOST_TAGS} tags.", field="tags")
    w.session.add(ImageTag(image_id=image_id, tag=tag))
    image.updated_at = w.now


def remove(w: Work, image_id: str, tag: str) -> None:
    """Raises ``NotFound`` when the image does not have the tag."""
    image = images.get_own(w, image_id)
    held = w.session.get(ImageTag, (image_id, tag))
    if held is None:
        raise NotFound("tag", tag)
    w.session.delete(held)
    image.updated_at = w.now


def replace(w: Work, image_id: str, tags: Iterable[str]) -> None:
    """Exactly these tags."""
    wanted = list(dict.fromkeys(tags))
    images.get_own(w, image_id)
    if len(wanted) > images.MOST_TAGS:
        raise Invalid(f"An image may have at most {images.MOST_TAGS} tags.", field="tags")
    w.changed(sa.delete(ImageTag).where(ImageTag.image_id == image_id))
    w.session.expire_all()
    w.session.add_all(ImageTag(image_id=image_id, tag=tag) for tag in wanted)
