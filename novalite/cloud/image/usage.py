"""What a project's images use, counted from them, and whether more may be had."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.identity import quotas
from novalite.cloud.image.records import Image
from novalite.db.work import Work
from novalite.errors import OverQuota

MIB = 1 << 20
COUNT, SIZE = "image_count_total", "image_size_total"
"""The quotas of this room, with Glance's names: images, and MiB of their data, what is staged included."""
RESOURCES = (COUNT, SIZE)


def used(w: Work, project_id: str) -> dict[str, int]:
    """Resource -> what is used now (data in MiB, rounded up)."""
    number, size = _counted(w, project_id)
    return {COUNT: number, SIZE: -(-size // MIB)}


def _counted(w: Work, project_id: str) -> tuple[int, int]:
    query = sa.select(sa.func.count(), sa.func.sum(Image.size)).where(Image.owner == project_id)
    number, size = w.session.execute(query).one()
    return int(number), int(size or 0)


def require_one_more(w: Work, project_id: str) -> None:
    """Hold the project's quota and raise ``OverQuota`` when it may have no further image."""
    limit = quotas.limits(w, project_id)[COUNT]
    if limit < 0:
        return
    quotas.hold(w, project_id)
    number, _ = _counted(w, project_id)
    if limit < number + 1:
        raise OverQuota(COUNT, limit=limit, used=number, asked=1)


def require_room(w: Work, project_id: str, size: int) -> None:
    """Hold the project's quota and raise ``OverQuota`` unless ``size`` more bytes fit."""
    limit = quotas.limits(w, project_id)[SIZE]
    if limit < 0:
        return
    quotas.hold(w, project_id)
    _, taken = _counted(w, project_id)
    if limit * MIB < taken + size:
        raise OverQuota(SIZE, limit=limit, used=-(-taken // MIB), asked=-(-size // MIB))


def room(w: Work, project_id: str) -> int | None:
    """How many bytes still fit; None when there is no limit."""
    limit = quotas.limits(w, project_id)[SIZE]
    return None if limit < 0 else max(0, limit * MIB - _counted(w, project_id)[1])
