"""Taking servers to other hosts: while they are off, or while they run."""

from __future__ import annotations

from novalite.cloud.compute import actions, migrations, moving_tasks, resize, tasks
from novalite.cloud.compute.migrations import Migration
from novalite.cloud.compute.servers import Server, get, refuse_if_locked
from novalite.cloud.hosts import hosts
from novalite.cloud.tasks import tasks as durable
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

_LIVE = "live_migration"
"""The feature of hosts that take running guests."""


def migrate(w: Work, server_id: str, *, host: str = "", host_down_seconds: int = 60) -> Migration:
    """Begin to take a server to another host, or to ``host``; it is off meanwhile.

    Raises ``NotFound``, ``Conflict`` for its state, its lock and its host when that is down, ``Invalid`` for a host
    that it cannot go to.
    """
    server = actions.allowed(w, server_id, "migrate")
    resize.refuse_if_host_is_down(w, server, host_down_seconds)
    if host and host == server.host:
        raise Invalid("Cannot migrate to the host where the server exists.", field="host")
    if host:
        refuse_unless_known(w, host)
    made = migrations.create(w, resize.begun(server, migrations.MIGRATION, server.flavor))
    values = {"progress": 0, "old_vm_state": server.vm_state}
    task = moving_tasks.Migrate(server.id, made.id, host)
    actions.begin(w, server, "migrate", task, values=values, deadline_seconds=resize.DEADLINE_SECONDS)
    return made


def refuse_unless_known(w: Work, host: str) -> None:
    """Raises ``Invalid`` for a host that is not there."""
    try:
        hosts.by_name(w, host)
    except NotFound as error:
        raise Invalid(error.message, field="host") from error


def live_migrate(
    w: Work, server_id: str, *, host: str = "", force: bool = False, at_once: bool = False, host_down_seconds: int = 60
) -> Migration:
    """Begin to take a running server to another host. ``at_once`` refuses here what else fails later.

    Raises ``NotFound``, ``Conflict`` for its state and its lock, ``Invalid`` for hosts.
    """
    server = actions.allowed(w, server_id, "live-migration")
    if host:
        refuse_unless_known(w, host)
    if at_once:
        raise Invalid(why_not_live(w, server, host, host_down_seconds), code="scheduler.no_valid_host", field="host")
    made = resize.begun(server, migrations.LIVE, server.flavor, migrations.ACCEPTED)
    made.dest_host = host
    migrations.create(w, made)
    actions.begin(w, server, "live-migration", moving_tasks.LiveMigrate(server.id, made.id, host, force))
    return made


def why_not_live(w: Work, server: Server, host: str, host_down_seconds: int) -> str:
    """Why no host takes the running server, host by host."""
    if host and host == server.host:
        return f"Unable to migrate instance ({server.id}) to current host ({host})."
    why = []
    for other in hosts.everyone(w):
        if other.name == server.host or (host and other.name != host):
            continue
        if not hosts.is_up(other, w.now, host_down_seconds):
            why.append(f"compute service of {other.name} is unavailable at this time")
        elif _LIVE not in other.report.get("features", ()):
            why.append(f"{other.name} cannot take a running guest")
    return f"No valid host was found. {'; '.join(why) or 'There are not enough hosts available'}."


def abort(w: Work, server_id: str, migration_id: str, *, queued_too: bool) -> None:
    """Give up a live migration that goes on, from the queue too if ``queued_too``.

    Raises ``NotFound``, ``Conflict`` unless the server migrates, ``Invalid`` for the migration's status.
    """
    server = _migrating(w, server_id, "abort live migration")
    move = migrations.of_server(w, server.id, migration_id)
    if move is None:
        message = f"Migration {migration_id} not found for instance {server.id}"
        raise NotFound("migration", migration_id, message=message)
    early = (migrations.QUEUED, migrations.PREPARING) if queued_too else ()
    _refuse_unless(move, (migrations.RUNNING, *early), "abort live migration")
    durable.cancel_key(w, tasks.key(server.id), kinds=(moving_tasks.LiveMigrate.kind,))
    durable.record_instant(w, action="live_migration_cancel", resource_id=server.id, project_id=server.project_id)


def force_complete(w: Work, server_id: str, migration_id: str) -> None:
    """Let a running live migration end now. Raises as ``abort``, but ``Invalid`` for a migration that is not there;
    so far no host can hurry one, whatever its status."""
    server = _migrating(w, server_id, "force_complete")
    move = migrations.of_server(w, server.id, migration_id)
    if move is None:
        raise Invalid(f"Migration {migration_id} not found for instance {server.id}", field="migration_id")
    _refuse_unless(move, (), "force complete")


def _migrating(w: Work, server_id: str, action: str) -> Server:
    server = get(w, server_id)
    refuse_if_locked(w, server)
    if server.task_state != "migrating":
        raise Conflict(f"Cannot '{action}' instance {server.id} while it is in task_state {server.task_state}",
                       code="server.state")  # fmt: skip
    return server


def _refuse_unless(move: Migration, statuses: tuple[str, ...], method: str) -> None:
    if move.type != migrations.LIVE or move.status not in statuses:
        raise Invalid(f"Migration {move.id} state of instance {move.server_id} is {move.status}. Cannot {method} while "
                      "the migration is in this state.", field="migration_id")  # fmt: skip
