"""What a receiver answered in one measuring window: counts, and how many requests it worked on. Pure."""

from __future__ import annotations

from bridge.model import AnswerKind

_SHORTEST_S = 0.001
"""In a shorter time, such as one burst of answers, a mean over time shows nothing."""


class AnswerWindow:
    """The answers to the requests that were sent since the window began.

    Requests have numbers. An answer to a request from before the window is not counted: it does not show
    what the receiver does at the present limit.
    """

    def __init__(self) -> None:
        self.since = 0
        self.began_at = self._last_at = 0.0
        self.accepted = self.throttled = self.busy = 0
        self._in_flight = 0
        self._in_flight_s = self._refused_s = 0.0
        self._sent_at: dict[int, float] = {}

    @property
    def refused(self) -> int:
        """The answers 429, 502, 503, and 504."""
        return self.throttled + self.busy

    @property
    def answers(self) -> int:
        """All answers."""
        return self.accepted + self.throttled + self.busy

    def begin(self, now: float, newest: int) -> None:
        """Begin a new window with the request after ``newest``, the last one sent so far."""
        self.since, self.began_at, self._last_at = newest + 1, now, now
        self.accepted = self.throttled = self.busy = 0
        self._in_flight_s = self._refused_s = 0.0

    def clear(self) -> None:
        """Forget the requests in flight as well: nothing is measured for now."""
        self._sent_at.clear()

    def sent(self, now: float, number: int, in_flight: int) -> None:
        """Note request ``number``; ``in_flight`` were in flight before it."""
        self._in_flight_s += in_flight * (now - self._last_at)
        self._last_at = now
        self._sent_at[number] = now

    def answered(self, now: float, number: int, kind: AnswerKind, in_flight: int) -> bool:
        """Count an answer, unless it is from before the window; return True if it was counted.

        ``in_flight`` were in flight before it.
        """
        self._in_flight_s += in_flight * (now - self._last_at)
        self._last_at, self._in_flight = now, in_flight
        sent_at = self._sent_at.pop(number, None)
        if sent_at is None or number < self.since:
            return False
        if kind == "throttled":
            self.throttled += 1
        elif kind == "unavailable":
            self.busy += 1
        else:
            self.accepted += 1
            return True
        self._refused_s += now - max(sent_at, self.began_at)
        return True

    def abandoned(self, number: int) -> None:
        """Forget a request that has no answer."""
        self._sent_at.pop(number, None)

    def worked_on(self) -> float:
        """Return the mean number of requests in flight that the receiver did not refuse."""
        age_s = self._last_at - self.began_at
        if age_s < _SHORTEST_S:
            return self._in_flight * self.accepted / max(self.answers, 1)
        return (self._in_flight_s - self._refused_s) / age_s
