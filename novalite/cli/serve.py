"""``novalite serve``, ``novalite agent`` and ``novalite privileged``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from novalite.cli.commands import Leaf
from novalite.cli.server import pairs
from novalite.cli.session import Session, pass_session

if TYPE_CHECKING:
    from novalite.settings import Settings


def load_settings(
    session: Session,
    given: Mapping[str, str],
    *,
    file: Path | None = None,
    port: int | None = None,
    host: str | None = None,
    driver: str | None = None,
) -> Settings:
    """The settings of a command line; ``given`` are its --set options, which the options of their own outweigh."""
    from novalite.settings import load

    lists = {each.name for each in load(environment={})[1] if isinstance(each.default, tuple)}
    arguments: dict[str, Any] = {
        name: [part.strip() for part in value.split(",") if part.strip()] if name in lists else value
        for name, value in given.items()
    }
    own = {"state_dir": session.state_dir or None, "http.port": port, "http.host": host, "compute.driver": driver}
    arguments |= {name: value for name, value in own.items() if value is not None}
    return load(arguments=arguments, environment=session.environment, file=file)[0]


@click.command(cls=Leaf)
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port of all APIs and the UI.")
@click.option("--host", help="Address to listen on.")
@click.option("--driver", type=click.Choice(["libvirt", "fake"]), help="How guests run.")
@click.option("--config", "file", type=click.Path(dir_okay=False, path_type=Path), help="A settings file (TOML).")
@click.option(
    "--set",
    "given",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="Any option that 'novalite config' lists; may be repeated.",
)
@pass_session
def serve(
    session: Session, port: int | None, host: str | None, driver: str | None, file: Path | None, given: dict[str, str]
) -> None:
    """Run the appliance until SIGTERM. Guests keep running when it stops."""
    settings = load_settings(session, given, file=file, port=port, host=host, driver=driver)
    from novalite import appliance

    appliance.serve(settings)


@click.command(cls=Leaf)
@click.option("--driver", type=click.Choice(["libvirt", "fake"]), help="How guests run.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8780, show_default=True, help="TCP port.")
@click.option(
    "--secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The secret shared with the appliance; default: STATE_DIR/agent-secret.",
)
@click.option(
    "--set",
    "given",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="Any option that 'novalite config' lists; may be repeated.",
)
@pass_session
def agent(
    session: Session, driver: str | None, host: str, port: int, secret_file: Path | None, given: dict[str, str]
) -> None:
    """Offer this machine's guests to an appliance elsewhere, until SIGTERM. Guests keep running."""
    from novalite import logs
    from novalite.agent.main import run_agent

    settings = load_settings(session, given, driver=driver)
    logs.configure(level=settings.logging.level, json=settings.logging.json)
    secret = secret_file or Path(settings.compute.agent_secret_file or settings.state_path / "agent-secret")
    run_agent(settings, host, port, secret)


@click.command(cls=Leaf)
@click.option(
    "--rules",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("/etc/novalite/privileged.toml"),
    show_default=True,
    help="The filter file: who may ask for what.",
)
@click.option(
    "--socket",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("/run/novalite-privileged/socket"),
    show_default=True,
    help="Where to listen, unless systemd hands over a socket.",
)
@pass_session
def privileged(session: Session, file: Path, path: Path) -> None:
    """Do what needs root for an appliance that runs without it, until SIGTERM. Networks stay."""
    from novalite import logs
    from novalite.drivers.privileged.main import run_privileged

    settings = load_settings(session, {})
    logs.configure(level=settings.logging.level, json=settings.logging.json)
    run_privileged(file, path)
