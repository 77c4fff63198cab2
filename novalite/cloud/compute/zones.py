"""Availability zones as servers see them: hosts change zones only when no server has asked for the old one."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.compute.servers import TOPIC, Server
from novalite.cloud.hosts import aggregates
from novalite.cloud.hosts.hosts import Host
from novalite.db.work import Work
from novalite.errors import Conflict


def add_host(w: Work, number: int, name: str) -> aggregates.Members:
    """Put a host into an aggregate. Raises as ``aggregates.add_host``, and ``Conflict`` for pinned servers."""
    _follow(w, aggregates.add_host(w, number, name), f"Cannot add host to aggregate {number}")
    return aggregates.get(w, number)


def remove_host(w: Work, number: int, name: str) -> aggregates.Members:
    """Take a host out. Raises as ``aggregates.remove_host``, and ``Conflict`` for pinned servers."""
    _follow(w, aggregates.remove_host(w, number, name), f"Cannot remove host from aggregate {number}")
    return aggregates.get(w, number)


def _follow(w: Work, host: Host, refused: str) -> None:
    there = (Server.host == host.name, Server.deleted_at.is_(None))
    pinned = sa.select(Server.id).where(*there, Server.pinned_zone.not_in(("", host.zone)))
    if w.session.scalar(pinned.limit(1)) is not None:
        raise Conflict(
            f"{refused}. Reason: One or more hosts contain instances that need to be in their own zone.",
            code="aggregate.pinned_servers",
        )
    moved = (*there, Server.availability_zone != host.zone)
    for server_id, project_id in w.session.execute(sa.select(Server.id, Server.project_id).where(*moved)):
        w.announce(TOPIC, server_id, project_id)
    w.changed(
        sa.update(Server)
        .where(*moved)
        .values(availability_zone=host.zone, revision=Server.revision + 1, updated_at=w.now)
    )
