"""Which servers belong to which group."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from novalite.cloud.compute.server_groups import ServerGroup
from novalite.cloud.compute.servers import Server
from novalite.db.work import Work


def of_groups(w: Work, group_ids: Iterable[str]) -> dict[str, list[str]]:
    """Group id -> ids of its living servers, oldest first; at most one query."""
    found: dict[str, list[str]] = {group_id: [] for group_id in group_ids}
    if not found:
        return found
    query = (
        sa.select(Server.group_id, Server.id)
        .where(Server.group_id.in_(list(found)), Server.deleted_at.is_(None))
        .order_by(Server.created_at, Server.id)
    )
    for group_id, server_id in w.session.execute(query):
        found[str(group_id)].append(server_id)
    return found


def groups_of(w: Work, project_id: str, user_id: str = "") -> int:
    """How many groups a project has, or one user of it."""
    query = sa.select(sa.func.count()).select_from(ServerGroup).where(ServerGroup.project_id == project_id)
    if user_id:
        query = query.where(ServerGroup.user_id == user_id)
    return int(w.session.scalar(query) or 0)
