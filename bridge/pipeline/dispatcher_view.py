"""What other parts read of a dispatcher: whether it sends, what limits it, and what waits.

Invariant: reading changes nothing of what is delivered.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.clock import Clock
from bridge.core.limits import Gate
from bridge.pipeline.lane_queue import LaneQueue
from bridge.reasons import LimitReason


class DispatcherView:
    """The part of ``EndpointDispatcher`` that gauges, reports and the memory budget read."""

    gate: Gate
    _queue: LaneQueue
    _clock: Clock

    @property
    def on(self) -> bool:
        """Return True if the endpoint is on."""
        return self._queue.on

    @property
    def waits_for_gate(self) -> bool:
        """Return True if an event could be sent now, but for the gate."""
        return bool(self._queue.sleepers and self._queue.ready)

    @property
    def has_plenty(self) -> bool:
        """See ``LaneQueue.has_plenty``."""
        return self._queue.has_plenty

    def tell_when_low(self, on_low: Callable[[], None]) -> None:
        """See ``LaneQueue.tell_when_low``."""
        self._queue.tell_when_low(on_low)

    @property
    def is_in_trouble(self) -> bool:
        """Return True if nothing is sent, or only to find out whether the receiver works again."""
        return not self.on or self.gate.state != "closed"

    def limits(self) -> set[LimitReason]:
        """Return what limits the requests now."""
        return ({LimitReason.OFF} if not self.on else set()) | self.gate.limits(self._clock.monotonic())

    def oldest_ms(self) -> int | None:
        """See ``LaneQueue.oldest_ms``."""
        return self._queue.oldest_ms()
