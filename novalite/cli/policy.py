"""``novalite policy``: the rules in force, and why somebody may or may not. Nothing of it asks an appliance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from novalite.cli.commands import Branch
from novalite.cli.session import Session, pass_session

if TYPE_CHECKING:
    from novalite.cloud.identity.policy import Book

_CONFIG = click.option(
    "--config", "settings_file", type=click.Path(dir_okay=False, path_type=Path), help="A settings file (TOML)."
)
_FILE = click.option("--file", help="A policy file; otherwise the one that the settings name.")


@click.group(cls=Branch)
def policy() -> None:
    """Who may do what, and why somebody may not."""


def _book(session: Session, settings_file: Path | None, file: str | None) -> Book:
    from novalite.cloud.identity import policy as rules
    from novalite.settings import load

    given = {"state_dir": session.state_dir} if session.state_dir else {}
    settings, _ = load(arguments=given, environment=session.environment, file=settings_file)
    return rules.read(settings.policy.file if file is None else file)


@policy.command()
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option("--changed", is_flag=True, help="Only rules that the file gives.")
@_CONFIG
@_FILE
@pass_session
def show(session: Session, words: tuple[str, ...], changed: bool, settings_file: Path | None, file: str | None) -> None:
    """List the rules in force whose names hold all WORDs: their checks, and what they would be without a file."""
    from novalite.cloud.identity.policy import BASE, DEFAULTS

    book = _book(session, settings_file, file)
    rows = [
        {
            "rule": name,
            "check": check,
            "origin": "file" if name in book.changed else "default",
            "default": DEFAULTS[name].check if name in DEFAULTS else BASE.get(name),
            "scope": "project" if name in DEFAULTS and DEFAULTS[name].project_only else "any",
        }
        for name, check in sorted(book.texts.items())
        if all(word in name for word in words) and (not changed or name in book.changed)
    ]
    session.show_list(
        rows,
        [
            ("Rule", lambda each: each["rule"]),
            ("Check", lambda each: each["check"] or "@"),
            ("Origin", lambda each: each["origin"]),
            ("Tokens of", lambda each: each["scope"]),
        ],
    )


@policy.command()
@click.argument("rule")
@click.option("--role", "roles", multiple=True, help="A role of the caller; may be repeated.")
@click.option("--user", "user_id", default="caller", show_default=True, help="Id of the caller.")
@click.option("--project", "project_id", default="project", show_default=True, help="Id of the caller's project.")
@click.option("--system", is_flag=True, help="The caller's token is of the system, not of a project.")
@click.option("--of-user", default="", help="Id of the user whose object it is; otherwise the caller's own.")
@click.option("--of-project", default="", help="Id of the project whose object it is; otherwise the caller's own.")
@_CONFIG
@_FILE
@click.pass_context
@pass_session
def check(
    session: Session,
    context: click.Context,
    rule: str,
    roles: tuple[str, ...],
    user_id: str,
    project_id: str,
    system: bool,
    of_user: str,
    of_project: str,
    settings_file: Path | None,
    file: str | None,
) -> None:
    """Tell whether a caller may do RULE, and what of the rule holds. Exits 1 when it may not."""
    from novalite.cloud.identity import policy as rules
    from novalite.cloud.identity.roles import with_implied
    from novalite.context import Context
    from novalite.errors import NotFound

    if not rules.known(rule):
        raise NotFound(
            "rule", rule, message=f"No operation asks for the rule {rule}.", hint="See 'novalite policy show'."
        )
    book = _book(session, settings_file, file)
    own = "" if system else project_id
    ctx = Context(user_id=user_id, project_id=own, roles=with_implied(roles), system=system)
    target = rules.target(ctx, user_id=of_user, project_id=of_project)
    allowed, why = book.allows(rule, ctx, target), list(book.why(rule, ctx, target))
    if session.json:
        session.show_one({"rule": rule, "allowed": allowed, "check": book.texts[rule], "why": why}, [])
    else:
        click.echo(f"{'allowed' if allowed else 'refused'}: {rule}\n{rule} = {book.texts[rule] or '@'}")
        click.echo("\n".join(why))
    context.exit(0 if allowed else 1)
