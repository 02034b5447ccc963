"""The gate of an endpoint: it decides when the next request may be sent. Pure."""

from __future__ import annotations

import math

from bridge.core.limits.adaptive_limit import AdaptiveLimit
from bridge.core.limits.breaker import Breaker, BreakerState
from bridge.core.limits.windows import RateWindows
from bridge.model import AnswerKind
from bridge.reasons import LimitReason

_COLD_S = 5.0
"""After this time without an answer, the requests of the next ``_LATEST_S`` may need new connections."""
_LATEST_S = 1.0
"""A request without an answer is taken to have reached the receiver after this time."""


class Gate:
    """The configured rate, the adaptive limits and the breaker of one endpoint, combined.

    ``admit`` changes nothing: only ``sent`` uses up the rate, so a waiting event costs the others
    nothing. A request that may wait for a new connection counts in the configured rate from its answer,
    because the receiver gets it late: otherwise two windows of requests could reach it in one.
    Await nothing between an ``admit`` that returned 0 and its ``sent``. Follow each ``sent``
    by exactly one ``answered`` or ``abandoned``, with the number that ``sent`` returned.
    """

    def __init__(
        self, windows: RateWindows, adaptive: AdaptiveLimit, breaker: Breaker, *, retry_after_cap_s: float
    ) -> None:
        self._windows = windows
        self._adaptive = adaptive
        self._breaker = breaker
        self._retry_after_cap_s = retry_after_cap_s
        self._number = 0
        self._in_flight = 0
        self._warm_at = self._cold_until = -math.inf
        self._cold: dict[int, int] = {}
        """The positions in the windows of requests that may have waited for a connection."""
        self.slowed = False
        """True while an overloaded receiver limits the endpoint; see ``limits`` and ``reason``."""
        self._calm = False
        """True while neither the breaker nor the adaptive limit does anything: both are skipped then."""
        self.is_open = False
        """True while nothing limits the endpoint: ``admit`` would return 0 at every instant."""

    def admit(self, now: float) -> float:
        """Return 0 if the next request may be sent now, else the seconds to wait before the next call.

        While the breaker is half-open, or requests in flight are limited, call it again after each answer
        as well: that is sooner.
        """
        wait_s = self._windows.wait_s(now) if self._windows.limited else 0.0
        if self._calm:
            return wait_s
        wait_s = max(self._breaker.wait_s(now), self._adaptive.wait_s(now, self._in_flight), wait_s)
        self._note_calm(wait_s == 0 and not self._adaptive.engaged and self._breaker.untroubled)
        return wait_s

    def _note_calm(self, calm: bool) -> None:
        self._calm = calm
        self.is_open = calm and not self._windows.limited

    def try_now(self, now: float) -> None:
        """Admit one request before the breaker or a pause allows it; its answer decides what follows.

        The configured rate still applies.
        """
        self._note_calm(False)
        self._adaptive.try_now(now)
        self._breaker.try_now(now)

    def sent(self, now: float) -> int:
        """Count a request as sent; return its number, for ``answered``."""
        self._number += 1
        self._in_flight += 1
        if not self.is_open:
            self._count_sent(now)
        return self._number

    def sent_with(self, now: float, events: int) -> None:
        """Count the events of the latest request besides its first. The limits count requests, so do nothing.

        The rate that an operator gives to a replay is one of events.
        """

    def _count_sent(self, now: float) -> None:
        """Count the latest request in the limits."""
        if self._windows.limited:
            if now - self._warm_at > _COLD_S:
                self._warm_at, self._cold_until = now, now + _LATEST_S
            if now < self._cold_until:
                self._cold[self._number] = self._windows.spend(now + _LATEST_S)
            else:
                self._windows.spend(now)
        if not self._calm:
            self._adaptive.sent(now, self._number, self._in_flight - 1)
            self._breaker.sent(now, self._number)

    def answered(
        self, now: float, kind: AnswerKind, retry_after_s: float | None = None, *, number: int
    ) -> None:
        """Adapt to the answer to request ``number``.

        ``retry_after_s`` pauses the endpoint if it comes with an overload, or with a success that
        used up the receiver's quota.
        """
        in_flight, breaker = self._in_flight, self._breaker
        self._in_flight = in_flight - 1
        if self._windows.limited:
            self._warm_at = now
            if (position := self._cold.pop(number, None)) is not None:
                self._windows.correct(position, now)
        if self._calm:
            if kind == "ok" and retry_after_s is None:
                if now < breaker.slot_ends_at:
                    breaker.slot_successes += 1
                else:
                    breaker.answered(now, number, failed=False)
                return
            self._note_calm(False)
        adaptive = self._adaptive
        pause_s = 0.0
        if retry_after_s is not None and kind in {"ok", "throttled", "unavailable"}:
            pause_s = min(retry_after_s, self._retry_after_cap_s)
            adaptive.pause(now, pause_s)
        adaptive.answered(now, number, kind, in_flight=in_flight, newest=self._number, pause_s=pause_s)
        if kind == "unavailable":
            breaker.busy(now, number, alone=in_flight == 1 or adaptive.concurrency == 1)
        else:
            breaker.answered(now, number, failed=kind == "failed")
        if breaker.state is BreakerState.OPEN:
            adaptive.reset()
        self.slowed = adaptive.slowed

    def abandoned(self, number: int) -> None:
        """Forget request ``number``: it was cancelled or failed inside, so it has no answer."""
        self._in_flight -= 1
        self._cold.pop(number, None)
        self._adaptive.abandoned(number)
        self._breaker.abandoned(number)

    def follow(self, earlier: Gate) -> None:
        """Count the requests that were sent through an earlier gate to the same receiver."""
        self._windows.follow(earlier._windows)

    def set_share(self, share: float) -> None:
        """Use this part of the configured rate: assigned partitions / all partitions.

        Raises ``ValueError`` unless 0 < share <= 1; a pod without partitions has nothing to send.
        """
        self._windows.set_share(share)

    def limits(self, now: float) -> set[LimitReason]:
        """Return what limits the requests at this instant."""
        adaptive = self._adaptive
        found = {
            LimitReason.BREAKER: self._breaker.state is not BreakerState.CLOSED,
            LimitReason.TOO_MANY_REQUESTS: adaptive.rate_per_s is not None,
            LimitReason.BUSY: adaptive.is_busy,
            LimitReason.RETRY_AFTER: adaptive.is_paused(now),
            LimitReason.CONFIGURED_RATE: self._windows.wait_s(now) > 0,
        }
        return {reason for reason, applies in found.items() if applies}

    @property
    def state(self) -> str:
        """The state of the breaker: ``closed``, ``open`` or ``half-open``."""
        return self._breaker.state.value

    @property
    def rate_per_s(self) -> float | None:
        """The requests per second that the receiver was found to take; None without a limit."""
        return self._adaptive.rate_per_s

    @property
    def concurrency(self) -> int:
        """The requests that may be in flight now; the configured number unless the receiver was busy."""
        return self._adaptive.concurrency

    @property
    def reason(self) -> str:
        """Why the limits were last lowered, for a person."""
        return self._adaptive.reason
