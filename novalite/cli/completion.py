"""``novalite completion``."""

from __future__ import annotations

import click

from novalite.cli.commands import Leaf


@click.command(cls=Leaf)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete this command.

    \b
    bash:  novalite completion bash > /etc/bash_completion.d/novalite
    zsh:   novalite completion zsh > "${fpath[1]}/_novalite"
    fish:  novalite completion fish > ~/.config/fish/completions/novalite.fish
    """
    from click.shell_completion import get_completion_class

    maker = get_completion_class(shell)
    if maker is None:
        raise click.BadParameter(f"no completion for {shell}", context)
    click.echo(maker(context.find_root().command, {}, "novalite", "_NOVALITE_COMPLETE").source())
