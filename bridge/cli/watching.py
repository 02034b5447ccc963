"""Repeat what a command shows until Ctrl-C, for ``--watch``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click

watch_option = click.option(
    "--watch",
    "-w",
    "every_s",
    type=click.FloatRange(min=0.2),
    is_flag=False,
    flag_value=2.0,
    default=None,
    metavar="[SECONDS]",
    help="Show it again every SECONDS (2 without a number) until Ctrl-C.",
)


def watch(show: Callable[[], None], every_s: float | None) -> None:
    """Call ``show`` once, or again and again; a terminal is cleared before each time.

    An error of the first time ends the command. Later ones are printed, and the next time follows.
    """
    from bridge.errors import HookferryError

    show()
    while every_s is not None:
        try:
            time.sleep(every_s)
            if sys.stdout.isatty():
                click.clear()
            show()
        except HookferryError as exc:
            click.echo(f"hookferry: {exc}", err=True)
        except KeyboardInterrupt:
            return
