"""The gate of an endpoint: it decides when the next request may be sent. Pure."""

from __future__ import annotations

from bridge.core.limits.adaptive_rate import AdaptiveRate
from bridge.core.limits.breaker import Breaker
from bridge.core.limits.windows import RateWindows
from bridge.model import AnswerKind


class Gate:
    """The configured rate, the adaptive rate and the breaker of one endpoint, combined.

    ``admit`` changes nothing: only ``sent`` uses up the rate, so a waiting event costs the others
    nothing. Await nothing between an ``admit`` that returned 0 and its ``sent``. Follow each ``sent``
    by exactly one ``answered`` or ``abandoned``, with the number that ``sent`` returned.
    """

    def __init__(
        self, windows: RateWindows, rate: AdaptiveRate, breaker: Breaker, *, retry_after_cap_s: float
    ) -> None:
        self._windows = windows
        self._rate = rate
        self._breaker = breaker
        self._retry_after_cap_s = retry_after_cap_s
        self._number = 0
        self._calm = False
        """True while neither the breaker nor the adaptive rate limits anything: both are skipped then."""

    def admit(self, now: float) -> float:
        """Return 0 if the next request may be sent now, else the seconds to wait before the next call.

        While the breaker is half-open, call it again after each answer as well: that is sooner.
        """
        wait_s = self._windows.wait_s(now) if self._windows.limited else 0.0
        if self._calm:
            return wait_s
        wait_s = max(self._breaker.wait_s(now), self._rate.wait_s(now), wait_s)
        self._calm = wait_s == 0 and self._rate.rate_per_s is None and self._breaker.untroubled
        return wait_s

    def sent(self, now: float) -> int:
        """Count a request as sent; return its number, for ``answered``."""
        if now >= self._rate.second_ends_at:
            self._rate.begin_second(now, self._number)
        self._number += 1
        if self._windows.limited:
            self._windows.spend(now)
        if not self._calm:
            self._rate.spend(now)
            self._breaker.sent(now, self._number)
        return self._number

    def answered(
        self, now: float, kind: AnswerKind, retry_after_s: float | None = None, *, number: int
    ) -> None:
        """Adapt to the answer to request ``number``.

        ``retry_after_s`` pauses the endpoint if it comes with an overload, or with a success that
        used up the receiver's quota.
        """
        if self._calm:
            if kind == "ok" and retry_after_s is None:
                if now < self._breaker.slot_ends_at:
                    self._breaker.slot_successes += 1
                else:
                    self._breaker.answered(now, number, failed=False)
                return
            self._calm = False
        if kind in {"throttled", "unavailable"}:
            self._rate.overload(now, number, newest=self._number)
        elif kind == "ok":
            self._rate.success(now, number)
        if retry_after_s is not None and kind in {"ok", "throttled", "unavailable"}:
            self._rate.pause_until(now + min(retry_after_s, self._retry_after_cap_s))
        self._breaker.answered(now, number, failed=kind in {"unavailable", "failed"})

    def abandoned(self, number: int) -> None:
        """Forget request ``number``: it was cancelled or failed inside, so it has no answer."""
        self._breaker.abandoned(number)

    def set_share(self, share: float) -> None:
        """Use this part of the configured rate: assigned partitions / all partitions.

        Raises ``ValueError`` unless 0 < share <= 1; a pod without partitions has nothing to send.
        """
        self._windows.set_share(share)

    @property
    def state(self) -> str:
        """The state of the breaker: ``closed``, ``open`` or ``half-open``."""
        return self._breaker.state.value
