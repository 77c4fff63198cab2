"""``novalite demo``: from nothing to a server's login prompt, with every step shown."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

import click

from novalite.cli.commands import Leaf
from novalite.cli.serve import load_settings
from novalite.cli.server import pairs
from novalite.cli.session import Session, pass_session


@click.command(cls=Leaf)
@click.option("--once", is_flag=True, help="Stop after the report; exit 0 only if the guest reached its login prompt.")
@click.option("--port", type=click.IntRange(1, 65535), help="TCP port of the appliance.")
@click.option("--driver", type=click.Choice(["libvirt", "fake"]), help="How guests run.")
@click.option("--set", "given", multiple=True, callback=pairs, metavar="NAME=VALUE", help="As for 'novalite serve'.")
@click.option(
    "--timeout", default=300.0, metavar="SECONDS", show_default=True, help="Longest wait for the login prompt."
)
@click.pass_context
@pass_session
def demo(
    session: Session,
    context: click.Context,
    once: bool,
    port: int | None,
    driver: str | None,
    given: dict[str, str],
    timeout: float,
) -> None:
    """Start an appliance, build the guest image, boot a server named hello and show how to reach it.

    Keeps serving until Ctrl-C; guests keep running.
    """
    from novalite.cli.demo_appliance import DemoAppliance
    from novalite.cli.demo_server import boot_hello

    settings = load_settings(session, given, port=port, driver=driver)
    own = Session(state_dir=str(Path(settings.state_dir).absolute()), json=session.json, environment={})
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _as_interrupt)
    with DemoAppliance(own, settings, given=given, driver=driver) as appliance:
        try:
            report = boot_hello(own, seconds=timeout)
        finally:
            own.close()
        report.show(own, ui=appliance.url, settings=settings)
        if not report.reached_login:
            context.exit(1)
        if not once:
            appliance.serve_until_interrupted()


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
