"""Which parked events a command is about: addresses, filters, and how people write instants."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.shell_names import endpoint_names

if TYPE_CHECKING:
    from bridge.dead_letters.letter import Address, Letter, LetterFilter
    from bridge.dead_letters.store import DeadLetterStore

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class InstantType(click.ParamType):  # type: ignore[type-arg]
    """An instant of the command line: how long ago, or when."""

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


class AddressType(click.ParamType):  # type: ignore[type-arg]
    """The address of a parked event."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """The address of a letter."""
        from bridge.dead_letters.letter import Address

        try:
            return Address.parse(value)
        except ValueError as exc:
            self.fail(f"{exc}; `hookferry parked list` shows them", param, ctx)


def filters(*reason_names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The filter options, the one for the cause under these names."""
    options = [
        click.option(
            "--endpoint",
            "-e",
            metavar="NAME",
            shell_complete=endpoint_names,
            help="For this endpoint; '*': rejected for all.",
        ),
        click.option("--entity", metavar="ID", help="About this entity, or with this record key."),
        click.option("--type", "type_", metavar="PATTERN", help="Of this event type: Loan*, OrderPaid."),
        click.option("--since", type=InstantType(), help="Parked at or after: 2h, 7d, or an instant."),
        click.option("--until", type=InstantType(), help="Parked before: 2h, 7d, or an instant."),
        click.option(*reason_names, "reason", metavar="TEXT", help="With this text in its cause."),
        click.option(
            "--limit", metavar="N", type=click.IntRange(min=1), help="No more than so many, the oldest first."
        ),
    ]

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def wanted(given: dict[str, Any]) -> LetterFilter:
    """The filters that were given."""
    from bridge.dead_letters.letter import LetterFilter

    return LetterFilter(
        endpoint=given["endpoint"],
        entity=given["entity"],
        type=given["type_"],
        since_ms=given["since"],
        until_ms=given["until"],
        reason=given["reason"],
    )


async def find(
    dead: DeadLetterStore, addresses: Sequence[Address], asked: LetterFilter, *, settled: bool
) -> list[Letter]:
    """The letters at these addresses, or all that are asked for; an address without one is a mistake."""
    from bridge.dead_letters.letter import Fate
    from bridge.errors import HookferryError

    found = await dead.find(asked)
    if not addresses:
        return [letter for letter in found if settled or letter.fate is Fate.WAITING]
    there = {letter.address: letter for letter in found}
    missing = [str(address) for address in addresses if address not in there]
    if missing:
        raise HookferryError(f"no parked event at {', '.join(missing)}; `hookferry parked list` shows them")
    return [there[address] for address in dict.fromkeys(addresses)]


async def chosen(dead: DeadLetterStore, addresses: Sequence[Address], given: dict[str, Any]) -> list[Letter]:
    """What redrive and discard work on. Neither takes everything without having been told so."""
    named = [name for name, value in given.items() if value is not None]
    if addresses and named:
        raise click.UsageError("give addresses or filters, not both")
    if not addresses and not named:
        raise click.UsageError("say which: addresses, or filters such as --endpoint or --since 7d")
    found = await find(dead, addresses, wanted(given), settled=False)
    return found[: given["limit"]]


def same_events(chosen: Sequence[Letter], of_lanes: Sequence[Letter]) -> list[Letter]:
    """These, and the other letters of the same events that wait: a crash parks an event twice.

    In a held lane, one that is left would send what the other says is never to be sent.
    """
    from bridge.dead_letters.letter import Fate

    events = {(one.origin.place, one.index, one.endpoint) for one in chosen}
    known = {one.address for one in chosen}
    more = [
        one
        for one in of_lanes
        if one.address not in known
        and one.fate is Fate.WAITING
        and (one.origin.place, one.index, one.endpoint) in events
    ]
    return [*chosen, *more]
