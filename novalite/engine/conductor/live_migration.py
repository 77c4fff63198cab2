"""The flow that takes a running server to another host. No driver can do that yet: each host is asked what it can."""

from __future__ import annotations

from novalite.cloud.compute import migrate, moving_tasks
from novalite.engine.conductor import moves
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import NoValidHost


def _place(run: Run) -> None:
    server, _ = moves.known(run)
    seconds = run.parts.settings.scheduler.host_down_seconds
    with run.parts.database.read(run.ctx) as w:
        why = migrate.why_not_live(w, server, str(run.args["host"]), seconds)
    raise NoValidHost(why)


FLOWS = (Flow(moving_tasks.LiveMigrate.kind, (Step("place", _place),), failed=moves.failed, cancelled=moves.ended),)
