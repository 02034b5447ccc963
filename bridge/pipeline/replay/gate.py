"""The gate of a replay: its own rate, and all limits of the endpoint, which it shares with live deliveries.

Its own rate counts events, and those of the endpoint count requests, which may have several events.

Invariant: a request of a replay is admitted only if the endpoint is on, its limits allow it, and no live
event waits for the same slot.
"""

from __future__ import annotations

from typing import Protocol

from bridge.core.limits import Gate, RateWindows
from bridge.model import AnswerKind

_OFF_S = 0.25
_BEHIND_S = 0.02
"""How soon to look again while live deliveries use what the endpoint can take."""


class LiveTraffic(Protocol):
    """The deliveries that a replay must not delay (``bridge.pipeline.dispatcher.EndpointDispatcher``)."""

    gate: Gate
    in_flight: int

    @property
    def on(self) -> bool:
        """Return True if the endpoint is on."""
        ...

    @property
    def waits_for_gate(self) -> bool:
        """Return True if an event could be sent now, but for the gate."""
        ...

    def wake(self) -> None:
        """Look for an event to send."""
        ...


class ReplayGate(Gate):
    """Admits the requests of one replay.

    The breaker, the rates and the adaptive limit are those of the live gate, which counts the requests of
    the replay as well. Of the endpoint's ``concurrency``, a replay uses what live deliveries leave free: half
    of it at most, and one request at a time in any case. All state but the windows is the live gate's, so
    the constructor of ``Gate`` is not called.
    """

    def __init__(self, live: LiveTraffic, windows: RateWindows, concurrency: int) -> None:
        self._live = live
        self._own_windows = windows
        self._concurrency = concurrency
        self._most_own = max(1, concurrency // 2)
        self._sent = 0

    def admit(self, now: float) -> float:
        """Return 0 if the next request may be sent now, else the seconds to wait before the next call."""
        live = self._live
        if not live.on:
            return _OFF_S
        if live.waits_for_gate or (self._sent and not self._has_slot()):
            return _BEHIND_S
        return max(self._own_windows.wait_s(now), live.gate.admit(now))

    def _has_slot(self) -> bool:
        return self._sent < self._most_own and self._live.in_flight + self._sent < self._concurrency

    def try_now(self, now: float) -> None:
        """Do nothing: the live gate decides when to try."""

    def sent(self, now: float) -> int:
        """Count a request as sent; return its number."""
        self._own_windows.spend(now)
        self._sent += 1
        return self._live.gate.sent(now)

    def sent_with(self, now: float, events: int) -> None:
        """Count the events of the latest request besides its first."""
        if self._own_windows.limited:
            self._own_windows.spend_several(now, events)

    def answered(
        self, now: float, kind: AnswerKind, retry_after_s: float | None = None, *, number: int
    ) -> None:
        """Adapt the limits of the endpoint to an answer."""
        self._sent -= 1
        self._live.gate.answered(now, kind, retry_after_s, number=number)
        self._live.wake()

    def abandoned(self, number: int) -> None:
        """Forget a request that has no answer."""
        self._sent -= 1
        self._live.gate.abandoned(number)
        self._live.wake()

    def set_share(self, share: float) -> None:
        """Use this part of the replay's own rate."""
        self._own_windows.set_share(share)

    @property
    def is_open(self) -> bool:  # type: ignore[override]  # an attribute there
        """False: ``admit`` always decides."""
        return False

    @property
    def slowed(self) -> bool:  # type: ignore[override]  # an attribute there, which its own answers set
        """False: the live gate reports for both."""
        return False

    @property
    def state(self) -> str:
        """The state of the endpoint's breaker."""
        return self._live.gate.state

    @property
    def rate_per_s(self) -> float | None:
        """The requests per second that the receiver was found to take."""
        return self._live.gate.rate_per_s

    @property
    def concurrency(self) -> int:
        """The requests that may be in flight now, of live deliveries and the replay together."""
        return self._live.gate.concurrency

    @property
    def reason(self) -> str:
        """Why the limits of the endpoint were last lowered."""
        return self._live.gate.reason


def most_events(rate_per_s: float | None, share: float) -> int | None:
    """Return how many events one request may have, so that it stays within a replay's rate; None: any."""
    return None if rate_per_s is None else max(1, int(rate_per_s * share))


def windows_of(rate_per_s: float | None, share: float) -> RateWindows:
    """Return the windows of a replay's rate, of which this process uses a share."""
    if rate_per_s is None:
        return RateWindows((), share)
    count = max(1, int(rate_per_s))
    return RateWindows(((count, count / rate_per_s),), share)
