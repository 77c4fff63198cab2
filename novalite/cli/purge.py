"""``novalite purge``."""

from __future__ import annotations

import click

from novalite.cli.commands import Leaf
from novalite.cli.serve import load_settings
from novalite.cli.session import Session, pass_session


@click.command(cls=Leaf)
@click.option("--driver", type=click.Choice(["libvirt", "fake"]), help="How guests ran.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def purge(session: Session, driver: str | None, yes: bool) -> None:
    """Take away all that this appliance made here: every server, image, network and its state directory."""
    settings = load_settings(session, {}, driver=driver)
    if not yes:
        click.confirm(f"Delete every server, image and record of the appliance in {settings.state_dir}?", abort=True)
    from novalite import logs
    from novalite.appliance.purge import purge as take_away
    from novalite.cli import output

    logs.configure(level="WARNING")
    removed = []
    for line in take_away(settings):
        removed.append(line)
        session.say(f"removed {line}")
    if session.json:
        output.emit_json({"removed": removed})
