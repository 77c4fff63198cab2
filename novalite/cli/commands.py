"""How commands are found and which options all of them take. A command's module is imported when it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import click

from novalite.cli.session import Session

Sections = Mapping[str, Mapping[str, tuple[str, str]]]


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, _option: click.Parameter, value: Any) -> None:
        if value:
            setattr(context.ensure_object(Session), name, value)

    return keep


def shared_options() -> list[click.Parameter]:
    """Taken before the command's name and after it alike."""
    return [
        click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_remember("json"), help="Print JSON, for programs."
        ),
        click.Option(
            ["--cloud"],
            metavar="NAME",
            expose_value=False,
            callback=_remember("cloud"),
            help="A cloud from a clouds.yaml; otherwise OS_* variables or the local appliance.",
        ),
        click.Option(
            ["--state-dir"],
            metavar="DIR",
            expose_value=False,
            callback=_remember("state_dir"),
            help="State directory of the local appliance.",
        ),
    ]


class Leaf(click.Command):
    """A command that does something."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.params.extend(shared_options())


class Branch(click.Group):
    """A noun with its verbs."""

    command_class = Leaf


class LazyGroup(click.Group):
    """The root. ``sections`` maps headings to name -> (``module:attribute``, help line)."""

    def __init__(self, *arguments: Any, sections: Sections, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.params.extend(shared_options())
        self.sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in self.sections.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in self.sections.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name][0].partition(":")
                command: click.Command = getattr(import_module(module), attribute)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, section in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, text) for name, (_, text) in section.items()])
