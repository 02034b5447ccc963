"""``hookferry completion``: print the script with which a shell completes the command."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL; install it like this.

    \b
    bash: hookferry completion bash > ~/.local/share/bash-completion/completions/hookferry
    zsh:  hookferry completion zsh > "${fpath[1]}/_hookferry"
    fish: hookferry completion fish > ~/.config/fish/completions/hookferry.fish
    """  # noqa: D301 - a real backspace makes click keep the line breaks
    kind = get_completion_class(shell)
    assert kind is not None, "click supports these three"
    root = ctx.find_root().command
    click.echo(kind(root, {}, "hookferry", "_HOOKFERRY_COMPLETE").source())
