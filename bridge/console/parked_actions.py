"""Send parked events again, or discard them, for the console.

Invariant: nothing is sent that the operator did not select, except what waits for it in a held lane.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bridge.clock import SystemClock
from bridge.console.ports import Done, Who
from bridge.console.query import ParkedQuery
from bridge.console.store.parked import ParkedQueries
from bridge.dead_letters.hold import HoldKey
from bridge.dead_letters.letter import Address, Fate, Letter, LetterFilter
from bridge.dead_letters.redrive import RedriveRounds, cause_of
from bridge.dead_letters.resend_request import BATCH_SIZE, batches, resend_requests
from bridge.dead_letters.selection import Blocked, find_waiting, lanes_of, redrivable, same_events
from bridge.dead_letters.store import DeadLetterStore
from bridge.errors import ActionRefused
from bridge.settings import Settings
from bridge.wiring.kafka import again_topic, build_letters
from bridge.wiring.topics import build_selection

_WAIT_S = 5.0
"""How long a request waits until the bridges have released held lanes."""


class ParkedActions:
    """Redrive and discard. Methods raise ``ActionRefused`` and what the broker's edge raises."""

    def __init__(self, settings: Settings, parked: ParkedQueries) -> None:
        self._settings = settings
        self._parked = parked

    async def redrive_all(self, query: ParkedQuery, who: Who) -> Done:
        """Send all parked events again that a query selects."""
        addresses = await self._parked.addresses(query)
        if not addresses:
            raise ActionRefused("the selection", "no parked event matches it", "change the filters")
        return await self._redrive(addresses, who)

    async def redrive(self, addresses: Sequence[str], who: Who) -> Done:
        """Send parked events again, in order."""
        return await self._redrive(_parsed(addresses), who)

    async def _redrive(self, addresses: Sequence[Address], who: Who) -> Done:
        async with build_letters(self._settings) as dead:
            holds = await dead.holds()
            letters = await _waiting(dead, addresses)
            topics, endpoints = build_selection(self._settings), self._settings.endpoints
            ready = await redrivable(dead, topics, endpoints, letters, lanes_of(holds, letters))
            sendable = {letter.address for letter in (*ready.plain, *ready.in_lanes)}
            sent = [letter for letter in letters if letter.address in sendable]
            if not sent:
                raise _refusal(ready.blocked)
            number = 0
            for batch in batches(resend_requests(ready.plain)):
                number += await dead.redrive(batch, who.by)
            words = [f"{number} written to {again_topic(self._settings)}"] if ready.plain else []
            if ready.lanes:
                words.append(await _redrive_lanes(dead, ready.lanes, who))
            if ready.blocked:
                words.append(f"{len(ready.blocked)} cannot be sent: {'; '.join(_first(ready.blocked)[1])}")
            return Done("; ".join(words), len(sent), ids=[str(letter.address) for letter in sent])

    async def discard(self, addresses: Sequence[str], who: Who) -> Done:
        """Mark parked events as never to be sent; release the lanes that wait for them."""
        places = _parsed(addresses)
        async with build_letters(self._settings) as dead:
            holds = await dead.holds()
            letters = await _waiting(dead, places)
            lanes = lanes_of(holds, letters)
            in_lanes = await find_waiting(dead, lanes)
            letters = same_events(letters, [letter for of_lane in in_lanes.values() for letter in of_lane])
            number = 0
            for begin in range(0, len(letters), BATCH_SIZE):
                number += await dead.discard(letters[begin : begin + BATCH_SIZE], who.by, who.why)
            waiting = await find_waiting(dead, lanes)
            free = {key for key in lanes if cause_of(waiting.get(key, ())) is None}
            free = {key for key in free if key.endpoint in self._settings.endpoints}
            words = [f"{number} discarded"]
            if free:
                words.append(await _redrive_lanes(dead, free, who))
            return Done("; ".join(words), number, ids=[str(letter.address) for letter in letters])


async def _waiting(dead: DeadLetterStore, addresses: Sequence[Address]) -> list[Letter]:
    """Return the letters at these addresses that wait. Raises ``ActionRefused`` if there are none."""
    wanted = set(addresses)
    letters = [
        letter
        for letter in await dead.find(LetterFilter())
        if letter.address in wanted and letter.fate is Fate.WAITING
    ]
    if not letters:
        raise ActionRefused(
            ", ".join(map(str, addresses[:5])),
            "no parked event waits there",
            "reload the list: it may have been sent again or discarded meanwhile",
        )
    return letters


async def _redrive_lanes(dead: DeadLetterStore, lanes: Collection[HoldKey], who: Who) -> str:
    outcome = await RedriveRounds(dead, who.by, SystemClock(), wait_s=_WAIT_S).run(lanes)
    parts = [
        (len(outcome.released), "held lanes released"),
        (len(outcome.refused), "still held, because the event was parked again"),
        (len(outcome.waiting), "not confirmed by a bridge yet"),
        (len(outcome.busy), "still held, because new events arrived"),
    ]
    return f"{outcome.settled} of held lanes written: " + ", ".join(
        f"{number} {text}" for number, text in parts if number
    )


def _parsed(addresses: Sequence[str]) -> list[Address]:
    try:
        return [Address.parse(text) for text in dict.fromkeys(addresses)]
    except ValueError as exc:
        raise ActionRefused("the addresses", str(exc), "take them from the list of parked events") from exc


def _refusal(blocked: Blocked) -> ActionRefused:
    address, (cause, remedy) = _first(blocked)
    return ActionRefused(f"parked event {address}", cause, remedy)


def _first(blocked: Blocked) -> tuple[Address, tuple[str, str]]:
    return next(iter(blocked.items()))
