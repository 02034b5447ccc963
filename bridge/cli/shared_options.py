"""Options that several commands have: times, who makes a change, and why."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
Command = Callable[..., None]

by_option = click.option(
    "--by", metavar="NAME", help="Who does this, for the record; default: the current user at this host."
)
reason_option = click.option("--reason", metavar="TEXT", default="", help="Why, for the record.")
off_reason_option = click.option(
    "--reason", default="turned off by an operator", show_default=True, help="Why; `list` shows it."
)


def with_options(options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Return a decorator that adds these options to a command, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


class InstantType(click.ParamType):  # type: ignore[type-arg]  # no type argument before click 8.5
    """An instant on the command line: a time ago, or a date and time."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return Unix milliseconds for ``2h`` (ago) or an RFC 3339 instant; without a zone it is UTC."""
        ago = re.fullmatch(r"(\d{1,6})([smhd])", value)
        if ago:
            return int((time.time() - int(ago[1]) * _UNITS_S[ago[2]]) * 1000)
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is not an instant; write 2h or 7d (ago), or 2026-06-29T08:15:00Z", param, ctx
            )
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
