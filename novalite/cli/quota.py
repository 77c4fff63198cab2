"""``novalite quota`` and ``novalite limits``."""

from __future__ import annotations

import click

from novalite.cli.commands import Branch, Leaf
from novalite.cli.session import Session, pass_session


@click.group(cls=Branch)
def quota() -> None:
    """What a project may use."""


def _limit(value: int) -> str:
    return "no limit" if value == -1 else str(value)


@quota.command()
@click.option("--project", help="Id of another project (admin).")
@pass_session
def show(session: Session, project: str | None) -> None:
    """Show each quota and what is used of it."""
    project_id = project or session.client.project_id
    found = session.client.get("compute", f"/os-quota-sets/{project_id}/detail")["quota_set"]
    session.show_one(
        found,
        [
            (name, f"{each['in_use']} of {_limit(each['limit'])}")
            for name, each in sorted(found.items())
            if isinstance(each, dict)
        ],
    )


@click.command(cls=Leaf)
@pass_session
def limits(session: Session) -> None:
    """Show what your project may use and does use."""
    found = session.client.get("compute", "/limits")["limits"]["absolute"]
    session.show_one(found, [(name, _limit(value)) for name, value in sorted(found.items())])
