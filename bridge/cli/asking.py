"""Ask before a change that cannot be undone, unless ``--yes`` is given."""

from __future__ import annotations

import click

from bridge.cli import progress

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")


def confirm(question: str, *, yes: bool) -> None:
    """Return if the answer is yes, or ``yes`` is given. Otherwise the command ends with exit code 1."""
    progress.clear()
    if not yes:
        click.confirm(question, abort=True, err=True)
