"""Server groups: servers that shall share hosts, or shall not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work
from novalite.errors import NotFound, OverQuota


class ServerGroup(Base):
    """``policy``: affinity, anti-affinity, soft-affinity or soft-anti-affinity; ``rules`` may hold
    ``max_server_per_host`` for anti-affinity."""

    __tablename__ = "server_groups"
    __table_args__ = (sa.Index("ix_server_groups_project_id", "project_id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str]
    project_id: Mapped[str] = mapped_column(sa.String(64))
    user_id: Mapped[str] = mapped_column(sa.String(64))
    policy: Mapped[str] = mapped_column(sa.String(32))
    rules: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]


def get(w: Work, group_id: str) -> ServerGroup:
    group = w.session.get(ServerGroup, group_id)
    if group is None or (group.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("server group", group_id, message=f"Instance group {group_id} could not be found.")
    return group


def list_of(w: Work, *, all_projects: bool = False, limit: int = 1000, offset: int = 0) -> list[ServerGroup]:
    query = sa.select(ServerGroup).order_by(ServerGroup.created_at, ServerGroup.id).limit(limit).offset(offset)
    if not all_projects:
        query = query.where(ServerGroup.project_id == w.ctx.project_id)
    return list(w.session.scalars(query))


def create(w: Work, *, name: str, policy: str, rules: dict[str, Any], limit: int) -> ServerGroup:
    """A new group of the caller's project; ``limit`` is the project's quota (-1: none)."""
    mine = sa.select(sa.func.count()).select_from(ServerGroup).where(ServerGroup.project_id == w.ctx.project_id)
    used = int(w.session.scalar(mine) or 0)
    if 0 <= limit <= used:
        raise OverQuota(
            "server_groups",
            limit=limit,
            used=used,
            asked=1,
            message="Quota exceeded, too many server groups.",
        )
    group = ServerGroup(
        id=new_id(),
        name=name,
        policy=policy,
        rules=rules,
        project_id=w.ctx.project_id,
        user_id=w.ctx.user_id,
        created_at=w.now,
    )
    w.session.add(group)
    w.session.flush()
    return group


def remove(w: Work, group_id: str) -> None:
    """Forget the group; its servers stay where they are."""
    w.session.delete(get(w, group_id))
