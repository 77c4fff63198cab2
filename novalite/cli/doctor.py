"""``novalite doctor``: what does not agree."""

from __future__ import annotations

import click

from novalite.cli.commands import Leaf
from novalite.cli.session import Session, pass_session


@click.command(cls=Leaf)
@click.pass_context
@pass_session
def doctor(session: Session, context: click.Context) -> None:
    """Compare database, hypervisor, network and disks. Exits 0 when all agree, 1 when not."""
    from novalite.cli import output

    found = session.appliance.get("appliance", "/admin/doctor")
    findings = found["findings"]
    if session.json:
        output.emit_json(found)
    else:
        for each in findings:
            click.echo(f"{each['severity']}: {output.printable(each['what'])} ({each['kind']} {each['id']})")
            click.echo(f"  why: {output.printable(each['why'])}")
            click.echo(f"  fix: {output.printable(each['fix'])}")
        click.echo(f"Checked: {output.printable(found['checked'])}.")
        click.echo("All agree." if not findings else f"{len(findings)} findings.")
    if findings:
        context.exit(1)
