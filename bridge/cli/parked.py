"""``hookferry parked``: look at what was parked, send it again, or discard it."""

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
"""Lines of a plan that are printed; the rest is a number."""

_addresses = click.argument("addresses", nargs=-1, type=AddressType(), metavar="[ADDRESS]...")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
_by = click.option("--by", metavar="NAME", help="Who does it; default: the user at this host.")


@click.group(short_help="Look at parked events, send them again, or discard them.")
def parked() -> None:
    """Look at events that were parked, send them again, or discard them.

    A parked event is named by its ADDRESS, partition:offset in the topic <group>.parked.
    """


@parked.command("list", short_help="List parked events and held lanes, the oldest first.")
@filters("--reason", "--parked-reason")
@click.option("--all", "all_", is_flag=True, help="Also what was redriven or discarded since.")
@click.option("--holds", "holds_only", is_flag=True, help="Only the held lanes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
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
        lanes = parked_lanes.asked_for(holds, wanted(given)) | parked_lanes.of_letters(holds, letters)
        waiting = await parked_lanes.waiting_in(dead, lanes)
        return list(parked_lanes.documents({key: holds[key] for key in lanes}, waiting)), letters

    holds, found = _with(settings, look)
    first = found[: given["limit"]]
    if as_json:
        for told in holds if holds_only else [shown.document(letter, mask) for letter in first]:
            click.echo(orjson.dumps(told))
        return
    if first:
        import shutil

        for line in shown.table(first, mask, shutil.get_terminal_size((160, 24)).columns):
            click.echo(line)
    if holds:
        click.echo(("\n" if first else "") + parked_lanes.table(holds))
    if not holds_only:
        left = len(found) - len(first)
        more = f", {left} more" if left else ""
        click.echo(f"{len(first)} parked{more}" if found else "nothing is parked", err=True)
    click.echo(f"{len(holds)} lanes held" if holds else "no lane is held", err=True)


@parked.command(short_help="Show everything about one parked event.")
@click.argument("address", type=AddressType())
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.option(
    "--max-bytes",
    metavar="N",
    type=click.IntRange(min=1),
    default=16_384,
    show_default=True,
    help="How many bytes of the value to show.",
)
@config_option
def show(path: Path, address: Address, as_json: bool, max_bytes: int) -> None:
    """Show everything about one parked event: why, where it came from, and what was sent."""
    import orjson

    from bridge.cli import parked_output as shown
    from bridge.dead_letters.letter import LetterFilter

    async def look(dead: DeadLetterStore) -> Letter:
        (letter,) = await find(dead, (address,), LetterFilter(), settled=True)
        letter.origin = (await dead.fetch([address])).get(address, letter).origin
        return letter

    settings = _load(path)
    letter = _with(settings, look)
    told = shown.whole(letter, _bodies(settings, letter), shown.mask_of(settings), max_bytes)
    if as_json:
        click.echo(orjson.dumps(told))
        return
    for line in shown.page(told):
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
    """Send parked events again, in order, as a first delivery: to the endpoint they were parked for.

    Chosen by ADDRESS or by filters. One that was settled already is sent again only by its ADDRESS.
    Of a held lane (on_park: hold) everything that waits is sent, in order, and then it is free.
    """
    from bridge.cli.parked_output import mask_of
    from bridge.dead_letters.letter import Fate
    from bridge.dead_letters.redrive import BATCH_SIZE
    from bridge.dead_letters.resend_request import obstacle, resend_requests

    settings = _load(path)
    topics = [topic for source in settings.sources.values() for topic in source.topics]

    async def send(dead: DeadLetterStore) -> bool:
        holds = await dead.holds()
        found = await chosen(dead, addresses, given)
        lanes = parked_lanes.of_letters(holds, found)
        if not addresses and not given["limit"]:
            lanes |= parked_lanes.asked_for(holds, wanted(given))
        waiting = [
            letter for of_lane in (await parked_lanes.waiting_in(dead, lanes)).values() for letter in of_lane
        ]
        more = [
            one for one in found if one.fate is not Fate.WAITING and parked_lanes.of_letters(lanes, [one])
        ]
        plain = [letter for letter in found if not parked_lanes.of_letters(lanes, [letter])]
        blocked = {
            letter.address: why
            for letter in [*plain, *waiting, *more]
            if (why := obstacle(letter, topics, settings.endpoints, dead.again_partitions))
        }
        lanes -= parked_lanes.of_letters(lanes, [letter for letter in waiting if letter.address in blocked])
        plan = resend_requests(letter for letter in plain if letter.address not in blocked)
        along = resend_requests(letter for letter in [*waiting, *more] if letter.address not in blocked)
        _tell(settings, "send again", [request.letter for request in (*plan, *along)])
        if lanes:
            behind = sum(request.letter.held_behind is not None for request in along)
            click.echo(f"held lanes: {len(lanes)}, in which {behind} wait behind another event and follow it")
        _tell_blocked(blocked)
        if dry_run or not (plan or lanes):
            return True
        free = f" and free {parked_lanes.lanes(len(lanes))}" if lanes else ""
        _confirm(yes, f"Send {len(plan) + len(along)} again{free}?")
        await _in_batches(
            plan, lambda batch: dead.redrive(batch, by or operator_name()), BATCH_SIZE, quiet=bool(lanes)
        )
        if not lanes:
            return True
        outcome = await parked_lanes.send(dead, lanes, by or operator_name(), wait_s, more)
        click.echo(f"{len(plan) + outcome.settled} settled")
        return parked_lanes.report(outcome, holds, mask_of(settings)) or not wait_s

    if not _with(settings, send):
        raise SystemExit(ExitCode.FAILURE)


def _tell_blocked(blocked: dict[Address, tuple[str, str]]) -> None:
    for address, (cause, remedy) in list(blocked.items())[:_SHOWN]:
        click.echo(f"{address} cannot be sent again: {cause}; {remedy}", err=True)
    if len(blocked) > _SHOWN:
        click.echo(f"… and {len(blocked) - _SHOWN} more that cannot", err=True)


@parked.command()
@_addresses
@filters("--parked-reason")
@click.option("--reason", "because", required=True, metavar="TEXT", help="Why it is never to be sent; kept.")
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
    """Mark parked events as never to be sent. Nothing of them is sent, and nothing deleted.

    Where a held lane waited for one of them (on_park: hold), what waits behind it is sent then.
    """
    from bridge.cli.parked_output import mask_of
    from bridge.dead_letters.letter import LetterFilter
    from bridge.dead_letters.redrive import BATCH_SIZE, cause_of

    settings = _load(path)

    async def mark(dead: DeadLetterStore) -> bool:
        holds = await dead.holds()
        found = await chosen(dead, addresses, given)
        lanes = parked_lanes.of_letters(holds, found)
        if lanes:
            found = same_events(found, await dead.find(LetterFilter(lanes=frozenset(lanes))))
        gone = {letter.address for letter in found}
        waiting = await parked_lanes.waiting_in(dead, lanes)
        behind = {
            key: letters
            for key in lanes
            if key.endpoint in settings.endpoints
            and cause_of(letters := [one for one in waiting.get(key, ()) if one.address not in gone]) is None
        }
        _tell(settings, "discard", found)
        if behind:
            number = sum(map(len, behind.values()))
            click.echo(f"held lanes: {len(behind)}, in which {number} wait behind it and are sent then")
        if dry_run or not found:
            return True
        _confirm(yes, f"Discard {len(found)}?")
        await _in_batches(
            found, lambda batch: dead.discard(batch, by or operator_name(), because), BATCH_SIZE
        )
        if not behind:
            return True
        outcome = await parked_lanes.send(dead, behind, by or operator_name(), wait_s)
        click.echo(f"{outcome.settled} sent again")
        return parked_lanes.report(outcome, holds, mask_of(settings)) or not wait_s

    if not _with(settings, mark):
        raise SystemExit(ExitCode.FAILURE)


def _load(path: Path) -> Settings:
    import os

    from bridge.settings import load

    return load(path, os.environ)


def _with(settings: Settings, work: Callable[[DeadLetterStore], Awaitable[T]]) -> T:
    """Do something with the group's dead letters."""
    from bridge.dead_letters.store import DeadLetterStore
    from bridge.wiring.kafka import again_topic, build_kafka_options, control_topic, parked_topic

    async def connected() -> T:
        options = build_kafka_options(settings.kafka)
        topics = parked_topic(settings), again_topic(settings)
        async with DeadLetterStore(options, *topics, control_topic(settings.group)) as dead:
            return await work(dead)

    return asyncio.run(connected())


def _bodies(settings: Settings, letter: Letter) -> list[bytes]:
    """What the bridge makes of the record with the configuration as it is; why not, when it cannot."""
    from bridge.cli.decode_record import decode_record
    from bridge.errors import HookferryError
    from bridge.rendering import standard_body
    from bridge.wiring.endpoints import build_renderer

    try:
        events = decode_record(settings, letter.origin)
        if events is None:
            return [b"none: no source reads its topic"]
        wanted = [event for event in events if letter.index in (0, event.index)]
        endpoint = settings.endpoints.get(letter.endpoint or "")
        if endpoint is None:
            return [standard_body(event) for event in wanted]
        renderer = build_renderer(endpoint)
        return [renderer.render(event).body for event in wanted]
    except HookferryError as exc:
        return [f"none: {exc}".encode("utf-8", "replace")]


def _tell(settings: Settings, verb: str, letters: Sequence[Letter]) -> None:
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
    by_endpoint = Counter(letter.endpoint or "all that want it" for letter in letters)
    whom = ", ".join(f"{number} for {name}" for name, number in sorted(by_endpoint.items()))
    click.echo(f"{verb}: {whom}")


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
