"""``hookferry completion``: what a shell needs to complete the command."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    bash: hookferry completion bash > ~/.local/share/bash-completion/completions/hookferry
    zsh:  hookferry completion zsh > "${fpath[1]}/_hookferry"
    fish: hookferry completion fish > ~/.config/fish/completions/hookferry.fish
    """  # noqa: D301 - a real backspace is how click is told to keep the lines
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these three"
    root = ctx.find_root().command
    click.echo(kind(root, {}, "hookferry", "_HOOKFERRY_COMPLETE").source())
