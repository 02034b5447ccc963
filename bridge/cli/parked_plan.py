"""What ``hookferry parked redrive`` and ``discard`` are going to do: decided first, printed, and then done.

Nothing is written while a plan is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bridge.cli import parked_lanes
from bridge.cli.output import at_most
from bridge.cli.parked_selection import chosen, wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.cli.again import Result
    from bridge.dead_letters.hold import Hold, HoldKey
    from bridge.dead_letters.letter import Address, Letter
    from bridge.dead_letters.resend_request import ResendRequest
    from bridge.dead_letters.store import DeadLetterStore
    from bridge.settings import Settings

SHOWN = 10
"""Events of a plan that a terminal shows; the others are only counted."""
NOT_TAKEN = "no bridge has settled them; is one running, and the endpoint on (`hookferry endpoints list`)?"


class RedrivePlan(NamedTuple):
    """The requests of free lanes, and the held lanes with theirs.

    ``more`` are letters of held lanes that are sent although they were settled before. ``blocked`` are
    the letters that cannot be sent, with cause and remedy.
    """

    requests: Sequence[ResendRequest]
    lanes: Mapping[HoldKey, Hold]
    with_lanes: Sequence[ResendRequest]
    more: Sequence[Letter]
    blocked: Mapping[Address, tuple[str, str]]

    @property
    def letters(self) -> list[Letter]:
        """Return every letter that is to be sent."""
        return [request.letter for request in (*self.requests, *self.with_lanes)]

    def question(self) -> str:
        """Return what the operator must confirm."""
        free = f" and free {parked_lanes.lanes(len(self.lanes))}" if self.lanes else ""
        return f"Send {len(self.letters)} again{free}?"

    def blocked_documents(self) -> list[dict[str, str]]:
        """Return what cannot be sent, as JSON values."""
        return [
            {"address": str(address), "cause": cause, "remedy": remedy}
            for address, (cause, remedy) in self.blocked.items()
        ]

    def print_notes(self) -> None:
        """Print the held lanes, and what cannot be sent."""
        if self.lanes:
            behind = sum(request.letter.held_behind is not None for request in self.with_lanes)
            waits = f"with {behind} events that are sent after the one they wait for"
            click.echo(f"held lanes: {len(self.lanes)}, {waits}")
        listed = list(self.blocked.items())[: at_most(SHOWN)]
        for address, (cause, remedy) in listed:
            click.echo(f"{address} cannot be sent again: {cause}; {remedy}", err=True)
        if len(self.blocked) > len(listed):
            click.echo(f"… and {len(self.blocked) - len(listed)} more that cannot be sent again", err=True)


class DiscardPlan(NamedTuple):
    """The letters to discard. ``lanes`` are the held lanes whose later letters are sent then, with these."""

    letters: Sequence[Letter]
    lanes: Mapping[HoldKey, Sequence[Letter]]

    def print_notes(self) -> None:
        """Print the held lanes."""
        if self.lanes:
            number = sum(map(len, self.lanes.values()))
            click.echo(f"held lanes: {len(self.lanes)}, with {number} later events that are sent then")


def report_result(result: Result, topic: str) -> bool:
    """Print what became of the requests of free lanes; return True if none waits or was parked again."""
    again = [str(letter.address) for letter in result.parked_again]
    if result.delivered:
        click.echo(f"{result.delivered} delivered")
    if result.routed:
        click.echo(f"{result.routed} decoded, and sent to every endpoint that selects them")
    if again:
        click.echo(f"{len(again)} parked again: {', '.join(again)} (hookferry parked show ADDRESS)", err=True)
    if result.waiting:
        click.echo(
            f"{result.waiting} wait in {topic}: {NOT_TAKEN} They are sent later, and `hookferry parked list`"
            " shows them as queued until then",
            err=True,
        )
    return not (again or result.waiting)


async def plan_redrive(
    dead: DeadLetterStore,
    settings: Settings,
    holds: Mapping[HoldKey, Hold],
    addresses: tuple[Address, ...],
    given: dict[str, Any],
) -> RedrivePlan:
    """Decide what to send for these addresses or filters. Raises ``KafkaUnavailable``, ``UsageError``."""
    from bridge.dead_letters.resend_request import resend_requests
    from bridge.dead_letters.selection import lanes_of, redrivable
    from bridge.wiring.topics import build_selection

    selected = await chosen(dead, addresses, given)
    lanes = lanes_of(holds, selected)
    if not addresses and not given["limit"]:
        lanes |= parked_lanes.select_lanes(holds, wanted(given))
    ready = await redrivable(dead, build_selection(settings), settings.endpoints, selected, lanes)
    return RedrivePlan(
        resend_requests(ready.plain),
        {key: holds[key] for key in ready.lanes},
        resend_requests(ready.in_lanes),
        ready.more,
        ready.blocked,
    )


async def plan_discard(
    dead: DeadLetterStore,
    settings: Settings,
    holds: Mapping[HoldKey, Hold],
    addresses: tuple[Address, ...],
    given: dict[str, Any],
) -> DiscardPlan:
    """Decide what to discard for these addresses or filters. Raises ``KafkaUnavailable``, ``UsageError``."""
    from bridge.dead_letters.letter import LetterFilter
    from bridge.dead_letters.redrive import cause_of
    from bridge.dead_letters.selection import find_waiting, lanes_of, same_events

    selected = await chosen(dead, addresses, given)
    lanes = lanes_of(holds, selected)
    if lanes:
        selected = same_events(selected, await dead.find(LetterFilter(lanes=frozenset(lanes))))
    gone = {letter.address for letter in selected}
    waiting = await find_waiting(dead, lanes)
    later = {
        key: [letter for letter in waiting.get(key, ()) if letter.address not in gone]
        for key in lanes
        if key.endpoint in settings.endpoints
    }
    return DiscardPlan(
        selected, {key: letters for key, letters in later.items() if cause_of(letters) is None}
    )
