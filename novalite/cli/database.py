"""``novalite db``: the database's schema."""

from __future__ import annotations

import click

from novalite.cli.commands import Branch
from novalite.cli.serve import load_settings
from novalite.cli.session import Session, pass_session


@click.group(cls=Branch)
def db() -> None:
    """The database's schema. 'novalite serve' upgrades it by itself."""


@db.command()
@pass_session
def upgrade(session: Session) -> None:
    """Bring the database to the newest schema; an SQLite file is copied aside first."""
    from novalite import logs
    from novalite.db import migrate

    logs.configure(level="INFO")
    url = load_settings(session, {}).database_url
    before = migrate.current(url)
    migrate.upgrade(url)
    _show(session, before=before or None, now=migrate.current(url))


@db.command()
@pass_session
def current(session: Session) -> None:
    """Show the schema's revision and the newest one."""
    from novalite.db import migrate

    _show(session, now=migrate.current(load_settings(session, {}).database_url) or None, newest=migrate.head())


def _show(session: Session, **facts: str | None) -> None:
    session.show_one(facts, list(facts.items()))
