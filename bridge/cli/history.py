"""``hookferry history``: find the attempts that were made, and show one as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.cli import progress
from bridge.cli.attempt_filters import AttemptIdType, attempt_filters, wanted_attempts
from bridge.cli.output import Output, output_option, show, terminal_width
from bridge.cli.parked_selection import refuse_unknown
from bridge.cli.run import config_option
from bridge.cli.terminal import read_settings

if TYPE_CHECKING:
    from bridge.history.attempt import AttemptId, Kept
    from bridge.history.reader import Found
    from bridge.history.store import HistoryStore
    from bridge.settings import Settings

T = TypeVar("T")
_MOST = 10_000


@click.group(invoke_without_command=True, short_help="Find attempts, and show one as it was.")
@attempt_filters
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, _MOST),
    default=100,
    show_default=True,
    help=f"At most this number of attempts, the newest ones; at most {_MOST}.",
)
@click.option("--bodies", is_flag=True, help="Show request and answer of each attempt as they were.")
@output_option
@config_option
def history(path: Path, output: Output, limit: int, bodies: bool, **given: Any) -> None:
    """Find attempts in the topic <group>.attempts, and print them, the newest last.

    Every request that the bridge made is there, with its answer, until the retention of the topic ends.
    An attempt has an id, which `hookferry history show` takes.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from bridge.cli import history_output as shown

    settings = read_settings(path)
    found = _with(settings, lambda store: store.newest(wanted_attempts(given), limit, bodies=bodies))
    if not found.attempts:
        refuse_unknown(settings, given, set())

    def lines() -> Iterator[str]:
        if bodies:
            for kept in found.attempts:
                yield from (*shown.page(kept), "")
        elif found.attempts:
            yield from shown.table(found.attempts, terminal_width())

    show(output, [shown.document(kept, bodies=bodies) for kept in found.attempts], lines)
    _note(found, limit)


@history.command("show", short_help="Show one attempt: request and answer as they were.")
@click.argument("attempt", type=AttemptIdType())
@output_option
@config_option
def show_(path: Path, attempt: AttemptId, output: Output) -> None:
    """Show one attempt: what was sent, what was answered, and what followed."""
    from bridge.cli import history_output as shown
    from bridge.errors import HookferryError

    settings = read_settings(path)
    kept: Kept | None = _with(settings, lambda store: store.fetch(attempt))
    if kept is None:
        raise HookferryError(
            f"no attempt {attempt}: the retention of the topic may have deleted it; `hookferry history`"
            " prints the ids"
        )
    show(output, shown.document(kept, bodies=True), lambda: shown.page(kept))


def _with(settings: Settings, work: Callable[[HistoryStore], Awaitable[T]]) -> T:
    """Call ``work`` with the history of the group."""
    from bridge.wiring.kafka import build_history_store

    async def connected() -> T:
        async with build_history_store(settings) as store:
            return await work(store)

    return progress.run(connected(), "reading the history")


def _note(found: Found, limit: int) -> None:
    """Print on standard error the limits of the output, and what was skipped."""
    number = len(found.attempts)
    for place, cause in found.unreadable.items():
        click.echo(f"{place} was skipped: {cause}", err=True)
    if found.cut:
        click.echo(
            f"{number} attempts; older ones may match, but do not fit into memory: narrow it with --until",
            err=True,
        )
    elif number == limit:
        click.echo(f"the newest {number} attempts; --limit shows more", err=True)
    else:
        click.echo(f"{number} attempts" if number else "no attempt matches", err=True)
