"""The command's entrance: global options, where each command lives, and errors turned into exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from novalite import __version__
from novalite.cli.commands import LazyGroup
from novalite.cli.session import Session

PEOPLE = {
    "server": ("novalite.cli.server:server", "Make, see and drive servers."),
    "export": ("novalite.cli.server_export:export", "Take a server away as one file."),
    "import": ("novalite.cli.server_import:import_", "Make a server of such a file, or of an OVA."),
    "image": ("novalite.cli.image:image", "What servers start from."),
    "volume": ("novalite.cli.volume:volume", "Disks that outlive servers."),
    "flavor": ("novalite.cli.flavor:flavor", "Sizes of servers."),
    "key": ("novalite.cli.key:key", "SSH keys put into servers."),
    "network": ("novalite.cli.network:network", "Networks servers are on."),
    "subnet": ("novalite.cli.network:subnet", "Address ranges of networks."),
    "access": ("novalite.cli.access:access", "What may reach servers from outside."),
    "host": ("novalite.cli.host:host", "Machines that run servers."),
    "quota": ("novalite.cli.quota:quota", "What a project may use."),
    "limits": ("novalite.cli.quota:limits", "What your project may use and does use."),
    "token": ("novalite.cli.token:token", "Tokens for other programs."),
}
OPERATORS = {
    "demo": ("novalite.cli.demo:demo", "From nothing to a server's login prompt."),
    "serve": ("novalite.cli.serve:serve", "Run the appliance."),
    "agent": ("novalite.cli.serve:agent", "Offer this machine to an appliance elsewhere."),
    "privileged": ("novalite.cli.serve:privileged", "What needs root, for an appliance that runs without it."),
    "status": ("novalite.cli.status:status", "Components of the appliance and their health."),
    "doctor": ("novalite.cli.doctor:doctor", "What database, hypervisor, network and disks disagree about."),
    "adopt": (
        "novalite.cli.adopt:adopt",
        "Take over a libvirt machine that is here already, its disks where they are.",
    ),
    "config": ("novalite.cli.config:config", "Every option, its value and where it comes from."),
    "policy": ("novalite.cli.policy:policy", "Who may do what, and why somebody may not."),
    "openrc": ("novalite.cli.config:openrc", "The admin's credentials, for a shell."),
    "backup": ("novalite.cli.backup:backup", "Backups of volumes, where they are kept."),
    "purge": ("novalite.cli.purge:purge", "Take away all that the appliance made on this machine."),
    "db": ("novalite.cli.database:db", "The database's schema."),
    "completion": ("novalite.cli.completion:completion", "Completion for your shell."),
}


def _version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"novalite {__version__}")
        context.exit()


@click.group(
    cls=LazyGroup,
    sections={"People's commands": PEOPLE, "Operators' commands": OPERATORS},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
def cli() -> None:
    """A private cloud in one process."""


def run(arguments: Sequence[str], session: Session | None = None) -> int:
    """Run one command line; its exit code: 0 done, 1 refused or failed, 2 wrong usage, 3 not found,
    4 nothing answers, 130 interrupted."""
    session = session or Session()
    try:
        result = cli.main(list(arguments), prog_name="novalite", obj=session, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        from novalite.cli.failure import report

        code = report(error, as_json=session.json)
        if code is None:
            raise
        return code
    finally:
        session.close()
    return result if isinstance(result, int) else 0


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
