"""The pace of an endpoint: one answer to "may the next request go now?".

Between a lane that is ready and its request. Takes instants and answers, gives waits. Pure.
"""

from __future__ import annotations

from bridge.core.limits.breaker import Breaker, BreakerState
from bridge.core.limits.slow_down import SlowDown
from bridge.core.limits.windows import RateWindows
from bridge.model import AnswerKind


class Pace:
    """The rate, the slow-down and the breaker of one endpoint, as one.

    ``admit`` only looks: what is not sent costs nothing, so an event that waits never uses up
    what another could run with. ``sent`` is what costs. Between an ``admit`` of 0 and its ``sent``
    nothing may be awaited; each ``sent`` is followed by exactly one ``answered`` or ``abandoned``
    with the number it gave.
    """

    def __init__(
        self, windows: RateWindows, slow_down: SlowDown, breaker: Breaker, *, retry_after_cap_s: float
    ) -> None:
        self._windows = windows
        self._slow_down = slow_down
        self._breaker = breaker
        self._retry_after_cap_s = retry_after_cap_s
        self._number = 0
        self._calm = False
        """Whether neither breaker nor slow-down have had anything to say since they were last asked."""

    def admit(self, now: float) -> float:
        """0 when the next request may go now, else seconds to wait before asking again.

        Asking again after each answer, too, is quicker while the breaker is half-open.
        """
        wait_s = self._windows.wait_s(now)
        if self._calm:
            return wait_s
        wait_s = max(self._breaker.wait_s(now), self._slow_down.wait_s(now), wait_s)
        self._calm = (
            wait_s == 0 and self._slow_down.rate_per_s is None and self._breaker.state is BreakerState.CLOSED
        )
        return wait_s

    def sent(self, now: float) -> int:
        """A request goes out; its number, for ``answered``."""
        self._number += 1
        self._windows.spend(now)
        self._slow_down.spend(now, self._number)
        if not self._calm:
            self._breaker.sent(now, self._number)
        return self._number

    def answered(
        self, now: float, kind: AnswerKind, retry_after_s: float | None = None, *, number: int
    ) -> None:
        """Learn from the answer to request ``number``.

        ``retry_after_s`` of an overload, or of a success that used up what is allowed, pauses the endpoint.
        """
        if self._calm:
            if kind == "ok" and retry_after_s is None:
                self._breaker.answered(now, number, failed=False)
                return
            self._calm = False
        if kind in {"throttled", "unavailable"}:
            self._slow_down.trouble(now, number)
        elif kind == "ok":
            self._slow_down.success(now, number)
        if retry_after_s is not None and kind in {"ok", "throttled", "unavailable"}:
            self._slow_down.pause_until(now + min(retry_after_s, self._retry_after_cap_s))
        self._breaker.answered(now, number, failed=kind in {"unavailable", "failed"})

    def abandoned(self, number: int) -> None:
        """Request ``number`` was cancelled or broke inside; it teaches nothing."""
        self._breaker.abandoned(number)

    def set_share(self, share: float) -> None:
        """Take this part of the configured rate: partitions assigned / all.

        Raises ``ValueError`` unless 0 < share <= 1; a pod without partitions has nothing to send.
        """
        self._windows.set_share(share)

    def allowed_concurrency(self, limit: int) -> int:
        """How many requests may be in flight at once, of the ``limit`` that is configured; at least 1."""
        return self._breaker.allowed_concurrency(limit)

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        return self._breaker.state.value

    @property
    def rate_per_s(self) -> float | None:
        """The rate an overloaded receiver is held to just now; None when it is not slowed down."""
        return self._slow_down.rate_per_s
