"""What one run of the command was told: where the appliance lives, which cloud, how to print."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from novalite.cli.client import Client
    from novalite.cli.output import Column

Environment = Mapping[str, str]


@dataclass
class Session:
    """Handed to every command. ``connect`` can be replaced to reach an appliance in the same process."""

    state_dir: str = ""
    cloud: str = ""
    json: bool = False
    environment: Environment = field(default_factory=lambda: os.environ)
    connect: Callable[[Session], Client] | None = None

    @property
    def state_path(self) -> Path:
        """The option, else what the settings say (environment, file, default)."""
        if self.state_dir:
            return Path(self.state_dir)
        from novalite.settings import load

        return load(environment=self.environment)[0].state_path

    @cached_property
    def client(self) -> Client:
        if self.connect is not None:
            return self.connect(self)
        from novalite.cli.client import Client
        from novalite.cli.credentials import find

        return Client(find(self))

    @cached_property
    def appliance(self) -> Client:
        """The local appliance as its admin, whatever cloud the other commands speak to."""
        if self.connect is not None:
            return self.connect(self)
        from novalite.cli.client import Client
        from novalite.cli.credentials import of_appliance

        return Client(of_appliance(self.state_path))

    def close(self) -> None:
        """Let go of connections."""
        for name in ("client", "appliance"):
            if name in self.__dict__:
                self.__dict__[name].close()

    def show_list(self, objects: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        """A table, or the objects themselves as JSON."""
        from novalite.cli import output

        if self.json:
            output.emit_json(objects)
        else:
            output.table([name for name, _ in columns], [[value(each) for _, value in columns] for each in objects])

    def show_one(self, thing: Mapping[str, Any], facts: Iterable[tuple[str, Any]]) -> None:
        """Names and values, or the object itself as JSON."""
        from novalite.cli import output

        if self.json:
            output.emit_json(thing)
        else:
            output.facts(facts)

    def say(self, text: str) -> None:
        """A remark for people; programs that asked for JSON do not get it."""
        if not self.json:
            click.echo(text, err=True)


pass_session = click.make_pass_decorator(Session)
