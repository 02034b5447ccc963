"""``hookferry parked``: list parked events, show one, send them again, or discard them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli import parked_lanes
from bridge.cli.parked_plan import SHOWN, plan_redrive
from bridge.cli.parked_selection import (
    UNREADABLE_REMEDY,
    AddressType,
    chosen,
    filters,
    find,
    same_events,
    wanted,
)
from bridge.cli.run import config_option
from bridge.cli.streams import echo_json
from bridge.cli.terminal import operator_name

if TYPE_CHECKING:
    from bridge.dead_letters.letter import Address, Letter
    from bridge.dead_letters.store import DeadLetterStore
    from bridge.model import Damage
    from bridge.settings import Settings

T = TypeVar("T")

_addresses = click.argument("addresses", nargs=-1, type=AddressType(), metavar="[ADDRESS]...")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@config_option
def list_(path: Path, all_: bool, holds_only: bool, as_json: bool, **given: Any) -> None:
    """List parked events, the oldest first, and the lanes that are held because of them."""
    from bridge.cli import parked_output as shown

    settings = _load(path)

    unreadable: dict[Address, Damage] = {}

    async def look(dead: DeadLetterStore) -> tuple[list[dict[str, Any]], list[Letter]]:
        holds = await dead.holds()
        letters = [] if holds_only else await find(dead, (), wanted(given), settled=all_)
        unreadable.update(dead.unreadable)
        lanes = parked_lanes.select_lanes(holds, wanted(given)) | parked_lanes.lanes_of(holds, letters)
        waiting = await parked_lanes.find_waiting(dead, lanes)
        return list(parked_lanes.documents({key: holds[key] for key in lanes}, waiting)), letters

    holds, selected = _with(settings, look)
    first = selected[: given["limit"]]
    for address, damage in unreadable.items():
        click.echo(f"{address} cannot be read: {shown.one_line(damage.cause)}; {UNREADABLE_REMEDY}", err=True)
    if as_json:
        for document in holds if holds_only else [shown.document(letter) for letter in first]:
            echo_json(document)
        return
    if first:
        import shutil

        for line in shown.table(first, shutil.get_terminal_size((160, 24)).columns):
            click.echo(line)
    if holds:
        click.echo(("\n" if first else "") + parked_lanes.table(holds))
    if not holds_only:
        left = len(selected) - len(first)
        more = f", {left} more" if left else ""
        click.echo(f"{len(first)} parked{more}" if selected else "nothing is parked", err=True)
    click.echo(f"{len(holds)} lanes held" if holds else "no lane is held", err=True)


@parked.command(short_help="Show everything about one parked event.")
@click.argument("address", type=AddressType())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--max-bytes",
    metavar="N",
    type=click.IntRange(min=1),
    default=16_384,
    show_default=True,
    help="Number of bytes of the value to show.",
)
@config_option
def show(path: Path, address: Address, as_json: bool, max_bytes: int) -> None:
    """Show everything about one parked event: its cause, its origin, and the request that was sent."""
    from bridge.cli import parked_output as shown
    from bridge.dead_letters.letter import LetterFilter

    async def look(dead: DeadLetterStore) -> Letter:
        (letter,) = await find(dead, (address,), LetterFilter(), settled=True)
        letter.origin = (await dead.fetch([address])).get(address, letter).origin
        return letter

    settings = _load(path)
    letter = _with(settings, look)
    document = shown.whole(letter, _bodies(settings, letter), max_bytes)
    if as_json:
        echo_json(document)
        return
    for line in shown.page(document):
        click.echo(line)


@parked.command(short_help="Send parked events again, in order.")
@_addresses
@filters("--reason", "--parked-reason")
@_yes
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
    from bridge.dead_letters.resend_request import batches

    settings = _load(path)
    who = by or operator_name()

    async def send(dead: DeadLetterStore) -> bool:
        holds = await dead.holds()
        plan = await plan_redrive(dead, settings, holds, addresses, given)
        _print_plan("send again", plan.letters)
        plan.print_notes()
        if dry_run or not (plan.requests or plan.lanes):
            return True
        _confirm(yes, plan.question())
        parts = list(batches(plan.requests))
        await _in_batches(parts, lambda batch: dead.redrive(batch, who), quiet=bool(plan.lanes))
        if not plan.lanes:
            return True
        outcome = await parked_lanes.redrive_lanes(dead, plan.lanes, who, wait_s, plan.more)
        click.echo(f"{len(plan.requests) + outcome.settled} settled")
        return parked_lanes.report(outcome, holds) or not wait_s

    if not _with(settings, send):
        raise SystemExit(ExitCode.FAILURE)


@parked.command()
@_addresses
@filters("--parked-reason")
@click.option("--reason", "because", required=True, metavar="TEXT", help="Why it is not to be sent; stored.")
@_yes
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
    from bridge.dead_letters.letter import LetterFilter
    from bridge.dead_letters.redrive import cause_of
    from bridge.dead_letters.resend_request import BATCH_SIZE

    settings = _load(path)

    async def mark(dead: DeadLetterStore) -> bool:
        holds = await dead.holds()
        selected = await chosen(dead, addresses, given)
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
        _print_plan("discard", selected)
        if behind:
            number = sum(map(len, behind.values()))
            click.echo(f"held lanes: {len(behind)}, with {number} later events that are sent then")
        if dry_run or not selected:
            return True
        _confirm(yes, f"Discard {len(selected)}?")
        parts = [selected[at : at + BATCH_SIZE] for at in range(0, len(selected), BATCH_SIZE)]
        await _in_batches(parts, lambda batch: dead.discard(batch, by or operator_name(), because))
        if not behind:
            return True
        outcome = await parked_lanes.redrive_lanes(dead, behind, by or operator_name(), wait_s)
        click.echo(f"{outcome.settled} sent again")
        return parked_lanes.report(outcome, holds) or not wait_s

    if not _with(settings, mark):
        raise SystemExit(ExitCode.FAILURE)


def _load(path: Path) -> Settings:
    import os

    from bridge.settings import load

    return load(path, os.environ)


def _with(settings: Settings, work: Callable[[DeadLetterStore], Awaitable[T]]) -> T:
    """Call ``work`` with the dead letters of the group."""
    from bridge.wiring.kafka import build_letters

    async def connected() -> T:
        async with build_letters(settings) as dead:
            return await work(dead)

    return asyncio.run(connected())


def _bodies(settings: Settings, letter: Letter) -> list[bytes]:
    """Return the bodies that the bridge renders with the current configuration, or why it cannot."""
    from bridge.cli.decode_record import decode_record
    from bridge.errors import HookferryError
    from bridge.rendering import standard_body
    from bridge.wiring.endpoints import build_renderer

    if letter.raw_of:
        return [f"none: the value is the bytes of a {letter.raw_of} that could not be read".encode()]
    if letter.is_stub:
        return [b"none: only a stub of the record is parked"]
    try:
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


def _print_plan(verb: str, letters: Sequence[Letter]) -> None:
    import shutil

    from bridge.cli import parked_output as shown

    if not letters:
        click.echo(f"nothing to {verb}")
        return
    for line in shown.table(letters[:SHOWN], shutil.get_terminal_size((160, 24)).columns):
        click.echo(line)
    if len(letters) > SHOWN:
        click.echo(f"… and {len(letters) - SHOWN} more")
    by_endpoint = Counter(letter.endpoint or "all endpoints" for letter in letters)
    counts = ", ".join(f"{number} for {name}" for name, number in sorted(by_endpoint.items()))
    click.echo(f"{verb}: {counts}")


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        click.confirm(question, abort=True)


async def _in_batches(
    batches: Sequence[Sequence[T]], act: Callable[[Sequence[T]], Awaitable[int]], *, quiet: bool = False
) -> None:
    settled, ended = 0, False
    try:
        for batch in batches:
            settled += await act(batch)
        ended = True
    finally:
        if not (quiet and ended):
            click.echo(f"{settled} settled")
