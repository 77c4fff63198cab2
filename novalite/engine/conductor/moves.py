"""What the flows that move servers share: the record of the move, its statuses, its failure."""

from __future__ import annotations

from novalite import logs
from novalite.cloud.compute import migrations, progress, resize, states
from novalite.cloud.compute.migrations import Migration
from novalite.cloud.compute.servers import Server
from novalite.db.work import Work
from novalite.engine.conductor import guests, outcome
from novalite.engine.flow import Run
from novalite.errors import DriverError, Failed, Unavailable

_log = logs.get("conductor")

_STATUS = {resize.MIGRATING: migrations.MIGRATING, resize.MIGRATED: migrations.POST_MIGRATING}


def number(run: Run) -> int:
    """The id of the move's record."""
    return int(run.args["migration_id"])


def known(run: Run) -> tuple[Server, Migration]:
    """The server and its move. Raises ``Failed`` when one of them is gone."""
    with run.parts.database.read(run.ctx) as w:
        server, move = progress.find(w, run.server_id), migrations.find(w, number(run))
    if server is None or move is None:
        raise Failed("The server is no longer there to be moved.", code="server.gone")
    return server, move


def stays(move: Migration) -> bool:
    """Is the server to stay on its host?"""
    return move.dest_host == move.source_host


def show(w: Work, run: Run, what: str) -> None:
    """A flow's ``show``: the server's task_state, and the status of its move with it."""
    progress.doing(w, run.server_id, what)
    if what in _STATUS:
        migrations.move_on(w, number(run), _STATUS[what])


def runs(server: Server) -> bool:
    """Did the server run before, and is it to run again? Not one that is to go anyway."""
    return server.old_vm_state == states.ACTIVE and server.task_state not in states.LEAVING


def wire(run: Run) -> None:
    """Its networks and ports, if it is to run."""
    if runs(known(run)[0]):
        guests.wire(run)


def start_guest(run: Run) -> None:
    """The guest as the records say now, if it is to run."""
    if runs(known(run)[0]):
        guests.wire(run)
        made = guests.planned(run)
        guests.start(run, made)


def remove_from(run: Run, host: str) -> None:
    """Take away what the server has on a host that is no longer its own. Where that fails now, reconciliation
    does it: by then no record speaks for that guest."""
    try:
        run.parts.links.driver(host).delete_guest(run.server_id)
    except (DriverError, Unavailable) as error:
        _log.warning("left to reconciliation", server_id=run.server_id, host=host, why=str(error))


def failed(run: Run, error: Exception) -> None:
    """Everything is undone: the server is where and what it was."""
    ended(run)
    outcome.failed_in_place(run, error)


def ended(run: Run) -> None:
    """The move has come to nothing."""
    with run.parts.database.write(run.ctx) as w:
        migrations.move_on(w, number(run), migrations.ERROR)
