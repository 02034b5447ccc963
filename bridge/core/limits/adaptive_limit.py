"""The limits of an overloaded endpoint: how many requests per second and at once, found by measuring.

Pure: callers pass answers and instants.
"""

from __future__ import annotations

import math

from bridge.core.limits.answer_window import AnswerWindow
from bridge.model import AnswerKind

SLOWEST_PER_S = 0.5
UNTIL_AN_ANSWER_S = 0.1
_CATCH_UP_S = 0.05
_WINDOW_S = 0.5
_WINDOW_ANSWERS = 100
_OLDEST_WINDOW_S = 5.0
_FEWEST_ANSWERS = 20
_TOLERATED = 0.05
"""Up to this share of refused answers, the retries of the refused events are reaction enough."""
_CLEAN = 0.01
_FEWEST_OBVIOUS, _OBVIOUS = 3, 1 / 3
"""This many refused answers suffice if they are more than this share; otherwise the window is completed."""
_RANDOM = 0.3
"""Up to this share of refused answers, the receiver may refuse at random, whatever is sent."""
_AS_MUCH, _TIMES_WITHOUT_HELP = 0.8, 2
_TOLERATED_FOR_S = 10.0
_FEWEST_FOR_A_STEP = 5
_FIRST_STEP, _LARGEST_STEP, _LARGEST_RATE_STEP = 0.02, 1.0, 0.5
_PROBE_EVERY = 30
_HOLD_S, _HOLD_ANSWERS = 4.0, 60
_SOON = 2.0
"""A pause that follows this many times its length after the one before may be asked for by chance."""
_HOLD_PAUSES, _LONGEST_HOLD_S = 30.0, 60.0
_UNTIL_THE_INSTANT = 10**9
_SHORTEST_S = 0.01


class AdaptiveLimit:
    """What an overloaded receiver can take, found by measuring windows of answers.

    A receiver refuses for one of two reasons. It counts requests per second, which 429 means; then a rate
    limits it, because one request at a time is still a thousand per second to a receiver that refuses
    within a millisecond. Or all its workers are busy, which 502, 503 and 504 mean; then a limit on the
    requests in flight finds their number, where a rate would have to stay far below what they can do. If
    503 continues with a single request in flight, the receiver counts as well, and the rate applies.

    The share of refused answers in a window decides. Up to 5 % nothing is lowered: such answers come at
    random from a receiver that is not overloaded. Above it the limit becomes what the receiver accepted in
    the window: for the rate, its share of accepted answers, at least half; for concurrency, the mean number
    of requests in flight that it did not refuse. If the share stays although the limit fell twice,
    the limit is not the cause: it is restored, and that share is tolerated for 10 s.

    Each window without overload raises the limit, by 2 %, then 4 %, 8 %, up to twice: a little near the old
    limit, quickly when the receiver has recovered. After an overload a limit first stays for 30 accepted
    answers per refused one, or 4 s and 60 answers, so that probing costs few refused requests. A refusal
    with ``Retry-After`` costs a pause as well: the limit then stays for 30 times the pause, at most a minute.
    Pauses far apart may be asked for by chance, and lower nothing: only the second of two in quick succession
    does, or one after the limit was raised. The rate stays at what was accepted since the one before.

    Requests that were in flight when a limit changed do not show whether the new one is right. Requests have
    numbers, and a window counts only the answers to requests that were sent since it began.
    """

    def __init__(self, concurrency: int, *, slowest_per_s: float = SLOWEST_PER_S) -> None:
        self.concurrency = concurrency
        """The requests that may be in flight now."""
        self.rate_per_s: float | None = None
        """The requests per second; None without a limit."""
        self.watching = False
        """True while something is limited or a window is measured. Otherwise ``sent`` need not be called."""
        self.reason = ""
        """Why the limits were last lowered, for a person."""
        self._most = concurrency
        self._slowest_per_s = slowest_per_s
        self._full_per_s = slowest_per_s
        self._found_per_s = self._accepted_per_s = 0.0
        self._rising = self._raised = self._refused_by_chance = self._paused_soon = False
        self._newest = self._accepted = 0
        self._with_pauses_per_s = self._paused_in_window_s = 0.0
        self._pause_began_at = -math.inf
        self._paused_until = self._next_at = self._refused_at = -math.inf
        self._try_now = False
        self._probe: int | None = None
        self._window = AnswerWindow()
        self._lowered: tuple[float, int, float | None] | None = None
        self._no_help = 0
        self._tolerated, self._tolerated_until = _TOLERATED, -math.inf
        self._step = _FIRST_STEP
        self._hold_until = -math.inf
        self._hold_answers = self._held_answers = 0

    def wait_s(self, now: float, in_flight: int) -> float:
        """Return the seconds until the next request may be sent; 0 if it may be sent now."""
        if self._try_now:
            return 0.0
        ready_at = self._paused_until
        if self.rate_per_s is not None:
            ready_at = max(ready_at, self._next_at)
        if in_flight >= self.concurrency:
            ready_at = max(ready_at, now + UNTIL_AN_ANSWER_S)
        return max(0.0, ready_at - now)

    def pause(self, now: float, seconds: float) -> None:
        """Send nothing for some seconds. A pause never becomes shorter."""
        if now >= self._paused_until:
            seconds_since = max(now - self._pause_began_at, 0.001)
            self._with_pauses_per_s = self._accepted / seconds_since if self.watching else 0.0
            soon = now - self._paused_until < _SOON * seconds
            self._refused_by_chance = not self._raised and not (soon and self._paused_soon)
            self._paused_soon = soon
            self._accepted, self._pause_began_at = 0, now
        until = max(self._paused_until, now + seconds)
        self._paused_in_window_s += until - max(self._paused_until, now)
        self._paused_until = until

    @property
    def engaged(self) -> bool:
        """Return True if ``sent`` and ``answered`` must be called for each request."""
        return self.watching or self._try_now or self._probe is not None

    def try_now(self, now: float) -> None:
        """Let one request be sent now, whatever the limits are. If it is not refused, a pause ends."""
        self._try_now = self.wait_s(now, 0) > 0

    def sent(self, now: float, number: int, in_flight: int) -> None:
        """Count request ``number``; ``in_flight`` were in flight before it."""
        if self._try_now:
            self._try_now, self._probe = False, number
        if self.rate_per_s is not None:
            # A late wake-up is caught up, by at most 50 ms; otherwise timers would lower the rate.
            self._next_at = max(self._next_at, now - _CATCH_UP_S) + 1 / self.rate_per_s
        if self.watching:
            self._window.sent(now, number, in_flight)

    def answered(
        self, now: float, number: int, kind: AnswerKind, *, in_flight: int, newest: int, pause_s: float = 0.0
    ) -> None:
        """Adapt the limits to the answer to request ``number``.

        ``in_flight`` were in flight before it; ``newest`` is the number of the last request sent so far.
        ``pause_s``: the receiver's ``Retry-After``; ``pause`` was called with it.
        """
        window, refusal, self._newest = self._window, kind in {"throttled", "unavailable"}, newest
        if refusal:
            self._refused_at = max(now, self._paused_until)
        else:
            self._accepted += 1
        if number == self._probe:
            self._probe = None
            if not refusal and kind != "failed" and not pause_s:
                self._paused_until = now
                self._begin_window(now, newest)
        if not self.watching:
            if refusal:
                self.watching = True
                self._begin_window(now, newest)
            return
        if not window.answered(now, number, kind, in_flight):
            return
        before = self.concurrency, self.rate_per_s
        if self._react(now, refusal, pause_s):
            changed = before != (self.concurrency, self.rate_per_s)
            self._begin_window(now, newest if changed else window.since - 1)

    def abandoned(self, number: int) -> None:
        """Forget request ``number``: it has no answer."""
        if number == self._probe:
            self._probe = None
        self._window.abandoned(number)

    def reset(self) -> None:
        """Lift the limits, but not a pause: the breaker has taken over, and returns step by step itself."""
        self.concurrency, self.rate_per_s, self.watching = self._most, None, False
        self._step, self._hold_answers, self._lowered, self._no_help = _FIRST_STEP, 0, None, 0
        self._window.clear()

    def _begin_window(self, now: float, newest: int) -> None:
        self._window.begin(max(now, self._paused_until), newest)
        self._paused_in_window_s = 0.0

    def _react(self, now: float, refusal: bool, pause_s: float) -> bool:
        """Lower or raise the limits if the window shows enough; return True if it has ended."""
        window = self._window
        age_s = now - window.began_at
        complete = age_s >= _WINDOW_S or (self.rate_per_s is None and window.answers >= _WINDOW_ANSWERS)
        refused_with_pause = refusal and pause_s and self.limited and not self._refused_by_chance
        if self._shows_overload(now, complete) or refused_with_pause:
            self._lower(now, pause_s)
            return True
        if not complete:
            return False
        if self._shows_no_overload(now, refusal, pause_s):
            self._keep_or_raise(now)
            return True
        return window.answers < _FEWEST_ANSWERS and age_s > max(
            _OLDEST_WINDOW_S, 10 / (self.rate_per_s or 10)
        )

    def _shows_overload(self, now: float, complete: bool) -> bool:
        """Return True if more was refused than is tolerated: in a complete window, or obviously."""
        refused, answers = self._window.refused, self._window.answers
        tolerated = self._tolerance(now)
        obvious = _FEWEST_OBVIOUS if tolerated == _TOLERATED else _FEWEST_ANSWERS
        if refused >= obvious and refused > _OBVIOUS * answers:
            return True
        # Two refused answers of twenty are chance where one in fifty is refused: few answers need a margin.
        margin = 2 * math.sqrt(tolerated * answers) if answers < _WINDOW_ANSWERS else 0.0
        return complete and answers >= _FEWEST_ANSWERS and refused > tolerated * answers + margin

    def _tolerance(self, now: float) -> float:
        return self._tolerated if now < self._tolerated_until else _TOLERATED

    def _shows_no_overload(self, now: float, refusal: bool, pause_s: float) -> bool:
        """Return True if a complete window without overload has enough answers to go by."""
        window = self._window
        if self._far_below and not refusal:
            return True
        if window.answers >= _FEWEST_ANSWERS:
            tolerable = window.refused <= self._tolerance(now) * window.answers
            return tolerable and not (refusal and pause_s)
        if window.refused:
            return False
        return window.answers >= _FEWEST_FOR_A_STEP or self.rate_per_s is None

    @property
    def limited(self) -> bool:
        """Return True if the rate or the requests in flight are limited."""
        return self.rate_per_s is not None or self.concurrency < self._most

    @property
    def is_busy(self) -> bool:
        """Return True if the requests in flight are limited to fewer than configured."""
        return self.concurrency < self._most

    def is_paused(self, now: float) -> bool:
        """Return True during a pause that the receiver asked for."""
        return now < self._paused_until

    @property
    def slowed(self) -> bool:
        """Return True if the limits are worth a log line: a rate, or three quarters of the concurrency."""
        return self.rate_per_s is not None or self.concurrency <= self._most * 0.75

    @property
    def _far_below(self) -> bool:
        """Return True if the rate is far below one that was accepted: after an outage it rises quickly."""
        return self.rate_per_s is not None and self.rate_per_s < self._found_per_s / 2

    def _lower(self, now: float, pause_s: float) -> None:
        window = self._window
        share = window.refused / window.answers
        if not pause_s and self._lowering_did_not_help(share):
            self._tolerated, self._tolerated_until = max(share * 1.5, _TOLERATED), now + _TOLERATED_FOR_S
            return
        if not self._no_help:
            self._lowered = share, self.concurrency, self.rate_per_s
        if window.busy > window.throttled and self.concurrency > 1 and self.rate_per_s is None:
            accepted = max(round(window.worked_on()), self.concurrency // 2)
            self.concurrency = max(1, min(self.concurrency - 1, accepted))
            self.reason = f"{window.refused} of {window.answers} answers: busy (502, 503, 504)"
        else:
            self._lower_rate(now, share if window.refused > 1 else 0.0, pause_s)
            self.reason = f"{window.refused} of {window.answers} answers: too many requests"
        self._step = _FIRST_STEP
        self._held_answers, self._hold_answers = 0, _PROBE_EVERY * window.refused
        self._hold_until = now + _HOLD_S
        if pause_s:
            self._hold_for_pause(now, pause_s)

    def _hold_for_pause(self, now: float, pause_s: float) -> None:
        """Keep a limit that is nearly right for longer: trying a higher one would cost another pause."""
        if self.rate_per_s is not None and not self._accepted_per_s:
            self._hold_answers = 0
            return
        self._hold_answers = _UNTIL_THE_INSTANT
        self._hold_until = now + max(_HOLD_S, min(pause_s * _HOLD_PAUSES, _LONGEST_HOLD_S))

    def _lowering_did_not_help(self, share: float) -> bool:
        """Restore the limits and return True if the share of refused answers stayed after they fell."""
        fewest = _FEWEST_ANSWERS if self.rate_per_s is None else _WINDOW_ANSWERS
        before, concurrency, rate_per_s = self._lowered or (math.inf, 0, None)
        if self._window.answers < fewest or share > _RANDOM or share < _AS_MUCH * before:
            self._no_help = 0
            return False
        self._no_help += 1
        if self._no_help < _TIMES_WITHOUT_HELP:
            return False
        self._no_help = 0
        self.concurrency, self.rate_per_s, self._lowered = concurrency, rate_per_s, None
        return True

    def _lower_rate(self, now: float, share: float, pause_s: float) -> None:
        rate_per_s = self.rate_per_s
        if rate_per_s is None:
            rate_per_s = self._sent_per_s(now)
            self._full_per_s = max(rate_per_s, 10.0)
            self._found_per_s = self._accepted_per_s = 0.0
            self._raised = False
        part = max((1 - share) * 0.97, 0.25 if pause_s else 0.5)
        lowered_per_s = rate_per_s * part
        if pause_s:
            lowered_per_s = min(lowered_per_s, self._before_pause(rate_per_s))
            lowered_per_s = max(lowered_per_s, min(rate_per_s, self._with_pauses_per_s))
        self.rate_per_s = max(lowered_per_s, self._slowest_per_s)
        if share < 0.5 or self._rising:
            self._found_per_s = self.rate_per_s
        self._rising = self._raised = False
        self._next_at = now + 1 / self.rate_per_s

    def _sent_per_s(self, now: float) -> float:
        """Return the rate at which requests were sent in the window, with those that have no answer yet."""
        seconds = now - self._window.began_at - self._paused_in_window_s
        return (self._newest + 1 - self._window.since) / max(seconds, _SHORTEST_S)

    def _before_pause(self, rate_per_s: float) -> float:
        """Return the rate to use after a pause, which refills the receiver's allowance and hides the excess.

        It is the last rate that was accepted, or a little less than now. Without one, it is twice what was
        accepted in the time with the pause.
        """
        if self._raised:
            return self._accepted_per_s * 0.9
        if self._accepted_per_s:
            return rate_per_s * 0.9
        return 2 * self._with_pauses_per_s or rate_per_s

    def _keep_or_raise(self, now: float) -> None:
        """Raise the limits after a window without overload, unless it is too soon after the last overload."""
        window, self._lowered, self._no_help = self._window, None, 0
        self._held_answers += window.accepted
        waited = now >= self._hold_until and self._held_answers >= min(self._hold_answers, _HOLD_ANSWERS)
        if not self._far_below and not waited and self._held_answers < self._hold_answers:
            return
        if self.rate_per_s is not None:
            if self._far_below or window.refused <= _CLEAN * window.answers:
                self._raise_rate(self._sent_per_s(now))
        elif self.concurrency < self._most:
            self.concurrency = min(self._most, self.concurrency + math.ceil(self.concurrency * self._step))
            self._step = min(self._step * 2, _LARGEST_STEP)
        elif now - self._refused_at > _HOLD_S:
            self.watching = False
            window.clear()

    def _raise_rate(self, sent_per_s: float) -> None:
        assert self.rate_per_s is not None
        self._accepted_per_s, self._raised = self.rate_per_s, True
        if self._far_below:
            self.rate_per_s *= 1 + _LARGEST_STEP
            self._rising = True
            return
        self.rate_per_s *= 1 + self._step
        self._step = min(self._step * 2, _LARGEST_RATE_STEP)
        needless = self._step == _LARGEST_RATE_STEP and self.rate_per_s > 4 * sent_per_s
        if self.rate_per_s >= self._full_per_s or needless:
            self.rate_per_s = None
