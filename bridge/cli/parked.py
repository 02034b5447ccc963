"""``hookferry parked``: list parked events, show one, send them again, or discard them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli import parked_lanes, progress
from bridge.cli.asking import confirm, yes_option
from bridge.cli.output import Output, output_option, show, terminal_width
from bridge.cli.parked_plan import NOT_TAKEN, SHOWN, plan_redrive, report_result
from bridge.cli.parked_selection import (
    UNREADABLE_REMEDY,
    AddressType,
    chosen,
    filters,
    find,
    refuse_unknown,
    same_events,
    wanted,
)
from bridge.cli.run import config_option
from bridge.cli.terminal import operator_name, read_settings
from bridge.cli.watching import watch, watch_option

if TYPE_CHECKING:
    from bridge.cli.parked_plan import RedrivePlan
    from bridge.dead_letters.hold import Hold, HoldKey
    from bridge.dead_letters.letter import Address, Letter
    from bridge.dead_letters.store import DeadLetterStore
    from bridge.model import Damage
    from bridge.settings import Settings

T = TypeVar("T")

_addresses = click.argument("addresses", nargs=-1, type=AddressType(), metavar="[ADDRESS]...")
_dry_run = click.option("--dry-run", is_flag=True, help="Only print what would be done.")
_by = click.option(
    "--by", metavar="NAME", help="Who does this, for the record; default: the current user at this host."
)


@click.group(short_help="List and show parked events, send them again, or discard them.")
def parked() -> None:
    """List and show parked events, send them again, or discard them.

    A parked event has an ADDRESS: partition:offset in the topic <group>.parked.
    """


@parked.command("list", short_help="List parked events and held lanes, the oldest first.")
@filters("--reason", "--parked-reason")
@click.option("--all", "all_", is_flag=True, help="Include events that were redriven or discarded since.")
@click.option("--holds", "holds_only", is_flag=True, help="List only the held lanes.")
@watch_option
@output_option
@config_option
def list_(
    path: Path, all_: bool, holds_only: bool, output: Output, every_s: float | None, **given: Any
) -> None:
    """List parked events, the oldest first, and the lanes that are held because of them.

    An event is queued if it was redriven and still waits in <group>.again: no bridge has settled it yet. JSON
    and YAML have the events, or with --holds the lanes.
    """
    watch(lambda: _print_list(path, all_, holds_only, output, given), every_s)


def _print_list(path: Path, all_: bool, holds_only: bool, output: Output, given: dict[str, Any]) -> None:
    from bridge.cli import parked_output as shown
    from bridge.cli.again import find_waiting_requests, mark_queued
    from bridge.dead_letters.letter import Fate
    from bridge.kafka.session import AdminSession
    from bridge.wiring.kafka import build_kafka_options

    settings = read_settings(path)
    mask = shown.mask_of(settings)
    unreadable: dict[Address, Damage] = {}

    async def look(dead: DeadLetterStore) -> tuple[list[dict[str, Any]], list[Letter]]:
        holds = await dead.holds()
        letters = [] if holds_only else await find(dead, (), wanted(given), settled=True)
        unreadable.update(dead.unreadable)
        if any(letter.fate is Fate.REDRIVEN for letter in letters):
            async with AdminSession(build_kafka_options(settings.kafka)) as visit:
                mark_queued(letters, await find_waiting_requests(visit, settings))
        letters = [one for one in letters if all_ or one.queued or one.fate is Fate.WAITING]
        lanes = parked_lanes.select_lanes(holds, wanted(given)) | parked_lanes.lanes_of(holds, letters)
        if not letters and not lanes:
            refuse_unknown(settings, given, {key.endpoint for key in holds})
        waiting = await parked_lanes.find_waiting(dead, lanes)
        return list(parked_lanes.documents({key: holds[key] for key in lanes}, waiting)), letters

    holds, selected = _with(settings, look)
    first = selected[: given["limit"]]
    for address, damage in unreadable.items():
        click.echo(f"{address} cannot be read: {shown.one_line(damage.cause)}; {UNREADABLE_REMEDY}", err=True)
    documents = holds if holds_only else [shown.document(letter, mask) for letter in first]

    def lines() -> Iterator[str]:
        yield from shown.table(first, mask, terminal_width()) if first else ()
        if holds:
            yield ("\n" if first else "") + parked_lanes.table(holds)

    show(output, documents, lines)
    if output is not Output.TABLE:
        return
    if not holds_only:
        click.echo(_counts(settings, selected, len(first)), err=True)
    click.echo(f"{len(holds)} lanes held" if holds else "no lane is held", err=True)


def _counts(settings: Settings, letters: Sequence[Letter], shown: int) -> str:
    """Return how many events are listed, and how many of them only wait in the topic for redrives."""
    from bridge.wiring.kafka import again_topic

    if not letters:
        return "nothing is parked"
    left = f", {len(letters) - shown} more" if len(letters) > shown else ""
    queued = sum(letter.queued for letter in letters)
    note = f"; {queued} of all are queued in {again_topic(settings)}: {NOT_TAKEN}" if queued else ""
    return f"{shown} parked{left}{note}"


@parked.command("show", short_help="Show everything about one parked event.")
@click.argument("address", type=AddressType())
@click.option(
    "--max-bytes",
    metavar="N",
    type=click.IntRange(min=1),
    default=16_384,
    show_default=True,
    help="Number of bytes of the value to show.",
)
@output_option
@config_option
def show_(path: Path, address: Address, output: Output, max_bytes: int) -> None:
    """Show everything about one parked event: its cause, its origin, and the request that was sent."""
    from bridge.cli import parked_output as shown
    from bridge.dead_letters.letter import LetterFilter

    async def look(dead: DeadLetterStore) -> Letter:
        (letter,) = await find(dead, (address,), LetterFilter(), settled=True)
        letter.origin = (await dead.fetch([address])).get(address, letter).origin
        return letter

    settings = read_settings(path)
    letter = _with(settings, look)
    document = shown.whole(letter, _bodies(path, settings, letter), shown.mask_of(settings), max_bytes)
    show(output, document, lambda: shown.page(document))


@parked.command(short_help="Send parked events again, in order.")
@_addresses
@filters("--reason", "--parked-reason")
@yes_option
@_dry_run
@_by
@parked_lanes.wait_option
@config_option
def redrive(
    path: Path,
    addresses: tuple[Address, ...],
    yes: bool,
    dry_run: bool,
    by: str | None,
    wait_s: float,
    **given: Any,
) -> None:
    """Send parked events again, in order, to the endpoint that they were parked for.

    Select them by ADDRESS or by filters. Filters skip events that are already redriven or discarded; an
    ADDRESS sends them again. For a held lane (on_park: hold), everything that waits in it is sent, in
    order, and the lane is released.
    """
    settings = read_settings(path)
    who = by or operator_name()

    async def send(dead: DeadLetterStore) -> bool:
        holds = await dead.holds()
        plan = await plan_redrive(dead, settings, holds, addresses, given)
        if not (plan.letters or plan.lanes or plan.blocked):
            refuse_unknown(settings, given, {key.endpoint for key in holds})
        _print_plan(settings, "send again", plan.letters)
        plan.print_notes()
        if dry_run or not (plan.requests or plan.lanes):
            return True
        confirm(plan.question(), yes=yes)
        return await _send(dead, settings, plan, holds, who, wait_s)

    if not _with(settings, send):
        raise SystemExit(ExitCode.FAILURE)


async def _send(
    dead: DeadLetterStore,
    settings: Settings,
    plan: RedrivePlan,
    holds: Mapping[HoldKey, Hold],
    who: str,
    wait_s: float,
) -> bool:
    """Carry out a plan, and report what the bridges did with it; return False if that is not all of it."""
    from bridge.cli.again import await_requests
    from bridge.cli.parked_output import mask_of
    from bridge.dead_letters.resend_request import batches
    from bridge.wiring.kafka import again_topic

    topic, well = again_topic(settings), True
    if plan.requests:
        parts = list(batches(plan.requests))
        await _in_batches(parts, lambda batch: dead.redrive(batch, who), f"written to {topic}")
    if plan.lanes:
        outcome = await parked_lanes.redrive_lanes(dead, plan.lanes, who, wait_s, plan.more)
        click.echo(f"{outcome.settled} of held lanes written to {topic}")
        well = parked_lanes.report(outcome, holds, mask_of(settings)) or not wait_s
    if plan.requests:
        result = await await_requests(dead, settings, plan.requests, wait_s)
        well &= report_result(result, topic) or not (wait_s or result.parked_again)
    return well


@parked.command()
@_addresses
@filters("--parked-reason")
@click.option("--reason", "because", required=True, metavar="TEXT", help="Why it is not to be sent; stored.")
@yes_option
@_dry_run
@_by
@parked_lanes.wait_option
@config_option
def discard(
    path: Path,
    addresses: tuple[Address, ...],
    because: str,
    yes: bool,
    dry_run: bool,
    by: str | None,
    wait_s: float,
    **given: Any,
) -> None:
    """Mark parked events as never to be sent. Sends none of them and deletes nothing.

    If a held lane waits for one of them (on_park: hold), the later events of that lane are sent.
    """
    from bridge.cli.parked_output import mask_of
    from bridge.dead_letters.letter import LetterFilter
    from bridge.dead_letters.redrive import cause_of
    from bridge.dead_letters.resend_request import BATCH_SIZE

    settings = read_settings(path)

    async def mark(dead: DeadLetterStore) -> bool:
        holds = await dead.holds()
        selected = await chosen(dead, addresses, given)
        if not selected:
            refuse_unknown(settings, given, {key.endpoint for key in holds})
        lanes = parked_lanes.lanes_of(holds, selected)
        if lanes:
            selected = same_events(selected, await dead.find(LetterFilter(lanes=frozenset(lanes))))
        gone = {letter.address for letter in selected}
        waiting = await parked_lanes.find_waiting(dead, lanes)
        behind = {
            key: letters
            for key in lanes
            if key.endpoint in settings.endpoints
            and cause_of(letters := [letter for letter in waiting.get(key, ()) if letter.address not in gone])
            is None
        }
        _print_plan(settings, "discard", selected)
        if behind:
            number = sum(map(len, behind.values()))
            click.echo(f"held lanes: {len(behind)}, with {number} later events that are sent then")
        if dry_run or not selected:
            return True
        confirm(f"Discard {len(selected)}?", yes=yes)
        parts = [selected[at : at + BATCH_SIZE] for at in range(0, len(selected), BATCH_SIZE)]
        who = by or operator_name()
        await _in_batches(parts, lambda batch: dead.discard(batch, who, because), "discarded")
        if not behind:
            return True
        outcome = await parked_lanes.redrive_lanes(dead, behind, by or operator_name(), wait_s)
        click.echo(f"{outcome.settled} sent again")
        return parked_lanes.report(outcome, holds, mask_of(settings)) or not wait_s

    if not _with(settings, mark):
        raise SystemExit(ExitCode.FAILURE)


def _with(settings: Settings, work: Callable[[DeadLetterStore], Awaitable[T]]) -> T:
    """Call ``work`` with the dead letters of the group."""
    from bridge.wiring.kafka import build_letters

    async def connected() -> T:
        async with build_letters(settings) as dead:
            return await work(dead)

    return progress.run(connected(), "reading the dead letters")


def _bodies(path: Path, settings: Settings, letter: Letter) -> list[bytes]:
    """Return the bodies that the bridge renders with the current configuration, or why it cannot."""
    from bridge.cli.decode_record import decode_record
    from bridge.errors import HookferryError
    from bridge.rendering import standard_body
    from bridge.settings import uses
    from bridge.wiring.endpoints import build_renderer
    from bridge.wiring.topics import build_selection

    if letter.raw_of:
        return [f"none: the value is the bytes of a {letter.raw_of} that could not be read".encode()]
    if letter.is_stub:
        return [b"none: only a stub of the record is parked"]
    try:
        source = build_selection(settings).source_of(letter.origin.partition.topic)
        settings = read_settings(path, uses.showing(source, letter.endpoint))
        events = decode_record(settings, letter.origin)
        if events is None:
            return [b"none: no source reads this topic"]
        wanted = [event for event in events if letter.index in (0, event.index)]
        if len(wanted) == 1 and (known := letter.facts.get("webhook-id")):
            wanted[0].webhook_id = known  # a redrive keeps it
        endpoint = settings.endpoints.get(letter.endpoint or "")
        if endpoint is None:
            return [standard_body(event) for event in wanted]
        renderer = build_renderer(endpoint)
        return [renderer.render(event).body for event in wanted]
    except HookferryError as exc:
        return [f"none: {exc}".encode("utf-8", "replace")]


def _print_plan(settings: Settings, verb: str, letters: Sequence[Letter]) -> None:
    from bridge.cli import parked_output as shown

    progress.clear()
    if not letters:
        click.echo(f"nothing to {verb}")
        return
    width = terminal_width()
    listed = letters if width is None else letters[:SHOWN]
    for line in shown.table(listed, shown.mask_of(settings), width):
        click.echo(line)
    if len(letters) > len(listed):
        click.echo(f"… and {len(letters) - len(listed)} more")
    by_endpoint = Counter(letter.endpoint or "all endpoints" for letter in letters)
    counts = ", ".join(f"{number} for {name}" for name, number in sorted(by_endpoint.items()))
    click.echo(f"{verb}: {counts}")


async def _in_batches(
    batches: Sequence[Sequence[T]], act: Callable[[Sequence[T]], Awaitable[int]], done: str
) -> None:
    """Act on each batch, and print how many letters that concerned, also if one fails."""
    number, bar = 0, progress.begin("writing", sum(map(len, batches)))
    try:
        for batch in batches:
            number += await act(batch)
            bar.step(len(batch))
    finally:
        progress.clear()
        click.echo(f"{number} {done}")
