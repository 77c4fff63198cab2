"""What projects have used: servers and the time they were there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from novalite.cloud.compute.servers import Server
from novalite.db.work import Work
from novalite.errors import Invalid


@dataclass(frozen=True)
class ServerUse:
    """A server within a period. ``hours`` is how long it was there in it; ``ended_at`` None: it still is."""

    server: Server
    started_at: datetime
    ended_at: datetime | None
    hours: float


def within(
    w: Work, start: datetime, end: datetime, *, project_id: str = "", marker: str = "", limit: int | None = None
) -> list[ServerUse]:
    """Servers that were there between ``start`` and ``end``, by project, then by launch; ``marker`` is the last
    server's id. Raises ``Invalid`` for an unknown marker."""
    query = sa.select(Server).where(
        Server.launched_at.is_not(None), Server.launched_at < end,
        sa.or_(Server.terminated_at.is_(None), Server.terminated_at >= start),
    )  # fmt: skip
    if project_id:
        query = query.where(Server.project_id == project_id)
    order = (Server.project_id, Server.launched_at, Server.id)
    if marker:
        last = w.session.execute(query.with_only_columns(*order).where(Server.id == marker)).first()
        if last is None:
            raise Invalid(f"Marker {marker[:100]} could not be found.", field="marker")
        values = (sa.literal(value, column.type) for value, column in zip(last, order, strict=True))
        query = query.where(sa.tuple_(*order) > sa.tuple_(*values))
    found = w.session.scalars(query.order_by(*order).limit(limit))
    return [_use(server, start, min(end, w.now)) for server in found]


def _use(server: Server, start: datetime, end: datetime) -> ServerUse:
    launched = server.launched_at
    assert launched is not None
    last = min(server.terminated_at or end, end)
    seconds = (last - max(launched, start)).total_seconds()
    return ServerUse(server, launched, server.terminated_at, max(0.0, seconds) / 3600)
