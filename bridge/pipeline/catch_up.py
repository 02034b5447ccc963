"""Cursors that the main reader has passed: a second reader feeds them until they have caught up.

There is one ``CatchUp`` per endpoint, and its reader feeds no other endpoint: an outage of one receiver
costs the others nothing. The reader is open only while a cursor lags and has room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from bridge.core.cursor import CursorState
from bridge.errors import KafkaUnavailable, RecordsDeleted
from bridge.model import Partition, Record
from bridge.pipeline.cursor_start import EndpointCursor, skip_deleted_offsets
from bridge.pipeline.outage import OutageBackoff
from bridge.pipeline.ports import SideReads
from bridge.telemetry import events

_log = structlog.get_logger()
_POLL_S = 0.2
_LINGER_S = 5.0
"""How long the reader stays open while all its cursors are full."""
_PLENTY_S = 0.5
"""Between two reads of an endpoint that has plenty of events waiting."""
_ENDING_S = 1.0

Accept = Callable[[Partition, Sequence[Record], EndpointCursor], Awaitable[bool]]


class _EndingError(Exception):
    """A batch was not accepted: the records that this reader has read ahead must not be skipped."""


class CatchUp:
    """Brings the cursors of one endpoint back to the main reader.

    ``accept`` runs steps 2 to 6 for one cursor; False means that the assignment is ending. ``main_at``
    returns the next offset of the main reader. While the endpoint ``has_plenty`` of events, few are read.
    ``before_read`` makes cursors full that lack memory. ``attached(partition)`` is called when a cursor is
    fed by the main reader again, and ``ended()`` when the reader is closed. ``wake`` is set when a cursor
    lags or has room again, and when plenty ends.

    There is no gap and no overlap: nothing is awaited between the end of a batch and the comparison
    with the main reader, and a cursor that is ahead of the main reader skips what it has settled.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        cursors: Callable[[], Iterable[EndpointCursor]],
        has_plenty: Callable[[], bool],
        before_read: Callable[[], None],
        open_reader: Callable[[], SideReads],
        accept: Accept,
        main_at: Callable[[Partition], int],
        attached: Callable[[Partition], None],
        ended: Callable[[], None],
        outage: OutageBackoff,
        wake: asyncio.Event,
    ) -> None:
        self._endpoint = endpoint
        self._cursors = cursors
        self._has_plenty = has_plenty
        self._before_read = before_read
        self._open_reader = open_reader
        self._accept = accept
        self._main_at = main_at
        self._attached = attached
        self._ended = ended
        self._outage = outage
        self._wake = wake

    async def run(self) -> None:
        """Feed the cursors that lag, until cancelled."""
        while True:
            self._attach()
            if not self._cursors_behind():
                await self._wake.wait()
                self._wake.clear()
                continue
            try:
                async with self._open_reader() as reader:
                    await self._feed(reader)
            except KafkaUnavailable as exc:
                await self._outage.wait(exc)
            except _EndingError:
                await asyncio.sleep(_ENDING_S)
            finally:
                self._ended()

    def _cursors_behind(self) -> dict[Partition, EndpointCursor]:
        return {
            cursor.partition: cursor
            for cursor in self._cursors()
            if cursor.live and cursor.state is CursorState.CATCHING_UP
        }

    async def _feed(self, reader: SideReads) -> None:
        """Feed cursors until none lags, or until all have been full for ``_LINGER_S``."""
        while True:
            self._before_read()
            behind = self._cursors_behind()
            if not behind:
                if not await self._woken(_LINGER_S):
                    return
                continue
            if self._has_plenty():
                await self._woken(_PLENTY_S)
            await self._feed_once(reader, behind)

    async def _feed_once(self, reader: SideReads, behind: Mapping[Partition, EndpointCursor]) -> None:
        """Read and accept one batch. The next read must not find it in a variable: it may be large."""
        positions = {partition: cursor.position for partition, cursor in behind.items()}
        try:
            batches, reached = await reader.read_from(positions, _POLL_S)
        except RecordsDeleted as exc:
            await self._skip_deleted(reader, exc.positions, behind)
            return
        for partition, records in batches:
            if not await self._accept(partition, records, behind[partition]):
                raise _EndingError
        for partition, cursor in behind.items():
            cursor.advance(reached[partition])
        self._attach()
        await asyncio.sleep(0)  # what was taken in is sent before the next batch

    def _attach(self) -> None:
        for cursor in self._cursors():
            if cursor.live and cursor.attach_if_at(self._main_at(cursor.partition)):
                _log.info(
                    events.CURSOR_ATTACHED,
                    endpoint=self._endpoint,
                    partition=str(cursor.partition),
                    next_offset=cursor.position,
                )
                self._attached(cursor.partition)

    async def _skip_deleted(
        self, reader: SideReads, gone: Iterable[Partition], behind: Mapping[Partition, EndpointCursor]
    ) -> None:
        """Log what retention deleted, and move the cursors to the beginning of the log.

        A log that begins at or before a cursor ends before it, too: its topic was recreated. Wait
        then: the assignment begins again soon, with new cursors.
        """
        for partition, first in (await reader.begins(list(gone))).items():
            cursor = behind[partition]
            if first > cursor.position:
                skip_deleted_offsets(cursor, first)
            else:
                await asyncio.sleep(_ENDING_S)

    async def _woken(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True
