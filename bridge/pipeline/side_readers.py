"""The readers with which endpoints catch up with the main reader, each with a dedupe window of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from bridge.errors import SchemaNeeded
from bridge.model import Partition, Record
from bridge.pipeline.acceptance import Acceptance
from bridge.pipeline.assignment import Assignment
from bridge.pipeline.catch_up import CatchUp
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.intake import Feed
from bridge.pipeline.outage import OutageBackoff
from bridge.pipeline.ports import FirstOffsets, SideReads
from bridge.pipeline.schema_wait import SchemaWait
from bridge.telemetry.metrics import Metrics

_END_S = 1.0


class SideReaders:
    """One reader per endpoint; it is open while a cursor lags (``catch_up.py``)."""

    def __init__(
        self,
        *,
        acceptance: Acceptance,
        assignment: Assignment,
        checkpoints: Checkpoints,
        feeds: dict[str, Feed],
        build_window: Callable[[], FirstOffsets],
        open_reader: Callable[[], SideReads],
        schema_wait: SchemaWait,
        outage: OutageBackoff,
        metrics: Metrics,
    ) -> None:
        """``feeds`` are of the endpoints that catch up now, by name; the assignment works with the same."""
        self._acceptance = acceptance
        self._assignment = assignment
        self._checkpoints = checkpoints
        self._feeds = feeds
        self._build_window = build_window
        self._open_reader = open_reader
        self._schema_wait = schema_wait
        self._outage = outage
        self._read_again_count = metrics.records_read.labels("catch_up")
        self._dispatchers: dict[str, EndpointDispatcher] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    @property
    def running(self) -> list[asyncio.Task[None]]:
        """The tasks of the readers that were started."""
        return [*self._running.values()]

    def admit(self, dispatcher: EndpointDispatcher) -> None:
        """Take up an endpoint; its reader begins with ``start``."""
        self._dispatchers[dispatcher.name] = dispatcher
        dispatcher.tell_when_low(partial(self._read_again, dispatcher.name))

    def start(self, endpoint: str, tasks: asyncio.TaskGroup) -> None:
        """Let an endpoint catch up from now on, unless it was let go. ``tasks`` run what its batches need."""
        if (dispatcher := self._dispatchers.get(endpoint)) is None:
            return
        catch_up = CatchUp(
            endpoint,
            cursors=partial(self._checkpoints.of, endpoint),
            has_plenty=lambda: dispatcher.has_plenty,
            before_read=self._checkpoints.fill_used_up,
            open_reader=self._open_reader,
            accept=partial(self._accept, tasks),
            main_at=self._assignment.next_offsets.__getitem__,
            attached=partial(self._attached, endpoint),
            ended=partial(self._close_feed, endpoint),
            outage=self._outage,
            wake=self._checkpoints.room_behind[endpoint],
        )
        self._running[endpoint] = tasks.create_task(catch_up.run(), name=f"catch up {endpoint}")

    def let_go(self, endpoint: str) -> None:
        """Feed an endpoint no more."""
        del self._dispatchers[endpoint]
        if endpoint in self._running:
            self._running[endpoint].cancel()

    async def dismiss(self, endpoint: str) -> None:
        """Wait a moment until the reader of an endpoint that was let go has ended."""
        if running := self._running.pop(endpoint, None):
            await asyncio.wait([running], timeout=_END_S)

    async def _accept(
        self,
        tasks: asyncio.TaskGroup,
        partition: Partition,
        records: Sequence[Record],
        cursor: EndpointCursor,
    ) -> bool:
        """Accept a batch for a cursor that catches up; if it needs a schema, wait for the schema here."""
        feed = self._feeds.get(cursor.endpoint)
        if feed is None:
            feed = self._feeds[cursor.endpoint] = Feed(self._build_window())
        while True:
            try:
                accepted = await self._acceptance.accept(tasks, feed, partition, records, lambda: [cursor])
            except SchemaNeeded as needed:
                await self._schema_wait.fetch(needed)
            else:
                self._read_again_count.inc(len(records) if accepted else 0)
                return accepted

    def _read_again(self, endpoint: str) -> None:
        """Wake the readers of an endpoint that has no plenty of events any more."""
        self._checkpoints.room.set()
        self._checkpoints.room_behind[endpoint].set()

    def _attached(self, endpoint: str, partition: Partition) -> None:
        if (feed := self._feeds.get(endpoint)) is not None:
            feed.covered.discard(partition)
        self._checkpoints.room.set()

    def _close_feed(self, endpoint: str) -> None:
        """Give back the dedupe window of an endpoint that has caught up: most endpoints need none."""
        if (feed := self._feeds.pop(endpoint, None)) is not None:
            feed.window.close()
