"""The held lanes of one endpoint: what may pass, what is parked behind, and when a lane is free again.

Between ``bridge/pipeline/dispatcher.py`` and the rule of it in ``hold.py``. What it decides is written to
``<group>.control`` before the event settles, so that whoever has the partition next knows it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable
from typing import Protocol

import structlog

from bridge.clock import Clock
from bridge.core import ordering_key
from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.dead_letters.durable_write import tries_until_safe
from bridge.dead_letters.hold import Hold, HoldKey, Holds
from bridge.errors import KafkaUnavailable
from bridge.model import Event, LaneKey, RedriveMark
from bridge.telemetry import events

_log = structlog.get_logger()


class Register(Protocol):
    """Where holds are kept over restarts and between pods (``bridge.dead_letters.hold_topic``)."""

    async def write(self, key: HoldKey, hold: Hold | None) -> None:
        """Return when it is safe there; raises ``KafkaUnavailable`` when it is not."""
        ...


class HeldLanes:
    """Of an endpoint with ``on_park: hold``, the lanes that wait for a parked event.

    Invariants: an event of a held lane settles only after the event, and then the hold with it, are
    safe at the broker; a hold is lifted only by a mark behind everything that was parked under it,
    and never after an event of that redrive was parked once more.
    """

    def __init__(
        self,
        endpoint: str,
        holds: Holds,
        register: Register,
        clock: Clock,
        new_round: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._endpoint = endpoint
        self._holds = holds
        self._register = register
        self._clock = clock
        self._new_round = new_round

    def in_the_way(self, event: Event) -> Hold | None:
        """What keeps this event from being sent; events of the hold's own redrive pass."""
        hold = self._holds.of(self._endpoint, event.lane)
        return None if hold is None or _round(event) == hold.round else hold

    def is_parked(self, event: Event, hold: Hold) -> bool:
        """Whether this is the event that a hold waits for, read again after a crash: it is safe.

        Only as it first came: when it is sent again, its letter may have been settled by that.
        """
        place, at_ms = _place(event), event.record.timestamp_ms
        return event.resend is None and (place, at_ms) == (hold.first, hold.first_at_ms)

    async def keep(
        self, event: Event, cause: str, cursor: Cursor[Failures], keep_trying: Callable[[], bool]
    ) -> bool:
        """An event was parked: hold its lane from now on, or note that one more waits.

        Return when that is safe. False when the assignment is over, or when it did not work and
        ``keep_trying`` says no: the event must not settle then, and its next owner tries it.
        """
        lane, origin = event.lane, event.origin
        if lane is None:
            return True
        hold = self._holds.of(self._endpoint, lane)
        if hold is None:
            kept = Hold(
                lane=LaneKey(*lane),  # type: ignore[misc]
                since_ms=int(self._clock.time() * 1000),
                first=_place(event),
                first_at_ms=origin.timestamp_ms,
                last=_place(event),
                parked=1,
                round=self._new_round(),
                entity=event.entity or "",
            )
        elif event.resend is None:
            kept = hold.with_live(_place(event))
        else:
            refused = _round(event) == hold.round
            kept = hold.with_resent(_place(event), origin.timestamp_ms, self._new_round(), refused=refused)
        if not await self._write(lane, kept, cursor, keep_trying):
            return False
        if hold is None:
            _log.warning(
                events.LANE_HELD,
                endpoint=self._endpoint,
                partition=str(kept.partition),
                entity=kept.entity,
                place=kept.first,
                cause=cause,
                remedy="later events of this entity are parked behind it, until `hookferry parked redrive`"
                " has sent it again or `hookferry parked discard` says that it is never to be sent",
            )
        return True

    async def release(
        self, mark: RedriveMark, cursor: Cursor[Failures], keep_trying: Callable[[], bool]
    ) -> bool:
        """The mark of a redrive is at the head of its lane: lift the hold if everything has passed.

        Return when that, or that it stays, is safe; False as in ``keep``. A lane that is not held
        is said to be free: a process that lost its place may have written otherwise.
        """
        hold = self._holds.of(self._endpoint, mark.lane)
        if hold is not None and not hold.released_by(mark.round, mark.covers):
            return await self._write(mark.lane, hold.with_answer(mark.again_id), cursor, keep_trying)
        if not await self._write(mark.lane, None, cursor, keep_trying):
            return False
        if hold is None:
            return True
        _log.info(
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
        written = await tries_until_safe(
            lambda: self._register.write(key, hold),
            KafkaUnavailable,
            keep_trying,
            events.HOLD_FAILED,
            endpoint=self._endpoint,
        )
        if not written or not cursor.live:  # else the holds are those of another assignment
            return False
        self._holds.put(self._endpoint, lane, hold)
        return True


def _round(event: Event) -> str:
    """Return the redrive that an event is part of; empty if it is part of none."""
    return "" if event.resend is None else event.resend.round


def _place(event: Event) -> str:
    """Where an event first stood; of a record of several, which of them it is."""
    place = event.origin.place
    return f"{place}#{event.index}" if event.index else place
