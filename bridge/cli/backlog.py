"""Count the events that wait, for a command: with its option, its progress bar, and its notes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bridge.core.lag import CursorLag
    from bridge.core.switches import EventTypes, Switches

DEFAULT_SCAN = 100_000
scan_option = click.option(
    "--scan",
    metavar="N",
    type=click.IntRange(min=0),
    default=DEFAULT_SCAN,
    show_default=True,
    help="Read at most this number of records to count the events that wait; 0: show the offsets instead.",
)


async def count_events(
    path: Path, rows: Sequence[CursorLag], event_types: Switches[EventTypes], scan: int
) -> list[CursorLag]:
    """Return the rows with their backlogs; print what cannot be counted. Raises ``KafkaUnavailable``."""
    import os

    from bridge.cli import progress
    from bridge.wiring import backlog

    def note(line: str) -> None:
        click.echo(line, err=True)

    counts = scan and any(row.configured and row.offsets for row in rows)
    decoding = backlog.build_decoding(path, os.environ, note) if counts else None
    return await backlog.count_events(
        decoding, rows, event_types, scan, lambda total: progress.begin("counting events", total)
    )
