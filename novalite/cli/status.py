"""``novalite status``: the appliance's components, as it tells itself."""

from __future__ import annotations

import click

from novalite.cli.commands import Leaf
from novalite.cli.session import Session, pass_session


@click.command(cls=Leaf)
@click.pass_context
@pass_session
def status(session: Session, context: click.Context) -> None:
    """Show each component, its thread, its health and its backlog. Exits 1 when one is not running."""
    from novalite.cli import output

    found = session.appliance.get("appliance", "/admin/status")
    if session.json:
        output.emit_json(found)
    else:
        output.facts(
            [
                ("version", found["version"]),
                ("uptime", _duration(found["uptime_seconds"])),
                ("address", session.appliance.base_url),
                ("tasks", found.get("tasks")),
            ]
        )
        click.echo()
        session.show_list(
            found["components"],
            [
                ("Component", lambda each: each["name"]),
                ("Thread", lambda each: each["thread"]),
                ("State", lambda each: each["state"]),
                ("Restarts", lambda each: each["restarts"]),
                ("Backlog", lambda each: each["backlog"]),
                ("Last error", lambda each: each["last_error"] or "-"),
            ],
        )
        click.echo()
        hosts = found["hosts"]
        names = list(dict.fromkeys(name for each in hosts for name in each))
        output.table([name.replace("_", " ") for name in names], [[each.get(name) for name in names] for each in hosts])
    if any(each["state"] != "running" for each in found["components"]):
        context.exit(1)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
