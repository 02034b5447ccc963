"""``hookferry parked``: list parked events and show one. ``parked_settling.py`` settles them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import parked_lanes
from bridge.cli.output import Output, at_most, output_option, show, terminal_width
from bridge.cli.parked_plan import NOT_TAKEN
from bridge.cli.parked_selection import (
    UNREADABLE_REMEDY,
    AddressType,
    filters,
    find,
    refuse_unknown,
    wanted,
)
from bridge.cli.parked_settling import discard, redrive, with_letters
from bridge.cli.run import config_option
from bridge.cli.terminal import read_settings
from bridge.cli.watching import watch, watch_option

if TYPE_CHECKING:
    from bridge.dead_letters.letter import Address, Letter
    from bridge.dead_letters.store import DeadLetterStore
    from bridge.model import Damage
    from bridge.settings import Settings


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
    from bridge.dead_letters.selection import find_waiting, lanes_of
    from bridge.kafka.session import AdminSession
    from bridge.wiring.kafka import build_kafka_options

    settings = read_settings(path)
    unreadable: dict[Address, Damage] = {}

    async def look(dead: DeadLetterStore) -> tuple[list[dict[str, Any]], list[Letter]]:
        holds = await dead.holds()
        letters = [] if holds_only else await find(dead, (), wanted(given), settled=True)
        unreadable.update(dead.unreadable)
        if any(letter.fate is Fate.REDRIVEN for letter in letters):
            async with AdminSession(build_kafka_options(settings.kafka)) as visit:
                mark_queued(letters, await find_waiting_requests(visit, settings))
        letters = [one for one in letters if all_ or one.queued or one.fate is Fate.WAITING]
        lanes = parked_lanes.select_lanes(holds, wanted(given)) | lanes_of(holds, letters)
        if not letters and not lanes:
            refuse_unknown(settings, given, {key.endpoint for key in holds})
        waiting = await find_waiting(dead, lanes)
        return list(parked_lanes.documents({key: holds[key] for key in lanes}, waiting)), letters

    holds, selected = with_letters(settings, look)
    first = selected[: given["limit"]]
    for address, damage in unreadable.items():
        click.echo(f"{address} cannot be read: {shown.one_line(damage.cause)}; {UNREADABLE_REMEDY}", err=True)
    documents = holds if holds_only else [shown.document(letter) for letter in first]

    def lines() -> Iterator[str]:
        yield from shown.table(first, terminal_width()) if first else ()
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
    help="Number of bytes of each value to show. Default: 16384 on a terminal, else all.",
)
@output_option
@config_option
def show_(path: Path, address: Address, output: Output, max_bytes: int | None) -> None:
    """Show everything about one parked event: its cause, its origin, and the request that was sent."""
    from bridge.cli import parked_output as shown
    from bridge.dead_letters.letter import LetterFilter

    async def look(dead: DeadLetterStore) -> Letter:
        (letter,) = await find(dead, (address,), LetterFilter(), settled=True)
        letter.origin = (await dead.fetch([address])).get(address, letter).origin
        return letter

    settings = read_settings(path)
    letter = with_letters(settings, look)
    most = max_bytes or (output is Output.TABLE and at_most(16_384)) or sys.maxsize
    document = shown.whole(letter, _bodies(path, settings, letter), most)
    show(output, document, lambda: shown.page(document))


def _bodies(path: Path, settings: Settings, letter: Letter) -> list[bytes]:
    """Return the bodies that the bridge renders with the current configuration, or why it cannot."""
    from bridge.cli.decode_record import decode_record
    from bridge.dead_letters.letter import STORED_FACT
    from bridge.errors import HookferryError
    from bridge.rendering import standard_body
    from bridge.settings import uses
    from bridge.wiring.endpoints import build_renderer
    from bridge.wiring.topics import build_selection

    if STORED_FACT in letter.facts:
        return [letter.origin.value or b""]
    if letter.raw_of or letter.is_stub:
        what = f"the value is the bytes of a {letter.raw_of} that could not be read"
        return [f"none: {what if letter.raw_of else 'only a stub of the record is parked'}".encode()]
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


parked.add_command(redrive)
parked.add_command(discard)
