"""How an error ends the command: what, why and what to do on stderr, and an exit code by family."""

from __future__ import annotations

import json

import click

from novalite import errors

EXIT_CODES: tuple[tuple[type[errors.NovaLiteError], int], ...] = (
    (errors.NotFound, 3),
    (errors.Unavailable, 4),
    (errors.NovaLiteError, 1),
)


def report(error: Exception, *, as_json: bool) -> int | None:
    """Print ``error`` and return the exit code; None when it is not one that can be told to a person."""
    if isinstance(error, OSError) and error.filename:
        error = errors.Failed(f"{error.strerror}: {error.filename}", code="os.failed")
    if not isinstance(error, errors.NovaLiteError):
        return None
    if as_json:
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        click.echo(json.dumps({"error": told}, ensure_ascii=False), err=True)
    else:
        click.secho(f"novalite: {error.message}", err=True, fg="red")
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
    return next(code for family, code in EXIT_CODES if isinstance(error, family))
