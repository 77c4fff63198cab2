"""The pages name every command, filter and weigher there is."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from novalite.cli.main import OPERATORS, PEOPLE, cli

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", [*PEOPLE, *OPERATORS])
def test_every_command_and_its_verbs_are_described(name: str) -> None:
    text = (DOCS / "cli.md").read_text()
    command = cli.get_command(click.Context(cli), name)
    assert name in text
    if isinstance(command, click.Group):
        missing = [verb for verb in command.commands if verb not in text]
        assert missing == []


def test_every_filter_and_weigher_is_described() -> None:
    text = (DOCS / "scheduler.md").read_text()
    for group in ("novalite.scheduler.filters", "novalite.scheduler.weighers"):
        missing = [point.name for point in entry_points(group=group) if f"`{point.name}`" not in text]
        assert missing == []
