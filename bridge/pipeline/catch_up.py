"""Cursors that fell behind: a reader of their own feeds them until they meet the main reader.

One ``CatchUp`` per endpoint. Its reader is opened only while some cursor has room and is behind,
and it feeds no other endpoint: an outage of one receiver costs its window and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from bridge.core.cursor import CursorState
from bridge.errors import KafkaUnavailable, RecordsDeleted
from bridge.model import Batch, Partition, Record
from bridge.pipeline.cursor_start import EndpointCursor, report_deleted
from bridge.pipeline.outage import Trouble
from bridge.telemetry import events

_log = structlog.get_logger()
_POLL_S = 0.2
_LINGER_S = 5.0
"""How long the reader of cursors that are all full stays open."""
_ENDING_S = 1.0

Take = Callable[[Partition, Sequence[Record], EndpointCursor], Awaitable[bool]]


class _EndingError(Exception):
    """A batch was not taken: what this reader has read ahead must not be passed by."""


class SideReads(Protocol):
    """A reader beside the group (``bridge.kafka.side_reader.SideReader``)."""

    async def __aenter__(self) -> SideReads:
        """Connect; raises ``KafkaUnavailable``."""
        ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def read_from(
        self, positions: Mapping[Partition, int], timeout_s: float
    ) -> tuple[list[Batch], dict[Partition, int]]:
        """The next records, and how far each partition is read by them."""
        ...

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The first offset of each log."""
        ...


class CatchUp:
    """Brings the cursors of one endpoint back to the main reader.

    ``take`` is the path's steps 2 to 6 for one cursor (False: the assignment is ending); ``main_at``
    tells where the main reader reads next; ``met`` hears of a cursor that is attached again.

    Handing over has no gap and no overlap: nothing is awaited between a batch's end and the
    meeting, and a cursor that is ahead of the main reader passes by what it has had.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        cursors: Callable[[], Iterable[EndpointCursor]],
        open_reader: Callable[[], SideReads],
        take: Take,
        main_at: Callable[[Partition], int],
        met: Callable[[Partition], None],
        trouble: Trouble,
        wake: asyncio.Event,
    ) -> None:
        self._endpoint = endpoint
        self._cursors = cursors
        self._open_reader = open_reader
        self._take = take
        self._main_at = main_at
        self._met = met
        self._trouble = trouble
        self._wake = wake

    def wake(self) -> None:
        """Some cursor of the endpoint fell behind, or has room again."""
        self._wake.set()

    async def run(self) -> None:
        """Feed whoever is behind, for as long as the bridge lives."""
        while True:
            self._meet()
            if not self._behind():
                await self._wake.wait()
                self._wake.clear()
                continue
            try:
                async with self._open_reader() as reader:
                    await self._feed(reader)
            except KafkaUnavailable as exc:
                await self._trouble.sit_out(exc)
            except _EndingError:
                await asyncio.sleep(_ENDING_S)

    def _behind(self) -> dict[Partition, EndpointCursor]:
        return {
            cursor.partition: cursor
            for cursor in self._cursors()
            if cursor.live and cursor.state is CursorState.CATCHING_UP
        }

    async def _feed(self, reader: SideReads) -> None:
        """Until nobody is behind, or all that are have been full for a while."""
        while True:
            takers = self._behind()
            if not takers:
                if not await self._woken(_LINGER_S):
                    return
                continue
            positions = {partition: cursor.position for partition, cursor in takers.items()}
            try:
                batches, reached = await reader.read_from(positions, _POLL_S)
            except RecordsDeleted as exc:
                await self._skip_deleted(reader, exc.positions, takers)
                continue
            for partition, records in batches:
                if not await self._take(partition, records, takers[partition]):
                    raise _EndingError
            for partition, cursor in takers.items():
                cursor.advance(reached[partition])
            self._meet()

    def _meet(self) -> None:
        for cursor in self._cursors():
            if cursor.live and cursor.meet(self._main_at(cursor.partition)):
                _log.info(
                    events.CURSOR_ATTACHED,
                    endpoint=self._endpoint,
                    partition=str(cursor.partition),
                    next_offset=cursor.position,
                )
                self._met(cursor.partition)

    async def _skip_deleted(
        self, reader: SideReads, gone: Iterable[Partition], takers: Mapping[Partition, EndpointCursor]
    ) -> None:
        """The log begins later than a cursor stands: say what is gone, go on where the log begins."""
        for partition, first in (await reader.begins(list(gone))).items():
            report_deleted(self._endpoint, partition, takers[partition].position, first)
            takers[partition].advance(first)

    async def _woken(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True
