"""The breaker of an endpoint: stop sending to what is down, find out with one request when it is back.

Takes answers and instants, gives whether to send. Pure.
"""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum

_SLOTS = 10
_UNTIL_AN_ANSWER_S = 0.1


class BreakerState(StrEnum):
    """Where a breaker stands; the words of the metric."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Closed while an endpoint works, open while it is down, half-open in between.

    Opens when at least ``failures`` of the last ``window_s`` failed and they are at least
    ``ratio`` of all answers there: a single poisoned entity among working ones does not open it.
    A busy endpoint that goes down would take most of the window to reach the ratio; so that many
    in a row as may be in flight at once (and ``failures`` of them at least) open it as well.
    After ``open_s`` exactly one request goes, the probe. When it fails, the breaker is open again
    for twice as long, at most ``max_open_s``. When it succeeds, 2 may be in flight, then 4, 8 …, each
    step after as many answers as it allows at once; more than ``ratio`` of a step failing opens
    again. At ``concurrency`` it is closed.

    What counts is the request's own number: answers to requests from before the breaker last
    opened tell what is known already, and must not pass for the probe's.
    """

    def __init__(
        self,
        *,
        failures: int,
        window_s: float,
        open_s: float,
        max_open_s: float,
        concurrency: int,
        ratio: float = 0.5,
    ) -> None:
        self.state = BreakerState.CLOSED
        self._failures = failures
        self._slot_s = window_s / _SLOTS
        self._open_s = open_s
        self._max_open_s = max_open_s
        self._concurrency = concurrency
        self._ratio = ratio
        self._opening_run = max(failures, concurrency)
        self._run = 0
        self._slots: deque[tuple[int, int, int]] = deque()
        self._since = 0
        self._delay_s = 0.0
        self._probe_at = math.inf
        self._allowed = self._in_flight = self._answers = self._failed = 0

    def may_probe(self, now: float) -> bool:
        """Whether the next request would be the probe, and may go."""
        return self.state is BreakerState.OPEN and now >= self._probe_at

    def wait_s(self, now: float) -> float:
        """Seconds until the next request may go; 0 when it may now.

        What waits for an answer cannot know when: then the wait is short, and asking again after
        each answer is better.
        """
        match self.state:
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN:
                return max(0.0, self._probe_at - now)
            case BreakerState.HALF_OPEN:
                return 0.0 if self._in_flight < self._allowed else _UNTIL_AN_ANSWER_S

    def allowed_concurrency(self, limit: int) -> int:
        """How many requests may be in flight at once, of the ``limit`` that is configured."""
        match self.state:
            case BreakerState.CLOSED:
                return limit
            case BreakerState.OPEN:
                return 1
            case BreakerState.HALF_OPEN:
                return min(self._allowed, limit)

    def sent(self, now: float, number: int) -> None:
        """Request ``number`` is sent; numbers only grow."""
        if self.may_probe(now):
            self.state = BreakerState.HALF_OPEN
            self._since = number
            self._in_flight = 0
            self._step(1)
        if self.state is BreakerState.HALF_OPEN:
            self._in_flight += 1

    def answered(self, now: float, number: int, *, failed: bool) -> None:
        """Request ``number`` has its answer; ``failed`` when the endpoint gave none, or a 5xx."""
        if number < self._since or self.state is BreakerState.OPEN:
            return
        if self.state is BreakerState.CLOSED:
            if self._count(now, failed=failed):
                self._open(now)
            return
        self._in_flight -= 1
        self._answers += 1
        self._failed += failed
        if self._failed > self._ratio * self._allowed:
            self._open(now)
        elif self._answers >= self._allowed:
            self._step(self._allowed * 2)

    def abandoned(self, number: int) -> None:
        """Request ``number`` gets no answer that means anything (it was cancelled)."""
        if number < self._since or self.state is not BreakerState.HALF_OPEN:
            return
        self._in_flight -= 1

    def _step(self, allowed: int) -> None:
        self._allowed, self._answers, self._failed = allowed, 0, 0
        if allowed > 1 and allowed >= self._concurrency:
            self.state = BreakerState.CLOSED
            self._delay_s = 0.0
            self._slots.clear()

    def _open(self, now: float) -> None:
        self.state = BreakerState.OPEN
        self._delay_s = min(self._delay_s * 2 or self._open_s, self._max_open_s)
        self._probe_at = now + self._delay_s

    def _count(self, now: float, *, failed: bool) -> bool:
        """Count an answer into the sliding window, kept in tenths; True when the breaker must open."""
        slot = math.floor(now / self._slot_s)
        while self._slots and self._slots[0][0] <= slot - _SLOTS:
            self._slots.popleft()
        answers, failures = 1, int(failed)
        if self._slots and self._slots[-1][0] == slot:
            _, before, failed_before = self._slots.pop()
            answers, failures = answers + before, failures + failed_before
        self._slots.append((slot, answers, failures))
        self._run = self._run + 1 if failed else 0
        if not failed:
            return False
        all_failures = sum(failures for _, _, failures in self._slots)
        if all_failures < self._failures:
            return False
        all_answers = sum(answers for _, answers, _ in self._slots)
        return self._run >= self._opening_run or all_failures >= self._ratio * all_answers
