"""``novalite quota`` and ``novalite limits``."""

from __future__ import annotations

import click

from novalite.cli.commands import Branch, Leaf
from novalite.cli.session import Session, pass_session

_PROJECT = click.option("--project", metavar="PROJECT", help="Name or id of another project (admin).")


@click.group(cls=Branch)
def quota() -> None:
    """What a project may use."""


def _limit(value: int) -> str:
    return "no limit" if value == -1 else str(value)


@quota.command()
@_PROJECT
@pass_session
def show(session: Session, project: str | None) -> None:
    """Show each quota of every service and what is used of it."""
    from novalite.cli import find, quotas

    client = session.client
    found = quotas.of_project(client, find.project(client, project) if project else client.project_id)
    shown = dict(sorted(found.items()))
    session.show_one(
        {name: each.told() for name, each in shown.items()},
        [
            (name, _limit(each.limit) if each.in_use is None else f"{each.in_use} of {_limit(each.limit)}")
            for name, each in shown.items()
        ],
    )


@quota.command("set")
@click.argument("wanted", metavar="NAME=NUMBER…", nargs=-1, required=True)
@_PROJECT
@click.option("--force", is_flag=True, help="Also to less than what is used.")
@pass_session
def set_(session: Session, wanted: tuple[str, ...], project: str | None, force: bool) -> None:
    """Set quotas of a project, of whatever service: set instances=20 image_size_total=2000; -1 is no limit (admin).

    'novalite quota show' has all names. Memory, images and what is staged are in MiB, volumes in GiB.
    """
    from novalite.cli import find, quotas

    client = session.client
    numbers = quotas.numbers(wanted)
    project_id = find.project(client, project) if project else client.project_id
    quotas.change(client, project_id, numbers, force=force)
    session.say("Set: " + ", ".join(f"{name} {_limit(number)}" for name, number in numbers.items()) + ".")


@quota.command()
@_PROJECT
@pass_session
def reset(session: Session, project: str | None) -> None:
    """Give a project the defaults again, of every service (admin)."""
    from novalite.cli import find, quotas

    client = session.client
    quotas.reset(client, find.project(client, project) if project else client.project_id)
    session.say("The project has the defaults again.")


@click.command(cls=Leaf)
@pass_session
def limits(session: Session) -> None:
    """Show what your project may use and does use."""
    found = session.client.get("compute", "/limits")["limits"]["absolute"]
    session.show_one(found, [(name, _limit(value)) for name, value in sorted(found.items())])
