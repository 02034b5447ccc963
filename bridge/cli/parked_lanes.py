"""Held lanes on the command line: select them, send what waits in them, and report the outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.output import at_most

if TYPE_CHECKING:
    from bridge.dead_letters.hold import Hold, HoldKey
    from bridge.dead_letters.letter import Letter, LetterFilter
    from bridge.dead_letters.redrive import Outcome
    from bridge.dead_letters.store import DeadLetterStore

_SHOWN = 10

wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until the bridges have settled the requests and released the held lanes.",
)


def select_lanes(holds: Mapping[HoldKey, Hold], asked: LetterFilter) -> set[HoldKey]:
    """Return the held lanes that match filters by endpoint and entity, even if no event waits in them."""
    from bridge.dead_letters.letter import LetterFilter

    if asked != LetterFilter(endpoint=asked.endpoint, entity=asked.entity):
        return set()
    return {
        key
        for key, hold in holds.items()
        if asked.endpoint in (None, key.endpoint) and asked.entity in (None, hold.entity)
    }


async def redrive_lanes(
    dead: DeadLetterStore, lanes: Collection[HoldKey], by: str, wait_s: float, more: Sequence[Letter] = ()
) -> Outcome:
    """Send what waits in held lanes, until they are released or the reason against it is known."""
    from bridge.clock import SystemClock
    from bridge.dead_letters.redrive import RedriveRounds

    def progress(text: str) -> None:
        click.echo(text, err=True)

    return await RedriveRounds(dead, by, SystemClock(), wait_s=wait_s, report_progress=progress).run(
        lanes, more
    )


def report(outcome: Outcome, holds: Mapping[HoldKey, Hold]) -> bool:
    """Print the outcome for each lane; return True if all are released."""
    from bridge.cli.parked_output import one_line
    from bridge.telemetry.scrub import scrub

    if outcome.released:
        click.echo(f"released: {lanes(len(outcome.released))}")
    listed = list(outcome.refused.items())[: at_most(_SHOWN)]
    for key, letter in listed:
        cause = one_line(scrub(letter.facts["cause"]))
        click.echo(
            f"still held: {name(key, holds[key])}: parked again at {letter.address}: {cause}", err=True
        )
    if len(outcome.refused) > len(listed):
        click.echo(f"… and {len(outcome.refused) - len(listed)} more lanes that are still held", err=True)
    if outcome.waiting:
        click.echo(
            f"not confirmed yet: {lanes(len(outcome.waiting))} ({_some(outcome.waiting)}). No bridge has"
            " processed all events that were sent again; it will continue. Is a bridge running, and the"
            " endpoint on (`hookferry endpoints list`)? Check `hookferry parked list --holds` later",
            err=True,
        )
    if outcome.busy:
        click.echo(
            f"still held: {lanes(len(outcome.busy))} ({_some(outcome.busy)}): new events arrived in every"
            " round; run the command again when fewer events arrive",
            err=True,
        )
    return not (outcome.refused or outcome.waiting or outcome.busy)


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome of held lanes as JSON values."""
    return {
        "released": len(outcome.released),
        "parked_again": [str(letter.address) for letter in outcome.refused.values()],
        "not_confirmed": len(outcome.waiting),
        "still_busy": len(outcome.busy),
    }


def name(key: HoldKey, hold: Hold) -> str:
    """Return the name of a held lane for people."""
    from bridge.cli.parked_output import one_line

    return f"{key.endpoint}, entity {one_line(hold.entity) or '-'} ({hold.partition})"


def _some(holds: Mapping[HoldKey, Hold]) -> str:
    shown = [name(key, hold) for key, hold in list(holds.items())[: at_most(3)]]
    return "; ".join([*shown, *(["…"] if len(holds) > len(shown) else [])])


def lanes(number: int) -> str:
    """Return the number of held lanes in words."""
    return f"{number} held lane{'' if number == 1 else 's'}"


def documents(
    holds: Mapping[HoldKey, Hold], waiting: Mapping[HoldKey, Sequence[Letter]]
) -> Iterator[dict[str, Any]]:
    """Yield the holds as JSON values, the oldest first."""
    from bridge.cli.parked_output import instant

    for key, hold in sorted(holds.items(), key=lambda item: item[1].since_ms):
        letters = waiting.get(key, ())
        yield {
            "endpoint": key.endpoint,
            "lane": key.lane_id,
            "partition": str(hold.partition),
            "entity": hold.entity or None,
            "tenant": hold.lane.tenant or None,
            "since": instant(hold.since_ms),
            "waits_for": hold.first,
            "parked": [str(letter.address) for letter in letters if not letter.held_behind],
            "behind": sum(letter.held_behind is not None for letter in letters),
        }


def table(shown: Sequence[Mapping[str, Any]]) -> str:
    """Return the holds as a table."""
    from bridge.cli.output import cut
    from bridge.cli.output import table as aligned
    from bridge.cli.parked_output import one_line

    rows = [("HELD FOR", "ENTITY", "SINCE", "WAITS FOR", "PARKED AT", "BEHIND")]
    for row in shown:
        first = row["parked"][: at_most(3)]
        parked = ", ".join(first) + (" …" if len(row["parked"]) > len(first) else "")
        entity = cut(one_line(row["entity"] or "-"), at_most(28))
        rows.append(
            (row["endpoint"], entity, row["since"], row["waits_for"], parked or "-", str(row["behind"]))
        )
    return aligned(rows)
