"""``hookferry history``: find the attempts that were made, and show one as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.cli import progress
from bridge.cli.output import Output, output_option, show, terminal_width
from bridge.cli.parked_selection import InstantType, refuse_unknown
from bridge.cli.run import config_option
from bridge.cli.shell_names import endpoint_names, event_types
from bridge.cli.terminal import read_settings

if TYPE_CHECKING:
    from bridge.history.attempt import AttemptId, Kept
    from bridge.history.reader import Found
    from bridge.history.selection import AttemptFilter
    from bridge.history.store import HistoryStore
    from bridge.settings import Settings

T = TypeVar("T")
_MOST = 10_000
_VERDICTS = ("delivered", "again", "park", "off")


class AttemptIdType(click.ParamType):  # type: ignore[type-arg]  # no type argument before click 8.5
    """The id of an attempt."""

    name = "attempt"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> AttemptId:
        """Parse the id."""
        from bridge.history.attempt import AttemptId

        try:
            return AttemptId.parse(value)
        except ValueError as exc:
            self.fail(f"{exc}; `hookferry history` prints the ids", param, ctx)


class StatusType(click.ParamType):  # type: ignore[type-arg]  # no type argument before click 8.5
    """A status of an answer, or a class of them."""

    name = "status"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the status."""
        from bridge.history.selection import check_status

        try:
            return check_status(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


@click.group(invoke_without_command=True, short_help="Find attempts, and show one as it was.")
@click.option(
    "--endpoint",
    "-e",
    metavar="NAME",
    shell_complete=endpoint_names,
    help="Only attempts of this endpoint, also of one that was removed.",
)
@click.option("--event", metavar="ID", help="Only attempts of this event: its id, or its webhook-id.")
@click.option(
    "--type",
    "type_",
    metavar="PATTERN",
    shell_complete=event_types,
    help="Only events of this type: a name or a pattern such as Loan*.",
)
@click.option("--entity", metavar="ID", help="Only events of this entity.")
@click.option("--tenant", metavar="NAME", help="Only events of this tenant.")
@click.option("--since", type=InstantType(), help="Only attempts since: 2h or 7d (ago), or an instant.")
@click.option("--until", type=InstantType(), help="Only attempts before: 2h or 7d (ago), or an instant.")
@click.option("--status", type=StatusType(), help="Only answers with this status: 503, 5xx, or none.")
@click.option("--verdict", type=click.Choice(_VERDICTS), help="Only attempts with this verdict.")
@click.option(
    "--text",
    metavar="TEXT",
    help="Only attempts with this text in reason, URL, headers or bodies, in any case.",
)
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
    found = _with(settings, lambda store: store.newest(_wanted(given), limit, bodies=bodies))
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


def _wanted(given: dict[str, Any]) -> AttemptFilter:
    from bridge.history.selection import AttemptFilter

    return AttemptFilter(
        endpoint=given["endpoint"],
        event=given["event"],
        type=given["type_"],
        entity=given["entity"],
        tenant=given["tenant"],
        since_ms=given["since"],
        until_ms=given["until"],
        status=given["status"],
        verdict=given["verdict"],
        text=given["text"],
    )


def _with(settings: Settings, work: Callable[[HistoryStore], Awaitable[T]]) -> T:
    """Call ``work`` with the history of the group."""
    from bridge.wiring.kafka import build_history_store

    async def connected() -> T:
        async with build_history_store(settings) as store:
            return await work(store)

    return progress.run(connected(), "reading the history")


def _note(found: Found, limit: int) -> None:
    """Print on standard error what a reader of the output must know about it."""
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
