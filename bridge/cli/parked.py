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
from bridge.cli.parked_selection import AddressType, chosen, filters, find, same_events, wanted
from bridge.cli.run import config_option
from bridge.cli.terminal import operator_name

if TYPE_CHECKING:
    from bridge.dead_letters.letter import Address, Letter
    from bridge.dead_letters.store import DeadLetterStore
    from bridge.settings import Settings

T = TypeVar("T")
_SHOWN = 10
"""Events of a plan that are printed; the others are only counted."""

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
    import orjson

    from bridge.cli import parked_output as shown

    settings = _load(path)
    mask = shown.mask_of(settings)

    async def look(dead: DeadLetterStore) -> tuple[list[dict[str, Any]], list[Letter]]:
        holds = await dead.holds()
        letters = [] if holds_only else await find(dead, (), wanted(given), settled=all_)
        lanes = parked_lanes.select_lanes(holds, wanted(given)) | parked_lanes.lanes_of(holds, letters)
        waiting = await parked_lanes.find_waiting(dead, lanes)
        return list(parked_lanes.documents({key: holds[key] for key in lanes}, waiting)), letters

    holds, selected = _with(settings, look)
    first = selected[: given["limit"]]
    if as_json:
        for document in holds if holds_only else [shown.document(letter, mask) for letter in first]:
            click.echo(orjson.dumps(document))
        return
    if first:
        import shutil

        for line in shown.table(first, mask, shutil.get_terminal_size((160, 24)).columns):
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
    import orjson

    from bridge.cli import parked_output as shown
    from bridge.dead_letters.letter import LetterFilter

    async def look(dead: DeadLetterStore) -> Letter:
        (letter,) = await find(dead, (address,), LetterFilter(), settled=True)
        letter.origin = (await dead.fetch([address])).get(address, letter).origin
        return letter

    settings = _load(path)
    letter = _with(settings, look)
    document = shown.whole(letter, _bodies(settings, letter), shown.mask_of(settings), max_bytes)
    if as_json:
        click.echo(orjson.dumps(document))
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
    from bridge.cli.parked_output import mask_of
    from bridge.dead_letters.letter import Fate
    from bridge.dead_letters.redrive import BATCH_SIZE
    from bridge.dead_letters.resend_request import obstacle, resend_requests
    from bridge.wiring.topics import build_selection

    settings = _load(path)
    topics = build_selection(settings)

    async def send(dead: DeadLetterStore) -> bool:
        holds = await dead.holds()
        selected = await chosen(dead, addresses, given)
        lanes = parked_lanes.lanes_of(holds, selected)
        if not addresses and not given["limit"]:
            lanes |= parked_lanes.select_lanes(holds, wanted(given))
        waiting = [
            letter
            for of_lane in (await parked_lanes.find_waiting(dead, lanes)).values()
            for letter in of_lane
        ]
        more = [
            letter
            for letter in selected
            if letter.fate is not Fate.WAITING and parked_lanes.lanes_of(lanes, [letter])
        ]
        plain = [letter for letter in selected if not parked_lanes.lanes_of(lanes, [letter])]
        blocked = {
            letter.address: why
            for letter in [*plain, *waiting, *more]
            if (why := obstacle(letter, topics, settings.endpoints, dead.again_partitions))
        }
        lanes -= parked_lanes.lanes_of(lanes, [letter for letter in waiting if letter.address in blocked])
        plan = resend_requests(letter for letter in plain if letter.address not in blocked)
        along = resend_requests(letter for letter in [*waiting, *more] if letter.address not in blocked)
        _print_plan(settings, "send again", [request.letter for request in (*plan, *along)])
        if lanes:
            behind = sum(request.letter.held_behind is not None for request in along)
            click.echo(
                f"held lanes: {len(lanes)}, with {behind} events that are sent after the one they wait for"
            )
        _print_blocked(blocked)
        if dry_run or not (plan or lanes):
            return True
        free = f" and free {parked_lanes.lanes(len(lanes))}" if lanes else ""
        _confirm(yes, f"Send {len(plan) + len(along)} again{free}?")
        await _in_batches(
            plan, lambda batch: dead.redrive(batch, by or operator_name()), BATCH_SIZE, quiet=bool(lanes)
        )
        if not lanes:
            return True
        outcome = await parked_lanes.redrive_lanes(dead, lanes, by or operator_name(), wait_s, more)
        click.echo(f"{len(plan) + outcome.settled} settled")
        return parked_lanes.report(outcome, holds, mask_of(settings)) or not wait_s

    if not _with(settings, send):
        raise SystemExit(ExitCode.FAILURE)


def _print_blocked(blocked: dict[Address, tuple[str, str]]) -> None:
    for address, (cause, remedy) in list(blocked.items())[:_SHOWN]:
        click.echo(f"{address} cannot be sent again: {cause}; {remedy}", err=True)
    if len(blocked) > _SHOWN:
        click.echo(f"… and {len(blocked) - _SHOWN} more that cannot be sent again", err=True)


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
    from bridge.cli.parked_output import mask_of
    from bridge.dead_letters.letter import LetterFilter
    from bridge.dead_letters.redrive import BATCH_SIZE, cause_of

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
        _print_plan(settings, "discard", selected)
        if behind:
            number = sum(map(len, behind.values()))
            click.echo(f"held lanes: {len(behind)}, with {number} later events that are sent then")
        if dry_run or not selected:
            return True
        _confirm(yes, f"Discard {len(selected)}?")
        await _in_batches(
            selected, lambda batch: dead.discard(batch, by or operator_name(), because), BATCH_SIZE
        )
        if not behind:
            return True
        outcome = await parked_lanes.redrive_lanes(dead, behind, by or operator_name(), wait_s)
        click.echo(f"{outcome.settled} sent again")
        return parked_lanes.report(outcome, holds, mask_of(settings)) or not wait_s

    if not _with(settings, mark):
        raise SystemExit(ExitCode.FAILURE)


def _load(path: Path) -> Settings:
    import os

    from bridge.settings import load

    return load(path, os.environ)


def _with(settings: Settings, work: Callable[[DeadLetterStore], Awaitable[T]]) -> T:
    """Call ``work`` with the dead letters of the group."""
    from bridge.dead_letters.store import DeadLetterStore
    from bridge.wiring.kafka import again_topic, build_kafka_options, control_topic, parked_topic

    async def connected() -> T:
        options = build_kafka_options(settings.kafka)
        topics = parked_topic(settings), again_topic(settings)
        async with DeadLetterStore(options, *topics, control_topic(settings.group)) as dead:
            return await work(dead)

    return asyncio.run(connected())


def _bodies(settings: Settings, letter: Letter) -> list[bytes]:
    """Return the bodies that the bridge renders with the current configuration, or why it cannot."""
    from bridge.cli.decode_record import decode_record
    from bridge.errors import HookferryError
    from bridge.rendering import standard_body
    from bridge.wiring.endpoints import build_renderer

    try:
        events = decode_record(settings, letter.origin)
        if events is None:
            return [b"none: no source reads this topic"]
        wanted = [event for event in events if letter.index in (0, event.index)]
        endpoint = settings.endpoints.get(letter.endpoint or "")
        if endpoint is None:
            return [standard_body(event) for event in wanted]
        renderer = build_renderer(endpoint)
        return [renderer.render(event).body for event in wanted]
    except HookferryError as exc:
        return [f"none: {exc}".encode("utf-8", "replace")]


def _print_plan(settings: Settings, verb: str, letters: Sequence[Letter]) -> None:
    import shutil

    from bridge.cli import parked_output as shown

    if not letters:
        click.echo(f"nothing to {verb}")
        return
    mask = shown.mask_of(settings)
    for line in shown.table(letters[:_SHOWN], mask, shutil.get_terminal_size((160, 24)).columns):
        click.echo(line)
    if len(letters) > _SHOWN:
        click.echo(f"… and {len(letters) - _SHOWN} more")
    by_endpoint = Counter(letter.endpoint or "all endpoints" for letter in letters)
    counts = ", ".join(f"{number} for {name}" for name, number in sorted(by_endpoint.items()))
    click.echo(f"{verb}: {counts}")


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        click.confirm(question, abort=True)


async def _in_batches(
    plan: Sequence[T], act: Callable[[Sequence[T]], Awaitable[int]], batch: int, *, quiet: bool = False
) -> None:
    settled = 0
    try:
        for at in range(0, len(plan), batch):
            settled += await act(plan[at : at + batch])
    finally:
        if not quiet or settled < len(plan):
            click.echo(f"{settled} settled")
