"""Exports and imports of servers that nobody has gone on with: forgotten, their bytes before their records."""

from __future__ import annotations

from types import ModuleType

from novalite import logs
from novalite.cloud.compute import server_exports, server_imports
from novalite.context import internal
from novalite.engine.flow import Parts

_log = logs.get("carried")


def forget_late(parts: Parts) -> None:
    """One that cannot be forgotten stops no other, and is there for the next time. Raises what the first met."""
    with parts.database.read(internal()) as w:
        late = [(kind, each.id) for kind in (server_exports, server_imports) for each in kind.late(w)]
    problems: list[Exception] = []
    for kind, late_id in late:
        try:
            _forget(parts, kind, late_id)
        except Exception as error:  # noqa: BLE001  it is told below, when all others are gone
            _log.warning("late one stays", id=late_id, exc_info=error)
            problems.append(error)
    if problems:
        raise problems[0]


def _forget(parts: Parts, kind: ModuleType, late_id: str) -> None:
    with parts.database.write(internal()) as w:
        found = kind.find(w, late_id)
        gone = kind.clear(w, found) if found is not None else []
    for image_id in gone:
        parts.images.delete(image_id)
    with parts.database.write(internal()) as w:
        found = kind.find(w, late_id)
        if found is not None:
            kind.end(w, found)
