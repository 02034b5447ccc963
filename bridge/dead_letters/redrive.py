"""Redrive held lanes in rounds until they are free. Used by the command, not on the path.

A round reads the hold of a lane, then all letters of the lane that wait. It sends them in the order of
their topic, followed by a mark with the number of events that were parked when the hold was read. The
bridge lifts the hold when the mark arrives and nothing was parked since. Otherwise the next round
sends what was parked meanwhile.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bridge.clock import Clock
from bridge.dead_letters.hold import Hold, HoldKey
from bridge.dead_letters.letter import Fate, Letter, LetterFilter
from bridge.dead_letters.resend_request import ResendRequest, batches, resend_requests
from bridge.model import RedriveMark

_POLL_S = 0.5
_MOST_ROUNDS = 20
"""A lane that gets a new event in every round is given up after this many."""


class RedriveStore(Protocol):
    """The dead letters and holds of a group (``bridge.dead_letters.store.DeadLetterStore``)."""

    async def holds(self) -> Mapping[HoldKey, Hold]:
        """Return every hold as of now."""
        ...

    async def holds_after_change(self, timeout_s: float) -> Mapping[HoldKey, Hold]:
        """Return every hold after the next change or this time."""
        ...

    async def find(self, wanted: LetterFilter) -> list[Letter]:
        """Return all letters that match, without their values."""
        ...

    async def redrive(self, requests: Sequence[ResendRequest], by: str) -> int:
        """Send these again and mark their letters; return how many letters that settled."""
        ...

    async def send_marks(self, marks: Sequence[RedriveMark]) -> None:
        """Send marks, after everything that was sent before."""
        ...


class _SentMark(NamedTuple):
    """A mark that was sent, and the start of the hold that it is to lift."""

    since_ms: int
    mark_id: str


@dataclass(slots=True)
class Outcome:
    """The lanes after a redrive: free; held by an event that was parked again; unanswered; still busy."""

    released: list[HoldKey] = field(default_factory=list)
    refused: dict[HoldKey, Letter] = field(default_factory=dict)
    waiting: dict[HoldKey, Hold] = field(default_factory=dict)
    busy: dict[HoldKey, Hold] = field(default_factory=dict)
    settled: int = 0


def lane_of(letter: Letter) -> HoldKey | None:
    """Return the lane of a letter as holds name it; None if its endpoint keeps no order."""
    lane_id = letter.facts.get("lane")
    return HoldKey(letter.endpoint, lane_id) if letter.endpoint and lane_id else None


def by_lane(letters: Sequence[Letter]) -> dict[HoldKey, list[Letter]]:
    """Return the waiting letters by lane."""
    lanes: defaultdict[HoldKey, list[Letter]] = defaultdict(list)
    for letter in letters:
        key = lane_of(letter)
        if key is not None and letter.fate is Fate.WAITING:
            lanes[key].append(letter)
    return dict(lanes)


def cause_of(letters: Sequence[Letter]) -> Letter | None:
    """Return the letter of a lane that the others wait for; None if only others are left."""
    return next((letter for letter in letters if not letter.held_behind), None)


class RedriveRounds:
    """Sends the letters of held lanes again, round by round."""

    def __init__(
        self,
        store: RedriveStore,
        by: str,
        clock: Clock,
        *,
        wait_s: float,
        report_progress: Callable[[str], None] = lambda text: None,
    ) -> None:
        """``by`` is recorded in the markers; ``report_progress`` is called at each round."""
        self._store = store
        self._by = by
        self._clock = clock
        self._wait_s = wait_s
        self._report_progress = report_progress

    async def run(self, lanes: Collection[HoldKey], more: Sequence[Letter] = ()) -> Outcome:
        """Return when every lane is free, or held by an event that was parked again, or nothing moves.

        ``more`` are letters of these lanes that are sent although they were settled before. Returns
        after ``wait_s`` without an answer from a bridge. Raises what the store raises.
        """
        outcome, left, holds = Outcome(), set(lanes), dict[HoldKey, Hold]()
        for number in range(1, _MOST_ROUNDS + 1):
            holds = dict(await self._store.holds())  # before the letters, which include all that it counts
            outcome.released += sorted(left - holds.keys())
            left &= holds.keys()
            letters = by_lane(await self._store.find(LetterFilter(lanes=frozenset(left)))) if left else {}
            if number > 1:
                refused = {
                    key: cause for key in left if (cause := cause_of(letters.get(key, ()))) is not None
                }
                outcome.refused |= refused
                left -= refused.keys()
            if not left:
                return outcome
            marks = await self._send(number, {key: holds[key] for key in left}, letters, more, outcome)
            more = ()
            holds = dict(await self._holds_after_marks(marks))
            outcome.waiting = {key: holds[key] for key in left if _unanswered(marks[key], holds.get(key))}
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
    ) -> dict[HoldKey, _SentMark]:
        """Send one round: the letters, and then the marks."""
        chosen = [*(letter for key in holds for letter in letters.get(key, ())), *more]
        requests = [
            request._replace(round=holds[key].round)
            for request in resend_requests(chosen)
            if (key := lane_of(request.letter)) is not None and key in holds
        ]
        self._report_progress(f"round {number}: {len(requests)} of {len(holds)} held lanes")
        for batch in batches(requests):
            outcome.settled += await self._store.redrive(batch, self._by)
        marks = {key: _SentMark(hold.since_ms, secrets.token_hex(16)) for key, hold in holds.items()}
        await self._store.send_marks(
            [
                RedriveMark(key.endpoint, hold.lane, marks[key].mark_id, hold.round, hold.parked)
                for key, hold in holds.items()
            ]
        )
        return marks

    async def _holds_after_marks(self, marks: Mapping[HoldKey, _SentMark]) -> Mapping[HoldKey, Hold]:
        """Return the holds once all marks were answered, or once none was for ``wait_s``."""
        holds, open_before = await self._store.holds(), len(marks) + 1
        deadline = self._clock.monotonic() + self._wait_s
        while True:
            open_now = sum(_unanswered(mark, holds.get(key)) for key, mark in marks.items())
            if open_now < open_before:
                deadline = self._clock.monotonic() + self._wait_s
            open_before = open_now
            left_s = deadline - self._clock.monotonic()
            if not open_now or left_s <= 0:
                return holds
            holds = await self._store.holds_after_change(min(_POLL_S, left_s))


def _unanswered(mark: _SentMark, hold: Hold | None) -> bool:
    """Return True if the bridge has not answered the mark: the same hold, without the id of the mark."""
    return hold is not None and hold.since_ms == mark.since_ms and hold.answered != mark.mark_id
