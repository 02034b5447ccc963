"""Held lanes sent again until they are free: rounds of letters, each ended by a mark.

For the command, not on the path. A round reads the hold of a lane, then everything of it that
waits, sends that in the order of its topic, and a mark behind it that says how much was parked when
the hold was read. The bridge lifts the hold when the mark comes and nothing was parked since;
otherwise the next round takes what came meanwhile. Between the edges and the command.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bridge.clock import Clock
from bridge.dead_letters.hold import Hold, HoldKey
from bridge.dead_letters.letter import Errand, Fate, Letter, Wanted, errands
from bridge.model import RedriveMark

BATCH = 500
"""Records sent and marked at a time: what is held in memory, and what a crash leaves unmarked."""
_POLL_S = 0.5
_MOST_ROUNDS = 20
"""A lane that gets an event in every round is not pursued for ever."""


class Desk(Protocol):
    """The dead letters and the holds of a group (``bridge.dead_letters.store.DeadLetters``)."""

    async def holds(self) -> Mapping[HoldKey, Hold]:
        """Every hold as of now."""
        ...

    async def news(self, timeout_s: float) -> Mapping[HoldKey, Hold]:
        """Every hold after the next change, or after this time."""
        ...

    async def find(self, wanted: Wanted) -> list[Letter]:
        """All letters that are asked for, without their values."""
        ...

    async def redrive(self, errands: Sequence[Errand], by: str) -> int:
        """Send these again and mark their letters; how many letters that settled."""
        ...

    async def end_round(self, marks: Sequence[RedriveMark]) -> None:
        """Send marks, behind everything that was sent before."""
        ...


class _Asked(NamedTuple):
    """A mark that is on its way, and since when the lane was held that it is to free."""

    since_ms: int
    mark_id: str


@dataclass(slots=True)
class Outcome:
    """What became of the lanes: free; held by an event that was parked again; not known yet."""

    released: list[HoldKey] = field(default_factory=list)
    refused: dict[HoldKey, Letter] = field(default_factory=dict)
    waiting: dict[HoldKey, Hold] = field(default_factory=dict)
    busy: dict[HoldKey, Hold] = field(default_factory=dict)
    settled: int = 0


def lane_of(letter: Letter) -> HoldKey | None:
    """The lane of a letter, as holds are named; None where it asked for no order."""
    lane_id = letter.facts.get("lane")
    return HoldKey(letter.endpoint, lane_id) if letter.endpoint and lane_id else None


def by_lane(letters: Sequence[Letter]) -> dict[HoldKey, list[Letter]]:
    """The letters that wait, by their lanes."""
    found: defaultdict[HoldKey, list[Letter]] = defaultdict(list)
    for letter in letters:
        key = lane_of(letter)
        if key is not None and letter.fate is Fate.WAITING:
            found[key].append(letter)
    return dict(found)


def cause_of(letters: Sequence[Letter]) -> Letter | None:
    """The letter that the others of a lane wait for; None when only others are left."""
    return next((letter for letter in letters if not letter.held_behind), None)


class Rounds:
    """Sends the letters of held lanes again, round by round. ``tell`` hears of the progress."""

    def __init__(
        self,
        desk: Desk,
        by: str,
        clock: Clock,
        *,
        wait_s: float,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._desk = desk
        self._by = by
        self._clock = clock
        self._wait_s = wait_s
        self._tell = tell

    async def run(self, lanes: Collection[HoldKey], more: Sequence[Letter] = ()) -> Outcome:
        """Until every lane is free, or held by an event that was parked again, or nothing moves.

        ``more`` are letters of these lanes that are sent though they were settled before. Returns
        after ``wait_s`` without an answer from a bridge. Raises what the desk raises.
        """
        outcome, left, holds = Outcome(), set(lanes), dict[HoldKey, Hold]()
        for number in range(1, _MOST_ROUNDS + 1):
            holds = dict(await self._desk.holds())  # before the letters: what it counts is among them
            outcome.released += sorted(left - holds.keys())
            left &= holds.keys()
            letters = by_lane(await self._desk.find(Wanted(lanes=frozenset(left)))) if left else {}
            if number > 1:
                again = {key: cause for key in left if (cause := cause_of(letters.get(key, ()))) is not None}
                outcome.refused |= again
                left -= again.keys()
            if not left:
                return outcome
            asked = await self._send(number, {key: holds[key] for key in left}, letters, more, outcome)
            more = ()
            holds = dict(await self._answered(asked))
            outcome.waiting = {key: holds[key] for key in left if _unanswered(asked[key], holds.get(key))}
            left -= outcome.waiting.keys()
        outcome.busy = {key: holds[key] for key in left if key in holds}
        outcome.released += sorted(left - outcome.busy.keys())
        return outcome

    async def _send(
        self,
        number: int,
        holds: Mapping[HoldKey, Hold],
        letters: Mapping[HoldKey, Sequence[Letter]],
        more: Sequence[Letter],
        outcome: Outcome,
    ) -> dict[HoldKey, _Asked]:
        """One round: the letters, and behind them the marks."""
        chosen = [*(one for key in holds for one in letters.get(key, ())), *more]
        plan = [
            errand._replace(round=holds[key].round)
            for errand in errands(chosen)
            if (key := lane_of(errand.letter)) is not None and key in holds
        ]
        self._tell(f"round {number}: {len(plan)} of {len(holds)} held lanes")
        for at in range(0, len(plan), BATCH):
            outcome.settled += await self._desk.redrive(plan[at : at + BATCH], self._by)
        asked = {key: _Asked(hold.since_ms, secrets.token_hex(16)) for key, hold in holds.items()}
        await self._desk.end_round(
            [
                RedriveMark(key.endpoint, hold.lane, asked[key].mark_id, hold.round, hold.parked)
                for key, hold in holds.items()
            ]
        )
        return asked

    async def _answered(self, asked: Mapping[HoldKey, _Asked]) -> Mapping[HoldKey, Hold]:
        """The holds when all marks have come, or when none has for ``wait_s``."""
        holds, open_before = await self._desk.holds(), len(asked) + 1
        deadline = self._clock.monotonic() + self._wait_s
        while True:
            still = sum(_unanswered(one, holds.get(key)) for key, one in asked.items())
            if still < open_before:
                deadline = self._clock.monotonic() + self._wait_s
            open_before = still
            left_s = deadline - self._clock.monotonic()
            if not still or left_s <= 0:
                return holds
            holds = await self._desk.news(min(_POLL_S, left_s))


def _unanswered(asked: _Asked, hold: Hold | None) -> bool:
    """Whether a mark has not come yet: the lane is held as it was, and nothing is said of the mark."""
    return hold is not None and hold.since_ms == asked.since_ms and hold.answered != asked.mark_id
