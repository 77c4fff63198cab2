"""Tables and facts: rich on a terminal, plain aligned columns in a pipe, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

Column = tuple[str, Callable[[Mapping[str, Any]], Any]]

_STYLES = {
    "ACTIVE": "green",
    "active": "green",
    "up": "green",
    "enabled": "green",
    "running": "green",
    "ERROR": "bold red",
    "error": "bold red",
    "down": "bold red",
    "failed": "bold red",
    "BUILD": "yellow",
    "REBOOT": "yellow",
    "HARD_REBOOT": "yellow",
    "disabled": "yellow",
    "queued": "yellow",
    "saving": "yellow",
    "SHUTOFF": "dim",
    "PAUSED": "cyan",
    "SUSPENDED": "cyan",
}


def printable(value: Any) -> str:
    """Text safe for a terminal: names may hold control characters that others chose."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{printable(key)}={printable(item)}" for key, item in value.items()) or "-"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(printable(item) for item in value) or "-"
    return "".join(mark if mark.isprintable() else "·" for mark in str(value))


def emit_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def is_terminal() -> bool:
    return sys.stdout.isatty()


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    texts = [[printable(cell) for cell in row] for row in rows]
    if is_terminal():
        _rich_table(headers, texts)
    else:
        _plain(([name.upper() for name in headers], *texts))


def facts(pairs: Iterable[tuple[str, Any]]) -> None:
    rows = [[name, printable(value)] for name, value in pairs]
    if is_terminal():
        _rich_table(None, rows)
    else:
        _plain(rows)


def _plain(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(headers: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if headers is not None:
        headers, rows = fitting(headers, rows, console.width)
    grid = Table(box=SIMPLE_HEAD, show_header=headers is not None, pad_edge=False, header_style="bold")
    for name in headers or ("", ""):
        grid.add_column(name, overflow="fold", no_wrap=name in ("ID", "Status"))
    for row in rows:
        grid.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    console.print(grid)


def fitting(
    headers: Sequence[str], rows: Sequence[Sequence[str]], width: int
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The table without its ids when it is wider than the terminal: commands take names as well."""
    widest = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    if "ID" not in headers or "Name" not in headers or sum(widest) + 3 * len(widest) <= width:
        return headers, rows
    place = headers.index("ID")
    return [*headers[:place], *headers[place + 1 :]], [[*row[:place], *row[place + 1 :]] for row in rows]
