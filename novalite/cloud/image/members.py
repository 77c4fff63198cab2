"""Projects that a shared image is offered to."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.image import images
from novalite.cloud.image.records import ImageMember
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, Invalid, NotFound

STATUSES = ("pending", "accepted", "rejected")


def list_members(w: Work, image_id: str) -> list[ImageMember]:
    """The owner sees all, a member sees itself. Raises ``NotFound``."""
    image = images.get(w, image_id)
    query = sa.select(ImageMember).where(ImageMember.image_id == image_id).order_by(ImageMember.member_id)
    if not w.ctx.is_admin and image.owner != w.ctx.project_id:
        query = query.where(ImageMember.member_id == w.ctx.project_id)
    return list(w.session.scalars(query))


def get(w: Work, image_id: str, member_id: str) -> ImageMember:
    """Raises ``NotFound``, also for a member that is not the caller's to see."""
    found = next((one for one in list_members(w, image_id) if one.member_id == member_id), None)
    if found is None:
        raise NotFound("image member", member_id)
    return found


def add(w: Work, image_id: str, member_id: str) -> ImageMember:
    """Offer the image to a project. Raises ``Forbidden`` unless it is shared, ``Conflict`` when repeated."""
    image = images.get_own(w, image_id)
    if image.visibility != "shared":
        raise Forbidden("Only shared images have members.")
    if w.session.get(ImageMember, (image_id, member_id)) is not None:
        raise Conflict(f"Member {member_id} is already associated with image {image_id}.")
    member = ImageMember(image_id=image_id, member_id=member_id, status="pending", created_at=w.now, updated_at=w.now)
    w.session.add(member)
    w.session.flush()
    return member


def set_status(w: Work, image_id: str, member_id: str, status: str) -> ImageMember:
    """Accept or reject, which only the member (or an admin) may. Raises ``Invalid``, ``Forbidden``."""
    if status not in STATUSES:
        raise Invalid(f"Invalid status {status}: it must be one of {', '.join(STATUSES)}.", field="status")
    member = get(w, image_id, member_id)
    if not w.ctx.is_admin and w.ctx.project_id != member_id:
        raise Forbidden("Only the member itself may accept or reject an image.")
    member.status = status
    member.updated_at = w.now
    return member


def remove(w: Work, image_id: str, member_id: str) -> None:
    """Take the offer back."""
    images.get_own(w, image_id)
    w.session.delete(get(w, image_id, member_id))
