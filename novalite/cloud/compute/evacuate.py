"""Making servers anew elsewhere when their host is down."""

from __future__ import annotations

from novalite.cloud.compute import actions, migrations, moving_tasks, resize, states, tasks
from novalite.cloud.hosts import hosts
from novalite.cloud.tasks import tasks as durable
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound


def evacuate(
    w: Work,
    server_id: str,
    *,
    host: str = "",
    force: bool = False,
    admin_pass: str = "",
    stopped: bool = False,
    host_down_seconds: int = 60,
) -> None:
    """Begin to make a server anew on another host, or on ``host``; ``stopped`` leaves it off there. Its disks begin
    from its image again.

    Raises ``NotFound`` also for the host, ``Conflict`` for its state, ``Invalid`` while its own host is up.
    """
    server = actions.allowed(w, server_id, "evacuate")
    if host:
        _existing(w, host)
    if host and host == server.host:
        raise Invalid("The target host can't be the same one.", field="host")
    if server.host and hosts.is_up(hosts.by_name(w, server.host), w.now, host_down_seconds):
        raise Invalid(f"Compute service of {server.host} is still in use.", code="host.up")
    made = resize.begun(server, migrations.EVACUATION, server.flavor, migrations.ACCEPTED)
    migrations.create(w, made)
    durable.cancel_key(w, tasks.key(server.id))  # what goes on there will never end by itself
    off = stopped or server.vm_state == states.STOPPED
    task = moving_tasks.Evacuate(server.id, made.id, host, force, admin_pass, off)
    actions.begin(w, server, "evacuate", task)


def _existing(w: Work, host: str) -> None:
    try:
        hosts.by_name(w, host)
    except NotFound as error:
        raise NotFound("host", host, message=f"Compute host {host} not found.") from error
