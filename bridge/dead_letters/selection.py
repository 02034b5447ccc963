"""Decide what a redrive or a discard concerns, for the command and the console.

Invariant: nothing is written. A held lane is sent as a whole, or not at all if one of its letters cannot be.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from bridge.dead_letters.hold import HoldKey
from bridge.dead_letters.letter import Address, Fate, Letter, LetterFilter
from bridge.dead_letters.redrive import by_lane, lane_of
from bridge.dead_letters.resend_request import obstacle

Blocked = Mapping[Address, tuple[str, str]]
"""The letters that cannot be sent again, with cause and remedy."""


class Letters(Protocol):
    """The dead letters of a group (``bridge.dead_letters.store.DeadLetterStore``)."""

    @property
    def again_partitions(self) -> int:
        """The number of partitions of the topic for events that are sent again."""
        ...

    async def find(self, wanted: LetterFilter) -> list[Letter]:
        """Return all letters that match, without their values."""
        ...

    async def lost_stubs(self, letters: Sequence[Letter]) -> dict[Address, tuple[str, str]]:
        """Return the stubs whose records do not exist any more, with cause and remedy."""
        ...


class Redrivable(NamedTuple):
    """What can be sent again: ``plain`` are letters of free lanes, ``in_lanes`` those of the held ``lanes``.

    ``more`` are letters of held lanes that are sent although they were settled before.
    """

    plain: Sequence[Letter]
    lanes: Collection[HoldKey]
    in_lanes: Sequence[Letter]
    more: Sequence[Letter]
    blocked: Blocked


async def redrivable(
    dead: Letters,
    topics: Container[str],
    endpoints: Container[str],
    selected: Sequence[Letter],
    lanes: Collection[HoldKey],
) -> Redrivable:
    """Return which of the letters and held lanes can be sent again. Raises ``KafkaUnavailable``.

    ``topics`` are those that a source reads. ``lanes`` include those of the selected letters.
    """
    waiting = [letter for of_lane in (await find_waiting(dead, lanes)).values() for letter in of_lane]
    more = [letter for letter in selected if lane_of(letter) in lanes and letter.fate is not Fate.WAITING]
    plain = [letter for letter in selected if lane_of(letter) not in lanes]
    blocked = await _blocked(dead, topics, endpoints, [*plain, *waiting, *more])
    left = set(lanes) - lanes_of(lanes, [letter for letter in waiting if letter.address in blocked])
    more = [letter for letter in more if letter.address not in blocked]
    return Redrivable(
        [letter for letter in plain if letter.address not in blocked],
        left,
        [letter for letter in [*waiting, *more] if lane_of(letter) in left],
        more,
        blocked,
    )


async def _blocked(
    dead: Letters, topics: Container[str], endpoints: Container[str], letters: Sequence[Letter]
) -> dict[Address, tuple[str, str]]:
    blocked = {
        letter.address: why
        for letter in letters
        if (why := obstacle(letter, topics, endpoints, dead.again_partitions))
    }
    left = [letter for letter in letters if letter.address not in blocked]
    return blocked | await dead.lost_stubs(left)


def lanes_of(holds: Collection[HoldKey], letters: Iterable[Letter]) -> set[HoldKey]:
    """Return those of the held lanes that contain one of the letters."""
    return {key for letter in letters if (key := lane_of(letter)) is not None and key in holds}


async def find_waiting(dead: Letters, lanes: Collection[HoldKey]) -> dict[HoldKey, list[Letter]]:
    """Return the waiting letters of each lane. Raises ``KafkaUnavailable``."""
    return by_lane(await dead.find(LetterFilter(lanes=frozenset(lanes)))) if lanes else {}


def same_events(chosen: Sequence[Letter], of_lanes: Sequence[Letter]) -> list[Letter]:
    """Return the letters, and all other waiting letters of the same events: a crash can park one twice.

    In a held lane, a letter that was left out would send an event that was discarded.
    """
    events = {(letter.origin.place, letter.index, letter.endpoint) for letter in chosen}
    known = {letter.address for letter in chosen}
    more = [
        letter
        for letter in of_lanes
        if letter.address not in known
        and letter.fate is Fate.WAITING
        and (letter.origin.place, letter.index, letter.endpoint) in events
    ]
    return [*chosen, *more]
