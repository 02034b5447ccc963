"""Select parked events on the command line, by address or by filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.shared_options import Command, InstantType, with_options
from bridge.cli.shell_names import endpoint_names, event_types

if TYPE_CHECKING:
    from bridge.dead_letters.letter import Address, Letter, LetterFilter
    from bridge.dead_letters.store import DeadLetterStore
    from bridge.settings import Settings

UNREADABLE_REMEDY = "its event is not lost if its source topic still has it: send it from there"


class AddressType(click.ParamType):  # type: ignore[type-arg]  # no type argument before click 8.5
    """The address of a parked event."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Parse the address of a letter."""
        from bridge.dead_letters.letter import Address

        try:
            return Address.parse(value)
        except ValueError as exc:
            self.fail(f"{exc}; `hookferry parked list` prints the addresses", param, ctx)


def filters(*reason_names: str) -> Callable[[Command], Command]:
    """Add the filter options; the filter by cause gets ``reason_names``."""
    options = [
        click.option(
            "--endpoint",
            "-e",
            metavar="NAME",
            shell_complete=endpoint_names,
            help="Only events of this endpoint; '*': those rejected before routing.",
        ),
        click.option("--entity", metavar="ID", help="Only events of this entity id, or this record key."),
        click.option(
            "--type",
            "type_",
            metavar="PATTERN",
            shell_complete=event_types,
            help="Only events of this type: a name or a pattern such as Loan*.",
        ),
        click.option(
            "--since", type=InstantType(), help="Only events parked since: 2h or 7d (ago), or an instant."
        ),
        click.option(
            "--until", type=InstantType(), help="Only events parked before: 2h or 7d (ago), or an instant."
        ),
        click.option(
            *reason_names, "reason", metavar="TEXT", help="Only events with this text in the cause."
        ),
        click.option(
            "--limit",
            metavar="N",
            type=click.IntRange(min=1),
            help="At most this number of events, the oldest first.",
        ),
    ]
    return with_options(options)


def wanted(given: dict[str, Any]) -> LetterFilter:
    """Return the filters of the command line."""
    from bridge.dead_letters.letter import LetterFilter

    return LetterFilter(
        endpoint=given["endpoint"],
        entity=given["entity"],
        type=given["type_"],
        since_ms=given["since"],
        until_ms=given["until"],
        reason=given["reason"],
    )


def refuse_unknown(settings: Settings, given: dict[str, Any], known: Set[str]) -> None:
    """Raise ``ConfigError`` if filters that select nothing name an endpoint or a type that does not exist.

    ``known``: further endpoints, which are not configured any more.
    """
    from bridge.dead_letters.letter import EVERYONE
    from bridge.settings.names import require_known, require_selected, require_type

    endpoint, type_ = given["endpoint"], given["type_"]
    if endpoint is not None and endpoint != EVERYONE:
        names = [*settings.endpoints, *sorted(known - settings.endpoints.keys())]
        require_known("there is no endpoint", endpoint, names, "the endpoints are")
    if type_ is not None:
        require_type(type_, settings.sources.values())
        require_selected(type_, settings, endpoint if endpoint in settings.endpoints else None)


async def find(
    dead: DeadLetterStore, addresses: Sequence[Address], asked: LetterFilter, *, settled: bool
) -> list[Letter]:
    """Return the letters at these addresses, or all that match the filters.

    Raises ``HookferryError`` for an address without a letter.
    """
    from bridge.dead_letters.letter import Fate
    from bridge.errors import HookferryError

    letters = await dead.find(asked)
    if not addresses:
        return [letter for letter in letters if settled or letter.fate is Fate.WAITING]
    there = {letter.address: letter for letter in letters}
    missing = [str(address) for address in addresses if address not in there]
    for address in addresses:
        if (damage := dead.unreadable.get(address)) is not None:
            raise HookferryError(f"{address} cannot be read: {damage.cause}; {UNREADABLE_REMEDY}")
    if missing:
        raise HookferryError(
            f"no parked event at {', '.join(missing)}; `hookferry parked list` prints the addresses"
        )
    return [there[address] for address in dict.fromkeys(addresses)]


async def chosen(dead: DeadLetterStore, addresses: Sequence[Address], given: dict[str, Any]) -> list[Letter]:
    """Return the letters to redrive or discard. Without an address or a filter, raise a usage error."""
    named = [name for name, value in given.items() if value is not None]
    if addresses and named:
        raise click.UsageError("give addresses or filters, not both")
    if not addresses and not named:
        raise click.UsageError("select events: give addresses, or filters such as --endpoint or --since 7d")
    letters = await find(dead, addresses, wanted(given), settled=False)
    return letters[: given["limit"]]
