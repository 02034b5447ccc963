"""Records that cannot be decoded: park them with place, cause and remedy, and settle them only then.

They have no endpoint of their own, so no dispatcher handles them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

import structlog

from bridge.core.memory_budget import RECORD_BYTES, MemoryBudget
from bridge.dead_letters.park import DeadLetterWriter, park_durably, resend_facts
from bridge.dead_letters.topic import EVENT_INDEX, LAST_OFFSET, RAW_OF, Reason
from bridge.errors import DecodeError
from bridge.formats.resent import ResentDecodeError
from bridge.model import Record
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.ports import ParkedRecords
from bridge.reasons import ParkReason
from bridge.telemetry import events
from bridge.telemetry.counted import CountedFamily, Counter
from bridge.telemetry.sparse_log import SparseLog

_log = structlog.get_logger()


class UndecodableRecords:
    """Parks records that cannot be decoded.

    Invariants: a record stays open, at every cursor that had not passed it, until it is parked. A record that
    waits in the dead-letter topic, or was discarded there, is not parked again: a new endpoint may begin
    before it, and an endpoint that catches up reads it later than the others.
    """

    def __init__(
        self,
        parks: DeadLetterWriter,
        parked_before: ParkedRecords,
        endpoints: Collection[str],
        settle: Callable[[EndpointCursor, int, int], None],
        budget: MemoryBudget,
        parked: CountedFamily[Counter],
    ) -> None:
        """``parked``: the metric, by endpoint and reason."""
        self._parks = parks
        self._parked_before = parked_before
        self._waiting: dict[str, list[EndpointCursor]] = {}
        self._endpoints = endpoints
        self._settle = settle
        self._budget = budget
        self._parked = parked
        self._parking: set[asyncio.Task[None]] = set()
        self._draining = False
        self._sparse_log = SparseLog()

    def start_parking(
        self, tasks: asyncio.TaskGroup, record: Record, error: DecodeError, cursors: Iterable[EndpointCursor]
    ) -> bool:
        """Park a record in a task of its own. Return False if all its cursors had settled it before.

        A record that is sent again for one endpoint is parked for that endpoint only.
        """
        waiting = [cursor for cursor in cursors if cursor.needs(record.offset)]
        if isinstance(error, ResentDecodeError) and error.resend.endpoint in self._endpoints:
            waiting = [cursor for cursor in waiting if cursor.endpoint == error.resend.endpoint]
        if not waiting:
            return False
        size_bytes = record.size_bytes
        for cursor in waiting:
            cursor.open(record.offset, size_bytes)
        if record.place in self._waiting:
            self._waiting[record.place] += waiting
            return True
        self._waiting[record.place] = waiting
        task = tasks.create_task(self._park(record, error, waiting, size_bytes), name=f"park {record.place}")
        self._parking.add(task)
        self._budget.free -= size_bytes + RECORD_BYTES

        def ended(task: asyncio.Task[None]) -> None:
            self._parking.discard(task)
            self._budget.free += size_bytes + RECORD_BYTES

        task.add_done_callback(ended)
        return True

    async def drain(self) -> None:
        """Return when nothing is being parked. A write that fails from now on is not repeated."""
        self._draining = True
        await asyncio.gather(*self._parking, return_exceptions=True)

    def forget(self) -> None:
        """Cancel the writes that are still running: the drain is over."""
        for task in self._parking:
            task.cancel()
        self._waiting.clear()
        self._parked_before.forget()
        self._draining = False

    async def _park(
        self, record: Record, error: DecodeError, waiting: Sequence[EndpointCursor], size_bytes: int
    ) -> None:
        if await self._park_once(record, error):
            if self._waiting.get(record.place) is waiting:
                del self._waiting[record.place]
            for cursor in waiting:
                self._settle(cursor, record.offset, size_bytes)

    async def _park_once(self, record: Record, error: DecodeError) -> bool:
        """Return True once the record is parked, now or before; False if the assignment ended first."""
        is_resent = isinstance(error, ResentDecodeError)
        if not is_resent and await self._parked_before.contains(record):
            self._sparse_log.info(events.RECORD_PARKED_BEFORE, record=record.place, cause=error.cause)
            return True
        _log.warning(
            events.RECORD_REJECTED,
            record=record.place,
            place=error.place,
            cause=error.cause,
            remedy=error.remedy,
        )
        origin, reason = _dead_letter(record, error)
        if not await park_durably(self._parks, origin, reason, lambda: not self._draining, self._sparse_log):
            return False
        self._parked.labels(reason.endpoint or "", ParkReason.UNDECODABLE.value).inc()
        if not is_resent:
            self._parked_before.add(record)
        return True


def _dead_letter(record: Record, error: DecodeError) -> tuple[Record, Reason]:
    """Return the record to park, which is the original of one that was sent again, and why."""
    cause = f"{error.place}: {error.cause}"
    if record.damage is not None:
        details = {RAW_OF: record.damage.raw_of, LAST_OFFSET: str(record.end - 1)}
        return record, Reason(cause, error.remedy, None, details if record.damage.raw_of else {})
    if not isinstance(error, ResentDecodeError):
        return record, Reason(cause, error.remedy, None, {})
    resend = error.resend
    details = {
        **({EVENT_INDEX: str(resend.number)} if resend.number else {}),
        **({"webhook-id": resend.webhook_id} if resend.stored is not None else {}),
        **resend_facts(resend),
    }
    return resend.origin, Reason(cause, error.remedy, resend.endpoint, details)
