"""What a project's images use, counted from them, and whether more may be had."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.identity import quotas
from novalite.cloud.image.records import Image
from novalite.db.work import Work
from novalite.errors import OverQuota

MIB = 1 << 20
SIZE, STAGE, COUNT, UPLOADING = "image_size_total", "image_stage_total", "image_count_total", "image_count_uploading"
"""The quotas of this room, with Glance's names: MiB of images' data, MiB that wait to be imported, images (but those
that protections make), and those whose data are on their way."""
RESOURCES = (SIZE, STAGE, COUNT, UPLOADING)
_STAGED = ("uploading", "importing")
_COMING = ("saving", *_STAGED)


def used(w: Work, project_id: str) -> dict[str, int]:
    """Resource -> what is used now (data in MiB, rounded up)."""
    counted = _counted(w, project_id)
    return {name: _shown(name, counted[name]) for name in RESOURCES}


def _shown(resource: str, amount: int) -> int:
    return -(-amount // MIB) if resource in (SIZE, STAGE) else amount


def _counted(w: Work, project_id: str) -> dict[str, int]:
    """The same, data in bytes; one query."""
    staged, size = Image.status.in_(_STAGED), sa.func.coalesce(Image.size, 0)
    query = sa.select(
        sa.func.sum(sa.case((staged, 0), else_=size)),
        sa.func.sum(sa.case((staged, size), else_=0)),
        sa.func.sum(sa.case((Image.by_protection, 0), else_=1)),
        sa.func.sum(sa.case((Image.status.in_(_COMING), 1), else_=0)),
    ).where(Image.owner == project_id)
    return dict(zip(RESOURCES, (int(number or 0) for number in w.session.execute(query).one()), strict=True))


def require_one_more(w: Work, project_id: str, resource: str = COUNT) -> None:
    """Hold the project's quota and raise ``OverQuota`` when it may have no further image (``COUNT``), or none more
    whose data are on their way (``UPLOADING``)."""
    _require(w, project_id, resource, 1)


def require_room(w: Work, project_id: str, size: int | None, resource: str = SIZE) -> None:
    """Hold the project's quota and raise ``OverQuota`` unless ``size`` more bytes fit into ``resource`` (``SIZE`` or
    ``STAGE``). When nobody knows yet how many come (None), any may begin to while there are not too many."""
    _require(w, project_id, resource, size or 0)


def require_arrived(w: Work, project_id: str, size: int, resource: str = SIZE) -> None:
    """The same for bytes that came without having been announced: they may go over the quota, at most up to its
    double. Later ones are refused until there is room."""
    _require(w, project_id, resource, size, times=2)


def _require(w: Work, project_id: str, resource: str, more: int, *, times: int = 1) -> None:
    limit = quotas.limits(w, project_id)[resource]
    if limit < 0:
        return
    quotas.hold(w, project_id)
    taken = _counted(w, project_id)[resource]
    unit = MIB if resource in (SIZE, STAGE) else 1
    if limit * unit * times < taken + more:
        raise OverQuota(resource, limit=limit, used=_shown(resource, taken), asked=_shown(resource, more))


def room(w: Work, project_id: str, resource: str = SIZE, *, announced: bool = True) -> int | None:
    """How many bytes may still come; None when there is no limit. Of what is not announced as many as
    ``require_arrived`` lets be."""
    limit = quotas.limits(w, project_id)[resource]
    if limit < 0:
        return None
    return max(0, limit * MIB * (1 if announced else 2) - _counted(w, project_id)[resource])
