"""The held lanes of one endpoint: which events may pass, which are parked, and when a lane is free again.

Each decision is written to ``<group>.control`` before the event settles, so that the next owner of
the partition continues from it. ``hold.py`` has the rule.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable
from typing import Protocol

from bridge.clock import Clock
from bridge.core import ordering_key
from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.dead_letters.durable_write import write_durably
from bridge.dead_letters.hold import Hold, HoldKey, Holds
from bridge.errors import KafkaUnavailable
from bridge.model import Event, LaneKey, RedriveMark
from bridge.telemetry import events
from bridge.telemetry.sparse_log import SparseLog


class HoldWriter(Protocol):
    """Stores holds over restarts and between pods (``bridge.dead_letters.hold_topic.HoldRegister``)."""

    async def write(self, key: HoldKey, hold: Hold | None) -> None:
        """Return once the hold is acknowledged. Raises ``KafkaUnavailable``."""
        ...


class HeldLanes:
    """The lanes of an endpoint with ``on_park: hold`` that wait for a parked event.

    Invariants: an event of a held lane settles only after the event, and then the hold with it, are
    acknowledged by the broker. A hold is lifted only by a mark that follows everything parked under
    it, and never after an event of that redrive was parked once more.
    """

    def __init__(
        self,
        endpoint: str,
        holds: Holds,
        writer: HoldWriter,
        clock: Clock,
        new_round: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._endpoint = endpoint
        self._holds = holds
        self._writer = writer
        self._clock = clock
        self._new_round = new_round
        self._sparse_log = SparseLog(clock.monotonic)

    def blocking_hold(self, event: Event) -> Hold | None:
        """Return the hold that keeps this event from being sent; events of the hold's redrive pass."""
        hold = self._holds.of(self._endpoint, event.lane)
        return None if hold is None or _round(event) == hold.round else hold

    def is_awaited(self, event: Event, hold: Hold) -> bool:
        """Return True if this is the parked event that the hold waits for, read again after a crash.

        It is in the dead-letter topic already. False for the same event sent again: its letter may
        have been settled by that.
        """
        place, at_ms = _place(event), event.record.timestamp_ms
        return event.resend is None and (place, at_ms) == (hold.first, hold.first_at_ms)

    async def hold_lane(
        self, event: Event, cause: str, cursor: Cursor[Failures], keep_trying: Callable[[], bool]
    ) -> bool:
        """Hold the lane of a parked event, or count the event in its hold; return True once written.

        Return False if the assignment ended, or if ``keep_trying()`` returned False first. The event
        must not settle then: the next owner of its partition parks it again.
        """
        lane, origin = event.lane, event.origin
        if lane is None:
            return True
        current = self._holds.of(self._endpoint, lane)
        if current is None:
            hold = Hold(
                lane=LaneKey(*lane),  # type: ignore[misc] # the lane of an event is a plain tuple of these parts
                since_ms=int(self._clock.time() * 1000),
                first=_place(event),
                first_at_ms=origin.timestamp_ms,
                last=_place(event),
                parked=1,
                round=self._new_round(),
                entity=event.entity or "",
            )
        elif event.resend is None:
            hold = current.with_live(_place(event))
        else:
            refused = _round(event) == current.round
            hold = current.with_resent(_place(event), origin.timestamp_ms, self._new_round(), refused=refused)
        if not await self._write(lane, hold, cursor, keep_trying):
            return False
        if current is None:
            self._log_held(hold, cause)
        return True

    def _log_held(self, hold: Hold, cause: str) -> None:
        self._sparse_log.warning(
            events.LANE_HELD,
            endpoint=self._endpoint,
            partition=str(hold.partition),
            entity=hold.entity,
            place=hold.first,
            cause=cause,
            remedy="fix the cause, then run `hookferry parked redrive`, or `hookferry parked discard` to skip"
            " the event; until then later events of this entity are parked, too",
        )

    async def release(
        self, mark: RedriveMark, cursor: Cursor[Failures], keep_trying: Callable[[], bool]
    ) -> bool:
        """End a redrive: release the lane of its mark, or record why it stays held; return True once written.

        Return False as ``hold_lane`` does. A lane that is not held is written as free, too: a process
        that lost its place may have written otherwise.
        """
        hold = self._holds.of(self._endpoint, mark.lane)
        if hold is not None and not hold.released_by(mark.round, mark.covers):
            return await self._write(mark.lane, hold.with_answer(mark.again_id), cursor, keep_trying)
        if not await self._write(mark.lane, None, cursor, keep_trying):
            return False
        if hold is not None:
            self._sparse_log.info(
                events.LANE_RELEASED,
                endpoint=self._endpoint,
                partition=str(hold.partition),
                entity=hold.entity,
                held_s=round(self._clock.time() - hold.since_ms / 1000, 3),
            )
        return True

    async def _write(
        self,
        lane: Hashable,
        hold: Hold | None,
        cursor: Cursor[Failures],
        keep_trying: Callable[[], bool],
    ) -> bool:
        if not cursor.live:
            return False
        key = HoldKey(self._endpoint, ordering_key.lane_id(lane))
        written = await write_durably(
            lambda: self._writer.write(key, hold),
            KafkaUnavailable,
            keep_trying,
            self._sparse_log,
            events.HOLD_FAILED,
            endpoint=self._endpoint,
        )
        if not written or not cursor.live:  # without a live cursor, the holds are those of another assignment
            return False
        self._holds.put(self._endpoint, lane, hold)
        return True


def _round(event: Event) -> str:
    """Return the redrive that an event is part of; empty if it is part of none."""
    return "" if event.resend is None else event.resend.round


def _place(event: Event) -> str:
    """Return the place of the original record; with ``#n`` for the n-th event of a record of several."""
    place = event.origin.place
    return f"{place}#{event.index}" if event.index else place
