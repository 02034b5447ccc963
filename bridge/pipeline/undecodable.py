"""Records that cannot be decoded: parked with place, cause and remedy, and settled only then.

Between the path and the edges: they have no endpoint of their own, so no outlet handles them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

import structlog

from bridge.dead_letters.park import DeadLetterWriter, park_durably
from bridge.dead_letters.topic import EVENT_INDEX, Reason
from bridge.errors import DecodeError
from bridge.formats.resent import ResentDecodeError
from bridge.model import Record
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.telemetry import events

_log = structlog.get_logger()


class Rejects:
    """Parks what cannot be decoded; it stays open at every cursor that had not passed it until it is safe."""

    def __init__(
        self,
        parks: DeadLetterWriter,
        endpoints: Collection[str],
        settle: Callable[[EndpointCursor, int, int], None],
    ) -> None:
        self._parks = parks
        self._endpoints = endpoints
        self._settle = settle
        self._parking: set[asyncio.Task[None]] = set()
        self._draining = False

    def take(
        self, tasks: asyncio.TaskGroup, record: Record, error: DecodeError, cursors: Iterable[EndpointCursor]
    ) -> bool:
        """Begin to park a record; False when all its cursors had settled it before.

        What was sent again for one endpoint is parked for that one.
        """
        waiting = [cursor for cursor in cursors if cursor.needs(record.offset)]
        if isinstance(error, ResentDecodeError) and error.resent.endpoint in self._endpoints:
            waiting = [cursor for cursor in waiting if cursor.endpoint == error.resent.endpoint]
        if not waiting:
            return False
        size_bytes = len(record.value or b"")
        for cursor in waiting:
            cursor.open(record.offset, size_bytes)
        task = tasks.create_task(self._park(record, error, waiting, size_bytes), name=f"park {record.place}")
        self._parking.add(task)
        task.add_done_callback(self._parking.discard)
        return True

    async def drain(self) -> None:
        """Return when nothing is being parked any more; what fails now is left to the next owner."""
        self._draining = True
        await asyncio.gather(*self._parking, return_exceptions=True)

    def forget(self) -> None:
        """Give up what is still being parked; the drain is over."""
        for task in self._parking:
            task.cancel()
        self._draining = False

    async def _park(
        self, record: Record, error: DecodeError, waiting: Sequence[EndpointCursor], size_bytes: int
    ) -> None:
        _log.warning(
            events.RECORD_REJECTED,
            record=record.place,
            place=error.place,
            cause=error.cause,
            remedy=error.remedy,
        )
        origin, endpoint = record, None
        if isinstance(error, ResentDecodeError):
            origin, endpoint = error.resent.origin, error.resent.endpoint
        details = {}
        if isinstance(error, ResentDecodeError) and error.resent.number:
            details = {EVENT_INDEX: str(error.resent.number)}
        reason = Reason(f"{error.place}: {error.cause}", error.remedy, endpoint, details)
        if await park_durably(self._parks, origin, reason, lambda: not self._draining):
            for cursor in waiting:
                self._settle(cursor, record.offset, size_bytes)
