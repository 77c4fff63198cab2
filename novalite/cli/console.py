"""``novalite server console``: what the guest printed, and where to look at its screen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from novalite.cli import names
from novalite.cli.commands import Branch
from novalite.cli.session import Session, pass_session

if TYPE_CHECKING:
    from novalite.cli.client import Client


@click.group(cls=Branch)
def console() -> None:
    """A server's serial log and its screen."""


@console.command()
@click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))
@click.option("--lines", type=click.IntRange(1), help="Only the last lines.")
@pass_session
def log(session: Session, reference: str, lines: int | None) -> None:
    """Print what the guest wrote to its serial console."""
    from novalite.cli import find, output

    found = find.server(session.client, reference)
    text = console_text(session.client, found["id"], lines)
    if session.json:
        output.emit_json({"output": text})
    else:
        click.echo(harmless(text) if sys.stdout.isatty() else text, nl=not text.endswith("\n"))


@console.command()
@click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))
@click.option(
    "--type", "kind", type=click.Choice(["novnc", "serial", "spice-html5"]), default="novnc", show_default=True
)
@pass_session
def url(session: Session, reference: str, kind: str) -> None:
    """Print an address that opens the server's console in a browser."""
    from novalite.cli import find

    protocol = {"novnc": "vnc", "serial": "serial", "spice-html5": "spice"}[kind]
    found = find.server(session.client, reference)
    body = {"remote_console": {"protocol": protocol, "type": kind}}
    answer = session.client.post("compute", f"/servers/{found['id']}/remote-consoles", body)["remote_console"]
    if session.json:
        session.show_one(answer, [])
    else:
        click.echo(answer["url"])


def console_text(client: Client, server_id: str, lines: int | None = None) -> str:
    """The serial console's log, or its last ``lines``."""
    wanted = {"length": lines} if lines else {}
    answer = client.post("compute", f"/servers/{server_id}/action", {"os-getConsoleOutput": wanted})
    return str(answer["output"])


def harmless(text: str) -> str:
    """Without the marks by which a guest could steer the terminal that shows its log."""
    return "".join(mark if mark.isprintable() or mark in "\n\t" else "" for mark in text)
