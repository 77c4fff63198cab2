"""Asking for what a guest, or the networks around it, are told without a change of the server's state."""

from __future__ import annotations

from novalite.cloud.compute import actions, servers, tasks
from novalite.cloud.compute.servers import Server
from novalite.cloud.tasks import tasks as durable
from novalite.db.work import Work
from novalite.errors import Conflict


def crash_dump(w: Work, server_id: str) -> Server:
    """Let the guest's kernel dump its memory, if it is set up to. Errors as those of every action."""
    server = _placed(actions.allowed(w, server_id, "trigger_crash_dump"))
    return actions.begin(w, server, "trigger_crash_dump", tasks.CrashDump(server.id))


def rewire(w: Work, server_id: str) -> None:
    """Make the server's networks anew where they differ from the records.

    Raises ``NotFound``, ``Conflict`` when it is locked or on no host.
    """
    server = servers.get(w, server_id)
    servers.refuse_if_locked(w, server)
    _placed(server)
    durable.start(
        w, tasks.Rewire(server.id), key=tasks.key(server.id), resource_id=server.id, project_id=server.project_id
    )


def _placed(server: Server) -> Server:
    if not server.host:
        raise Conflict(f"Instance {server.id} is not ready", code="server.state")
    return server
