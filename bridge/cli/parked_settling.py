"""``hookferry parked redrive`` and ``discard``: settle parked events, and report what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli import parked_lanes, progress
from bridge.cli.asking import confirm, yes_option
from bridge.cli.output import Output, at_most, for_people, output_option, show, terminal_width
from bridge.cli.parked_plan import SHOWN, plan_discard, plan_redrive, report_result
from bridge.cli.parked_selection import AddressType, filters, refuse_unknown
from bridge.cli.run import config_option
from bridge.cli.shared_options import by_option
from bridge.cli.terminal import operator_name, read_settings

if TYPE_CHECKING:
    from bridge.cli.parked_plan import RedrivePlan
    from bridge.dead_letters.hold import Hold, HoldKey
    from bridge.dead_letters.letter import Address, Letter
    from bridge.dead_letters.store import DeadLetterStore
    from bridge.settings import Settings

T = TypeVar("T")

_addresses = click.argument("addresses", nargs=-1, type=AddressType(), metavar="[ADDRESS]...")
_dry_run = click.option("--dry-run", is_flag=True, help="Only print what would be done.")


def with_letters(settings: Settings, work: Callable[[DeadLetterStore], Awaitable[T]]) -> T:
    """Call ``work`` with the dead letters of the group."""
    from bridge.wiring.kafka import build_letters

    async def connected() -> T:
        async with build_letters(settings) as dead:
            return await work(dead)

    return progress.run(connected(), "reading the dead letters")


@click.command(short_help="Send parked events again, in order.")
@_addresses
@filters("--reason", "--parked-reason")
@yes_option
@_dry_run
@by_option
@parked_lanes.wait_option
@output_option
@config_option
def redrive(
    path: Path,
    addresses: tuple[Address, ...],
    yes: bool,
    dry_run: bool,
    by: str | None,
    wait_s: float,
    output: Output,
    **given: Any,
) -> None:
    """Send parked events again, in order, to the endpoint that they were parked for.

    Select them by ADDRESS or by filters. Filters skip events that are already redriven or discarded; an
    ADDRESS sends them again. For a held lane (on_park: hold), everything that waits in it is sent, in
    order, and the lane is released.
    """
    from bridge.cli.parked_output import document

    settings = read_settings(path)
    who = by or operator_name()
    done: dict[str, Any] = {"dry_run": dry_run}

    async def send(dead: DeadLetterStore) -> bool:
        holds = await dead.holds()
        plan = await plan_redrive(dead, settings, holds, addresses, given)
        done["selected"] = [document(letter) for letter in plan.letters]
        done["blocked"] = plan.blocked_documents()
        if not (plan.letters or plan.lanes or plan.blocked):
            refuse_unknown(settings, given, {key.endpoint for key in holds})
        _print_plan("send again", plan.letters)
        plan.print_notes()
        if dry_run or not (plan.requests or plan.lanes):
            return True
        confirm(plan.question(), yes=yes)
        try:
            return await _send(dead, settings, plan, holds, who, wait_s, done)
        finally:
            await _record(settings, "parked redrive", plan.letters, who, "", done)

    _carry_out(settings, send, output, done)


def _carry_out(
    settings: Settings,
    work: Callable[[DeadLetterStore], Awaitable[bool]],
    output: Output,
    done: Mapping[str, Any],
) -> None:
    """Do the work, print the document ``done`` that it filled, and exit with 1 if it returns False."""
    with for_people(output):
        well = with_letters(settings, work)
    show(output, done, lambda: ())
    if not well:
        raise SystemExit(ExitCode.FAILURE)


async def _send(
    dead: DeadLetterStore,
    settings: Settings,
    plan: RedrivePlan,
    holds: Mapping[HoldKey, Hold],
    who: str,
    wait_s: float,
    done: dict[str, Any],
) -> bool:
    """Carry out a plan, and report what the bridges did with it; return False if that is not all of it.

    ``done`` gets the numbers, for the document.
    """
    from bridge.cli.again import await_requests
    from bridge.dead_letters.resend_request import batches
    from bridge.wiring.kafka import again_topic

    topic, well = again_topic(settings), True
    if plan.requests:
        parts = list(batches(plan.requests))
        number = await _in_batches(parts, lambda batch: dead.redrive(batch, who), f"written to {topic}")
        done["written"] = number
    if plan.lanes:
        outcome = await parked_lanes.redrive_lanes(dead, plan.lanes, who, wait_s, plan.more)
        click.echo(f"{outcome.settled} of held lanes written to {topic}")
        done["written"] = done.get("written", 0) + outcome.settled
        done["lanes"] = parked_lanes.outcome_document(outcome)
        well = parked_lanes.report(outcome, holds) or not wait_s
    if plan.requests:
        result = await await_requests(dead, settings, plan.requests, wait_s)
        done |= {
            "delivered": result.delivered,
            "routed": result.routed,
            "parked_again": [str(letter.address) for letter in result.parked_again],
            "waiting": result.waiting,
        }
        well &= report_result(result, topic) or not wait_s
    return well


@click.command()
@_addresses
@filters("--parked-reason")
@click.option("--reason", "because", required=True, metavar="TEXT", help="Why it is not to be sent; stored.")
@yes_option
@_dry_run
@by_option
@parked_lanes.wait_option
@output_option
@config_option
def discard(
    path: Path,
    addresses: tuple[Address, ...],
    because: str,
    yes: bool,
    dry_run: bool,
    by: str | None,
    wait_s: float,
    output: Output,
    **given: Any,
) -> None:
    """Mark parked events as never to be sent. Sends none of them and deletes nothing.

    If a held lane waits for one of them (on_park: hold), the later events of that lane are sent.
    """
    from bridge.cli.parked_output import document

    settings = read_settings(path)
    who = by or operator_name()
    done: dict[str, Any] = {"dry_run": dry_run}

    async def mark(dead: DeadLetterStore) -> bool:
        holds = await dead.holds()
        plan = await plan_discard(dead, settings, holds, addresses, given)
        if not plan.letters:
            refuse_unknown(settings, given, {key.endpoint for key in holds})
        done["selected"] = [document(letter) for letter in plan.letters]
        _print_plan("discard", plan.letters)
        plan.print_notes()
        if dry_run or not plan.letters:
            return True
        confirm(f"Discard {len(plan.letters)}?", yes=yes)
        await _discard(dead, plan.letters, who, because, done)
        await _record(settings, "parked discard", plan.letters, who, because, done)
        return not plan.lanes or await _send_later(dead, plan.lanes, holds, who, wait_s, done)

    _carry_out(settings, mark, output, done)


async def _discard(
    dead: DeadLetterStore, letters: Sequence[Letter], who: str, because: str, done: dict[str, Any]
) -> None:
    """Mark these as discarded. ``done`` gets the number, for the document."""
    from bridge.dead_letters.resend_request import BATCH_SIZE

    parts = [letters[at : at + BATCH_SIZE] for at in range(0, len(letters), BATCH_SIZE)]
    done["discarded"] = await _in_batches(parts, lambda batch: dead.discard(batch, who, because), "discarded")


async def _send_later(
    dead: DeadLetterStore,
    lanes: Collection[HoldKey],
    holds: Mapping[HoldKey, Hold],
    who: str,
    wait_s: float,
    done: dict[str, Any],
) -> bool:
    """Send the later events of held lanes; return False unless all of them are released."""
    outcome = await parked_lanes.redrive_lanes(dead, lanes, who, wait_s)
    click.echo(f"{outcome.settled} sent again")
    done["lanes"] = parked_lanes.outcome_document(outcome)
    return parked_lanes.report(outcome, holds) or not wait_s


def _print_plan(verb: str, letters: Sequence[Letter]) -> None:
    from bridge.cli import parked_output as shown

    progress.clear()
    if not letters:
        click.echo(f"nothing to {verb}")
        return
    listed = letters[: at_most(SHOWN)]
    for line in shown.table(listed, terminal_width()):
        click.echo(line)
    if len(letters) > len(listed):
        click.echo(f"… and {len(letters) - len(listed)} more")
    by_endpoint = Counter(letter.endpoint or "all endpoints" for letter in letters)
    counts = ", ".join(f"{number} for {name}" for name, number in sorted(by_endpoint.items()))
    click.echo(f"{verb}: {counts}")


async def _record(
    settings: Settings, action: str, letters: Sequence[Letter], who: str, reason: str, done: Mapping[str, Any]
) -> None:
    """Write what was done into the audit, also if it was not all that was asked for."""
    from bridge.core.changes import Change
    from bridge.wiring.audit import now, record_change

    numbers = ", ".join(f"{name} {value}" for name, value in done.items() if isinstance(value, int))
    subject = ", ".join(str(letter.address) for letter in letters) or "held lanes"
    await record_change(settings, Change(now(), who, action, subject, reason, numbers))


async def _in_batches(
    batches: Sequence[Sequence[T]], act: Callable[[Sequence[T]], Awaitable[int]], done: str
) -> int:
    """Act on each batch; print and return how many letters that concerned. Print it also if one fails."""
    number, bar = 0, progress.begin("writing", sum(map(len, batches)))
    try:
        for batch in batches:
            number += await act(batch)
            bar.step(len(batch))
    finally:
        progress.clear()
        click.echo(f"{number} {done}")
    return number
