"""Parking an event of one endpoint: write the dead letter, then hold its lane if the endpoint does that.

An event settles only after both are acknowledged by the broker. Every function here returns True then;
on False the event must not settle, and the next owner of the partition parks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bridge.clock import Clock
from bridge.core.completion_map import NO_ANSWER, Failures
from bridge.dead_letters.hold import Hold
from bridge.dead_letters.lane_holds import HeldLanes
from bridge.dead_letters.park import DeadLetterWriter, letter_facts, park_durably
from bridge.dead_letters.topic import Reason
from bridge.errors import FilterError
from bridge.model import Event
from bridge.pipeline.lane_queue import Delivery, QueuedMark
from bridge.reasons import ParkReason
from bridge.telemetry.counted import Counter
from bridge.telemetry.sparse_log import SparseLog
from bridge.telemetry.throttle import Throttle

_REDRIVE_FIRST = "redrive or discard the event it waits for: this one follows"


class EventParking:
    """Parks the events of one endpoint.

    ``holds`` is set if the endpoint holds the lane of a parked event (``on_park: hold``). ``parked`` counts
    by the reason that the delivery has.
    Parking raises ``ParkDeferred`` for a record that the topic does not accept before an operator acts.
    A ``keep_trying`` parameter is called after each failed write; it returns False when the assignment ends.
    """

    def __init__(
        self,
        endpoint: str,
        dead_letters: DeadLetterWriter,
        parked: Mapping[ParkReason, Counter],
        clock: Clock,
        holds: HeldLanes | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._dead_letters = dead_letters
        self._parked = parked
        self.holds = holds
        self._deferred: set[str] = set()
        self._throttle = Throttle(now=clock.monotonic)
        self._sparse_log = SparseLog(clock.monotonic)

    def hold_on(self, event: Event) -> Hold | None:
        """Return the hold that keeps an event from being sent; None if it may be sent."""
        return self.holds.blocking_hold(event) if self.holds else None

    async def park(
        self,
        delivery: Delivery,
        cause: str,
        keep_trying: Callable[[], bool],
        details: Mapping[str, str] = MappingProxyType({}),
    ) -> bool:
        """Park an event, and hold its lane from now on."""
        event = delivery.event
        if not delivery.cursor.live:  # the next owner of the partition tries it
            return False
        reason = Reason(
            cause=cause,
            remedy=delivery.remedy,
            endpoint=self._endpoint,
            details={**letter_facts(event, delivery.attempts, delivery.status), **details},
            logged=self._is_logged(delivery),
        )
        if not await park_durably(
            self._dead_letters, event.origin, reason, keep_trying, self._sparse_log, self._deferred
        ):
            return False
        if self.holds is not None and not await self.holds.hold_lane(
            event, cause, delivery.cursor, keep_trying
        ):
            return False
        self._parked[delivery.park_reason].inc()
        return True

    async def park_held(self, delivery: Delivery, hold: Hold, keep_trying: Callable[[], bool]) -> bool:
        """Park an event that must not overtake the event its lane is held for."""
        assert self.holds is not None, "there is a hold"
        if self.holds.is_awaited(delivery.event, hold):
            return True
        delivery.remedy, delivery.park_reason = _REDRIVE_FIRST, ParkReason.HELD
        details = {"held-behind": hold.first}
        return await self.park(delivery, f"held behind {hold.first}", keep_trying, details)

    async def end_redrive(self, queued: QueuedMark, keep_trying: Callable[[], bool]) -> bool:
        """Release the lane after a redrive, or record why it stays held."""
        return self.holds is None or await self.holds.release(queued.mark, queued.cursor, keep_trying)

    def _is_logged(self, delivery: Delivery) -> bool:
        """Return True if this parking is logged: a wrong filter parks all events, logged once a minute."""
        return not isinstance(delivery.fault, FilterError) or self._throttle.allows()


def refused_before(failed: Failures) -> str:
    """Return the cause of an event that an earlier process had yet to park; "" if it is to be sent again."""
    if not failed.refused:
        return ""
    answer = "without an answer" if failed.refused == NO_ANSWER else f"status {failed.refused}"
    return f"{answer}, in an earlier process that could not park it: {failed.attempts} attempts in all"
