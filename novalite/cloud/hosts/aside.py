"""Room of servers that move: what they had stands aside, under the move's id, beside what they have claimed anew."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.hosts.hosts import Allocation, Host, release
from novalite.db.work import Work


def release_all(w: Work, server_id: str) -> None:
    """Everything that is held for a server, beside its own room too."""
    for move_id in list(w.session.scalars(sa.select(Allocation.server_id).where(Allocation.aside_for == server_id))):
        release(w, move_id)
    release(w, server_id)


def is_held(w: Work, move_id: str) -> bool:
    """Does anything stand under this move's id?"""
    return w.session.get(Allocation, move_id) is not None


def set_aside(w: Work, server_id: str, move_id: str) -> None:
    """Let what a server holds stand under the id of its move, so that it can claim room anew. Repeatable."""
    _rename(w, server_id, move_id, aside_for=server_id, servers=-1)


def take_back(w: Work, server_id: str, move_id: str) -> None:
    """Give back what the server holds now, in favour of what was set aside. Nothing when nothing was."""
    if w.session.get(Allocation, move_id) is not None:
        release(w, server_id)
        _rename(w, move_id, server_id, aside_for=None, servers=1)


def _rename(w: Work, old_id: str, new_id: str, *, aside_for: str | None, servers: int) -> None:
    held = w.session.get(Allocation, old_id)
    if held is None:
        return
    host_id = held.host_id
    w.session.expunge(held)
    table = sa.update(Allocation).where(Allocation.server_id == old_id)
    if w.changed(table.values(server_id=new_id, aside_for=aside_for)):
        count = {"server_count": Host.server_count + servers, "generation": Host.generation + 1}
        w.changed(sa.update(Host).where(Host.id == host_id).values(**count))
