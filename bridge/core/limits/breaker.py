"""The breaker of an endpoint: stop sending while it is down, and probe with one request until it is back.

Pure: callers pass answers and instants.
"""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum

_SLOTS = 10
_UNTIL_AN_ANSWER_S = 0.1


class BreakerState(StrEnum):
    """The state of a breaker, in the words of the metric."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Closed while an endpoint works, open while it is down, half-open in between.

    It opens when at least ``failures`` requests failed within ``window_s`` and they are at least
    ``ratio`` of all answers in that time: one poisoned entity among working ones does not open it.
    A busy endpoint that goes down would need most of the window to reach the ratio. Therefore
    ``concurrency`` failures in a row (and at least ``failures``) open it as well.
    An answer that the receiver is busy (502, 503, 504) is a failure only if nothing else was in flight: then
    it is down. Otherwise it has too much to do, and the adaptive limit reacts.
    After ``open_s`` exactly one request is sent, the probe. If it fails, the breaker stays open for
    another ``open_s``, or a quarter of the time that it has been open if that is longer, at most
    ``max_open_s``: the return is late by a quarter of the outage at most. If the probe succeeds, 2
    requests may be in flight, then 4, 8 …; each step ends after as many answers as it allows at once.
    If more than ``ratio`` of a step fails, the breaker opens again. At ``concurrency`` it closes.

    Answers are matched by request number: an answer to a request from before the breaker last
    opened adds nothing new, and must not be mistaken for the answer to the probe.
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
        self.slot_ends_at = -math.inf
        self.slot_successes = 0
        """A caller may add a success here instead of calling ``answered``, before ``slot_ends_at`` and
        while the breaker is ``untroubled``: it changes nothing else."""
        self._since = 0
        self._window_s = window_s
        self._busy_run, self._busy_since = 0, -math.inf
        self._down_since: float | None = None
        self._probe_at = math.inf
        self._allowed = self._in_flight = self._answers = self._failed = 0

    @property
    def untroubled(self) -> bool:
        """Return True if the breaker is closed and the last answer was no failure."""
        return self.state is BreakerState.CLOSED and not self._run and not self._busy_run

    def may_probe(self, now: float) -> bool:
        """Return True if the next request is the probe and may be sent."""
        return self.state is BreakerState.OPEN and now >= self._probe_at

    def try_now(self, now: float) -> None:
        """Let the probe be sent now, if the breaker is open."""
        if self.state is BreakerState.OPEN:
            self._probe_at = min(self._probe_at, now)

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next request may be sent; 0 if it may be sent now.

        The instant of an answer cannot be predicted. While half-open the wait is short, and calling again
        after each answer is sooner.
        """
        match self.state:
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN:
                return max(0.0, self._probe_at - now)
            case BreakerState.HALF_OPEN:
                return 0.0 if self._in_flight < self._allowed else _UNTIL_AN_ANSWER_S

    def sent(self, now: float, number: int) -> None:
        """Count request ``number`` as sent; numbers only increase."""
        if self.may_probe(now):
            self.state = BreakerState.HALF_OPEN
            self._since = number
            self._in_flight = 0
            self._step(1)
        if self.state is BreakerState.HALF_OPEN:
            self._in_flight += 1

    def answered(self, now: float, number: int, *, failed: bool) -> None:
        """Count the answer to request ``number``; ``failed`` if there was none, or a 5xx."""
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

    def busy(self, now: float, number: int, *, alone: bool) -> None:
        """Count an answer to request ``number`` that the receiver is busy.

        ``alone``: no other request of ours can be the reason.
        """
        if self.state is BreakerState.HALF_OPEN:
            self.answered(now, number, failed=alone or self._allowed == 1)
        elif alone and self.state is BreakerState.CLOSED and number >= self._since:
            if now - self._busy_since > self._window_s:
                self._busy_run, self._busy_since = 0, now
            self._busy_run += 1
            if self._busy_run >= self._failures:
                self._open(now)

    def abandoned(self, number: int) -> None:
        """Forget request ``number``: it was cancelled, so its answer never comes."""
        if number < self._since or self.state is not BreakerState.HALF_OPEN:
            return
        self._in_flight -= 1

    def _step(self, allowed: int) -> None:
        self._allowed, self._answers, self._failed = allowed, 0, 0
        if allowed > 1 and allowed >= self._concurrency:
            self.state = BreakerState.CLOSED
            self._down_since = None
            self._slots.clear()
            self.slot_ends_at, self.slot_successes = -math.inf, 0

    def _open(self, now: float) -> None:
        self.state = BreakerState.OPEN
        if self._down_since is None:
            self._down_since = now
        quarter_s = (now - self._down_since) / 4
        self._probe_at = now + min(max(self._open_s, quarter_s), self._max_open_s)
        self._run = self._busy_run = 0

    def _count(self, now: float, *, failed: bool) -> bool:
        """Count an answer in the sliding window of ten slots; return True if the breaker must open."""
        slot = math.floor(now / self._slot_s)
        if self.slot_successes:
            latest, before, failed_before = self._slots.pop()
            self._slots.append((latest, before + self.slot_successes, failed_before))
        self.slot_ends_at, self.slot_successes = (slot + 1) * self._slot_s, 0
        while self._slots and self._slots[0][0] <= slot - _SLOTS:
            self._slots.popleft()
        answers, failures = 1, int(failed)
        if self._slots and self._slots[-1][0] == slot:
            _, before, failed_before = self._slots.pop()
            answers, failures = answers + before, failures + failed_before
        self._slots.append((slot, answers, failures))
        self._run = self._run + 1 if failed else 0
        if not failed:
            self._busy_run = 0
            return False
        all_failures = sum(failures for _, _, failures in self._slots)
        if all_failures < self._failures:
            return False
        all_answers = sum(answers for _, answers, _ in self._slots)
        return self._run >= self._opening_run or all_failures >= self._ratio * all_answers
