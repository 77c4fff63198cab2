"""Records against what hosts really run, both ways; and making host state again from the records."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from novalite import logs
from novalite.cloud.compute import actions, migrations, progress, soft_delete, states
from novalite.cloud.compute import tasks as kinds
from novalite.cloud.compute.servers import Server
from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.compute.base import GuestState, Power
from novalite.engine import network_state
from novalite.engine.flow import Parts
from novalite.engine.links import Links
from novalite.errors import NovaLiteError, Refused

_log = logs.get("reconcile")


@dataclass
class Result:
    """Ids: guests removed because nobody owns them, servers whose state was corrected, and servers that were
    recorded as running but whose guest was found down."""

    removed: list[str] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)
    found_down: list[str] = field(default_factory=list)


def host(database: Database, links: Links, name: str) -> Result:
    """Compare one host with its records: believe the host about power, the records about existence.

    Raises ``HostUnreachable``. Servers with a task under way are left to it.
    """
    driver = links.driver(name)
    with database.read(internal()) as w:  # before the host is asked: what changes meanwhile is left alone
        servers = {server.id: server for server in progress.on_host(w, name)}
        busy = tasks.live_resources(w) | migrations.left_behind(w, name)
    guests = {state.id: state for state in driver.list_guests()}
    result = Result()
    for guest_id in guests.keys() - servers.keys() - busy:
        if _still_unowned(database, guest_id, name):
            _log.warning("removing a guest that no server owns", host=name, server_id=guest_id)
            driver.delete_guest(guest_id)
            result.removed.append(guest_id)
    for server in servers.values():
        if server.id not in busy:
            _compare(database, server, guests.get(server.id), result)
    return result


def _still_unowned(database: Database, guest_id: str, name: str) -> bool:
    with database.read(internal()) as w:
        server = progress.find(w, guest_id)
        spoken_for = tasks.live_resources(w) | migrations.left_behind(w, name)
        return (server is None or server.host != name) and guest_id not in spoken_for


def _compare(database: Database, server: Server, guest: GuestState | None, result: Result) -> None:
    power = guest.power if guest is not None else Power.ABSENT
    if server.vm_state == states.ACTIVE and power in (Power.OFF, Power.ABSENT):
        result.found_down.append(server.id)
    with database.write(internal()) as w:
        detail = guest.detail if guest else "its guest is gone"
        if progress.observed(w, server.id, power.value, detail, revision=server.revision):
            result.corrected.append(server.id)
            _log.info("state corrected", server_id=server.id, power=power.value)


def start_with_machine(
    database: Database, names: list[str], *, restarted: set[str], found_down: set[str], default_delay_seconds: int
) -> list[str]:
    """Start the servers that ask for it (metadata ``autostart`` true), by ``autostart_order`` and with
    ``autostart_delay`` seconds after each: all of them on ``restarted`` machines, elsewhere those that were
    running when this process last looked. Returns their ids in order."""
    with database.read(internal()) as w:
        wishing = [s for name in names for s in progress.on_host(w, name) if _wants_start(s)]
    wishing.sort(key=lambda s: (_number(s, "autostart_order", 0), s.created_at))
    started, delay = [], 0
    for server in wishing:
        if not (server.host in restarted or server.id in found_down):
            continue
        try:
            with database.write(internal()) as w:
                actions.request(w, server.id, "start", delay_seconds=delay)
        except Refused as error:
            _log.info("not started with the machine", server_id=server.id, why=str(error))
            continue
        started.append(server.id)
        delay += _number(server, "autostart_delay", default_delay_seconds)
    return started


def machines_restarted(parts: Parts, names: list[str]) -> None:
    """Hosts whose machine came up again while this process ran: their networks, states and servers."""
    network_state.restore(parts.database, parts.network)
    for name in names:
        try:
            host(parts.database, parts.links, name)
        except NovaLiteError as error:
            _log.warning("host not compared", host=name, error=str(error))
    started = start_with_machine(
        parts.database, names, restarted=set(names), found_down=set(),
        default_delay_seconds=parts.settings.compute.start_delay_seconds,
    )  # fmt: skip
    _log.info("machines restarted", hosts=names, servers_started=len(started))


def _wants_start(server: Server) -> bool:
    return str(server.metadata_items.get("autostart", "")).lower() in ("true", "1", "yes")


def _number(server: Server, name: str, default: int) -> int:
    text = server.metadata_items.get(name, "")
    return min(int(text), 86400) if text.isdecimal() else default


def end_unowned_states(database: Database, *, older_than_seconds: float) -> list[str]:
    """Give every server whose state nobody will end a way out: back to what its guest does, or ERROR when it
    was never launched; an unfinished deletion is asked for again. Returns their ids."""
    mended = []
    with database.write(internal()) as w:
        for server in progress.unowned(
            w, tasks.live_resources(w), before=w.now - timedelta(seconds=older_than_seconds)
        ):
            mended.append(server.id)
            _log.warning("a state without an owner", server_id=server.id, vm_state=server.vm_state,
                         task_state=server.task_state)  # fmt: skip
            if server.task_state == states.DELETING:
                tasks.start(w, kinds.Delete(server.id), key=kinds.key(server.id), resource_id=server.id,
                            project_id=server.project_id)  # fmt: skip
            elif server.task_state == states.SOFT_DELETING:
                soft_delete.go_on(w, server)
            elif server.launched_at is None:
                what = progress.fault(500, "Building the server was cut off.", w.now)
                progress.failed(w, server.id, what)
            else:
                progress.failed(w, server.id, progress.fault(500, "The action was cut off.", w.now), vm_state=None)
    return mended


def every_host(database: Database, links: Links) -> Result:
    """All hosts that answer."""
    total = Result()
    for name in links.hosts():
        try:
            result = host(database, links, name)
        except NovaLiteError as error:
            _log.info("host not compared", host=name, error=str(error))
            continue
        total.removed += result.removed
        total.corrected += result.corrected
        total.found_down += result.found_down
    return total
