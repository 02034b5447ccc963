"""``hookferry parked``: look at what was parked, send it again, or discard it."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.cli.run import config_option

if TYPE_CHECKING:
    from bridge.letters import Address, Letter, Wanted
    from bridge.redrive import DeadLetters
    from bridge.settings import Settings

T = TypeVar("T")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SHOWN = 10
"""Lines of a plan that are printed; the rest is a number."""
_BATCH = 500
"""Records sent and marked at a time: what is held in memory, and what a crash leaves unmarked."""


class _Instant(click.ParamType):  # type: ignore[type-arg]
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Milliseconds since 1970 of ``2h`` (ago) or of an RFC 3339 instant; without a zone it is UTC."""
        ago = re.fullmatch(r"(\d{1,6})([smhd])", value)
        if ago:
            return int((time.time() - int(ago[1]) * _UNITS_S[ago[2]]) * 1000)
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither like 2h or 7d (ago) nor like 2026-06-29T08:15:00Z", param, ctx)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


class _Address(click.ParamType):  # type: ignore[type-arg]
    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """The address of a letter."""
        from bridge.letters import Address

        try:
            return Address.parse(value)
        except ValueError as exc:
            self.fail(f"{exc}; `hookferry parked list` shows them", param, ctx)


def _filters(*reason_names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    options = [
        click.option("--endpoint", help="Parked for this endpoint; '*': rejected for all."),
        click.option("--entity", help="About this entity, or with this record key."),
        click.option("--type", "type_", metavar="PATTERN", help="Of this event type: Loan*, OrderPaid."),
        click.option("--since", type=_Instant(), help="Parked at or after: 2h, 7d, or an instant."),
        click.option("--until", type=_Instant(), help="Parked before: 2h, 7d, or an instant."),
        click.option(*reason_names, "reason", metavar="TEXT", help="With this text in its cause."),
        click.option("--limit", type=click.IntRange(min=1), help="No more than so many, the oldest first."),
    ]

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _wanted(filters: dict[str, Any]) -> Wanted:
    from bridge.letters import Wanted

    return Wanted(
        endpoint=filters["endpoint"],
        entity=filters["entity"],
        type=filters["type_"],
        since_ms=filters["since"],
        until_ms=filters["until"],
        reason=filters["reason"],
    )


_addresses = click.argument("addresses", nargs=-1, type=_Address(), metavar="[ADDRESS]...")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
_by = click.option("--by", help="Who does it; default: the user at this host.")


@click.group()
def parked() -> None:
    """Look at events that were parked, send them again, or discard them.

    A parked event is named by its ADDRESS, partition:offset in the topic <group>.parked.
    """


@parked.command("list")
@config_option
@_filters("--reason", "--parked-reason")
@click.option("--all", "all_", is_flag=True, help="Also what was redriven or discarded since.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def list_(path: Path, all_: bool, as_json: bool, **filters: Any) -> None:
    """List parked events, the oldest first."""
    import orjson

    from bridge.cli import letters as shown

    settings = _load(path)
    mask = shown.mask_of(settings)
    found = _with(settings, lambda dead: _find(dead, (), _wanted(filters), settled=all_))
    chosen = found[: filters["limit"]]
    if as_json:
        for letter in chosen:
            click.echo(orjson.dumps(shown.document(letter, mask)))
        return
    if chosen:
        import shutil

        for line in shown.table(chosen, mask, shutil.get_terminal_size((160, 24)).columns):
            click.echo(line)
    left = len(found) - len(chosen)
    more = f", {left} more" if left else ""
    click.echo(f"{len(chosen)} parked{more}" if found else "nothing is parked", err=True)


@parked.command()
@config_option
@click.argument("address", type=_Address())
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.option("--max-bytes", type=click.IntRange(min=1), default=16_384, show_default=True, help="Shown.")
def show(path: Path, address: Address, as_json: bool, max_bytes: int) -> None:
    """Show everything about one parked event: why, where it came from, and what was sent."""
    import orjson

    from bridge.cli import letters as shown
    from bridge.letters import Wanted

    async def look(dead: DeadLetters) -> Letter:
        (letter,) = await _find(dead, (address,), Wanted(), settled=True)
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


@parked.command()
@config_option
@_addresses
@_filters("--reason", "--parked-reason")
@_yes
@_dry_run
@_by
def redrive(
    path: Path, addresses: tuple[Address, ...], yes: bool, dry_run: bool, by: str | None, **filters: Any
) -> None:
    """Send parked events again, in order, as a first delivery: to the endpoint they were parked for.

    Chosen by ADDRESS or by filters. One that was settled already is sent again only by its ADDRESS.
    """
    from bridge.letters import errands, obstacle

    settings = _load(path)
    topics = [topic for source in settings.sources.values() for topic in source.topics]

    async def send(dead: DeadLetters) -> None:
        found = await _chosen(dead, addresses, filters)
        blocked = {
            letter.address: why
            for letter in found
            if (why := obstacle(letter, topics, settings.endpoints, dead.again_partitions))
        }
        plan = errands(letter for letter in found if letter.address not in blocked)
        _tell(settings, "send again", [errand.letter for errand in plan])
        for address, (cause, remedy) in list(blocked.items())[:_SHOWN]:
            click.echo(f"{address} cannot be sent again: {cause}; {remedy}", err=True)
        if len(blocked) > _SHOWN:
            click.echo(f"… and {len(blocked) - _SHOWN} more that cannot", err=True)
        if dry_run or not plan:
            return
        _confirm(yes, f"Send {len(plan)} again?")
        await _in_batches(plan, lambda batch: dead.redrive(batch, by or _who()))

    _with(settings, send)


@parked.command()
@config_option
@_addresses
@_filters("--parked-reason")
@click.option("--reason", "because", required=True, metavar="TEXT", help="Why it is never to be sent; kept.")
@_yes
@_dry_run
@_by
def discard(
    path: Path,
    addresses: tuple[Address, ...],
    because: str,
    yes: bool,
    dry_run: bool,
    by: str | None,
    **filters: Any,
) -> None:
    """Mark parked events as never to be sent. Nothing is sent, and nothing deleted."""
    settings = _load(path)

    async def mark(dead: DeadLetters) -> None:
        found = await _chosen(dead, addresses, filters)
        _tell(settings, "discard", found)
        if dry_run or not found:
            return
        _confirm(yes, f"Discard {len(found)}?")
        await _in_batches(found, lambda batch: dead.discard(batch, by or _who(), because))

    _with(settings, mark)


def _load(path: Path) -> Settings:
    import os

    from bridge.settings import load

    return load(path, os.environ)


def _with(settings: Settings, work: Callable[[DeadLetters], Awaitable[T]]) -> T:
    """Do something with the group's dead letters."""
    from bridge import assembly
    from bridge.redrive import DeadLetters

    async def connected() -> T:
        options = assembly.kafka_options(settings.kafka)
        async with DeadLetters(
            options, assembly.parked_topic(settings), assembly.again_topic(settings)
        ) as dead:
            return await work(dead)

    return asyncio.run(connected())


async def _find(
    dead: DeadLetters, addresses: Sequence[Address], wanted: Wanted, *, settled: bool
) -> list[Letter]:
    """The letters at these addresses, or all that are asked for; an address without one is a mistake."""
    from bridge.errors import HookferryError
    from bridge.letters import Fate

    found = await dead.find(wanted)
    if not addresses:
        return [letter for letter in found if settled or letter.fate is Fate.WAITING]
    there = {letter.address: letter for letter in found}
    missing = [str(address) for address in addresses if address not in there]
    if missing:
        raise HookferryError(f"no parked event at {', '.join(missing)}; `hookferry parked list` shows them")
    return [there[address] for address in dict.fromkeys(addresses)]


async def _chosen(dead: DeadLetters, addresses: Sequence[Address], filters: dict[str, Any]) -> list[Letter]:
    """What redrive and discard work on. Neither takes everything without having been told so."""
    named = [name for name, value in filters.items() if value is not None]
    if addresses and named:
        raise click.UsageError("give addresses or filters, not both")
    if not addresses and not named:
        raise click.UsageError("say which: addresses, or filters such as --endpoint or --since 7d")
    found = await _find(dead, addresses, _wanted(filters), settled=False)
    return found[: filters["limit"]]


def _bodies(settings: Settings, letter: Letter) -> list[bytes]:
    """What the bridge makes of the record with the configuration as it is; why not, when it cannot."""
    from bridge import assembly
    from bridge.errors import HookferryError
    from bridge.render import standard_body

    try:
        decoder = assembly.decoders(settings).get(letter.origin.partition.topic)
        if decoder is None:
            return [b"none: no source reads its topic"]
        return [standard_body(event) for event in decoder.decode(letter.origin)]
    except HookferryError as exc:
        return [f"none: {exc}".encode("utf-8", "replace")]


def _tell(settings: Settings, verb: str, letters: Sequence[Letter]) -> None:
    import shutil

    from bridge.cli import letters as shown

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


async def _in_batches(plan: Sequence[T], act: Callable[[Sequence[T]], Awaitable[int]]) -> None:
    settled = 0
    try:
        for at in range(0, len(plan), _BATCH):
            settled += await act(plan[at : at + _BATCH])
    finally:
        click.echo(f"{settled} settled")


def _who() -> str:
    import getpass
    import socket

    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"unknown@{socket.gethostname()}"
