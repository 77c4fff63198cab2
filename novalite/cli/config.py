"""``novalite config`` and ``novalite openrc``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from novalite.cli.commands import Leaf
from novalite.cli.session import Session, pass_session

_PASSWORD_OF_URL = re.compile(r"(://[^/:@\s]*):[^/@\s]*@")


@click.command(cls=Leaf)
@click.option("--config", "file", type=click.Path(dir_okay=False, path_type=Path), help="A settings file (TOML).")
@pass_session
def config(session: Session, file: Path | None) -> None:
    """List every option: its value, where that comes from, its default, its variable.

    Amounts are in the unit that ends an option's name.
    """
    from novalite.settings import Secret, environment_name, load

    def shown(value: Any) -> Any:
        if isinstance(value, Secret) and value:
            return "***"
        return _PASSWORD_OF_URL.sub(r"\1:***@", value) if isinstance(value, str) else value

    given = {"state_dir": session.state_dir} if session.state_dir else {}
    options = load(arguments=given, environment=session.environment, file=file)[1]
    session.show_list(
        [
            {
                "name": each.name,
                "value": shown(each.value),
                "origin": each.origin,
                "default": shown(each.default),
                "environment": environment_name(each.name),
                "description": each.description,
            }
            for each in options
        ],
        [
            ("Option", lambda each: each["name"]),
            ("Value", lambda each: each["value"]),
            ("Origin", lambda each: each["origin"]),
            ("Default", lambda each: each["default"]),
            ("Description", lambda each: each["description"]),
        ],
    )


@click.command(cls=Leaf)
@pass_session
def openrc(session: Session) -> None:
    """Print the admin's credentials for a shell: source <(novalite openrc)."""
    from novalite.errors import DependencyDown, Forbidden

    path = session.state_path / "admin-openrc"
    try:
        text = path.read_text()
    except PermissionError as error:
        raise Forbidden(
            f"You may not read {path}.", code="credentials.unreadable", hint="It holds the admin's password: use sudo."
        ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DependencyDown(
            f"There is no appliance in {path.parent}: it holds no admin-openrc.",
            code="appliance.absent",
            hint="'novalite serve' writes it at its first start.",
        ) from error
    if session.json:
        session.show_one({"path": str(path), "variables": _variables(text)}, [])
    else:
        click.echo(text, nl=False)


def _variables(text: str) -> dict[str, str]:
    import shlex

    words = (word for line in text.splitlines() for word in shlex.split(line, comments=True) if "=" in word)
    return dict(word.split("=", 1) for word in words)
