"""``novalite token``."""

from __future__ import annotations

import click

from novalite.cli.commands import Branch
from novalite.cli.session import Session, pass_session


@click.group(cls=Branch)
def token() -> None:
    """Tokens for other programs."""


@token.command()
@pass_session
def issue(session: Session) -> None:
    """Print a new token; whoever has it acts as you until it expires."""
    client = session.client
    found = {
        "id": client.token_id,
        "expires": client.token["expires_at"],
        "project_id": (client.token.get("project") or {}).get("id"),
        "user_id": client.token["user"]["id"],
    }
    session.show_one(found, list(found.items()))
