"""Asks each host how it is and writes the answer down."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from novalite import logs
from novalite.cloud.hosts import hosts
from novalite.context import internal
from novalite.db.work import Database
from novalite.engine.links import Links
from novalite.errors import NovaLiteError

_log = logs.get("heartbeat")


def beat(database: Database, links: Links, name: str) -> bool:
    """One report of one host; returns whether its machine has restarted since the one before."""
    try:
        report = links.driver(name).host_report()
    except NovaLiteError as error:
        _log.warning("host does not answer", host=name, error=str(error))
        with database.write(internal()) as w:
            hosts.record_problem(w, name, str(error))
        return False
    plain: dict[str, Any] = msgspec.to_builtins(asdict(report))
    with database.write(internal()) as w:
        was_short = _is_short(hosts.by_name(w, name))
        restarted = hosts.record_report(w, name, plain)
        host = hosts.by_name(w, name)
        w.session.refresh(host)
        if _is_short(host) and not was_short:
            _log.warning("disk nearly full", host=name, why=str(hosts.disk_room(host)))
        elif was_short and not _is_short(host):
            _log.info("disk has room again", host=name)
    return restarted


def _is_short(host: hosts.Host) -> bool:
    room = hosts.disk_room(host)
    return room is not None and room.is_short


def beat_all(database: Database, links: Links) -> set[str]:
    """Every host once; the names of those whose machine has restarted."""
    return {name for name in links.hosts() if beat(database, links, name)}
