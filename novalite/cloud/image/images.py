"""Images: what they are called, who may see them, and the way from queued to active."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from novalite.cloud.image import filters as rules
from novalite.cloud.image import image_keys, usage
from novalite.cloud.image.filters import Filters
from novalite.cloud.image.records import Image, ImageTag
from novalite.cloud.image.tasks import key
from novalite.cloud.tasks import tasks as durable
from novalite.db.paging import Page, page_of
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, Invalid, NotFound

DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
VISIBILITIES = ("public", "community", "shared", "private")
BOOTABLE_FORMATS = ("qcow2", "raw", "iso")
MOST_PROPERTIES = 128
MOST_TAGS = 128

SORT_KEYS: Mapping[str, Any] = {
    "id": Image.id,
    "name": Image.name,
    "status": Image.status,
    "size": Image.size,
    "disk_format": Image.disk_format,
    "container_format": Image.container_format,
    "created_at": Image.created_at,
    "updated_at": Image.updated_at,
}


@dataclass(frozen=True)
class NewImage:
    """``min_disk`` in GiB, ``min_ram`` in MiB; empty ``id``, ``owner``: a new one, the caller's project. What a
    protection makes (``by_protection``) is bounded by that, not by the quota of how many."""

    name: str | None = None
    disk_format: str | None = None
    container_format: str | None = None
    visibility: str = "shared"
    protected: bool = False
    os_hidden: bool = False
    min_disk: int = 0
    min_ram: int = 0
    id: str = ""
    owner: str = ""
    by_protection: bool = False
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


def _missing(image_id: str) -> NotFound:
    return NotFound("image", image_id, message=f"No image found with ID {image_id}")


def get(w: Work, image_id: str) -> Image:
    """The image when the caller may see it. Raises ``NotFound``."""
    image = w.session.scalar(sa.select(Image).where(Image.id == image_id, rules.reachable(w.ctx)))
    if image is None:
        raise _missing(image_id)
    return image


def get_own(w: Work, image_id: str) -> Image:
    """The image when the caller may change it. Raises ``NotFound`` or ``Forbidden``."""
    image = get(w, image_id)
    if not w.ctx.is_admin and image.owner != w.ctx.project_id:
        raise Forbidden(f"You are not permitted to change image {image_id}: another project owns it.")
    return image


def list_visible(w: Work, filters: Filters | None = None, page: Page | None = None) -> list[Image]:
    """A page of images, newest first unless the page says otherwise."""
    query = rules.selection(w.ctx, filters or Filters())
    return page_of(
        w, query, Image, page or Page(), SORT_KEYS, default=("created_at",), descending=True,
        visible=rules.reachable(w.ctx),
    )  # fmt: skip


def named(w: Work, name: str) -> list[Image]:
    """Every image of that name the caller sees in a listing."""
    return list_visible(w, Filters(any_of={"name": (name,)}))


def names(w: Work, image_ids: Iterable[str]) -> dict[str, str]:
    """Names by id of the images that still exist, seen by the caller or not; one query."""
    rows = w.session.execute(sa.select(Image.id, Image.name).where(Image.id.in_(set(image_ids))))
    return {id: name or "" for id, name in rows}


def create(w: Work, new: NewImage) -> Image:
    """A queued image. Raises ``Invalid``, ``Forbidden`` (public, another owner), ``Conflict`` (id taken),
    ``OverQuota``."""
    _check(w, vars(new))
    image_keys.require_untouched({}, new.properties)
    if new.owner and new.owner != w.ctx.project_id and not w.ctx.is_admin:
        raise Forbidden("You are not permitted to create images owned by another project.")
    image_id = _own_spelling(new.id) if new.id else new_id()
    if w.session.get(Image, image_id) is not None:
        raise Conflict(f"Image ID {image_id} already exists!", code="image.exists")
    owner = new.owner or w.ctx.project_id
    if not new.by_protection:
        usage.require_one_more(w, owner)
    image = Image(
        id=image_id,
        name=new.name,
        owner=owner,
        status="queued",
        visibility=new.visibility,
        protected=new.protected,
        os_hidden=new.os_hidden,
        disk_format=new.disk_format,
        container_format=new.container_format,
        min_disk=new.min_disk,
        min_ram=new.min_ram,
        properties=dict(new.properties),
        by_protection=new.by_protection,
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(image)
    w.session.flush()
    w.session.add_all(ImageTag(image_id=image_id, tag=tag) for tag in dict.fromkeys(new.tags))
    w.announce("image", image_id, image.owner)
    return image


def _own_spelling(image_id: str) -> str:
    """The id as every id is written. Two spellings of one UUID would be two images with one blob."""
    try:
        return str(UUID(image_id))
    except ValueError:
        raise Invalid(f"'{image_id[:64]}' is not a UUID.", field="id") from None


_CHANGEABLE = ("name", "disk_format", "container_format", "visibility", "protected", "os_hidden", "min_disk",
               "min_ram", "properties", "owner")  # fmt: skip


def update(w: Work, image_id: str, values: Mapping[str, Any]) -> Image:
    """Set the named attributes; ``properties`` is replaced as a whole. Formats change only while queued.

    Raises ``NotFound``, ``Forbidden``, ``Invalid``.
    """
    image = get_own(w, image_id)
    unknown = [name for name in values if name not in _CHANGEABLE]
    if unknown:
        raise Forbidden(f"Attribute '{unknown[0]}' is read-only.")
    changed = {name: value for name, value in values.items() if getattr(image, name) != value}
    if image.status != "queued" and changed.keys() & {"disk_format", "container_format"}:
        raise Forbidden("The formats of an image cannot be changed once it has data.")
    if "owner" in changed and not w.ctx.is_admin:
        raise Forbidden("You are not permitted to give images to another project.")
    _check(w, changed)
    image_keys.require_untouched(image.properties, changed.get("properties", image.properties))
    image_keys.require_private(image, changed.get("visibility", image.visibility))
    for name, value in changed.items():
        setattr(image, name, value)
    image.updated_at = w.now
    w.announce("image", image_id, image.owner)
    return image


def _check(w: Work, values: Mapping[str, Any]) -> None:
    for name, allowed in (("disk_format", DISK_FORMATS), ("container_format", CONTAINER_FORMATS),
                          ("visibility", VISIBILITIES)):  # fmt: skip
        value = values.get(name)
        if value is not None and value not in allowed:
            raise Invalid(f"Invalid {name} '{value}': it must be one of {', '.join(allowed)}.", field=name)
    if values.get("visibility") == "public" and not w.ctx.is_admin:
        raise Forbidden("You are not authorized to make images public.")
    if len(values.get("properties") or {}) > MOST_PROPERTIES:
        raise Invalid(f"An image may have at most {MOST_PROPERTIES} properties.", field="properties")
    if len(values.get("tags") or ()) > MOST_TAGS:
        raise Invalid(f"An image may have at most {MOST_TAGS} tags.", field="tags")


def delete(w: Work, image_id: str) -> None:
    """Forget the record; the caller deletes the blob after the unit. Servers keep what they booted from.

    Raises ``NotFound``, ``Forbidden`` (protected, or another project's).
    """
    image = get_own(w, image_id)
    if image.protected:
        raise Forbidden(f"Image {image_id} is protected and cannot be deleted.", code="image.protected")
    durable.cancel_key(w, key(image_id))
    w.session.delete(image)
    w.announce("image", image_id, image.owner)


def move(w: Work, image_id: str, before: tuple[str, ...], after: str, **values: Any) -> bool:
    """From one of the states ``before`` to ``after``, with ``values``; False when the image is in another, or gone."""
    moved = w.changed(
        sa.update(Image)
        .where(Image.id == image_id, Image.status.in_(before))
        .values(status=after, updated_at=w.now, **values)
    )
    if moved:
        w.announce("image", image_id)
    return bool(moved)


def begin_upload(w: Work, image_id: str, announced: int | None = 0) -> Image:
    """queued -> saving; one of several uploads begins. Raises ``Conflict``, ``Invalid`` (no formats) and ``OverQuota``
    for the ``announced`` bytes (None: nobody knows how many come)."""
    image = get_own(w, image_id)
    usage.require_room(w, image.owner, announced)
    for name in ("disk_format", "container_format"):
        if not getattr(image, name):
            raise Invalid(f"Properties {name} must be set prior to saving data.", field=name)
    if image.status == "queued":
        usage.require_one_more(w, image.owner, usage.UPLOADING)
    if not move(w, image_id, ("queued",), "saving"):
        raise Conflict(f"Image status transition from {image.status} to saving is not allowed",
                       code="image.has_data")  # fmt: skip
    w.session.refresh(image)
    return image


def finish_upload(
    w: Work, image_id: str, *, size: int, virtual_size: int, checksum: str, os_hash_value: str, announced: bool = True
) -> bool:
    """saving -> active. False when the image was deleted meanwhile: the caller then deletes the blob. Raises
    ``OverQuota``; ``announced`` is whether the size was known before."""
    image = w.session.get(Image, image_id)
    if image is not None:
        (usage.require_room if announced else usage.require_arrived)(w, image.owner, size)
    return move(
        w,
        image_id,
        ("saving",),
        "active",
        size=size,
        virtual_size=virtual_size,
        checksum=checksum,
        os_hash_value=os_hash_value,
    )


def fail_upload(w: Work, image_id: str) -> None:
    """saving -> queued, so that the upload may be repeated."""
    move(w, image_id, ("saving",), "queued")


def set_active(w: Work, image_id: str, active: bool) -> None:
    """Deactivate (others may no longer read or boot it) or reactivate; repeating is fine."""
    get_own(w, image_id)
    before, after = ("deactivated", "active") if active else ("active", "deactivated")
    if not move(w, image_id, (before, after), after):
        raise Forbidden(f"Only an image with data can become {after}.")


def abandoned(w: Work) -> list[str]:
    """At start: uploads that were cut off go back to queued. Returns whose blobs the caller must delete."""
    ids = list(w.session.scalars(sa.select(Image.id).where(Image.status == "saving")))
    w.changed(sa.update(Image).where(Image.status == "saving").values(status="queued", updated_at=w.now))
    return ids


def without_record(w: Work, blob_ids: Iterable[str]) -> list[str]:
    """Those of the store's ids that no image knows."""
    ids = set(blob_ids)
    known = w.session.scalars(sa.select(Image.id).where(Image.id.in_(ids)))
    return sorted(ids.difference(known))


def active_ids(w: Work) -> set[str]:
    """Every image whose bytes must be in the store. Those of servers that boot from volumes have none."""
    has_data = sa.or_(Image.size.is_(None), Image.size > 0)
    return set(w.session.scalars(sa.select(Image.id).where(Image.status.in_(("active", "deactivated")), has_data)))
